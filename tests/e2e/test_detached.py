"""Services die, their workers go on: a job is found again by the next one, and no event is lost or told twice."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import psutil
import pytest

from egress.control.processes import Process
from egress.model.order import JobOrder
from egress.ordering import make_order
from tests.e2e.test_crash import FRAGMENT, gone, written
from tests.world import World

pytestmark = pytest.mark.beside

Event = dict[str, Any]

PARENT = """
import asyncio, json, sys
from egress.control.attempts import Attempts
from egress.model.order import JobOrder

async def main():
    order, since = JobOrder.model_validate_json(sys.stdin.readline()), sys.argv[1]
    job = Attempts(order, detached=True) if since == "first" else Attempts.adopting(order, since=int(since))
    async for event in job.events():
        print(json.dumps(event), flush=True)
    job.release()

asyncio.run(main())
"""


@dataclass
class Service:
    """A process that runs one job and tells its events."""

    process: asyncio.subprocess.Process
    events: list[Event]
    reading: asyncio.Task[None]

    async def until(self, wanted: Callable[[Event], bool], seconds: float = 60) -> Event:
        """The first event that fits."""
        async with asyncio.timeout(seconds):
            while True:
                for event in self.events:
                    if wanted(event):
                        return event
                await asyncio.sleep(0.02)

    @property
    def numbers(self) -> list[int]:
        """Of the events that have one."""
        return [event["seq"] for event in self.events if "seq" in event]

    async def killed(self) -> None:
        """kill -9."""
        self.process.kill()
        await self.ended()

    async def ended(self) -> None:
        """Wait for its end."""
        async with asyncio.timeout(180):
            await self.process.wait()
            await self.reading


@asynccontextmanager
async def service(order: JobOrder, since: int | str = "first") -> AsyncIterator[Service]:
    """One service, killed at the end of the context if it still runs."""
    words = [sys.executable, "-c", PARENT, str(since)]
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(*words, **pipes, limit=4 << 20)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(order.model_dump_json().encode() + b"\n")
    process.stdin.close()
    events: list[Event] = []

    async def read() -> None:
        while line := await process.stdout.readline():
            events.append(json.loads(line))

    made = Service(process, events, asyncio.create_task(read()))
    try:
        yield made
    finally:
        if process.returncode is None:
            process.kill()
        await made.ended()


@pytest.fixture
async def order(tmp_path: Path) -> AsyncIterator[JobOrder]:
    """A job whose spool's path is longer than a socket's name may be; its worker does not outlive the test."""
    with tempfile.TemporaryDirectory(dir=tmp_path, prefix="long" * 30) as spool:
        made = make_order(
            "local:stage", pipeline="record-grid", root=tmp_path / "out", spool=Path(spool), whip_token="token"
        )
        yield made
        lock = Path(made.folder) / "lock"
        if lock.is_file():
            Process(*map(int, lock.read_text().split())).kill_session()


def worker(order: JobOrder) -> psutil.Process:
    """The one that holds the job."""
    return psutil.Process(int((Path(order.folder) / "lock").read_text().split()[0]))


def spooled(order: JobOrder) -> bool:
    """Whether its folder is in the spool."""
    return Path(order.folder).exists()


def recording(order: JobOrder) -> Path:
    """Its only product."""
    (mp4,) = Path(order.pipeline.sinks[0].to).parent.glob("*.mp4")
    return mp4


async def test_a_job_survives_its_services_and_its_worker(order: JobOrder) -> None:
    async with service(order) as first:
        ready = await first.until(lambda event: event["type"] == "ready")
        async with World.everyone(1, 40).perform(ready["whip"], "token") as cast:
            await cast.until(4)
            await first.killed()
            known = first.numbers[:-2]
            assert first.numbers == list(range(1, len(first.numbers) + 1))
            await cast.until(6)
            async with service(order, known[-1]) as second:
                await second.until(lambda event: event["type"] == "alive")
                missed = list(range(known[-1] + 1, first.numbers[-1] + 1))
                assert second.numbers[: len(missed)] == missed
                there = await written(second)
                worker(order).kill()
                ready = await second.until(lambda event: event["type"] == "ready" and event["attempt"] == 2)
                (restart,) = [event for event in second.events if event["type"] == "restart"]
                assert restart["after"] == 0, "it is begun at once"
                async with World.everyone(1, 40).perform(ready["whip"], "token") as cast:
                    await cast.until(3)
                    there += await written(second)
                    await second.killed()
                    last = second.numbers[-1]
                    going = worker(order)
                    going.terminate()
                    async with asyncio.timeout(60):
                        while not gone(going):
                            await asyncio.sleep(0.02)
    async with service(order, last) as third:
        await third.ended()
    assert third.numbers == list(range(last + 1, last + 1 + len(third.numbers)))
    assert third.events[-1]["state"] == "finished" and third.events[-1]["attempt"] == 2
    assert not spooled(order), "the last service has read how it ended"
    manifest = json.loads(recording(order).with_suffix(".manifest.json").read_text())
    assert [row["why"] for row in manifest["attempts"]] == ["it ended without a word", "stopped by SIGTERM"]
    with av.open(str(recording(order))) as container:
        assert container.duration is not None and container.duration / 1e6 >= there - FRAGMENT


async def test_a_job_whose_worker_and_service_died_goes_on_with_the_next_service(order: JobOrder) -> None:
    async with service(order) as first:
        ready = await first.until(lambda event: event["type"] == "ready")
        async with World.everyone(1, 40).perform(ready["whip"], "token") as cast:
            await cast.until(4)
            await first.killed()
            worker(order).kill()
    async with service(order, 0) as second:
        ready = await second.until(lambda event: event["type"] == "ready" and event["attempt"] == 2)
        assert second.numbers[: len(first.numbers)] == first.numbers
        hung = worker(order)
        hung.suspend()
        await second.killed()
        async with service(order, second.numbers[-1]) as third:
            await third.until(lambda event: event["type"] == "ready" and event["attempt"] == 3, 120)
            assert gone(hung)
            os.kill(worker(order).pid, 15)
            await third.ended()
    assert third.events[-1]["state"] == "finished"
    assert "3 attempts" in third.events[-1]["reason"]
    assert not spooled(order) and recording(order).is_file()
