"""Time that tests move on, and a service that keeps its jobs in the store without running any."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from egress.control import job_lists, job_moves, jobs, servers
from egress.control.clock import Clock
from egress.control.jobs import Created, Draft, KeptJob
from egress.control.scheduler import Scheduler
from egress.control.servers import Server
from egress.control.store import Store
from egress.control.values import Micros, new_id, since_epoch
from egress.model.errors import EgressError
from egress.model.job import JobState
from egress.model.request import Caller, JobRequest

SECOND: Micros = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
PATIENCE = 60.0


def at(text: str) -> Micros:
    """An instant, written like 2026-03-29T01:00 in UTC."""
    return since_epoch(datetime.fromisoformat(text).replace(tzinfo=UTC))


class VirtualClock(Clock):
    """A clock that stands until somebody moves it on."""

    def __init__(self, begin: Micros) -> None:
        self._now = begin
        self._sleepers: list[tuple[Micros, asyncio.Event | None, asyncio.Event]] = []

    def now(self) -> Micros:
        return self._now

    async def until(self, at: Micros, wake: asyncio.Event | None = None) -> None:
        if at <= self._now:
            await asyncio.sleep(0)
            return
        come = asyncio.Event()
        sleeper = (at, wake, come)
        self._sleepers.append(sleeper)
        waits = [asyncio.ensure_future(event.wait()) for event in (come, wake) if event is not None]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def jump(self, at: Micros) -> None:
        """Move on to a time: whoever waited for it, or for an earlier one, goes on."""
        self._now = at
        for sleeper in [one for one in self._sleepers if one[0] <= at]:
            self._sleepers.remove(sleeper)
            sleeper[2].set()

    def resting(self, loops: int, busy: int) -> bool:
        """Whether so many loops wait for changes, and all their starts that go on wait for the time."""
        waiting = [wake for _, wake, _ in self._sleepers]
        awake = any(wake.is_set() for wake in waiting if wake is not None)
        return not awake and len(waiting) - waiting.count(None) == loops and waiting.count(None) == busy


@dataclass
class Standing:
    """The service as the scheduler and the triggers see it: `refuse` is what each start raises, if it does."""

    store: Store
    clock: VirtualClock
    server: Server
    draining: bool = False
    refuse: EgressError | None = None
    hold: asyncio.Event | None = None
    """While it is there and not set, starts do not come back once their job is kept."""
    started: list[tuple[JobRequest, Micros]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    async def start(
        self,
        request: JobRequest,
        caller: Caller,
        *,
        idempotency: str | None = None,
        body: Any = None,
        trigger: str | None = None,
        schedule: str | None = None,
        fire_at: Micros | None = None,
    ) -> Created:
        if self.refuse is not None:
            raise self.refuse
        assert caller.may("start") and caller.may_enter(request.room)
        pipeline = str(request.pipeline)
        draft = Draft(
            id=new_id("job"),
            request=request,
            pipeline=pipeline,
            caller=caller.name,
            server=self.server.id,
            template=request.template,
            trigger=trigger,
            schedule=schedule,
            fire_at=fire_at,
            unique_room=jobs.unique_key(request.template, request.room, pipeline) if request.template else None,
            idempotency_key=idempotency,
            body_hash=jobs.body_hash(body),
        )
        created = await self.store.write(jobs.create, self.store.sealer, draft, now=self.clock.now())
        if not created.repeated:
            self.started.append((request, self.clock.now()))
        if self.hold is not None:
            await self.hold.wait()
        return created

    async def stop(self, job_id: str, reason: str) -> KeptJob:
        self.stopped.append(job_id)
        return await self.store.write(job_moves.ask_stop, job_id, reason)

    def end(self, job_id: str) -> None:
        """The job is over."""
        with self.store.writing() as connection:
            for state in (JobState.RUNNING, JobState.STOPPING, JobState.FINISHED):
                job_moves.move(connection, job_id, state, now=self.clock.now())

    def beat(self) -> None:
        """Say that the server lives."""
        with self.store.writing(durable=False) as connection:
            servers.beat(connection, self.server.id, now=self.clock.now())

    def jobs(self) -> list[KeptJob]:
        """All there are, the oldest first."""
        with self.store.reading() as connection:
            return list(job_lists.page(connection, limit=1000).items)[::-1]


def standing(store: Store, clock: VirtualClock, name: str = "one") -> Standing:
    """A server that has entered the store."""
    server = Server(f"srv_{name}", name, "", "/spool", 4000, False, clock.now(), clock.now())
    with store.writing() as connection:
        servers.enter(connection, server)
    return Standing(store, clock, server)


class Running:
    """Schedulers at work; `go` moves the time on and returns once they have done all there is to do."""

    def __init__(self, clock: VirtualClock, schedulers: Sequence[Scheduler]) -> None:
        self.clock = clock
        self.schedulers = schedulers
        self.tasks = [asyncio.create_task(one.run()) for one in schedulers]

    async def go(self, at: Micros, busy: int = 0) -> None:
        """`busy` starts are expected to go on waiting."""
        self.clock.jump(at)
        await self.rest(busy)

    async def rest(self, busy: int = 0) -> None:
        """Return once nothing is left to do at this time."""
        end = time.monotonic() + PATIENCE
        while not (self.clock.resting(len(self.tasks), busy) and sum(s.starting for s in self.schedulers) == busy):
            assert time.monotonic() < end, "the schedulers do not come to rest"
            assert not any(task.done() for task in self.tasks), "a scheduler has ended"
            await asyncio.sleep(0.001)

    async def end(self) -> None:
        """Cut them off."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def running(*services: Standing) -> AsyncIterator[Running]:
    """A scheduler for each of these services, on the clock they share."""
    work = Running(services[0].clock, [Scheduler(service, service.clock) for service in services])
    try:
        await work.rest()
        yield work
    finally:
        await work.end()
