"""Commands to jobs of other servers are obeyed there once, answered, and nothing of them stays."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from sqlalchemy import func, select

from egress.control import errands, jobs, servers
from egress.control.errands import Errands
from egress.control.jobs import Draft, KeptJob
from egress.control.servers import Server
from egress.control.store import Store
from egress.control.values import Micros, micros
from egress.model.errors import Conflict, DestinationError, EgressError, Fault, NotFound, RequestError
from egress.model.request import JobRequest

KEY = "rtmp://live.example.org/app/the-stream-key"
COMMAND = {"command": "add-destination", "to": KEY, "id": 7}


@pytest.fixture
async def job(store: Store) -> KeptJob:
    """A job that another server holds, which lives."""
    await store.write(servers.enter, holder(micros()))
    return await store.write(_job, store)


def holder(heartbeat: Micros) -> Server:
    """The server that holds it."""
    return Server("srv_other", "other", "http://other:8080", "/spool", 4000, False, heartbeat, heartbeat)


def _job(connection: Any, store: Store) -> KeptJob:
    request = JobRequest(room="local:standup", pipeline="record-grid")
    return jobs.create(
        connection, store.sealer, Draft("job-1", request, "record-grid", "tests", server="srv_other")
    ).job


class Other:
    """The server that holds the job: what it was asked, and what it answers."""

    def __init__(self, store: Store, error: EgressError | None = None) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.release = asyncio.Event()
        self.release.set()
        self._error = error
        self.errands = Errands(store, "srv_other", self._obey)

    async def _obey(self, job: str, command: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((job, dict(command)))
        await self.release.wait()
        if self._error is not None:
            raise self._error
        return {"ok": True, "message": "done", "id": command.get("id")}

    @contextlib.asynccontextmanager
    async def there(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.errands.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _nobody(job: str, command: Mapping[str, Any]) -> dict[str, Any]:
    raise AssertionError("this server has no jobs")


def left(store: Store) -> int:
    """How many errands are in the database."""
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(errands.errands)).scalar_one()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers look often."""
    monkeypatch.setattr(errands, "LOOK", 0.01)


async def test_a_command_is_obeyed_once_where_its_job_is_and_answered(
    store: Store, second: Store, job: KeptJob
) -> None:
    other, twin = Other(second), Other(store)
    async with other.there(), twin.there():
        asked = [Errands(store, "srv_mine", _nobody).ask(job, {**COMMAND, "id": number}) for number in range(5)]
        answers = await asyncio.gather(*asked)
    assert [answer["id"] for answer in answers] == list(range(5))
    assert sorted(command["id"] for _, command in other.asked + twin.asked) == list(range(5))
    assert {(job, command["to"]) for job, command in other.asked + twin.asked} == {("job-1", KEY)}
    assert left(store) == 0


async def test_what_is_asked_and_answered_is_sealed_while_it_waits(store: Store, job: KeptJob) -> None:
    other = Other(store, RequestError(f"{KEY} is not for this room", (("to", "is not for this room"),)))
    other.release.clear()
    async with other.there():
        asking = asyncio.create_task(Errands(store, "srv_mine", _nobody).ask(job, COMMAND))
        while not other.asked:
            await asyncio.sleep(0.01)
        with store.reading() as connection:
            rows = connection.execute(select(errands.errands)).all()
        assert len(rows) == 1 and "the-stream-key" not in repr(rows)
        other.release.set()
        with pytest.raises(RequestError, match="the-stream-key") as refused:
            await asking
    assert refused.value.problems == (("to", "is not for this room"),)
    assert left(store) == 0


@pytest.mark.parametrize(
    ("error", "seen"),
    [(Conflict("not now"), Conflict), (NotFound("no job"), NotFound), (DestinationError("down"), Fault)],
)
async def test_errors_come_back_as_what_they_were(
    store: Store, job: KeptJob, error: EgressError, seen: type[EgressError]
) -> None:
    async with Other(store, error).there():
        with pytest.raises(seen, match=error.message):
            await Errands(store, "srv_mine", _nobody).ask(job, COMMAND)


async def test_a_server_that_does_not_answer_is_named_and_the_command_withdrawn(
    store: Store, job: KeptJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "WITHIN", 0.05)
    mine = Errands(store, "srv_mine", _nobody)
    with pytest.raises(Conflict, match=r"other \(http://other:8080\) has not answered") as silent:
        await mine.ask(job, COMMAND)
    assert "may be obeyed" not in silent.value.message and left(store) == 0
    other = Other(store)
    async with other.there():
        await asyncio.sleep(0.05)
    assert other.asked == []


async def test_a_command_that_was_heard_and_not_answered_may_be_obeyed_yet(
    store: Store, job: KeptJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Other(store)
    other.release.clear()
    async with other.there():
        asking = asyncio.create_task(Errands(store, "srv_mine", _nobody).ask(job, COMMAND))
        while not other.asked:
            await asyncio.sleep(0.01)
        now = micros()
        monkeypatch.setattr(errands, "micros", lambda: now + 60_000_000)
        with pytest.raises(Conflict, match="may be obeyed yet"):
            await asking


async def test_a_server_that_is_dead_is_named_at_once(store: Store, job: KeptJob) -> None:
    await store.note(servers.beat, "srv_other", now=micros() - 45_000_000)
    mine = Errands(store, "srv_mine", _nobody)
    with pytest.raises(Conflict, match=r"other \(http://other:8080\) has not been heard of for 45 s"):
        await mine.ask(job, COMMAND)
    await store.write(servers.leave, "srv_other")
    with pytest.raises(Conflict, match="srv_other is gone"):
        await mine.ask(job, COMMAND)
    assert left(store) == 0
