"""A trigger: a room server says that a room began, somebody joined, or it ended; and which starts that means."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from egress.control import job_lists, triggers_seen
from egress.control.job_lists import JobFilter
from egress.control.sealing import Sealer
from egress.control.templates import open_enabled
from egress.control.values import Micros, canonical
from egress.model.template import TemplateDoc

Kind = Literal["room_started", "peer_joined", "room_ended"]
Result = Literal["starting", "running", "started_before", "duplicate", "over", "ended", "no_template"]
"""What became of a trigger: `over` is one that came after its room's end, `duplicate` an event that came before."""

START = "+start"
"""The source under which starts are kept that triggers led to; a real one begins with no sign."""

_ENDED = "+ended"


@dataclass(frozen=True, slots=True)
class Trigger:
    """One event of a room server.

    `event_id` is the same each time it is sent; `session` tells one life of the room from the next, "" where its
    server has no name for that; `server` is how addresses of the server's rooms begin (`janus+`), "" any way; `at` is
    when it happened. Somebody who joins means that the room has begun.
    """

    source: str
    event_id: str
    kind: Kind
    room: str
    at: Micros
    role: str | None = None
    session: str = ""
    server: str = ""
    name: str = ""
    """What who joined is called, where the room's server tells no roles."""


@dataclass(frozen=True, slots=True)
class Start:
    """A job that a trigger asks for: one a template's pipeline, in one life of a room."""

    template: str
    pipeline: str
    source: str
    room: str
    session: str
    life: str
    """Which life of the room, where its server does not say: the job before it."""

    @property
    def key(self) -> str:
        """What two triggers have in common that ask for the same job."""
        return canonical([self.template, self.pipeline, self.source, self.room, self.session, self.life])

    @classmethod
    def of(cls, key: str) -> Start:
        """The start with this key."""
        return cls(*json.loads(key))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trigger led to: the result for each template, with the job where there is one."""

    result: Result
    template: str | None = None
    job: str | None = None
    start: Start | None = None


def matching(docs: Sequence[TemplateDoc], trigger: Trigger, only: str | None = None) -> tuple[TemplateDoc, ...]:
    """The templates a trigger is for, the ones that name the room most closely first."""

    def closeness(doc: TemplateDoc) -> int:
        names = (trigger.room, doc.address(trigger.room))
        exact = [len(pattern) + 1000 for pattern in doc.rooms if pattern in names]
        return max(exact, default=max(len(pattern) for pattern in doc.rooms))

    found = [
        doc
        for doc in docs
        if only in (None, doc.name) and doc.server.startswith(trigger.server) and doc.fits(trigger.room)
        if doc.starts_on(None) or doc.starts_on(trigger.role or doc.role_of(trigger.name))
    ]
    return tuple(sorted(found, key=lambda doc: (-closeness(doc), doc.name)))


def awaited(connection: Connection, sealer: Sealer, trigger: Trigger) -> tuple[str, ...]:
    """The roles templates for a trigger's room wait for."""
    docs = open_enabled(connection, sealer)
    found = (doc.role for doc in docs if doc.server.startswith(trigger.server) and doc.fits(trigger.room))
    return tuple(sorted({role for role in found if role is not None}))


def decide(
    connection: Connection,
    sealer: Sealer,
    trigger: Trigger,
    now: Micros,
    *,
    only: str | None = None,
    first: bool = False,
) -> tuple[Outcome, ...]:
    """What a trigger leads to, kept in this transaction, so that no other trigger leads to the same.

    `only` is the name of the one template it is for; `first` takes no more than the closest template's first pipeline.
    """
    if not triggers_seen.first_time(connection, trigger.source, trigger.event_id, now=trigger.at):
        job = triggers_seen.job_of(connection, trigger.source, trigger.event_id)
        return (Outcome("duplicate", job=job),)
    outcomes = _outcomes(connection, sealer, trigger, now, only, first)
    said = "; ".join(" ".join(filter(None, (one.template, one.result))) for one in outcomes)
    triggers_seen.note(connection, trigger.source, trigger.event_id, said)
    job = next((one.job for one in outcomes if one.job), None)
    if job is not None:
        triggers_seen.started(connection, trigger.source, trigger.event_id, job)
    return outcomes


def is_over(connection: Connection, source: str, room: str, session: str, at: Micros) -> bool:
    """Whether the life of a room has ended that something of this time is of."""
    ended = triggers_seen.get(connection, _ENDED, canonical([source, room, session]))
    return ended is not None and (bool(session) or ended.at >= at)


def _outcomes(
    connection: Connection, sealer: Sealer, trigger: Trigger, now: Micros, only: str | None, first: bool
) -> tuple[Outcome, ...]:
    if trigger.kind == "room_ended":
        place = canonical([trigger.source, trigger.room, trigger.session])
        if not triggers_seen.first_time(connection, _ENDED, place, now=trigger.at):
            triggers_seen.move(connection, _ENDED, place, trigger.at)
        return (Outcome("ended"),)
    if is_over(connection, trigger.source, trigger.room, trigger.session, trigger.at):
        return (Outcome("over"),)
    docs = matching(open_enabled(connection, sealer), trigger, only)
    if not docs:
        return (Outcome("no_template"),)
    pairs = [(doc, pipeline) for doc in docs for pipeline in doc.pipelines]
    return tuple(_start(connection, trigger, doc, pipeline, now) for doc, pipeline in (pairs[:1] if first else pairs))


def _start(connection: Connection, trigger: Trigger, doc: TemplateDoc, pipeline: str, now: Micros) -> Outcome:
    life = ""
    if not trigger.session:
        # No session: the room lives as long as the job does, and anew with whoever comes after its end.
        only = JobFilter(room=doc.address(trigger.room), template=doc.name)
        before = [job for job in job_lists.page(connection, only, limit=20).items if job.pipeline == pipeline]
        if before and not before[0].is_over:
            return Outcome("running", doc.name, before[0].id)
        if before and before[0].ended is not None and trigger.at <= before[0].ended:
            return Outcome("over", doc.name, before[0].id)
        life = before[0].id if before else ""
    start = Start(doc.name, pipeline, trigger.source, trigger.room, trigger.session, life)
    if triggers_seen.first_time(connection, START, start.key, note=trigger.event_id, now=now):
        return Outcome("starting", doc.name, start=start)
    job = triggers_seen.job_of(connection, START, start.key)
    return Outcome("started_before" if job else "starting", doc.name, job)
