"""Marks outlive the process and become chapters and date ranges."""

from __future__ import annotations

from pathlib import Path

from egress.model.media import SECOND
from egress.sinks.base import SPEAKER, Mark
from egress.sinks.marks import LIMIT, SPEAKERS, Chapter, MarkLog, chapters, date_ranges


def _marks(*at: float) -> list[Mark]:
    return [Mark(int(second * SECOND), "join", f"P{number}") for number, second in enumerate(at)]


def test_a_chapter_begins_at_each_mark_and_the_first_at_zero() -> None:
    assert chapters(_marks(20, 60), 90 * SECOND) == (
        Chapter(0, 20 * SECOND, "Start"),
        Chapter(20 * SECOND, 60 * SECOND, "P0 joined"),
        Chapter(60 * SECOND, 90 * SECOND, "P1 joined"),
    )


def test_marks_closer_than_ten_seconds_share_a_chapter() -> None:
    made = chapters(_marks(0.5, 3, 9, 9.4, 20, 31), 60 * SECOND)
    assert [(c.start // SECOND, c.title) for c in made] == [
        (0, "P0 joined, P1 joined, P2 joined and 1 more"),
        (20, "P4 joined"),
        (31, "P5 joined"),
    ]


def test_what_an_operator_marks_begins_a_chapter_right_there() -> None:
    asked = [Mark(at * SECOND, "mark", text) for at, text in ((4, "Vote"), (24, "Result"))]
    made = chapters([*asked, Mark(6 * SECOND, "join", "Ada"), Mark(20 * SECOND, "resume", "Resumed")], 60 * SECOND)
    assert [(c.start // SECOND, c.title) for c in made] == [
        (0, "Start"),
        (4, "Vote, Ada joined"),
        (20, "Resumed"),
        (24, "Result"),
    ]


def test_a_mark_that_is_no_visit_is_called_by_its_text_or_kind() -> None:
    marks = [Mark(0, "leave", "Ada"), Mark(1, "gap", "connection lost"), Mark(2, "gap", "")]
    assert [c.title for c in chapters(marks, SECOND)] == ["Ada left, connection lost, gap"]


def test_marks_after_the_end_and_none_at_all_make_no_chapter() -> None:
    assert chapters(_marks(70), 60 * SECOND) == ()
    assert chapters([], 60 * SECOND) == ()


def test_the_log_is_loaded_as_it_was_written_but_for_a_line_cut_short(tmp_path: Path) -> None:
    log = MarkLog(tmp_path / "marks.jsonl")
    for mark in _marks(1, 2):
        assert log.add(mark)
    with log.path.open("a") as file:
        file.write('{"at": 3, "kin')
    assert MarkLog.load(log.path).marks == _marks(1, 2)
    assert MarkLog.load(tmp_path / "none").marks == []


def test_a_crowd_cannot_grow_the_log_without_end(tmp_path: Path) -> None:
    log = MarkLog(tmp_path / "marks.jsonl")
    log.marks = _marks(*range(LIMIT))
    assert not log.add(Mark(0, "gap", "one more"))
    assert (len(log.marks), log.refused, log.path.exists()) == (LIMIT, 1, False)


def test_what_is_forgotten_makes_room_and_leaves_the_others_their_numbers(tmp_path: Path) -> None:
    log = MarkLog(tmp_path / "marks.jsonl")
    for number in range(3 * LIMIT):
        log.forget((number - 5) * SECOND)
        assert log.add(Mark(number * SECOND, "metadata", "{}"))
    assert (log.forgotten, len(log.marks), log.refused) == (3 * LIMIT - 6, 6, 0)
    assert len(log.path.read_text().splitlines()) <= 2 * LIMIT, "nor does the file grow without end"
    loaded = MarkLog.load(log.path)
    loaded.forget((3 * LIMIT - 6) * SECOND)
    assert (loaded.forgotten, loaded.marks) == (log.forgotten, log.marks)
    assert date_ranges(log.marks, log.forgotten)[0].id == f"metadata-{3 * LIMIT - 6}"


def test_what_still_holds_is_not_forgotten(tmp_path: Path) -> None:
    log = MarkLog(tmp_path / "marks.jsonl")
    log.marks = [Mark(0, "metadata", "{}", 20 * SECOND), Mark(SECOND, "join", "Ada")]
    log.forget(10 * SECOND)
    assert (log.forgotten, len(log.marks)) == (0, 2)
    log.forget(30 * SECOND)
    assert (log.forgotten, log.marks) == (2, [])


def test_text_of_any_kind_becomes_one_printable_line() -> None:
    (made,) = date_ranges([Mark(0, "join", "Ada\r\n#EXT-X-ENDLIST\x00 \u202e" + "x" * 500)])
    assert made.text.startswith("Ada #EXT-X-ENDLIST x")
    assert len(made.text) == 120
    assert [r.id for r in date_ranges(_marks(1, 1))] == ["join-0", "join-1"]


def test_speakers_leave_room_for_others_and_make_no_chapters(tmp_path: Path) -> None:
    log = MarkLog(tmp_path / "marks.jsonl")
    kept = [log.add(Mark(number * SECOND, SPEAKER, f"peer {number % 2}")) for number in range(SPEAKERS + 5)]
    assert kept == [True] * SPEAKERS + [False] * 5 and log.refused == 5
    assert log.add(Mark(0, "join", "Ada"))
    assert MarkLog.load(log.path).marks == log.marks
    assert chapters(log.marks[:SPEAKERS], 3600 * SECOND) == ()
    log.forget(10 * SECOND)
    assert log.add(Mark(SECOND, SPEAKER, "Ada")), "those of the past make room"
    first, *_ = date_ranges([Mark(SECOND, SPEAKER, ""), *log.marks])
    assert (first.id, first.text, first.until_next, first.duration) == ("speaker-0", "", True, 0)
