"""Starts the jobs that triggers ask for: each once, over duplicates, servers, restarts and full machines."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Connection

from egress.control import events, triggers_seen
from egress.control.clock import Clock, WallClock
from egress.control.jobs import Created, RoomTaken
from egress.control.store import Store
from egress.control.templates import open_template
from egress.control.trigger import START, Outcome, Start, Trigger, awaited, decide, is_over
from egress.control.triggers_seen import Seen
from egress.control.values import Micros, new_id
from egress.model.errors import EgressError, NoCapacity, NotFound, RequestError
from egress.model.problems import one_of
from egress.model.request import Caller, JobRequest

AT_ONCE = 8
"""Starts that go on at the same time; others wait in the store."""

LOOK_EVERY: Micros = 15_000_000
"""How often to look for starts that had no room, or whose server died; those of other servers are left so long."""

GIVEN_UP: Micros = 600_000_000
"""How long a start is tried."""

_log = logging.getLogger(__name__)


class Starts(Protocol):
    """What triggers need of the service."""

    @property
    def store(self) -> Store: ...
    @property
    def draining(self) -> bool: ...

    async def start(
        self,
        request: JobRequest,
        caller: Caller,
        *,
        idempotency: str | None = None,
        body: Any = None,
        trigger: str | None = None,
    ) -> Created:
        """Start a job; raises EgressError."""


class Triggers:
    """Takes triggers in and starts what they ask for; `run` for as long as the service lives.

    What is to be started stands in the store before `take` returns, so that nothing is lost with this server: another
    one, or the next, starts it. Idempotency keys keep two from starting the same.
    """

    def __init__(self, service: Starts, clock: Clock | None = None) -> None:
        self._service = service
        self._store = service.store
        self._clock = clock or WallClock()
        self._wake = asyncio.Event()
        self._fresh: set[str] = set()
        self._mine: set[str] = set()
        self._tried: dict[str, Micros] = {}

    @property
    def starting(self) -> int:
        """How many starts are on their way."""
        return len(self._mine)

    async def take(self, trigger: Trigger, template: str | None = None) -> tuple[Outcome, ...]:
        """Keep a trigger, for one template if said, and say what becomes of it; the starts go on by themselves."""
        outcomes = await self._store.write(decide, self._store.sealer, trigger, self._clock.now(), only=template)
        self._fresh |= {one.start.key for one in outcomes if one.start is not None}
        self._wake.set()
        return outcomes

    async def open(self, trigger: Trigger) -> Outcome:
        """Start the closest template's job for a trigger that somebody waits for; raises what the start raises."""
        now = self._clock.now()
        (outcome,) = await self._store.write(decide, self._store.sealer, trigger, now, first=True)
        if outcome.start is None:
            return outcome
        key = outcome.start.key
        self._mine.add(key)
        try:
            job = await self._start(outcome.start, trigger.event_id)
        except EgressError as error:
            await self._store.write(_fail, outcome.start, trigger.event_id, error)
            raise
        finally:
            self._mine.discard(key)
        return Outcome("running", outcome.template, job)

    async def open_room(self, name: str, role: str) -> str | None:
        """The job of a local room that somebody in a role comes to publish in, begun if need be.

        Raises NotFound where no template is for the room, and what the start raises.
        """
        trigger = Trigger("whip", new_id("pub"), "peer_joined", name, self._clock.now(), role, server="local:")
        outcome = await self.open(trigger)
        if outcome.result == "no_template":
            roles = await self._store.read(awaited, self._store.sealer, trigger)
            raise _unopened(name, role, roles)
        if outcome.job is None:
            raise NoCapacity(f"the room {name[:100]!r} is just being opened; try again in a moment")
        return outcome.job

    async def run(self) -> None:
        """Start what is asked for until cancelled."""
        async with asyncio.TaskGroup() as starts:
            while True:
                self._wake.clear()
                now = self._clock.now()
                try:
                    await self._look(now, starts)
                except EgressError as error:
                    _log.warning("triggers could not be looked at: %s", error.message)
                except Exception:
                    _log.exception("triggers could not be looked at")
                await self._clock.until(now + LOOK_EVERY, self._wake)

    async def _look(self, now: Micros, starts: asyncio.TaskGroup) -> None:
        if self._service.draining:
            return
        fresh = frozenset(self._fresh)
        waiting = await self._store.read(triggers_seen.without_job, START)
        # Those that another server started meanwhile are not waited for.
        self._fresh -= fresh - {one.event_id for one in waiting}
        self._tried = {one.event_id: self._tried.get(one.event_id, one.at) for one in waiting}
        for seen in waiting:
            key = seen.event_id
            if len(self._mine) >= AT_ONCE:
                return
            if key not in self._mine and (key in self._fresh or self._tried[key] <= now - LOOK_EVERY):
                self._fresh.discard(key)
                self._tried[key] = now
                self._mine.add(key)
                starts.create_task(self._try(seen, now), name="start of a trigger")

    async def _try(self, seen: Seen, now: Micros) -> None:
        start = Start.of(seen.event_id)
        try:
            if await self._store.read(_is_over, start, seen):
                raise RequestError("the room ended before there was a place for its job")
            await self._start(start, seen.note)
        except NoCapacity as error:
            if now > seen.at + GIVEN_UP:
                await self._failed(start, seen.note, error)
        except EgressError as error:
            await self._failed(start, seen.note, error)
        except Exception:
            _log.exception("the job of a trigger of %s could not be started", start.source)
        finally:
            self._mine.discard(seen.event_id)
            self._wake.set()

    async def _start(self, start: Start, event_id: str) -> str:
        doc = await self._store.read(open_template, self._store.sealer, start.template)
        request = JobRequest(room=doc.address(start.room), template=doc.name, pipeline=start.pipeline)
        # The key stands for one life of the room: whoever else starts for it gets the same job.
        digest = hashlib.sha256(start.key.encode()).hexdigest()
        caller = Caller(f"trigger:{start.source}", frozenset({"start"}))
        try:
            created = await self._service.start(
                request, caller, idempotency=digest, body=start.key, trigger=f"{start.source}:{event_id}"
            )
            job = created.job.id
        except RoomTaken as error:
            job = error.job

        def settle(connection: Connection) -> None:
            triggers_seen.started(connection, START, start.key, job)
            triggers_seen.started(connection, start.source, event_id, job)
            triggers_seen.note(connection, start.source, event_id, f"{start.template} started")

        await self._store.write(settle)
        return job

    async def _failed(self, start: Start, event_id: str, error: EgressError) -> None:
        try:
            await self._store.write(_fail, start, event_id, error)
        except EgressError as fault:
            _log.warning("what became of a trigger could not be kept: %s", fault.message)


def _unopened(name: str, role: str, roles: Sequence[str]) -> NotFound:
    """Why nobody who is in this role opens a room: another one has to come, or no template is for it at all."""
    room = f"no job runs in the room {name[:100]!r}"
    if roles:
        waits = f"its template waits for {one_of(roles)} to come, and you are {role[:100]}"
        return NotFound(f"{room}: {waits}; wait, or publish with ?role={roles[0]}", (("role", waits),))
    message = (
        f"{room} and no template is for it; start a job in local:{name[:100]}, "
        "or make a template whose rooms fit it and whose pipeline makes of it what you want"
    )
    return NotFound(message, (("room", "no template is for it"),))


def _is_over(connection: Connection, start: Start, seen: Seen) -> bool:
    event = triggers_seen.get(connection, start.source, seen.note)
    return is_over(connection, start.source, start.room, start.session, event.at if event else seen.at)


def _fail(connection: Connection, start: Start, event_id: str, error: EgressError) -> None:
    """The job could not be started; the room's next trigger may try again."""
    triggers_seen.forget(connection, START, start.key)
    triggers_seen.note(connection, start.source, event_id, f"{start.template} failed: {error.message}")
    body = {
        "source": start.source,
        "room_name": start.room,
        "template": start.template,
        "pipeline": start.pipeline,
        "reason": error.message,
        "blame": error.blame.value,
    }
    events.append(connection, "trigger.failed", body)
