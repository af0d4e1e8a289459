"""What happens, in order: appended in the transaction that makes it so, read by sequence, handed to the webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from egress.control import deliveries
from egress.control.event import Event
from egress.control.tables import job_events
from egress.control.values import Micros, canonical, micros, new_id

_E = job_events.c
_COLUMNS = (_E.seq, _E.id, _E.job, _E.at, _E.type, _E.body)
_APPEND = insert(job_events).returning(_E.seq)
_SINCE = select(*_COLUMNS).where(_E.seq > bindparam("since")).order_by(_E.seq).limit(bindparam("most"))
_LAST = select(func.coalesce(func.max(_E.seq), 0))


def append(
    connection: Connection,
    type_: str,
    body: Mapping[str, Any],
    *,
    job: str | None = None,
    at: Micros | None = None,
    only: str | None = None,
) -> Event:
    """Write an event down, and a delivery of it for every webhook that wants it, or for `only` one; in a durable
    transaction.

    `type_` is like job.running; `body` must hold no secrets.
    """
    at = micros() if at is None else at
    id_, text = new_id("evt"), canonical(body)
    made = {"id": id_, "job": job, "at": at, "type": type_, "body": text}
    event = Event(connection.execute(_APPEND, made).scalar_one(), id_, job, at, type_, text)
    deliveries.enqueue(connection, event, only)
    return event


def since(
    connection: Connection,
    seq: int,
    *,
    job: str | None = None,
    types: Sequence[str] = (),
    limit: int = 200,
) -> tuple[Event, ...]:
    """Events after a sequence number (0 is from the beginning), in order, of one job and of some types if said."""
    statement = _SINCE
    if job is not None:
        statement = statement.where(_E.job == job)
    if types:
        statement = statement.where(_E.type.in_(types))
    return tuple(Event(*row) for row in connection.execute(statement, {"since": seq, "most": limit}))


def before(connection: Connection, seq: int | None, *, job: str, limit: int = 200) -> tuple[Event, ...]:
    """Events of a job before a sequence number, or its latest (None), the latest first."""
    statement = select(*_COLUMNS).where(_E.job == job).order_by(_E.seq.desc()).limit(limit)
    if seq is not None:
        statement = statement.where(_E.seq < seq)
    return tuple(Event(*row) for row in connection.execute(statement))


def last(connection: Connection) -> int:
    """The highest sequence number given so far."""
    number: int = connection.execute(_LAST).scalar_one()
    return number


def prune(connection: Connection, before: Micros, *, most: int = 5000) -> int:
    """Forget events older than that, at most so many at once; gives how many."""
    old = select(_E.seq).where(_E.at < before).order_by(_E.at).limit(most)
    return connection.execute(delete(job_events).where(_E.seq.in_(old))).rowcount
