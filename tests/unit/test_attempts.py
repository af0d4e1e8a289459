"""A job is run to its end whatever becomes of its workers, and never for ever."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from egress.control import attempts
from egress.control.attempts import Attempts
from egress.control.worker_run import WorkerRun
from egress.model.order import JobOrder
from egress.storage.event_log import EventLog
from egress.storage.spool import JobFolder
from tests.unit.test_spool import order

Event = dict[str, Any]

READY, JOINED = {"type": "ready"}, {"type": "room", "event": "joined", "peer": "Ada"}
DONE = {"type": "state", "state": "finished", "reason": "stopped"}
REFUSED = {"type": "state", "state": "failed", "reason": "the room does not answer", "blame": "room"}


class Life(WorkerRun):
    """A worker whose life is written down; it dies when its events do not say how the job ended."""

    def __init__(self, told: list[Event]) -> None:
        self.told = told
        self.lines: list[str] = []
        self.killed: list[str] = []

    async def events(self) -> AsyncIterator[Event]:
        for event in self.told:
            yield event

    def command(self, line: str | bytes) -> bool:
        self.lines.append(line if isinstance(line, str) else line.decode())
        return True

    def kill(self, reason: str) -> None:
        self.killed.append(reason)

    def killed_for(self, status: int) -> str:
        return "signal SIGKILL"

    async def wait(self) -> int:
        return -9


class Lives:
    """Launches one life after the other, the last again and again."""

    def __init__(self, *told: list[Event]) -> None:
        self.lives = [Life(events) for events in told]
        self.orders: list[JobOrder] = []

    async def launch(self, given: JobOrder) -> WorkerRun:
        self.orders.append(given)
        return self.lives[min(len(self.orders), len(self.lives)) - 1]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody waits."""
    monkeypatch.setattr(attempts, "DELAYS", (0.0,))
    return


def lived(monkeypatch: pytest.MonkeyPatch, *told: list[Event]) -> Lives:
    """What becomes of the workers that are launched."""
    made = Lives(*told)
    monkeypatch.setattr(WorkerRun, "launch", made.launch)
    return made


async def everything(job: Attempts) -> list[Event]:
    """All events of a job."""
    return [event async for event in job.events()]


async def test_a_worker_that_dies_is_followed_by_another_of_the_same_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = lived(monkeypatch, [READY, JOINED], [READY, DONE])
    job = Attempts(order(tmp_path))
    events = await everything(job)
    assert [(event["type"], event["attempt"]) for event in events] == [
        ("ready", 1),
        ("room", 1),
        ("restart", 2),
        ("ready", 2),
        ("state", 2),
    ]
    assert events[2] == {"type": "restart", "attempt": 2, "reason": "signal SIGKILL", "after": 0.0}
    assert [(given.id, given.attempt, given.whip_token) for given in lives.orders] == [
        ("job-1", 1, "SECRETTOKEN"),
        ("job-1", 2, "SECRETTOKEN"),
    ]
    assert job.ending is not None and (job.ending.state, job.ending.exit_status) == ("finished", 0)
    assert lives.lives[0].killed, "what it had started must not outlive it"


async def test_workers_that_die_again_and_again_come_to_an_end_and_what_there_is_is_recovered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = lived(monkeypatch, [])
    job = Attempts(order(tmp_path))
    events = await everything(job)
    assert len(lives.orders) == attempts.MOST_DEATHS
    assert [event["type"] for event in events] == ["restart"] * 4 + ["state"]
    assert job.ending is not None and job.ending.event == events[-1]
    assert job.ending.state == "failed" and "died 5 times" in job.ending.reason


def test_waits_grow_while_workers_die_and_are_short_again_when_one_has_lived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    now = 0.0

    class Loop:
        def time(self) -> float:
            return now

    monkeypatch.setattr(attempts.asyncio, "get_running_loop", Loop)
    job = Attempts(order(tmp_path))
    assert [job._delay() for _ in range(5)] == [0.0, 1.0, 2.0, 4.0, None]
    now = attempts.WITHIN + 1
    assert job._delay() == 0.0


async def test_a_stop_that_was_asked_for_is_the_end_also_of_a_dead_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = lived(monkeypatch, [READY, {"type": "state", "state": "stopping", "reason": "enough"}])
    job = Attempts(order(tmp_path))
    events = await everything(job)
    assert len(lives.orders) == 1 and "restart" not in [event["type"] for event in events]
    lives = lived(monkeypatch, [READY], [READY, DONE])
    job = Attempts(order(tmp_path))
    told = []
    async for event in job.events():
        told.append(event)
        if event["type"] == "restart":
            assert not job.command('{"command": "pause"}'), "nobody is there to obey"
            assert job.command('{"command": "stop", "id": 7}')
    assert len(lives.orders) == 1
    assert [(event["type"], event.get("id"), event.get("ok")) for event in told[2:3]] == [("control", 7, True)]
    assert job.ending is not None and job.ending.state == "failed"


async def test_a_room_that_cannot_be_reached_again_is_tried_again_and_is_not_the_jobs_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = lived(monkeypatch, [READY], [REFUSED], [READY, DONE])
    events = await everything(job := Attempts(order(tmp_path)))
    assert [event["reason"] for event in events if event["type"] == "restart"] == ["signal SIGKILL", REFUSED["reason"]]
    assert [event["state"] for event in events if event["type"] == "state"] == ["finished"]
    assert job.ending is not None and job.number == len(lives.orders) == 3


async def test_a_first_worker_that_is_refused_is_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lives = lived(monkeypatch, [REFUSED])
    events = await everything(job := Attempts(order(tmp_path)))
    assert len(lives.orders) == 1 and [event["type"] for event in events] == ["state"]
    assert job.ending is not None and job.ending.reason == REFUSED["reason"]


async def test_what_operators_wanted_is_asked_of_the_next_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"type": "control", "id": 1, "command": "pause", "ok": True}
    again = {"type": "control", "id": "egress-again-0", "command": "pause", "ok": True}
    lives = lived(monkeypatch, [READY, answer], [READY, again, DONE])
    job = Attempts(order(tmp_path))
    events = []
    async for event in job.events():
        events.append(event)
        if event["type"] == "ready" and event["attempt"] == 1:
            assert job.command('{"command": "pause", "id": 1}')
    assert json.loads(lives.lives[1].lines[0])["command"] == "pause"
    assert [event["id"] for event in events if event["type"] == "control"] == [1]
    assert job.wishes == ('{"command": "pause", "id": 1}',)


async def test_a_job_that_ended_while_nobody_looked_is_told_and_its_folder_goes_when_that_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = order(tmp_path / "job-1")
    with JobFolder(tmp_path / "job-1").held() as mine:
        assert mine
        JobFolder(tmp_path / "job-1").create(given)
        log = EventLog(tmp_path / "job-1")
        for event in (READY, JOINED, DONE):
            log.append({**event, "attempt": 1})
    lives = lived(monkeypatch, [READY, DONE])
    job = Attempts.adopting(given, since=1)
    events = await everything(job)
    assert [event["seq"] for event in events] == [2, 3] and not lives.orders
    assert job.ending is not None and job.ending.state == "finished"
    assert (tmp_path / "job-1").is_dir()
    job.release()
    assert not (tmp_path / "job-1").exists()


async def test_a_worker_that_cannot_be_started_counts_as_one_that_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = lived(monkeypatch, [READY, DONE])
    refused = 0

    async def launch(given: JobOrder) -> WorkerRun:
        nonlocal refused
        if refused < 2:
            refused += 1
            raise OSError("no more processes")
        return await lives.launch(given)

    monkeypatch.setattr(WorkerRun, "launch", launch)
    events = await everything(job := Attempts(order(tmp_path)))
    assert [event["type"] for event in events] == ["restart", "restart", "ready", "state"]
    assert "no more processes" in events[0]["reason"]
    assert job.ending is not None and job.ending.state == "finished"
