"""Triggers that came in: which were seen before, so that a repeated one starts nothing."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, update

from egress.control.jobs import insert_new
from egress.control.tables import triggers_seen
from egress.control.values import Micros, micros

_T = triggers_seen.c


def first_time(connection: Connection, source: str, event_id: str, *, now: Micros | None = None) -> bool:
    """Whether an event of a source is seen for the first time; exactly one caller hears True."""
    values = {"source": source, "event_id": event_id, "at": micros() if now is None else now}
    return insert_new(connection, triggers_seen, values, "source", "event_id")


def started(connection: Connection, source: str, event_id: str, job: str) -> None:
    """Keep which job an event started."""
    mine = (_T.source == source, _T.event_id == event_id)
    connection.execute(update(triggers_seen).where(*mine).values(job=job))


def job_of(connection: Connection, source: str, event_id: str) -> str | None:
    """The job an event started, if it did."""
    mine = (_T.source == source, _T.event_id == event_id)
    return connection.execute(select(_T.job).where(*mine)).scalar_one_or_none()


def prune(connection: Connection, before: Micros) -> int:
    """Forget what came before that; gives how many."""
    return connection.execute(delete(triggers_seen).where(_T.at < before)).rowcount
