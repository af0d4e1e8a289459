"""A job as a user runs it: `egress record` in a process of its own, followed by its events."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from egress.model.clock import monotonic
from egress.model.media import SECOND, Nanos
from tests.held_up import cast_held_up, job_held_up
from tests.probe import probe
from tests.verdict import Bars, Report
from tests.world import Cast, World

Event = dict[str, Any]

ROOM = "local:stage"

UNHURRIED = Bars(
    freeze=0.7,
    distinct=24.0,
    present=0.9,
    cadence_p95=0.1,
    offset_p95=0.1,
    spread_p95=0.1,
    damaged=None,
    halved=True,
    patient=True,
)
"""What a busy machine keeps too, and one that is too busy says so. How even pictures come is decided by the clock, and
measured by hand in tests/benchmarks/bars.py."""


@dataclass
class Recording:
    """A running job; `events` is what it has said, `heard` when (monotonic ns), `spool` where unfinished things are."""

    process: asyncio.subprocess.Process
    out: Path
    spool: Path
    events: list[Event] = field(default_factory=list)
    heard: list[Nanos] = field(default_factory=list)
    _heard: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: asyncio.Task[None] | None = None

    async def until(self, wanted: Callable[[Event], bool], seconds: float = 60) -> Event:
        """The first event that fits, also one already heard."""
        seen = 0
        async with asyncio.timeout(seconds):
            while True:
                for event in self.events[seen:]:
                    if wanted(event):
                        return event
                seen = len(self.events)
                if self.process.returncode is not None and self._reading is not None and self._reading.done():
                    raise AssertionError(f"the job ended without it: {self.events[-3:]}")
                self._heard.clear()
                await self._heard.wait()

    async def until_type(self, kind: str, seconds: float = 60) -> Event:
        """The first event of a type."""
        return await self.until(lambda event: event.get("type") == kind, seconds)

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self._first("listening")["url"])

    @property
    def whip(self) -> str:
        """Where publishers come in."""
        return f"{self.url}/whip/stage"

    @property
    def origin(self) -> Nanos:
        """Session time 0 on the monotonic clock."""
        return int(self._first("ready")["origin"])

    @property
    def worker(self) -> psutil.Process:
        """The worker's process."""
        (child,) = [
            child
            for child in psutil.Process(self.process.pid).children()
            if "egress.worker" in " ".join(child.cmdline())
        ]
        return child

    @property
    def ending(self) -> Event:
        """The last state event."""
        return [event for event in self.events if event.get("type") == "state"][-1]

    def artifact(self, kind: str) -> Path:
        """Where the job put an artifact."""
        (row,) = [row for row in self.ending["artifacts"] if row["kind"] == kind]
        return Path(row["location"])

    async def say(self, **command: Any) -> Event:
        """Give a command, needs --control; the answer."""
        assert self.process.stdin is not None
        given = {"id": f"{command['command']}-{len(self.events)}", **command}
        self.process.stdin.write(json.dumps(given).encode() + b"\n")
        return await self.until(lambda event: event.get("type") == "control" and event["id"] == given["id"])

    async def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C; the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended()

    async def ended(self, seconds: float = 120) -> int:
        """Wait for the end; the exit status."""
        async with asyncio.timeout(seconds):
            status = await self.process.wait()
            if self._reading is not None:
                await self._reading
        return status

    async def judge(self, location: Path, world: World, cast: Cast, *, begin: float = 0.0, **options: Any) -> Report:
        """What the analyser finds in a product of this job, and what job and cast have said of the machine.

        The play is over then. `begin` is the second of the job at which the product begins.
        """
        await cast.end()
        began = (self.origin - cast.zero) / SECOND + begin
        report = await asyncio.to_thread(probe, location, world=world, zero=cast.zero, began=began, **options)
        halved = any("frame_rate" in event["degraded"] for event in self.events if event["type"] == "overload")
        held_up = (*job_held_up(self.events), *cast_held_up(world.plan, cast.events))
        return replace(report, halved=halved, held_up=held_up)

    def _first(self, kind: str) -> Event:
        return next(event for event in self.events if event.get("type") == kind)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.heard.append(monotonic())
            self.events.append(json.loads(line))
            self._heard.set()
        self._heard.set()


@asynccontextmanager
async def recording(
    folder: Path, *words: str, pipeline: str = "live-hls", room: str = ROOM, wait: bool = True
) -> AsyncIterator[Recording]:
    """Run `egress record` for the length of the context; `pipeline` is a name or the text of a document."""
    if "\n" in pipeline:
        path = folder / "pipeline.yaml"
        path.write_text(pipeline)
        pipeline = str(path)
    out, spool = folder / "out", folder / "spool"
    command = ["record", room, "--json", "--pipeline", pipeline, "--to", str(out), "--spool", str(spool)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "egress.cli",
        *command,
        "--listen",
        "127.0.0.1:0",
        *words,
        stdin=asyncio.subprocess.PIPE if "--control" in words else None,
        stdout=asyncio.subprocess.PIPE,
        limit=4 << 20,
    )
    job = Recording(process, out, spool)
    job._reading = asyncio.create_task(job._read())
    try:
        if wait:
            await job.until_type("ready")
        yield job
    finally:
        if process.returncode is None:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        child.kill()
            with suppress(ProcessLookupError):
                process.kill()
        await job.ended()
