"""One job in the foreground: run its worker, serve its room and HLS over HTTP, end on Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from egress.control.attempts import Attempts, Ending
from egress.control.tokens import Tokens
from egress.lines import hand_over, read_lines
from egress.model import control, places
from egress.model.errors import Fault, RequestError
from egress.model.order import JobOrder
from egress.model.outputs import HlsDoc
from egress.web.app import create_app
from egress.web.origin import Origin
from egress.web.playback import Playback
from egress.web.server import WebServer

Event = dict[str, Any]

IMPATIENCE = 0.5
"""Seconds between two Ctrl-C that count as two; the third ends the worker without a clean stop."""


class Foreground:
    """Runs one order to its end. `on_event` sees every event; `listen` (host, port) also serves WHIP and HLS.

    With `commands`, a descriptor like that of standard input, they are read from there, one line of JSON each
    (egress.model.control), and passed on to the job; its end means nothing. With `playback_secrets` viewers need a
    token.
    """

    def __init__(
        self,
        order: JobOrder,
        on_event: Callable[[Event], None],
        listen: tuple[str, int] | None = None,
        commands: int | None = None,
        playback_secrets: Sequence[bytes] = (),
    ) -> None:
        self.order = order
        self.url: str | None = None
        self.room_name = places.room_name(order.room)
        self._on_event = on_event
        self._listen = listen
        self._playback = Playback(Tokens(playback_secrets).playback) if playback_secrets else None
        self._commands = commands
        self._whip: str | None = None
        self._ready = asyncio.Event()
        self._interrupted = asyncio.Event()
        self._interrupts = 0
        self._interrupted_at = float("-inf")
        self._job: Attempts | None = None
        folders = [Path(doc.to) for doc in order.pipeline.sinks if isinstance(doc, HlsDoc)]
        self._origins = {
            self.room_name if index == 0 else f"{self.room_name}-{index + 1}": Origin(folder)
            for index, folder in enumerate(folders)
        }

    async def run(
        self,
        *,
        beside: Callable[[Foreground], Awaitable[None]] | None = None,
        after: Callable[[Ending], Awaitable[None]] | None = None,
    ) -> Ending:
        """Run to the end; `beside` runs from when the room is open to when the worker ends, `after` before the
        HTTP server goes down."""
        with self._signals():
            if self._listen is None:
                return await self._whole(beside, after)
            app = create_app(
                origins=self._origins,
                whip=lambda room: self._whip if room == self.room_name else None,
                playback=self._playback,
            )
            host, port = self._listen
            async with WebServer(app, host=host, port=port) as server:
                self.url = server.url
                self._on_event({"type": "listening", "url": server.url, "room": self.room_name})
                return await self._whole(beside, after)

    def tell(self, event: Event) -> None:
        """Show an event of our own among the worker's."""
        self._on_event(event)

    def command(self, line: bytes) -> None:
        """Pass on what an operator says; a `control` event answers it."""
        if self._job is None or not self._job.command(line):
            error = RequestError("the job takes no commands now", (("command", "comes at a wrong time"),))
            self._on_event(control.answer(control.echo(line), error=error))

    async def interrupted(self) -> None:
        """Wait for the next Ctrl-C."""
        self._interrupted.clear()
        await self._interrupted.wait()

    async def _whole(
        self,
        beside: Callable[[Foreground], Awaitable[None]] | None,
        after: Callable[[Ending], Awaitable[None]] | None,
    ) -> Ending:
        self._job = job = Attempts(self.order)
        if self._interrupted.is_set():
            job.ask_to_stop("stopped before it began")
        if self._commands is not None:
            loop, handle = asyncio.get_running_loop(), self._commands
            # Blocked in a read until there is something or the process ends, hence a daemon thread and not a task.
            threading.Thread(target=self._read_commands, args=(loop, handle), name="commands", daemon=True).start()
        company = asyncio.create_task(self._accompany(beside)) if beside else None
        try:
            async for event in job.events():
                self._take(event)
                self._on_event(event)
        finally:
            job.leave()
            self._job = None
            for origin in self._origins.values():
                origin.silence()
            if company is not None:
                company.cancel()
                await asyncio.gather(company, return_exceptions=True)
        ending = job.ending
        if ending is None:
            raise Fault("the job has no end")
        self._on_event(
            {
                "type": "ended",
                "state": ending.state,
                "reason": ending.reason,
                "manifest": ending.event.get("manifest") or self.order.manifest,
            }
        )
        if after is not None:
            await after(ending)
        return ending

    def _read_commands(self, loop: asyncio.AbstractEventLoop, handle: int) -> None:
        with suppress(OSError):
            hand_over(read_lines(handle, longest=control.LONGEST), loop, self.command)

    async def _accompany(self, beside: Callable[[Foreground], Awaitable[None]]) -> None:
        await self._ready.wait()
        await beside(self)

    def _take(self, event: Event) -> None:
        match event.get("type"):
            case "ready":
                self._whip = event.get("whip")
                self._ready.set()
            case "hls":
                for origin in self._origins.values():
                    origin.announce(event)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self._interrupt, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _interrupt(self, number: int) -> None:
        self._interrupted.set()
        if self._job is None:
            return
        now = asyncio.get_running_loop().time()
        if now - self._interrupted_at < IMPATIENCE:
            # A terminal and a wrapper around us may both pass on one Ctrl-C.
            return
        self._interrupted_at = now
        self._interrupts += 1
        if self._interrupts == 1:
            self._job.ask_to_stop(f"stopped by {signal.Signals(number).name}")
        elif self._interrupts >= 3:
            self._job.kill("interrupted three times")
