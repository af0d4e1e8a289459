"""Triggers that came in: which were seen before, what became of each, and the starts they led to."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from egress.control.jobs import insert_new
from egress.control.tables import triggers_seen
from egress.control.values import Micros, micros


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that was seen: an event of a source, or what the triggers themselves keep under a name of theirs."""

    source: str
    event_id: str
    at: Micros
    job: str | None
    note: str


_T = triggers_seen.c
_COLUMNS = (_T.source, _T.event_id, _T.at, _T.job, _T.note)


def first_time(
    connection: Connection, source: str, event_id: str, *, note: str = "", now: Micros | None = None
) -> bool:
    """Whether an event of a source is seen for the first time; exactly one caller hears True."""
    values = {"source": source, "event_id": event_id, "at": micros() if now is None else now, "note": note[:500]}
    return insert_new(connection, triggers_seen, values, "source", "event_id")


def get(connection: Connection, source: str, event_id: str) -> Seen | None:
    """What is known of an event; None when it was not seen."""
    statement = select(*_COLUMNS).where(_T.source == source, _T.event_id == event_id)
    row = connection.execute(statement).one_or_none()
    return Seen(*row) if row else None


def started(connection: Connection, source: str, event_id: str, job: str) -> None:
    """Keep which job an event started."""
    mine = (_T.source == source, _T.event_id == event_id)
    connection.execute(update(triggers_seen).where(*mine).values(job=job))


def note(connection: Connection, source: str, event_id: str, text: str) -> None:
    """Keep what became of an event."""
    mine = (_T.source == source, _T.event_id == event_id)
    connection.execute(update(triggers_seen).where(*mine).values(note=text[:500]))


def move(connection: Connection, source: str, event_id: str, at: Micros) -> None:
    """Keep a later time of an event."""
    mine = (_T.source == source, _T.event_id == event_id, _T.at < at)
    connection.execute(update(triggers_seen).where(*mine).values(at=at))


def job_of(connection: Connection, source: str, event_id: str) -> str | None:
    """The job an event started, if it did."""
    mine = (_T.source == source, _T.event_id == event_id)
    return connection.execute(select(_T.job).where(*mine)).scalar_one_or_none()


def without_job(connection: Connection, source: str, *, most: int = 200) -> tuple[Seen, ...]:
    """What was seen of a source and has no job, the oldest first."""
    mine = (_T.source == source, _T.job.is_(None))
    return tuple(Seen(*row) for row in connection.execute(select(*_COLUMNS).where(*mine).order_by(_T.at).limit(most)))


def forget(connection: Connection, source: str, event_id: str) -> None:
    """Take it for never seen."""
    connection.execute(delete(triggers_seen).where(_T.source == source, _T.event_id == event_id))


def prune(connection: Connection, before: Micros) -> int:
    """Forget what came before that; gives how many."""
    return connection.execute(delete(triggers_seen).where(_T.at < before)).rowcount
