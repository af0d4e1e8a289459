"""When schedules fire: crontabs as crontab(5) has them, and what happens when clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress.control.calendar import check_when, next_fire, upcoming
from egress.model.errors import RequestError
from egress.model.schedule import When

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def fires(after: str, count: int, **when: Any) -> list[str]:
    start = datetime.fromisoformat(after).replace(tzinfo=UTC)
    return [at.strftime("%m-%d %H:%M") for at in upcoming(When(**when), start, count)]


DAY = {"every": "day", "begin": "2026-01-01T02:30", "timezone": BERLIN}
WEEK = {"every": "week", "begin": "2026-10-04T02:30", "timezone": BERLIN}
CRON = {"cron": "30 2 * * *", "timezone": BERLIN}


@pytest.mark.parametrize(
    ("after", "when", "expected"),
    [
        ("2026-03-27T12:00", CRON, ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),
        ("2026-10-23T12:00", CRON, ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),
        ("2027-03-13T00:00", CRON | {"timezone": NEW_YORK}, ["03-13 07:30", "03-14 07:00", "03-15 06:30"]),
        ("2026-03-27T12:00", {"cron": "0 18 * * *", "timezone": BERLIN}, ["03-27 17:00", "03-28 17:00", "03-29 16:00"]),
        ("2026-03-28T00:00", DAY, ["03-28 01:30", "03-29 01:00"]),
        ("2026-10-20T00:00", WEEK, ["10-25 00:30", "11-01 01:30"]),
        ("2026-03-27T12:00", {"at": "2026-03-29T02:30", "timezone": BERLIN}, ["03-29 01:00"]),
        ("2026-03-27T12:00", {"at": "2026-10-25T02:30", "timezone": BERLIN}, ["10-25 00:30"]),
        ("2026-03-27T12:00", {"at": "2026-10-25T02:30+01:00", "timezone": BERLIN}, ["10-25 01:30"]),
    ],
)  # fmt: skip
def test_a_change_of_the_clock_neither_skips_nor_doubles_a_time(
    after: str, when: dict[str, Any], expected: list[str]
) -> None:
    assert fires(after, len(expected), **when) == expected


@pytest.mark.parametrize("start", ["2026-10-24T23:00", "2026-03-28T23:00"])
def test_what_runs_at_every_hour_goes_by_elapsed_time(start: str) -> None:
    found = upcoming(When(cron="*/30 * * * *", timezone=BERLIN), datetime.fromisoformat(start).replace(tzinfo=UTC), 12)
    assert {b - a for a, b in pairwise(found)} == {timedelta(minutes=30)}


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 9 * * 1", ["03-30 09:00", "04-06 09:00"]),
        ("0 9 * * 0", ["03-29 09:00", "04-05 09:00"]),
        ("0 9 * * 7", ["03-29 09:00", "04-05 09:00"]),
        ("0 9 * * mon-fri", ["03-30 09:00", "03-31 09:00"]),
        ("0 9 * * 1-5/2", ["03-30 09:00", "04-01 09:00", "04-03 09:00", "04-06 09:00"]),
        ("0 9 * * sun,3", ["03-29 09:00", "04-01 09:00"]),
        ("0 9 13 * 5", ["04-03 09:00", "04-10 09:00", "04-13 09:00"]),
        ("0 9 1 jan *", ["01-01 09:00"]),
        ("0 9 29 2 *", ["02-29 09:00"]),
    ],
)
def test_a_crontab_means_what_crontabs_mean(cron: str, expected: list[str]) -> None:
    assert fires("2026-03-27T12:00", len(expected), cron=cron) == expected


def test_an_interval_counts_from_its_beginning_and_ends_at_its_end() -> None:
    when = {"every": "45m", "begin": "2026-05-01T10:00", "end": "2026-05-01T12:00", "timezone": BERLIN}
    assert fires("2026-04-01T00:00", 9, **when) == ["05-01 08:00", "05-01 08:45", "05-01 09:30"]
    assert fires("2026-05-01T08:10", 1, **when) == ["05-01 08:45"]
    assert fires("2026-05-01T10:00", 1, **when) == []


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"cron": "0 9 * *"}, "has 4 fields"),
        ({"cron": "61 * * * *"}, "is no crontab line"),
        ({"cron": "0 9 * * 8"}, "days"),
        ({"cron": "0 9 * * 5-2"}, "days"),
        ({"cron": "0 9 31 2 *"}, "never fires"),
        ({"every": "1h", "begin": "2026-05-02T10:00", "end": "2026-05-01T10:00"}, "never fires"),
    ],
)
def test_what_never_fires_or_is_no_crontab_is_refused(when: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        check_when(When(**when))
    assert caught.value.problems[0][0].startswith("when")


@given(
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
    minute=st.sampled_from(["0", "30", "*/7", "5-9"]),
    hour=st.sampled_from(["*", "2", "1,2,3", "*/2", "23"]),
    zone=st.sampled_from([BERLIN, NEW_YORK, "Australia/Lord_Howe", "UTC", "Asia/Kolkata"]),
)
def test_times_come_in_order_and_each_is_the_first_after_the_one_before(
    start: datetime, minute: str, hour: str, zone: str
) -> None:
    when = When(cron=f"{minute} {hour} * * *", timezone=zone)
    found = upcoming(when, start.replace(tzinfo=UTC), 6)
    assert len(found) == 6 and all(b > a for a, b in pairwise(found))
    # Asked from in between, the answer is the same: nothing is skipped.
    for a, b in pairwise(found):
        assert next_fire(when, a) == b
        assert next_fire(when, b - timedelta(seconds=1)) == b
