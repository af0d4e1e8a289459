"""A detached worker as whoever follows it sees it: reached at its socket, lost and found again, killed for good."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from egress.control.processes import Process
from egress.control.worker_run import ALIVE_WITHIN, LINE_LIMIT, READY_WITHIN, WAITING, ended_by, spawn
from egress.model.errors import Fault
from egress.model.order import JobOrder
from egress.storage.event_log import final, read_events

SOCKET = "control.sock"
"""As the worker calls it (egress.reporting), which loads more than is needed here."""

_AGAIN = 0.1
"""Seconds before a worker that does not answer is asked again."""

Event = dict[str, Any]


class DetachedRun:
    """A running worker that outlives us; the methods are those of `WorkerRun`.

    Events carry `seq`, and those after `since` come exactly once, over any number of connections. `hello` is what the
    worker said last of itself: `pid`, `first` and `seq` of the events it still knows, its last `ready` and `alive`.
    """

    def __init__(self, folder: Path, worker: Process, since: int, child: asyncio.subprocess.Process | None) -> None:
        self.hello: Event = {}
        self.since = since
        self._folder = folder
        self._worker = worker
        self._child = child
        self._killed: str | None = None
        self._replaced = False
        self._last_words: Event | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @classmethod
    async def launch(cls, order: JobOrder, since: int = 0) -> DetachedRun:
        """Start a worker on one order, which travels only through its stdin; returns once it stands on its own.

        One that refuses before says so in its only event. Raises Fault when no process can be started.
        """
        order = order.model_copy(update={"detached": True})
        child = await spawn(order)
        assert child.stdin is not None and child.stdout is not None
        child.stdin.close()
        worker = Process.of(child.pid)
        if worker is None:
            raise Fault(f"the worker did not begin: {ended_by(await child.wait())}")
        run = cls(Path(order.folder), worker, since, child)
        line = b""
        with contextlib.suppress(TimeoutError, ValueError):
            async with asyncio.timeout(READY_WITHIN):
                line = await child.stdout.readline()
        said = _event(line)
        if said.get("type") == "detached":
            await run._connect(READY_WITHIN)
        elif said:
            run._last_words = said
        else:
            run.kill(f"no sign of life for {READY_WITHIN:.0f} s")
        return run

    @classmethod
    async def adopt(cls, folder: Path, since: int = 0) -> DetachedRun | None:
        """The worker that lives in a job's folder; None when nobody answers there within seconds."""
        try:
            async with asyncio.timeout(READY_WITHIN):
                reader, writer = await _dial(folder, since)
            async with asyncio.timeout(READY_WITHIN):
                hello = json.loads(await reader.readline())
            worker = Process.of(int(hello["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if worker is None:
            writer.close()
            return None
        run = cls(folder, worker, since, None)
        run.hello, run._streams = hello, (reader, writer)
        return run

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._worker.pid

    async def events(self) -> AsyncIterator[Event]:
        """The worker's events until it ends; a worker that shows no life in time is killed.

        Ends early when somebody else follows the worker now (`replaced`).
        """
        if self._last_words is not None:
            yield self._last_words
            return
        patience = ALIVE_WITHIN if self.hello.get("ready") else READY_WITHIN
        while not self._replaced:
            line = await self._line(patience)
            if line is None:
                self.kill(f"no sign of life for {patience:.0f} s")
                break
            patience = ALIVE_WITHIN
            if line:
                event = _event(line)
                if event.get("type") == "replaced":
                    self._replaced = True
                elif event.get("type") == "hello":
                    self.hello = event
                elif self._fresh(event):
                    yield event
            elif not self._worker.alive or not await self._connect(ALIVE_WITHIN):
                break
        if self._replaced:
            return
        if self._worker.alive:
            self.kill("it cannot be reached")
        await self.wait()
        # What it had noted, and could not tell any more.
        for event in read_events(self._folder, self.since):
            if self._fresh(event):
                yield event

    @property
    def replaced(self) -> bool:
        """Whether somebody else follows the worker now."""
        return self._replaced

    def ask_to_stop(self, reason: str) -> None:
        """Ask the worker to end its job cleanly."""
        self.command(json.dumps({"command": "stop", "reason": reason[:200]}))

    def command(self, line: str | bytes) -> bool:
        """Pass on one line of JSON (egress.model.control); False when the worker takes no more just now."""
        if self._streams is None:
            return False
        writer = self._streams[1]
        if writer.is_closing() or writer.transport.get_write_buffer_size() > WAITING:
            return False
        writer.write((line.encode() if isinstance(line, str) else line).replace(b"\n", b" ") + b"\n")
        return True

    def kill(self, reason: str) -> None:
        """End the worker and what it has started at once; what it recorded is still in the spool."""
        if self._worker.alive:
            self._killed = self._killed or reason
        self._worker.kill_session()

    def killed_for(self, status: int) -> str:
        """Why the worker ended without saying how its job went."""
        if self._killed is not None:
            return self._killed
        return ended_by(status) if self._child is not None else "it ended without a word"

    async def wait(self) -> int:
        """Wait for the worker's end; its exit status, 0 when it is not our child and so nobody can know."""
        self._let_go()
        if self._child is not None:
            return await self._child.wait()
        handle = self._worker.handle()
        if handle is not None:
            over = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_reader(handle, over.set)
            try:
                await over.wait()
            finally:
                loop.remove_reader(handle)
                os.close(handle)
        return 0

    def leave(self) -> None:
        """Follow it no longer; it goes on."""
        self._let_go()

    def _fresh(self, event: Event) -> bool:
        """Whether an event has not been told yet; those without number are of the moment."""
        if "seq" not in event:
            return bool(event)
        if event["seq"] <= self.since:
            return False
        self.since = event["seq"]
        return True

    async def _line(self, patience: float) -> bytes | None:
        """The next line; b"" when there is no connection any more, None when nothing comes for too long."""
        if self._streams is None:
            return b""
        try:
            async with asyncio.timeout(patience):
                return await self._streams[0].readline()
        except TimeoutError:
            return None
        except (OSError, ValueError):
            return b""

    async def _connect(self, within: float) -> bool:
        """Reach the worker again, asking for what was missed; False when it dies or does not answer for too long."""
        self._let_go()
        limit = asyncio.get_running_loop().time() + within
        while asyncio.get_running_loop().time() < limit and self._worker.alive:
            with contextlib.suppress(OSError):
                self._streams = await _dial(self._folder, self.since)
                return True
            await asyncio.sleep(_AGAIN)
        return False

    def _let_go(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _dial(folder: Path, since: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the worker in a folder; raises OSError when there is none."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.setblocking(False)
    try:
        # The name of a socket may have 107 bytes (unix(7)); through a descriptor of its folder any path is short.
        await asyncio.get_running_loop().sock_connect(line, f"/proc/self/fd/{handle}/{SOCKET}")
        reader, writer = await asyncio.open_unix_connection(sock=line, limit=LINE_LIMIT)
    except BaseException:
        line.close()
        raise
    finally:
        os.close(handle)
    writer.write(json.dumps({"since": since}).encode() + b"\n")
    return reader, writer


def _event(line: bytes) -> Event:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def said_its_end(folder: Path) -> Event | None:
    """How the job in a folder ended, as its worker noted; None when it did not come to that."""
    return final(read_events(folder))
