"""Starts jobs by the clock: each time of each schedule once, over any number of servers, restarts and outages."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection

from egress.control import firing, occurrences, schedules
from egress.control.clock import Clock, WallClock
from egress.control.firing import Firing
from egress.control.jobs import Created, KeptJob
from egress.control.planning import Plan, can_start, plan, request
from egress.control.schedules import KeptSchedule
from egress.control.servers import Server
from egress.control.store import Store
from egress.control.values import Micros, rfc3339
from egress.model.errors import Conflict, EgressError, Fault, NoCapacity, NotFound
from egress.model.request import Caller, JobRequest
from egress.model.schedule import ScheduleDoc

AT_ONCE = 8
"""Starts that go on at the same time; what is due beyond them is left for other servers, or for later."""

LOOK_EVERY: Micros = 5_000_000
"""How often to look for what other servers changed or left behind."""

STOPPED_WITHIN: Micros = 60_000_000
"""How long the job before is waited for when it has to make place."""

_ASK_AGAIN: Micros = 500_000
_READ = 50
_log = logging.getLogger(__name__)


class Jobs(Protocol):
    """What the scheduler needs of the service."""

    @property
    def store(self) -> Store: ...
    @property
    def server(self) -> Server: ...
    @property
    def draining(self) -> bool: ...

    async def start(
        self,
        request: JobRequest,
        caller: Caller,
        *,
        idempotency: str | None = None,
        body: Any = None,
        schedule: str | None = None,
        fire_at: Micros | None = None,
    ) -> Created:
        """Start a job; raises EgressError."""

    async def stop(self, job_id: str, reason: str) -> KeptJob:
        """Ask a job to end."""


@dataclass(frozen=True, slots=True)
class _Due:
    """A schedule whose time has come; `doc` or why it cannot be read."""

    kept: KeptSchedule
    doc: ScheduleDoc | None
    plan: Plan
    problem: str = ""


class Scheduler:
    """One loop over all schedules that are due; `run` for as long as the service lives.

    Of several servers on one database each takes as many times as it can start at once, so that they share the work.
    A time that a server took and died over is taken by another one; the job is started under an idempotency key, so
    that it cannot be started twice.
    """

    def __init__(self, service: Jobs, clock: Clock | None = None) -> None:
        self._service = service
        self._store = service.store
        self._clock = clock or WallClock()
        self._wake = asyncio.Event()
        self._mine: set[tuple[str, Micros]] = set()
        self._given_back: dict[tuple[str, Micros], Micros] = {}

    @property
    def starting(self) -> int:
        """How many starts are on their way."""
        return len(self._mine)

    async def run(self) -> None:
        """Fire what is due until cancelled; starts that are cut off then are taken up again by whoever comes next."""
        unlisten = self._store.listen(self._wake.set)
        try:
            async with asyncio.TaskGroup() as starts:
                while True:
                    self._wake.clear()
                    now = self._clock.now()
                    try:
                        following = await self._look(now, starts)
                    except EgressError as error:
                        _log.warning("schedules could not be looked at: %s", error.message)
                        following = None
                    except Exception:
                        _log.exception("schedules could not be looked at")
                        following = None
                    latest = now + LOOK_EVERY
                    await self._clock.until(latest if following is None else min(latest, following), self._wake)
        finally:
            unlisten()

    async def run_now(self, schedule: str) -> Created:
        """Start a schedule's job at once, resting or not, beside its times.

        Raises NotFound, Conflict when its job before still runs and it says to leave such times out, and what a start
        raises.
        """
        now = self._clock.now()
        doc = await self._store.read(schedules.open_schedule, self._store.sealer, schedule)
        if doc.overlap == "skip" and (running := await self._store.read(firing.overlapping, doc, schedule, now)):
            message = f"job {running[0].id} of this schedule still runs; stop it first, or say overlap: allow"
            raise Conflict(message, (("schedule", message),))
        fire = Firing(schedule, now, doc)
        while not await self._store.write(occurrences.claim, schedule, fire.fire_at, self._service.server.id, now=now):
            fire = Firing(schedule, fire.fire_at + 1, doc)
        self._mine.add(fire.key)
        try:
            return await self._start(fire)
        except EgressError as error:
            await self._failed(fire, error.message, error.blame.value)
            raise
        finally:
            self._mine.discard(fire.key)

    async def _look(self, now: Micros, starts: asyncio.TaskGroup) -> Micros | None:
        """Fire what is due; gives when something will be due, None when that is not known."""
        if self._service.draining:
            return None
        # What had no room here is for others first.
        self._given_back = {key: since for key, since in self._given_back.items() if since > now - firing.TRY_AGAIN}
        spared = frozenset({*self._mine, *self._given_back})
        for left in await self._store.read(firing.abandoned, self._service.server.id, spared, now):
            if len(self._mine) >= AT_ONCE:
                return None
            await self._take_over(left, now, starts)
        while due := await self._store.read(self._due, now):
            for one in due:
                if one.plan.start is not None and len(self._mine) >= AT_ONCE:
                    return None
                if (fire := await self._store.write(self._claim, one, now)) is not None:
                    self._go(fire, starts)
        return await self._store.read(schedules.next_due)

    def _due(self, connection: Connection, now: Micros) -> Sequence[_Due]:
        found = []
        for kept in schedules.due(connection, now, most=_READ):
            assert kept.next_at is not None
            try:
                doc = schedules.open_schedule(connection, self._store.sealer, kept.id)
                found.append(_Due(kept, doc, plan(doc, kept.next_at, now)))
            except NotFound:
                continue
            except EgressError as error:
                nothing = Plan(None, (kept.next_at,), False, None)
                found.append(_Due(kept, None, nothing, error.message))
        # Each server in an order of its own, so that they do not run after one another.
        return sorted(found, key=lambda due: zlib.crc32(f"{self._service.server.id} {due.kept.id}".encode()))

    def _claim(self, connection: Connection, due: _Due, now: Micros) -> Firing | None:
        """Take what is due of one schedule, unless another server has, or it was changed meanwhile."""
        server, id_ = self._service.server.id, due.kept.id
        try:
            kept = schedules.get(connection, id_)
        except NotFound:
            return None
        same = (kept.next_at, kept.version, kept.paused) == (due.kept.next_at, due.kept.version, False)
        if not same or not schedules.set_next(connection, id_, kept.next_at, due.plan.next_at):
            return None
        if due.doc is None:
            note = f"the schedule cannot be read any more, write it anew: {due.problem}"
            occurrences.claim(connection, id_, due.plan.missed[0], server, state="failed", note=note, now=now)
            firing.tell(connection, "failed", kept, due.plan.missed, note, now)
            return None
        firing.note_missed(connection, kept, due.plan, server, now)
        if (fire_at := due.plan.start) is None:
            return None
        if due.doc.overlap == "skip" and (running := firing.overlapping(connection, due.doc, id_, fire_at)):
            note = f"job {running[0].id} of the time before still ran"
            if occurrences.claim(connection, id_, fire_at, server, state="skipped", note=note, now=now):
                firing.tell(connection, "skipped", kept, (fire_at,), note, now)
            return None
        return Firing(id_, fire_at, due.doc) if occurrences.claim(connection, id_, fire_at, server, now=now) else None

    async def _take_over(self, left: firing.Abandoned, now: Micros, starts: asyncio.TaskGroup) -> None:
        """A time that was claimed, and nothing came of it."""
        taken, server = left.occurrence, self._service.server.id
        if not await self._store.write(occurrences.reclaim, taken, server, now=now):
            return
        place = (taken.schedule, taken.fire_at)
        if left.job is not None:
            await self._store.write(occurrences.settle, *place, "started", job=left.job, note=taken.note, now=now)
            return
        try:
            doc = await self._store.read(schedules.open_schedule, self._store.sealer, taken.schedule)
        except EgressError as error:
            await self._store.write(occurrences.settle, *place, "failed", note=error.message, now=now)
            return
        fire = Firing(*place, doc)
        if not can_start(doc, taken.fire_at, now):
            await self._failed(fire, taken.note or "the server that began it ended, and no other was there in time")
            return
        self._go(fire, starts)

    def _go(self, fire: Firing, starts: asyncio.TaskGroup) -> None:
        self._mine.add(fire.key)
        starts.create_task(self._fire(fire), name=f"start {fire.schedule}")

    async def _fire(self, fire: Firing) -> None:
        try:
            await self._start(fire)
        except NoCapacity as error:
            await self._safely(self._give_back(fire, error.message))
        except EgressError as error:
            await self._safely(self._failed(fire, error.message, error.blame.value))
        except Exception:
            _log.exception("schedule %s could not start its job", fire.schedule)
            await self._safely(self._failed(fire, "an error of Egress itself; its log says more", "us"))
        finally:
            self._mine.discard(fire.key)
            self._wake.set()

    async def _safely(self, settling: Any) -> None:
        """A time that could not be settled stays claimed, and is looked at again."""
        try:
            await settling
        except EgressError as error:
            _log.warning("what became of a schedule's time could not be kept: %s", error.message)

    async def _start(self, fire: Firing) -> Created:
        if fire.doc.overlap == "stop":
            await self._make_place(fire)
        now = self._clock.now()
        caller = Caller(f"schedule:{fire.schedule}", frozenset({"start", "stop"}))
        # The body stands for the time, not for the request: one that starts later is shorter, and the same.
        name = {"schedule": fire.schedule, "fire_at": fire.fire_at}
        created = await self._service.start(
            request(fire.doc, fire.fire_at, now),
            caller,
            idempotency=f"{fire.schedule}/{fire.fire_at}",
            body=name,
            schedule=fire.schedule,
            fire_at=fire.fire_at,
        )
        note = firing.lateness(fire.fire_at, now)
        await self._store.write(
            occurrences.settle, fire.schedule, fire.fire_at, "started", job=created.job.id, note=note, now=now
        )
        return created

    async def _make_place(self, fire: Firing) -> None:
        """Stop what runs of this schedule, and wait until it is over, though not for ever."""
        latest = self._clock.now() + STOPPED_WITHIN
        asked: set[str] = set()
        while before := await self._store.read(firing.others, fire.schedule, fire.fire_at):
            for job in before:
                if job.id not in asked:
                    asked.add(job.id)
                    await self._service.stop(job.id, f"its schedule starts again at {rfc3339(fire.fire_at)}")
            if self._clock.now() >= latest:
                _log.warning("job %s did not end in time to make place", before[0].id)
                return
            await self._clock.until(self._clock.now() + _ASK_AGAIN)

    async def _give_back(self, fire: Firing, reason: str) -> None:
        """There is no room for the job here: another server may have some, or this one later."""
        now = self._clock.now()
        if not can_start(fire.doc, fire.fire_at, now + firing.TRY_AGAIN):
            await self._failed(fire, reason, "us")
            return
        self._given_back[fire.key] = now
        place = (fire.schedule, fire.fire_at, self._service.server.id)
        await self._store.write(occurrences.release, *place, note=reason, now=now)

    async def _failed(self, fire: Firing, reason: str, blame: str = "us") -> None:
        now = self._clock.now()

        def fail(connection: Connection) -> None:
            if occurrences.settle(connection, fire.schedule, fire.fire_at, "failed", note=reason, now=now):
                kept = schedules.get(connection, fire.schedule)
                firing.tell(connection, "failed", kept, (fire.fire_at,), reason, now, blame)

        try:
            await self._store.write(fail)
        except NotFound:
            raise Fault(f"schedule {fire.schedule} was removed while it started its job") from None
