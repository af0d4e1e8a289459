"""Schedules as they are kept, and when each is due next; firing is `occurrences`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, tuple_, update

from egress.control.sealing import Sealer
from egress.control.tables import schedules
from egress.control.templates import changed
from egress.control.values import Micros, Page, canonical, micros, new_id, paged, read_cursor
from egress.model.errors import NotFound
from egress.model.schedule import ScheduleDoc, read_schedule


@dataclass(frozen=True, slots=True)
class KeptSchedule:
    """One schedule as everyone may see it; `next_at` is when it is looked at next: None never again.

    What `next_at` means (with the lead or without) is the scheduler's; the store only orders by it.
    """

    id: str
    name: str
    document: dict[str, Any]
    paused: bool
    next_at: Micros | None
    created: Micros
    updated: Micros
    version: int


_S = schedules.c
_COLUMNS = (_S.id, _S.name, _S.document, _S.paused, _S.next_at, _S.created, _S.updated, _S.version)


def create(
    connection: Connection, sealer: Sealer, doc: ScheduleDoc, *, next_at: Micros | None, now: Micros | None = None
) -> KeptSchedule:
    """Keep a schedule."""
    id_, at = new_id("sch"), micros() if now is None else now
    values = _values(sealer, id_, doc) | {"id": id_, "paused": 0, "next_at": next_at, "created": at}
    connection.execute(insert(schedules).values(**values, updated=at, version=1))
    return get(connection, id_)


def change(
    connection: Connection,
    sealer: Sealer,
    id_: str,
    doc: ScheduleDoc,
    *,
    next_at: Micros | None,
    version: int | None = None,
    now: Micros | None = None,
) -> KeptSchedule:
    """Put another document in a schedule's place; raises NotFound, Conflict when `version` is not the one kept."""
    before = get(connection, id_)
    if version is not None and version != before.version:
        raise changed("schedule", id_, before.version)
    at = micros() if now is None else now
    values = _values(sealer, id_, doc) | {"next_at": next_at, "updated": at, "version": before.version + 1}
    connection.execute(update(schedules).where(_S.id == id_).values(**values))
    return get(connection, id_)


def pause(connection: Connection, id_: str, paused: bool, *, next_at: Micros | None) -> KeptSchedule:
    """Let a schedule rest, or go on from `next_at`; raises NotFound."""
    statement = update(schedules).where(_S.id == id_).values(paused=int(paused), next_at=next_at)
    if not connection.execute(statement).rowcount:
        raise _missing(id_)
    return get(connection, id_)


def get(connection: Connection, id_: str) -> KeptSchedule:
    """One schedule; raises NotFound."""
    row = connection.execute(select(*_COLUMNS).where(_S.id == id_)).one_or_none()
    if row is None:
        raise _missing(id_)
    return _schedule(row)


def open_schedule(connection: Connection, sealer: Sealer, id_: str) -> ScheduleDoc:
    """The schedule with its secrets; raises NotFound."""
    sealed = connection.execute(select(_S.sealed).where(_S.id == id_)).scalar_one_or_none()
    if sealed is None:
        raise _missing(id_)
    return read_schedule(json.loads(sealer.open(sealed, f"schedule:{id_}").reveal()))


def due(connection: Connection, now: Micros, *, most: int = 500) -> tuple[KeptSchedule, ...]:
    """Schedules that do not rest and whose `next_at` has come, the earliest first."""
    mine = (_S.paused == 0, _S.next_at <= now)
    statement = select(*_COLUMNS).where(*mine).order_by(_S.next_at, _S.id).limit(most)
    return tuple(_schedule(row) for row in connection.execute(statement))


def next_due(connection: Connection) -> Micros | None:
    """The earliest `next_at` of all that do not rest; None when there is none."""
    return connection.execute(select(func.min(_S.next_at)).where(_S.paused == 0)).scalar_one_or_none()


def set_next(connection: Connection, id_: str, before: Micros | None, next_at: Micros | None) -> bool:
    """Move on to the next time, from the one that was looked at; False when another server has moved it."""
    was = _S.next_at.is_(None) if before is None else _S.next_at == before
    return connection.execute(update(schedules).where(_S.id == id_, was).values(next_at=next_at)).rowcount == 1


def page(connection: Connection, *, limit: int = 50, after: str | None = None) -> Page[KeptSchedule]:
    """Schedules, the latest first."""
    statement = select(*_COLUMNS).order_by(_S.created.desc(), _S.id.desc()).limit(limit + 1)
    if after is not None:
        statement = statement.where(tuple_(_S.created, _S.id) < read_cursor(after, int, str))
    found = [_schedule(row) for row in connection.execute(statement)]
    return paged(found, limit, lambda one: (one.created, one.id))


def remove(connection: Connection, id_: str) -> None:
    """Forget a schedule and its occurrences; its jobs go on. Raises NotFound."""
    if not connection.execute(delete(schedules).where(_S.id == id_)).rowcount:
        raise _missing(id_)


def _values(sealer: Sealer, id_: str, doc: ScheduleDoc) -> dict[str, Any]:
    whole = doc.model_dump(mode="json")
    return {
        "name": doc.name,
        "document": canonical({**whole, "job": doc.job.shown()}),
        "sealed": sealer.seal(canonical(whole), f"schedule:{id_}"),
    }


def _schedule(row: Sequence[Any]) -> KeptSchedule:
    id_, name, document, paused, next_at, created, updated, version = row
    return KeptSchedule(id_, name, json.loads(document), bool(paused), next_at, created, updated, version)


def _missing(id_: str) -> NotFound:
    return NotFound(f"there is no schedule {id_[:60]!r}", (("id", "is no schedule's"),))
