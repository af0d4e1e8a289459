"""A job's attempts share one time line, whoever wrote down what, and whenever it was cut short."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from egress.model.clock import SessionClock
from egress.model.media import SECOND
from egress.storage import attempts
from egress.storage.attempts import AttemptLog

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)


def clock(second: float, wall: float | None = None) -> SessionClock:
    """A session that begins so many seconds after a first one, its wall clock perhaps saying otherwise."""
    origin = 10**15 + round(second * SECOND)
    return SessionClock(origin, NOON + timedelta(seconds=second if wall is None else wall))


def test_the_next_attempt_knows_when_the_job_began_and_when_its_predecessor_died(tmp_path: Path) -> None:
    first = AttemptLog(tmp_path)
    assert first.begin(1, clock(0)) == 0
    first.beat(7 * SECOND)
    first.beat(8 * SECOND)
    AttemptLog(tmp_path).died("signal SIGKILL")
    second = AttemptLog(tmp_path)
    assert second.begin(2, clock(12)) == 12 * SECOND
    second.ended(2, 20 * SECOND, "stopped")
    assert [(row.begin, row.end, row.why) for row in AttemptLog(tmp_path).rows] == [
        (0, 8 * SECOND, "signal SIGKILL"),
        (12 * SECOND, 20 * SECOND, "stopped"),
    ]
    assert AttemptLog(tmp_path).table()[1] == {
        "number": 2,
        "started": "2026-03-29T12:00:12+00:00",
        "ended": "2026-03-29T12:00:20+00:00",
        "why": "stopped",
    }
    assert second.started(datetime.now(UTC)) == NOON


def test_what_every_attempt_gave_up_is_added_up_whether_or_not_it_lived_to_tell(tmp_path: Path) -> None:
    first = AttemptLog(tmp_path)
    first.begin(1, clock(0))
    assert first.degraded == {}
    first.beat(5 * SECOND, {"loop_filter": 3_000, "preset": 12_000})
    first.beat(6 * SECOND, {"loop_filter": 4_000, "preset": 500})
    assert AttemptLog(tmp_path).degraded == {"loop_filter": 4_000, "preset": 500}
    AttemptLog(tmp_path).died("signal SIGKILL")
    second = AttemptLog(tmp_path)
    second.begin(2, clock(9))
    # It has not lived long enough for a pulse: the one that is there is not its own.
    assert AttemptLog(tmp_path).degraded == {"loop_filter": 4_000, "preset": 500}
    second.beat(10 * SECOND, {"loop_filter": 0, "preset": 0})
    second.ended(2, 20 * SECOND, "stopped", {"loop_filter": 70, "preset": 0})
    third = AttemptLog(tmp_path)
    third.begin(3, clock(30))
    third.beat(31 * SECOND, {"loop_filter": 0, "preset": 0})
    assert third.degraded == AttemptLog(tmp_path).degraded == {"loop_filter": 4_070, "preset": 500}
    (tmp_path / "pulse").write_text("00000000040000000000 [1]\n")
    assert AttemptLog(tmp_path).degraded == {"loop_filter": 4_070, "preset": 500}


def test_no_step_of_the_wall_clock_bends_the_time_line_but_a_restart_of_the_machine_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    AttemptLog(tmp_path).begin(1, clock(0))
    assert AttemptLog(tmp_path).begin(2, clock(10, wall=3610)) == 10 * SECOND
    monkeypatch.setattr(attempts, "_boot", lambda: "another")
    assert AttemptLog(tmp_path).begin(3, clock(-900000, wall=60)) == 60 * SECOND


def test_a_death_nobody_explained_is_one_all_the_same_and_the_first_explanation_counts(tmp_path: Path) -> None:
    log = AttemptLog(tmp_path)
    log.died("nothing has begun")
    assert log.rows == ()
    log.begin(1, clock(0))
    AttemptLog(tmp_path).begin(2, clock(5))
    (before, now) = AttemptLog(tmp_path).rows
    assert (before.why, now.why) == ("the worker died", "")
    log = AttemptLog(tmp_path)
    log.died("killed")
    log.died("recovered")
    assert AttemptLog(tmp_path).last.why == "killed"


def test_what_was_published_before_is_remembered(tmp_path: Path) -> None:
    log = AttemptLog(tmp_path)
    log.begin(1, clock(0))
    assert not log.published
    log.saw_media(1)
    log.saw_media(1)
    again = AttemptLog(tmp_path)
    again.begin(2, clock(5))
    assert again.published and len((tmp_path / "attempts.jsonl").read_text().splitlines()) == 4


def test_lines_cut_short_and_a_disk_that_is_full_cost_no_more_than_themselves(tmp_path: Path) -> None:
    AttemptLog(tmp_path).begin(1, clock(0))
    with (tmp_path / "attempts.jsonl").open("a") as file:
        file.write('{"number": 1, "end": 7, "wh')
    assert AttemptLog(tmp_path).begin(2, clock(9)) == 9 * SECOND
    lost = AttemptLog(tmp_path / "nowhere")
    assert lost.begin(1, clock(0)) == 0
    lost.beat(SECOND)
    assert lost.rows[0].number == 1
