"""What changes about a job while it lives: its state by the one table of transitions, its server, attempts, figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, update

from egress.control import artifacts, events
from egress.control.jobs import KeptJob, get, happened
from egress.control.tables import jobs
from egress.control.values import Micros, canonical, micros
from egress.model.errors import Blame
from egress.model.job import ENDED, TRANSITIONS, JobState

_J = jobs.c
_LIVING = tuple(sorted(state.value for state in JobState if state not in ENDED))
_BEFORE: Mapping[JobState, tuple[str, ...]] = {
    state: tuple(sorted(before.value for before, after in TRANSITIONS.items() if state in after)) for state in JobState
}
"""States from which one may go to each."""

_FIGURES = (
    update(jobs)
    .where(_J.id == bindparam("job"), _J.ended.is_(None))
    .values(figures=bindparam("said"), duration_ns=bindparam("length"))
)


def move(
    connection: Connection,
    id_: str,
    to: JobState,
    *,
    reason: str = "",
    blame: Blame | None = None,
    duration_ns: int | None = None,
    server: str | None = None,
    expect: JobState | None = None,
    details: Mapping[str, Any] | None = None,
    now: Micros | None = None,
) -> KeptJob | None:
    """Bring a job into a state, with its event job.STATE and the deliveries of it, or do nothing and give None.

    Nothing is done where the table of transitions does not lead there from the state the job is in, where it is not in
    `expect`, or not `server`'s: of several that try at once, one does it. An empty `reason` and no `blame` keep what
    was said before; `details` go into the event. The event of a job's end lists its artifacts.
    """
    at = micros() if now is None else now
    ends = to in ENDED
    before = _BEFORE[to] if expect is None else tuple({expect.value} & set(_BEFORE[to]))
    values: dict[str, Any] = {"state": to.value, "moved": at}
    if reason:
        values["reason"] = reason
    if blame is not None:
        values["blame"] = blame.value
    if duration_ns is not None:
        values["duration_ns"] = duration_ns
    if to is JobState.RUNNING:
        values["started"] = func.coalesce(_J.started, at)
    if ends:
        values |= {"ended": at, "unique_room": None}
    statement = update(jobs).where(_J.id == id_, _J.state.in_(before)).values(**values)
    if server is not None:
        statement = statement.where(_J.server == server)
    if not connection.execute(statement).rowcount:
        return None
    job = get(connection, id_)
    body = happened(job) | dict(details or {})
    if ends:
        body["artifacts"] = [artifacts.happened(one) for one in artifacts.of_job(connection, id_)]
    events.append(connection, f"job.{to.value}", body, job=id_, at=at)
    return job


def ask_stop(connection: Connection, id_: str, reason: str, *, now: Micros | None = None) -> KeptJob:
    """Say that a job is to stop, which its server then sees to; the first reason stays. Raises NotFound.

    A job that is over stays as it was, and one that was asked before is not asked again.
    """
    wanted = (_J.id == id_, _J.desired == "run", _J.state.in_(_LIVING))
    first = case((_J.reason == "", reason), else_=_J.reason)
    asked = connection.execute(update(jobs).where(*wanted).values(desired="stop", reason=first)).rowcount
    job = get(connection, id_)
    if asked:
        events.append(connection, "job.asked_to_stop", happened(job), job=id_, at=now)
    return job


def begin_attempt(connection: Connection, id_: str, server: str) -> int | None:
    """Count a worker that is about to be started for a job of a server; None when the job is over or another's."""
    mine = (_J.id == id_, _J.server == server, _J.state.in_(_LIVING))
    statement = update(jobs).where(*mine).values(attempts=_J.attempts + 1).returning(_J.attempts)
    return connection.execute(statement).scalar_one_or_none()


def take_over(connection: Connection, id_: str, server: str, previous: str | None) -> bool:
    """Make a living job of `previous` (a server that is gone, or None) one of `server`; False when it is not any more.

    Of several servers that try at once, one gets it.
    """
    was = _J.server.is_(None) if previous is None else _J.server == previous
    statement = update(jobs).where(_J.id == id_, was, _J.state.in_(_LIVING)).values(server=server)
    return connection.execute(statement).rowcount == 1


def set_live(connection: Connection, id_: str, live: Mapping[str, Any] | None) -> None:
    """Keep where a job is to be reached while it runs (JSON without secrets)."""
    connection.execute(update(jobs).where(_J.id == id_).values(live=None if live is None else canonical(dict(live))))


def set_cost(connection: Connection, id_: str, cost_milli: int) -> None:
    """Keep what a job was measured to need, in thousandths of a core."""
    connection.execute(update(jobs).where(_J.id == id_).values(cost_milli=cost_milli))


def set_figures(connection: Connection, figures: Mapping[str, tuple[int, Mapping[str, Any]]]) -> None:
    """Keep the latest figures of living jobs, all at once, by id: (ns of media so far, figures). For `Store.note`."""
    if figures:
        rows = [
            {"job": id_, "length": length, "said": canonical(dict(said))}
            for id_, (length, said) in sorted(figures.items())
        ]
        connection.execute(_FIGURES, rows)
