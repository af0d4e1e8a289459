"""A schedule: a job that starts by the clock, and what happens when its time is missed or its place is taken."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from egress.model import forms
from egress.model.look import Document
from egress.model.media import SECOND
from egress.model.problems import Problem, refuse
from egress.model.request import JobRequest
from egress.model.units import Duration

_LONGEST_LEAD = 24 * 3600 * SECOND


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name[:60]!r} is not a time zone; write it like Europe/Berlin") from None
    return name


def _wall(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not a time; write it like 2026-12-24T18:00") from None
    return text


Zone = Annotated[str, AfterValidator(_zone)]
WallTime = Annotated[str, AfterValidator(_wall)]
"""A time as clocks on the wall show it in the schedule's zone, or an instant when it says its offset."""


class When(Document):
    """When a schedule fires: once `at` a time, `every` so often, or by `cron`; times are of `timezone`."""

    at: WallTime | None = Field(None, description="Once, like 2026-12-24T18:00.")
    every: Duration | Literal["day", "week"] | None = Field(
        None, description="A duration like 30m, or day or week: by the clock on the wall, whatever summer time does."
    )
    cron: str | None = Field(None, max_length=200, description="Five fields as in crontab(5), like 0 18 * * mon-fri.")
    timezone: Zone = Field("UTC", description="Of all times here, like Europe/Berlin.")
    begin: WallTime | None = Field(None, description="Not before this; `every` counts from here.")
    end: WallTime | None = Field(None, description="Not after this.")

    def instant(self, text: str) -> datetime:
        """What one of its times is in UTC; one that a change of the clock skips is the first after the change, one
        that comes twice is the first."""
        return instant(datetime.fromisoformat(text), self.timezone)


class ScheduleDoc(Document):
    """A job and when it starts."""

    name: str = Field(min_length=1, max_length=100, description="What people call it.")
    when: When = Field(description="When it fires: at, every or cron.")
    job: JobRequest = Field(description="The job, as for starting one.")
    duration: Duration | None = Field(None, description="Planned length: the job ends then; default its own rules.")
    lead: Duration = Field(0, description="Start this much earlier, to be in the room in time.")
    misfire: Literal["late", "skip"] = Field(
        "late", description="After an outage: start late while the planned end is ahead, or count it as missed."
    )
    grace: Duration = Field(
        3600 * SECOND, description="How late a job without a duration may still start after an outage."
    )
    overlap: Literal["allow", "skip", "stop"] = Field(
        "skip", description="While its last job runs: start another, leave this one out, or stop the old one first."
    )


def read_schedule(data: Any) -> ScheduleDoc:
    """The schedule plain data describes; raises RequestError naming every field that is wrong."""
    doc = forms.read_form(ScheduleDoc, data, "the schedule")
    said = [name for name in ("at", "every", "cron") if getattr(doc.when, name) is not None]
    found: list[Problem] = []
    if len(said) != 1:
        what = "says none of them" if not said else f"says {' and '.join(said)}"
        found.append(Problem("when", f"{what}; say one of at, every, cron"))
    if doc.when.every == 0:
        found.append(Problem("when.every", "0s is no distance; write it like 30m"))
    elif isinstance(doc.when.every, int) and doc.when.every < 60 * SECOND:
        found.append(Problem("when.every", "is too short; use 1m or more"))
    if doc.when.begin and doc.when.end and doc.when.instant(doc.when.begin) >= doc.when.instant(doc.when.end):
        found.append(Problem("when.end", "is not after when.begin"))
    if doc.lead > _LONGEST_LEAD:
        found.append(Problem("lead", "is too long; use 24h or less"))
    if doc.duration == 0:
        found.append(Problem("duration", "0s is no length; leave it out for the job's own rules"))
    if found:
        raise refuse("the schedule", found)
    return doc


def instant(wall: datetime, zone: str, *, again: bool = False) -> datetime:
    """The UTC time at which clocks of `zone` show `wall`: of two the first, unless `again`; of none the end of the gap.

    A `wall` that knows its offset is an instant already.
    """
    if wall.tzinfo is not None:
        return wall.astimezone(UTC)
    place = ZoneInfo(zone)
    first, second = (wall.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first > second:
        # In a gap the two readings lie on its two sides; clocks go on at its end.
        return _gap_end(second, first, place)
    return second if again else first


def _gap_end(before: datetime, after: datetime, place: ZoneInfo) -> datetime:
    """The instant between two at which the offset of `place` changes, to the second."""
    offset = before.astimezone(place).utcoffset()
    while (width := (after - before) // 2).total_seconds() >= 0.5:
        middle = before + width
        if middle.astimezone(place).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
