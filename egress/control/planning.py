"""What becomes of the times of a schedule: which one starts a job, which ones were missed, when to look next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile

from egress.control.calendar import check_when, fires, next_fire
from egress.control.values import Micros, moment, since_epoch
from egress.model.problems import Problem, refuse
from egress.model.request import JobRequest
from egress.model.schedule import ScheduleDoc

ON_TIME: Micros = 60_000_000
"""A start this much after its time is none that was missed."""

SHORTEST: Micros = 1_000_000
"""With less than this left until the planned end nothing is started."""

LISTED = 100
"""Missed times that are kept one by one after an outage; of more than these it is only said that they were."""

_TICK = timedelta(microseconds=1)
_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: `start` a job for a time, note those that were `missed` (oldest first), look again at `next_at`.

    `more`: there were earlier ones than those of `missed`.
    """

    start: Micros | None
    missed: tuple[Micros, ...]
    more: bool
    next_at: Micros | None


def plan(doc: ScheduleDoc, next_at: Micros, now: Micros) -> Plan:
    """What to do at `now` about a schedule that was to be looked at at `next_at`.

    Of several times that have come only the latest one may start a job.
    """
    lead = doc.lead // 1000
    found, more = _come(doc, next_at + lead, now + lead)
    after = next_fire(doc.when, moment(now + lead))
    following = None if after is None else since_epoch(after) - lead
    if found and can_start(doc, found[-1], now):
        return Plan(found[-1], found[:-1], more, following)
    return Plan(None, found, more, following)


def can_start(doc: ScheduleDoc, fire_at: Micros, now: Micros) -> bool:
    """Whether a job may still start for a time: late only if the schedule says so, and never for its last moments."""
    end = planned_end(doc, fire_at)
    if end is not None and now > end - SHORTEST:
        return False
    if now <= fire_at + ON_TIME:
        return True
    return doc.misfire == "late" and (end is not None or now <= fire_at + doc.grace // 1000)


def planned_end(doc: ScheduleDoc, fire_at: Micros) -> Micros | None:
    """When the job of a time is to be over, if the schedule or its job says how long it is."""
    length = doc.duration if doc.duration is not None else doc.job.duration
    return None if length is None else fire_at + length // 1000


def request(doc: ScheduleDoc, fire_at: Micros, now: Micros) -> JobRequest:
    """The job to start at `now` for a time: it ends at its planned end, whether it begins early or late."""
    end = planned_end(doc, fire_at)
    return doc.job if end is None else doc.job.model_copy(update={"duration": (end - now) * 1000})


def first_look(doc: ScheduleDoc, now: Micros) -> Micros:
    """When to look at a schedule that was made or changed at `now`, or goes on then: `next_at` of the store.

    Raises RequestError when it would never fire.
    """
    check_when(doc.when)
    found = next_fire(doc.when, moment(now))
    if found is None:
        raise refuse("the schedule", [Problem("when", "never fires: all its times have passed")])
    return since_epoch(found) - doc.lead // 1000


def _come(doc: ScheduleDoc, first: Micros, last: Micros) -> tuple[tuple[Micros, ...], bool]:
    """The latest of its times from `first` to `last`, and whether there were more.

    It looks back in steps, for after months of an outage there may be very many.
    """
    begin, end, window = moment(first), moment(last), _WINDOW
    while True:
        since = max(begin, end - window)
        found = [since_epoch(at) for at in takewhile(lambda at: at <= end, fires(doc.when, since - _TICK))]
        if since == begin or len(found) > LISTED:
            return tuple(found[-LISTED:]), since > begin or len(found) > LISTED
        window *= 4
