"""Attendance is bounded and outlives the worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from egress.model.media import SECOND, Codec
from egress.model.room import Peer, Track, TrackSource
from egress.storage import attendance as module
from egress.storage.attendance import Attendance
from tests.unit.test_spool import order

ADA = Peer("ada", "Ada", "host")
CAMERA = Track("t1", "ada", "video", TrackSource.CAMERA, Codec.VP8)


def test_a_row_for_each_visit() -> None:
    attendance = Attendance()
    attendance.joined(ADA, 0)
    attendance.joined(ADA, 5)
    attendance.left("ada", 2_000_000_000)
    attendance.left("stranger", 3)
    attendance.joined(ADA, 4_000_000_000)
    common = {"id": "ada", "name": "Ada", "role": "host"}
    assert attendance.table() == [
        {**common, "roles": [{"role": "host", "since": 0.0}], "joined": 0.0, "left": 2.0},
        {**common, "roles": [{"role": "host", "since": 4.0}], "joined": 4.0, "left": None},
    ]


def test_every_role_a_peer_had_is_told() -> None:
    attendance = Attendance()
    attendance.joined(Peer("ada", "Ada", "guest"), 0)
    attendance.changed(Peer("ada", "Ada L.", "guest"), 1_000_000_000)
    attendance.changed(Peer("ada", "Ada L.", "host"), 2_000_000_000)
    attendance.changed(Peer("stranger", "Eve", "host"), 3)
    (visit,) = attendance.table()
    assert (visit["name"], visit["role"]) == ("Ada L.", "host")
    assert visit["roles"] == [{"role": "guest", "since": 0.0}, {"role": "host", "since": 2.0}]


def test_tracks_come_go_and_are_muted() -> None:
    attendance = Attendance()
    attendance.published(Track("t0", "stranger", "audio", TrackSource.MIC), 0)
    attendance.joined(ADA, 0)
    attendance.published(CAMERA, 1_000_000_000)
    attendance.published(Track("t2", "ada", "audio", TrackSource.MIC, None, muted=True), 1_000_000_000)
    attendance.muted("t1", True, 2_000_000_000)
    attendance.muted("t1", True, 2_500_000_000)
    attendance.muted("t1", False, 3_000_000_000)
    attendance.unpublished("t1", 4_000_000_000)
    attendance.muted("t1", True, 5_000_000_000)
    attendance.left("ada", 6_000_000_000)
    camera, microphone = attendance.tracks()
    assert (camera["peer"], camera["source"], camera["codec"]) == ("ada", "camera", "vp8")
    assert (camera["published"], camera["unpublished"]) == (1.0, 4.0)
    assert camera["muted"] == [{"from": 2.0, "to": 3.0}]
    assert (microphone["codec"], microphone["unpublished"]) == (None, 6.0)
    assert microphone["muted"] == [{"from": 1.0, "to": 6.0}]


def test_what_was_noted_is_read_back_and_a_line_cut_short_left_out(tmp_path: Path) -> None:
    job = order(tmp_path)
    attendance = Attendance.of(job)
    attendance.joined(ADA, 1_000_000_000)
    attendance.joined(Peer("b", "Bé\n", "guest"), 2_000_000_000)
    attendance.published(CAMERA, 2_000_000_000)
    attendance.muted("t1", True, 2_250_000_000)
    attendance.unpublished("t1", 2_500_000_000)
    attendance.changed(Peer("ada", "Ada", "guest"), 2_600_000_000)
    attendance.left("ada", 3_000_000_000)
    (journal,) = tmp_path.iterdir()
    journal.write_text(journal.read_text() + '{"event": "left", "id": "b')
    assert Attendance.load(job).table() == attendance.table()
    assert Attendance.load(job).tracks() == attendance.tracks() != []
    assert Attendance.load(order(tmp_path / "none")).table() == []


def test_a_crowd_is_counted_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 3)
    attendance = Attendance()
    for number in range(5):
        attendance.joined(Peer(str(number), "x", "guest"), number)
    assert (len(attendance.table()), attendance.refused) == (3, 2)
    for number in range(5):
        attendance.published(Track(str(number), "0", "audio", TrackSource.MIC), number)
    assert (len(attendance.tracks()), attendance.refused) == (3, 4)
    for number in range(8):
        attendance.muted("0", not number % 2, number)
    assert (len(attendance.tracks()[0]["muted"]), attendance.refused) == (3, 5)


def test_a_full_disk_costs_the_journal_and_not_the_table(tmp_path: Path) -> None:
    job = order(tmp_path)
    (tmp_path / "attendance.jsonl").symlink_to("/dev/full")
    attendance = Attendance.of(job)
    attendance.joined(ADA, 0)
    attendance.left("ada", 1)
    assert len(attendance.table()) == 1


def test_pauses_and_gaps_are_spans_that_outlive_the_worker(tmp_path: Path) -> None:
    job = order(tmp_path)
    attendance = Attendance.of(job)
    attendance.end("pause", 1)
    attendance.begin("gap", 1_000_000_000, "no answer")
    attendance.begin("gap", 2_000_000_000, "again")
    attendance.end("gap", 3_000_000_000)
    attendance.begin("pause", 4_000_000_000)
    assert attendance.spans("gap") == [{"from": 1.0, "to": 3.0, "reason": "no answer"}]
    assert attendance.spans("pause") == [{"from": 4.0, "to": None}]
    again = Attendance.load(job)
    assert [again.spans("gap"), again.spans("pause")] == [attendance.spans("gap"), attendance.spans("pause")]


def test_spans_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 2)
    attendance = Attendance()
    for n in range(3):
        attendance.begin("pause", 2 * n)
        attendance.end("pause", 2 * n + 1)
    assert len(attendance.spans("pause")) == 2 and attendance.refused == 1


def test_an_attempt_that_goes_on_begins_new_visits_and_tells_of_the_gap(tmp_path: Path) -> None:
    kept = order(tmp_path)
    first = Attendance.of(kept)
    first.joined(ADA, SECOND)
    first.published(CAMERA, SECOND)
    first.begin("pause", 3 * SECOND)
    second = Attendance.of(kept)
    second.resumed(4 * SECOND, 6 * SECOND, "signal SIGKILL")
    second.joined(ADA, 7 * SECOND)
    second.published(CAMERA, 7 * SECOND)
    for attendance in (second, Attendance.load(kept)):
        assert [(row["joined"], row["left"]) for row in attendance.table()] == [(1.0, 4.0), (7.0, None)]
        assert [(row["published"], row["unpublished"]) for row in attendance.tracks()] == [(1.0, 4.0), (7.0, None)]
        assert attendance.spans("gap") == [{"from": 4.0, "to": 6.0, "reason": "signal SIGKILL"}]
        assert attendance.spans("pause") == [{"from": 3.0, "to": 4.0}]
