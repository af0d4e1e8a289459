"""What happens to jobs, told to whoever subscribes: read from the store in order, so that every server tells all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection

from egress.control import events, job_views, jobs
from egress.control.event import Event
from egress.control.jobs import KeptJob
from egress.control.store import Store
from egress.control.values import rfc3339
from egress.model.errors import EgressError, NotFound

Kind = Literal["job", "figures", "event", "missed"]

MOST = 256
"""Updates that may wait for one subscriber."""

LOOK_EVERY = 1.0
"""Seconds after which other servers' events are looked for; our own are told at once."""

_BATCH = 200
_RETELLING = ("job.", "destination.", "pause.", "control")
"""Beginnings of events' types after which a job looks otherwise."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Update:
    """One thing told: `data` is what SSE carries, `seq` the number of the newest event told so far.

    `room` is the address of the job's room, "" where it is of no job.
    """

    kind: Kind
    seq: int
    job: str | None
    data: Mapping[str, Any] = field(default_factory=dict)
    room: str = ""


class Subscription:
    """Updates for one subscriber, in order, at most MOST waiting.

    When it is slow, figures give way to newer ones of their job; of all others it is told how many it missed.
    """

    def __init__(self, job: str | None, seq: int) -> None:
        self.seq = seq
        """Events up to this number were before it."""
        self._job = job
        self._waiting: deque[Update] = deque()
        self._missed = 0
        self._closed = False
        self._woken = asyncio.Event()

    def offer(self, update: Update) -> None:
        """Have it told, if it is for this subscriber."""
        if self._job is not None and update.job != self._job:
            return
        if update.kind == "figures":
            self._waiting = deque(u for u in self._waiting if (u.kind, u.job) != ("figures", update.job))
        if len(self._waiting) >= MOST:
            self._missed += update.kind != "figures"
            return
        if self._missed:
            self._waiting.append(Update("missed", update.seq, None, {"count": self._missed}))
            self._missed = 0
        self._waiting.append(update)
        self._woken.set()

    def close(self) -> None:
        """End its updates once those that wait are told."""
        self._closed = True
        self._woken.set()

    async def __aiter__(self) -> AsyncIterator[Update]:
        """The updates, until the service ends."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
                if not self._waiting and self._missed:
                    missed, self._missed = self._missed, 0
                    yield Update("missed", self.seq, None, {"count": missed})
            if self._closed:
                return
            self._woken.clear()
            await self._woken.wait()


class Updates:
    """Follows the events of the store and tells them; `run` for as long as there may be subscribers."""

    def __init__(self, store: Store) -> None:
        self.seq = 0
        self._store = store
        self._subscriptions: set[Subscription] = set()
        self._woken = asyncio.Event()

    @contextlib.asynccontextmanager
    async def subscribe(self, job: str | None = None) -> AsyncIterator[AsyncIterator[Update]]:
        """What happens from now on, of one job or of all."""
        subscription = Subscription(job, self.seq)
        self._subscriptions.add(subscription)
        try:
            yield aiter(subscription)
        finally:
            self._subscriptions.discard(subscription)

    @property
    def subscribers(self) -> int:
        """How many there are."""
        return len(self._subscriptions)

    def tell(self, update: Update) -> None:
        """Tell what is of the moment and in no store, like figures."""
        for subscription in tuple(self._subscriptions):
            subscription.offer(update)

    async def begin(self) -> None:
        """Take what has happened so far for told."""
        self.seq = await self._store.read(events.last)

    async def run(self) -> None:
        """Tell every event since the beginning; ends only when cancelled."""
        stop = self._store.listen(self._woken.set)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY if self._store.is_shared else None):
                        await self._woken.wait()
                self._woken.clear()
                try:
                    while await self._look():
                        pass
                except EgressError as error:
                    _log.warning("events cannot be read: %s", error.message)
                    await asyncio.sleep(LOOK_EVERY)
                    self._woken.set()
        finally:
            stop()

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in tuple(self._subscriptions):
            subscription.close()

    async def _look(self) -> bool:
        """Tell what came since the last look; whether there may be more."""
        if not self._subscriptions:
            self.seq = await self._store.read(events.last)
            return False
        found, known = await self._store.read(_news, self.seq)
        for event in found:
            self.seq = event.seq
            job = known.get(event.job or "")
            room = job.room if job is not None else str(event.body.get("room", "")) if event.job is None else ""
            self.tell(Update("event", event.seq, event.job, event_view(event), room))
        for id_ in _changed(found):
            if (job := known.get(id_)) is not None:
                self.tell(Update("job", self.seq, id_, job_views.view(job), job.room))
        return len(found) == _BATCH


def event_view(event: Event) -> dict[str, Any]:
    """An event as the API tells it."""
    return {"seq": event.seq, "job": event.job, "at": rfc3339(event.at), "type": event.type, "body": event.body}


def _news(connection: Connection, seq: int) -> tuple[tuple[Event, ...], dict[str, KeptJob]]:
    found = events.since(connection, seq, limit=_BATCH)
    known: dict[str, KeptJob] = {}
    for id_ in {event.job for event in found if event.job is not None}:
        # It may have been removed since.
        with contextlib.suppress(NotFound):
            known[id_] = jobs.get(connection, id_)
    return found, known


def _changed(found: Iterable[Event]) -> dict[str, None]:
    """Jobs that look otherwise after these events, in order."""
    return dict.fromkeys(event.job for event in found if event.job and event.type.startswith(_RETELLING))
