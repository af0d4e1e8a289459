"""The outbox: what each webhook has to be told, claimed by one sender at a time, and kept as a log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from sqlalchemy import Connection, Select, and_, delete, func, insert, select, tuple_, update

from egress.control.event import Event
from egress.control.tables import deliveries, webhooks
from egress.control.values import Micros, Page, micros, new_id, paged, read_cursor
from egress.model.errors import NotFound

DeliveryState = Literal["waiting", "delivered", "failed", "dropped"]
"""failed: tried for as long as one tries; dropped: not worth trying (its webhook says it is gone, or was disabled)."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one webhook; `body` is the event as JSON, `status` the last answer of HTTP."""

    id: str
    webhook: str
    event_id: str
    type: str
    job: str | None
    body: str
    created: Micros
    next_at: Micros
    attempts: int
    state: DeliveryState
    status: int | None
    error: str
    delivered_at: Micros | None


_D = deliveries.c
_COLUMNS = (
    *(_D.id, _D.webhook, _D.event_id, _D.type, _D.job, _D.body, _D.created),
    *(_D.next_at, _D.attempts, _D.state, _D.status, _D.error, _D.delivered_at),
)
_WANTING = select(webhooks.c.id, webhooks.c.events).where(webhooks.c.enabled == 1)
_FRESH = {"attempts": 0, "state": "waiting", "status": None, "error": "", "delivered_at": None, "lease_until": 0}


def enqueue(connection: Connection, event: Event, only: str | None = None) -> int:
    """Have every webhook told that wants events of this type, or just `only` that one, whatever it wants; gives how
    many. Part of appending an event."""
    rows = [
        {
            **_FRESH,
            "id": new_id("dlv"),
            "webhook": webhook,
            "event_id": event.id,
            "type": event.type,
            "job": event.job,
            "body": event.body_json,
            "created": event.at,
            "next_at": event.at,
        }
        for webhook, patterns in connection.execute(_WANTING).all()
        if (any(fnmatchcase(event.type, one) for one in json.loads(patterns)) if only is None else webhook == only)
    ]
    if rows:
        connection.execute(insert(deliveries), rows)
    return len(rows)


def claim(connection: Connection, owner: str, *, now: Micros, lease: int, most: int = 50) -> tuple[Delivery, ...]:
    """Deliveries that are due and nobody else's, the longest due first; theirs alone for `lease` microseconds.

    A sender that dies leaves them to others when its lease ends; so a receiver may see one twice, under one event id.
    """
    due = and_(_D.state == "waiting", _D.next_at <= now, _D.lease_until <= now)
    # In two steps: in one, PostgreSQL may run the inner query again and take more than `most`.
    first = select(_D.id).where(due).order_by(_D.next_at).limit(most).with_for_update(skip_locked=True)
    statement = (
        update(deliveries)
        .where(_D.id.in_(connection.execute(first).scalars().all()), due)
        .values(lease_until=now + lease, lease_owner=owner)
        .returning(*_COLUMNS)
    )
    taken = [Delivery(*row) for row in connection.execute(statement)]
    return tuple(sorted(taken, key=lambda one: (one.next_at, one.created)))


def next_due(connection: Connection) -> Micros | None:
    """When something will be due: the earliest of all that waits and is not claimed; None when nothing waits.

    What is claimed counts from the end of its lease.
    """
    later = func.max if connection.dialect.name == "sqlite" else func.greatest
    statement = select(func.min(later(_D.next_at, _D.lease_until))).where(_D.state == "waiting")
    return connection.execute(statement).scalar_one_or_none()


def delivered(connection: Connection, id_: str, owner: str, *, status: int, now: Micros) -> bool:
    """It arrived; False when it was not `owner`'s any more."""
    return _settle(connection, id_, owner, state="delivered", status=status, error="", delivered_at=now)


def again(
    connection: Connection, id_: str, owner: str, *, next_at: Micros, error: str, status: int | None = None
) -> bool:
    """It did not arrive and is to be tried again at a time; False when it was not `owner`'s any more."""
    return _settle(connection, id_, owner, next_at=next_at, status=status, error=error[:500])


def given_up(
    connection: Connection,
    id_: str,
    owner: str,
    *,
    error: str,
    status: int | None = None,
    state: Literal["failed", "dropped"] = "failed",
) -> bool:
    """It will not be tried again by itself; False when it was not `owner`'s any more."""
    return _settle(connection, id_, owner, state=state, status=status, error=error[:500])


def put_off(connection: Connection, id_: str, owner: str, until: Micros) -> bool:
    """Leave one for later without a try; False when it was not `owner`'s any more."""
    mine = and_(_D.id == id_, _D.lease_owner == owner, _D.state == "waiting")
    values = {"lease_until": 0, "lease_owner": None, "next_at": until}
    return connection.execute(update(deliveries).where(mine).values(**values)).rowcount == 1


def put_off_others(connection: Connection, webhook: str, until: Micros) -> int:
    """Leave what waits for a webhook and is nobody's for later; gives how many."""
    waiting = and_(_D.webhook == webhook, _D.state == "waiting", _D.lease_until == 0, _D.next_at < until)
    return connection.execute(update(deliveries).where(waiting).values(next_at=until)).rowcount


def release(connection: Connection, owner: str, *, now: Micros) -> int:
    """Let go of all that `owner` claimed, as a sender does that begins again after it died; gives how many."""
    mine = and_(_D.lease_owner == owner, _D.state == "waiting", _D.lease_until > now)
    return connection.execute(update(deliveries).where(mine).values(lease_until=0, lease_owner=None)).rowcount


def replay(connection: Connection, id_: str, *, now: Micros | None = None) -> Delivery:
    """Send one again under its event id, whatever became of it; raises NotFound."""
    fresh = {**_FRESH, "next_at": micros() if now is None else now, "lease_owner": None}
    statement = update(deliveries).where(_D.id == id_).values(**fresh).returning(*_COLUMNS)
    return _one(connection.execute(statement).one_or_none())


def replay_failed(connection: Connection, webhook: str, *, since: Micros = 0, now: Micros | None = None) -> int:
    """Send all of a webhook again that were given up since a time; gives how many."""
    fresh = {**_FRESH, "next_at": micros() if now is None else now, "lease_owner": None}
    gone = and_(_D.webhook == webhook, _D.state.in_(("failed", "dropped")), _D.created >= since)
    return connection.execute(update(deliveries).where(gone).values(**fresh)).rowcount


def get(connection: Connection, id_: str) -> Delivery:
    """One delivery; raises NotFound."""
    return _one(connection.execute(select(*_COLUMNS).where(_D.id == id_)).one_or_none())


def of_event(connection: Connection, event_id: str, webhook: str) -> Delivery:
    """What became of telling an event to a webhook; raises NotFound."""
    mine = (_D.event_id == event_id, _D.webhook == webhook)
    return _one(connection.execute(select(*_COLUMNS).where(*mine)).one_or_none())


def page(
    connection: Connection,
    *,
    webhook: str | None = None,
    states: Sequence[str] = (),
    job: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> Page[Delivery]:
    """The log, the latest first; `after` is the `next` of the page before."""
    statement: Select[Any] = select(*_COLUMNS).order_by(_D.created.desc(), _D.id.desc()).limit(limit + 1)
    if webhook is not None:
        statement = statement.where(_D.webhook == webhook)
    if states:
        statement = statement.where(_D.state.in_(states))
    if job is not None:
        statement = statement.where(_D.job == job)
    if after is not None:
        statement = statement.where(tuple_(_D.created, _D.id) < read_cursor(after, int, str))
    found = [Delivery(*row) for row in connection.execute(statement)]
    return paged(found, limit, lambda one: (one.created, one.id))


def counts(connection: Connection) -> dict[str, int]:
    """How many there are, by state."""
    return {row[0]: row[1] for row in connection.execute(select(_D.state, func.count()).group_by(_D.state))}


def prune(connection: Connection, before: Micros, *, most: int = 5000) -> int:
    """Forget settled ones made before that, at most so many at once; what waits stays. Gives how many."""
    old = select(_D.id).where(_D.created < before, _D.state != "waiting").order_by(_D.created, _D.id).limit(most)
    return connection.execute(delete(deliveries).where(_D.id.in_(old))).rowcount


def _settle(connection: Connection, id_: str, owner: str, **values: object) -> bool:
    mine = and_(_D.id == id_, _D.lease_owner == owner, _D.state == "waiting")
    statement = update(deliveries).where(mine)
    statement = statement.values(attempts=_D.attempts + 1, lease_until=0, lease_owner=None, **values)
    return connection.execute(statement).rowcount == 1


def _one(row: Sequence[Any] | None) -> Delivery:
    if row is None:
        raise NotFound("there is no such delivery")
    return Delivery(*row)
