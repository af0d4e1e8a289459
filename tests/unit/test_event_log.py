"""Events are numbered over all attempts, the oldest go first, and a torn line harms none of the others."""

from __future__ import annotations

from pathlib import Path

from egress.storage.event_log import EventLog, final, read_events


def test_numbers_go_on_in_the_next_process(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    assert (log.seq, log.first) == (0, 1)
    assert log.append({"type": "ready"})["seq"] == 1
    log.append({"type": "warning", "message": "half a pair: \ud83d"})
    again = EventLog(tmp_path)
    assert again.append({"type": "state", "state": "finished"})["seq"] == 3
    assert [event["seq"] for event in again.since(1)] == [2, 3]
    assert [event["seq"] for event in read_events(tmp_path, 2)] == [3]


def test_the_log_is_bounded_in_memory_and_on_the_disk(tmp_path: Path) -> None:
    log = EventLog(tmp_path, most=10)
    for number in range(95):
        log.append({"type": "room", "number": number})
    assert (log.first, log.seq) == (86, 95)
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) <= 20
    assert [event["seq"] for event in EventLog(tmp_path, most=10).since(0)] == list(range(86, 96))


def test_a_line_cut_short_is_left_out_and_a_disk_that_refuses_stops_nothing(tmp_path: Path) -> None:
    EventLog(tmp_path).append({"type": "ready"})
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"type": "state", "st')
    assert [event["type"] for event in read_events(tmp_path)] == ["ready"]
    lost = EventLog(tmp_path / "nowhere")
    assert lost.append({"type": "ready"})["seq"] == 1
    assert lost.since(0)


def test_only_a_final_state_is_the_end() -> None:
    assert final([{"type": "ready"}, {"type": "state", "state": "stopping"}]) is None
    end = {"type": "state", "state": "aborted"}
    assert final([{"type": "state", "state": "stopping"}, end, {"type": "warning"}]) == end
