"""Attendance is bounded and outlives the worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from egress.model.room import Peer
from egress.storage import attendance as module
from egress.storage.attendance import Attendance
from tests.unit.test_spool import order

ADA = Peer("ada", "Ada", "host")


def test_a_row_for_each_visit() -> None:
    attendance = Attendance()
    attendance.joined(ADA, 0)
    attendance.joined(ADA, 5)
    attendance.left("ada", 2_000_000_000)
    attendance.left("stranger", 3)
    attendance.joined(ADA, 4_000_000_000)
    assert attendance.table() == [
        {"id": "ada", "name": "Ada", "role": "host", "joined": 0.0, "left": 2.0},
        {"id": "ada", "name": "Ada", "role": "host", "joined": 4.0, "left": None},
    ]


def test_what_was_noted_is_read_back_and_a_line_cut_short_left_out(tmp_path: Path) -> None:
    job = order(tmp_path)
    attendance = Attendance.of(job)
    attendance.joined(ADA, 1_000_000_000)
    attendance.joined(Peer("b", "Bé\n", "guest"), 2_000_000_000)
    attendance.left("ada", 3_000_000_000)
    (journal,) = tmp_path.iterdir()
    journal.write_text(journal.read_text() + '{"event": "left", "id": "b')
    assert Attendance.load(job).table() == attendance.table()
    assert Attendance.load(order(tmp_path / "none")).table() == []


def test_a_crowd_is_counted_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 3)
    attendance = Attendance()
    for number in range(5):
        attendance.joined(Peer(str(number), "x", "guest"), number)
    assert (len(attendance.table()), attendance.refused) == (3, 2)


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
