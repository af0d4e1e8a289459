"""Commands on their way from whoever runs a job to its worker."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from egress.control import worker_run
from egress.control.worker_run import WorkerRun
from egress.foreground import Foreground
from tests.unit.test_spool import order


class Run(WorkerRun):
    """A worker that tells of every line it is sent, and ends when told to stop."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._killed = None

    def command(self, line: str | bytes) -> bool:
        said = line.encode() if isinstance(line, str) else line
        if b"refuse" in said:
            return False
        self.lines.put_nowait(said)
        return True

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        while True:
            line = await self.lines.get()
            yield {"type": "heard", "line": line.decode()}
            if b"stop" in line:
                yield {"type": "state", "state": "finished", "reason": "stop"}
                return

    async def wait(self) -> int:
        return 0

    def kill(self, reason: str) -> None:
        pass


async def test_lines_of_a_descriptor_are_passed_on_and_its_end_means_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run()

    async def launch(order: object) -> WorkerRun:
        return run

    monkeypatch.setattr(WorkerRun, "launch", launch)
    reader, writer = os.pipe()
    events: list[dict[str, Any]] = []
    job = Foreground(order(tmp_path), events.append, commands=reader)
    job.command(b'{"command": "pause", "id": 1}')
    assert (events[0]["type"], events[0]["id"], events[0]["ok"]) == ("control", 1, False)
    os.write(writer, b'{"command": "pause"}\n\n{"command": "refuse", "id": 2}\n')
    os.close(writer)
    task = asyncio.create_task(job.run())
    async with asyncio.timeout(60):
        while len(events) < 3:
            await asyncio.sleep(0.002)
        run.command('{"command": "stop"}')
        assert (await task).state == "finished"
    assert [event["line"] for event in events if event["type"] == "heard"] == [
        '{"command": "pause"}',
        '{"command": "stop"}',
    ]
    assert [(event["id"], event["ok"]) for event in events if event["type"] == "control"] == [(1, False), (2, False)]
    os.close(reader)


async def test_a_worker_that_reads_nothing_takes_no_more_commands_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_run, "WAITING", 1000)
    process = await asyncio.create_subprocess_exec("sleep", "60", stdin=asyncio.subprocess.PIPE)
    run = WorkerRun(process)
    taken = 0
    while run.command(json.dumps({"command": "mark", "text": "x" * 5000})) and taken < 1000:
        taken += 1
    assert 0 < taken < 1000
    process.kill()
    await run.wait()
