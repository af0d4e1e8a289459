"""When a schedule fires: calendar arithmetic by APScheduler's triggers, the clock's changes by our own rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from egress.model.errors import RequestError
from egress.model.problems import Problem, refuse
from egress.model.schedule import When, instant

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""What numbers mean in crontab(5); APScheduler counts from Monday."""

_FOLD = timedelta(hours=3)
"""More than any clock is set back: what is shown twice lies within."""

_WALL_UNITS = {"day": timedelta(days=1), "week": timedelta(weeks=1)}


def check_when(when: When) -> None:
    """Refuse what never fires or is no crontab; raises RequestError naming the field."""
    if when.cron is not None:
        _cron(when.cron)
    if next(fires(when, datetime(1970, 1, 1, tzinfo=UTC)), None) is None:
        raise refuse("the schedule", [Problem("when", "never fires: its end comes before its first time")])


def next_fire(when: When, after: datetime) -> datetime | None:
    """The first time strictly after an instant; None when there is none."""
    return next(fires(when, after), None)


def upcoming(when: When, after: datetime, count: int) -> tuple[datetime, ...]:
    """The next `count` times after an instant."""
    return tuple(islice(fires(when, after), count))


def fires(when: When, after: datetime) -> Iterator[datetime]:
    """Every time strictly after an instant, in order, in UTC.

    A time that clocks skip fires at the end of the gap, once; one that they show twice fires the first time. Only a
    cron line whose hour is a pattern over all hours (`*`, `*/2`) goes by elapsed time, and fires in both, as crons do.
    """
    try:
        yield from _within(when, after)
    except OverflowError:
        # Calendars of computers begin with the year 1 and end with the year 9999.
        return


def _within(when: When, after: datetime) -> Iterator[datetime]:
    """Its times from its beginning to its end."""
    begin = when.instant(when.begin) if when.begin else None
    end = when.instant(when.end) if when.end else None
    if begin is not None and after < begin:
        after = begin - timedelta(microseconds=1)
    for found in _fires(when, after):
        if end is not None and found > end:
            return
        yield found


def _fires(when: When, after: datetime) -> Iterator[datetime]:
    if when.at is not None:
        at = when.instant(when.at)
        if at > after:
            yield at
    elif when.cron is not None:
        trigger, both = _cron(when.cron), _every_hour(when.cron)
        while (found := _next_wall(trigger, when.timezone, after, both=both)) is not None:
            yield found
            after = found
    elif isinstance(when.every, str):
        start = _anchor(when).replace(tzinfo=UTC)
        steps = IntervalTrigger(days=_WALL_UNITS[when.every].days, start_date=start, timezone=UTC)
        while (found := _next_wall(steps, when.timezone, after, both=False)) is not None:
            yield found
            after = found
    elif when.every:
        origin = when.instant(when.begin) if when.begin else datetime(1970, 1, 1, tzinfo=UTC)
        step = timedelta(microseconds=when.every // 1000)
        number = max(0, (after - origin) // step + 1)
        while True:
            yield origin + number * step
            number += 1


def _next_wall(trigger: Any, zone: str, after: datetime, *, both: bool) -> datetime | None:
    """The first instant after `after` at which clocks of `zone` show a time of `trigger`, which knows of no zones."""
    place = ZoneInfo(zone)
    shown = after.astimezone(place).replace(tzinfo=None)
    # Near a change, later instants may show earlier times: all around it are looked at.
    changing = len({(after + side).astimezone(place).utcoffset() for side in (-_FOLD, _FOLD)}) > 1
    wall, until = (shown - _FOLD, shown + _FOLD) if changing else (shown, shown)
    found: list[datetime] = []
    previous: datetime | None = None
    while not found or wall < until:
        # As if clocks were never changed: what a change does is judged below.
        previous = trigger.get_next_fire_time(previous, wall.replace(tzinfo=UTC))
        if previous is None:
            break
        naive = previous.replace(tzinfo=None)
        wall = naive + timedelta(microseconds=1)
        instants = {instant(naive, zone), instant(naive, zone, again=both)}
        found += [at for at in instants if at > after]
    return min(found, default=None)


def _anchor(when: When) -> datetime:
    """Where counting days begins, as clocks show it; midnight unless said."""
    if when.begin is None:
        return datetime(1970, 1, 1)
    begin = datetime.fromisoformat(when.begin)
    if begin.tzinfo is None:
        return begin
    return begin.astimezone(ZoneInfo(when.timezone)).replace(tzinfo=None)


def _cron(text: str) -> Any:
    """The trigger of a line of crontab(5): where both the day and the weekday are restricted, either will do."""
    fields = text.split()
    if len(fields) != 5:
        what = f"has {len(fields)} fields; write five: minute hour day month weekday, like 0 18 * * mon-fri"
        raise RequestError(f"when.cron: {what}", (("when.cron", what),))
    minute, hour, day, month, weekday = (field.lower() for field in fields)
    days = [(day, _named(weekday))]
    if not day.startswith("*") and not weekday.startswith("*"):
        days = [(day, "*"), ("*", _named(weekday))]
    try:
        triggers = [
            CronTrigger(minute=minute, hour=hour, day=d, month=month, day_of_week=w, second=0, timezone=UTC)
            for d, w in days
        ]
    except (ValueError, TypeError, IndexError) as error:
        what = f"{text!r} is no crontab line: {str(error) or 'a field is not understood'}"
        raise RequestError(f"when.cron: {what}", (("when.cron", what),)) from None
    return triggers[0] if len(triggers) == 1 else OrTrigger(triggers)


def _named(weekday: str) -> str:
    """Days of the week by name, where crontab(5) counts them from Sunday."""
    parts = []
    for part in weekday.split(","):
        days, _, step = part.partition("/")
        if days == "*" and step.isdecimal():
            days = "0-6"
        if re.fullmatch(r"\d(-\d)?", days) and (not step or step.isdecimal()):
            part = _spread(days, int(step or 1))
        parts.append(part)
    return ",".join(parts)


def _spread(days: str, step: int) -> str:
    """A range of numbered days, Sunday 0 or 7, as a list of names."""
    first, _, last = days.partition("-")
    numbers = range(int(first), int(last or first) + 1, max(1, step))
    if not numbers or numbers[-1] > 7:
        raise RequestError(
            f"when.cron: {days!r} are no days of the week", (("when.cron", f"{days!r}: days are 0 (Sunday) to 7"),)
        )
    return ",".join(dict.fromkeys(_DAYS[number] for number in numbers))


def _every_hour(text: str) -> bool:
    return text.split()[1].startswith("*")
