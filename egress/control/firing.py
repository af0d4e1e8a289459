"""One time of a schedule at work: what stands in its way, what was missed before it, and what is told about it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from sqlalchemy import Connection

from egress.control import events, job_lists, occurrences, servers
from egress.control.job_lists import JobFilter
from egress.control.jobs import KeptJob
from egress.control.occurrences import Occurrence
from egress.control.planning import ON_TIME, Plan, planned_end
from egress.control.schedules import KeptSchedule
from egress.control.values import Micros, moment, rfc3339
from egress.model.job import ENDED, JobState
from egress.model.schedule import ScheduleDoc

TRY_AGAIN: Micros = 15_000_000
"""How long a server that had no room for a job leaves it to others."""

_LIVING = tuple(state for state in JobState if state not in ENDED)
_TOLD = 20
"""Missed times that an event names."""


@dataclass(frozen=True, slots=True)
class Firing:
    """A time of a schedule that this server has claimed."""

    schedule: str
    fire_at: Micros
    doc: ScheduleDoc

    @property
    def key(self) -> tuple[str, Micros]:
        """What no two firings share."""
        return (self.schedule, self.fire_at)


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A claimed time that nobody sees to; `job` if one was started before its server died."""

    occurrence: Occurrence
    job: str | None


def abandoned(
    connection: Connection, server: str, spared: Set[tuple[str, Micros]], now: Micros
) -> tuple[Abandoned, ...]:
    """Claimed times of servers that are gone, those that were given back, and our own from before a restart.

    Not those of `spared`: this server is at them, or had no room for them just before.
    """
    unsettled = occurrences.unsettled(connection, now + 1)
    if not unsettled:
        return ()
    alive = {one.id for one in servers.alive(connection, now=now)} - {server}
    found = []
    for one in unsettled:
        if one.server not in alive and (one.schedule, one.fire_at) not in spared:
            jobs = job_lists.page(connection, JobFilter(schedule=one.schedule), limit=50).items
            made = (job.id for job in jobs if job.fire_at == one.fire_at)
            found.append(Abandoned(one, next(made, None)))
    return tuple(found)


def others(connection: Connection, schedule: str, fire_at: Micros) -> tuple[KeptJob, ...]:
    """Living jobs of a schedule's other times."""
    living = job_lists.page(connection, JobFilter(states=_LIVING, schedule=schedule), limit=200).items
    return tuple(job for job in living if job.fire_at != fire_at)


def overlapping(connection: Connection, doc: ScheduleDoc, schedule: str, fire_at: Micros) -> tuple[KeptJob, ...]:
    """Those of them whose place it is still: not the ones that were asked to end, or are planned to by that time.

    With a lead, and without a pause between two times, the job before always lives for a little longer.
    """

    def is_in_place(job: KeptJob) -> bool:
        end = None if job.fire_at is None else planned_end(doc, job.fire_at)
        return job.desired == "run" and (end is None or end > fire_at)

    return tuple(job for job in others(connection, schedule, fire_at) if is_in_place(job))


def note_missed(connection: Connection, kept: KeptSchedule, plan: Plan, server: str, now: Micros) -> None:
    """Keep the times that nobody was there for."""
    if not plan.missed:
        return
    note = "no server was there in time"
    if plan.start is not None:
        note += f"; the one of {rfc3339(plan.start)} started instead"
    missed = []
    for number, fire_at in enumerate(plan.missed):
        text = f"{note}; times before it were missed as well" if plan.more and number == 0 else note
        if occurrences.claim(connection, kept.id, fire_at, server, state="missed", note=text, now=now):
            missed.append(fire_at)
    if missed:
        tell(connection, "missed", kept, tuple(missed), note, now)


def lateness(fire_at: Micros, now: Micros) -> str:
    """What is noted of a start: how late it was, where it was."""
    late = moment(now).replace(microsecond=0) - moment(fire_at).replace(microsecond=0)
    return f"started {late} late" if now > fire_at + ON_TIME else ""


def tell(
    connection: Connection,
    what: str,
    kept: KeptSchedule,
    times: tuple[Micros, ...],
    reason: str,
    now: Micros,
    blame: str = "us",
) -> None:
    """Append schedule.WHAT: which times of it (the last ones of many), and why."""
    body = {
        "schedule": kept.id,
        "name": kept.name,
        "times": [rfc3339(at) for at in times[-_TOLD:]],
        "count": len(times),
        "reason": reason,
        "blame": blame,
    }
    events.append(connection, f"schedule.{what}", body, at=now)
