"""The times schedules fired, or did not: each claimed by one server, once and for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, func, select, update

from egress.control.jobs import insert_new
from egress.control.tables import occurrences
from egress.control.values import Micros, Page, micros, paged, read_cursor

OccurrenceState = Literal["claimed", "started", "missed", "skipped", "failed"]
"""missed: nobody was there in time; skipped: its place was taken or it was paused; failed: its job was refused."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time of a schedule: `fire_at` is the time it is for, `at` when that was settled, `note` says why."""

    schedule: str
    fire_at: Micros
    state: OccurrenceState
    job: str | None
    note: str
    at: Micros
    server: str | None


_O = occurrences.c
_COLUMNS = (_O.schedule, _O.fire_at, _O.state, _O.job, _O.note, _O.at, _O.server)


def claim(
    connection: Connection,
    schedule: str,
    fire_at: Micros,
    server: str,
    *,
    state: OccurrenceState = "claimed",
    note: str = "",
    now: Micros | None = None,
) -> bool:
    """Take a time of a schedule; exactly one caller hears True. A `state` other than claimed settles it at once."""
    values = {
        "schedule": schedule,
        "fire_at": fire_at,
        "state": state,
        "note": note[:500],
        "at": micros() if now is None else now,
        "server": server,
    }
    return insert_new(connection, occurrences, values, "schedule", "fire_at")


def settle(
    connection: Connection,
    schedule: str,
    fire_at: Micros,
    state: OccurrenceState,
    *,
    job: str | None = None,
    note: str = "",
    now: Micros | None = None,
) -> bool:
    """Say what became of a claimed time; False when that was said already."""
    at = micros() if now is None else now
    mine = (_O.schedule == schedule, _O.fire_at == fire_at, _O.state == "claimed")
    statement = update(occurrences).where(*mine).values(state=state, job=job, note=note[:500], at=at)
    return connection.execute(statement).rowcount == 1


def unsettled(connection: Connection, before: Micros) -> tuple[Occurrence, ...]:
    """Times that were claimed before that and never settled: whoever claimed them died at it."""
    statement = select(*_COLUMNS).where(_O.state == "claimed", _O.at < before).order_by(_O.at)
    return tuple(Occurrence(*row) for row in connection.execute(statement))


def reclaim(connection: Connection, occurrence: Occurrence, server: str, *, now: Micros | None = None) -> bool:
    """Take over a time that was never settled; of several servers that try, one hears True."""
    mine = (_O.schedule == occurrence.schedule, _O.fire_at == occurrence.fire_at, _O.state == "claimed")
    same = (_O.at == occurrence.at, _O.server.is_not_distinct_from(occurrence.server))
    at = max(micros() if now is None else now, occurrence.at + 1)
    return connection.execute(update(occurrences).where(*mine, *same).values(server=server, at=at)).rowcount == 1


def release(
    connection: Connection, schedule: str, fire_at: Micros, server: str, *, note: str, now: Micros | None = None
) -> bool:
    """Give a claimed time back, for any server to `reclaim`; False when it was not this server's any more."""
    mine = (_O.schedule == schedule, _O.fire_at == fire_at, _O.state == "claimed", _O.server == server)
    values = {"server": None, "note": note[:500], "at": micros() if now is None else now}
    return connection.execute(update(occurrences).where(*mine).values(**values)).rowcount == 1


def last(connection: Connection, schedule: str) -> Occurrence | None:
    """The latest time of a schedule that is known of."""
    statement = select(*_COLUMNS).where(_O.schedule == schedule).order_by(_O.fire_at.desc()).limit(1)
    row = connection.execute(statement).one_or_none()
    return Occurrence(*row) if row else None


def page(connection: Connection, schedule: str, *, limit: int = 50, after: str | None = None) -> Page[Occurrence]:
    """The times of a schedule, the latest first."""
    statement = select(*_COLUMNS).where(_O.schedule == schedule).order_by(_O.fire_at.desc()).limit(limit + 1)
    if after is not None:
        statement = statement.where(_O.fire_at < read_cursor(after, int)[0])
    found = [Occurrence(*row) for row in connection.execute(statement)]
    return paged(found, limit, lambda one: (one.fire_at,))


def counts(connection: Connection) -> dict[str, int]:
    """How many there are, by state."""
    rows = connection.execute(select(_O.state, func.count()).group_by(_O.state))
    return {str(row[0]): int(row[1]) for row in rows}


def prune(connection: Connection, before: Micros) -> int:
    """Forget times before that which are settled; gives how many.

    Keep them for longer than any server may come back late and look at old times.
    """
    return connection.execute(delete(occurrences).where(_O.fire_at < before, _O.state != "claimed")).rowcount
