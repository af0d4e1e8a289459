"""The worker's events get out in the order of their worth, and its folder goes only when nothing is left in it."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from egress import worker
from egress.model.errors import Fault
from egress.model.job import JobState
from egress.reporting import Announcer
from egress.session import Outcome
from egress.storage.receipt import keep_receipt
from egress.storage.spool import JobFolder
from tests.unit.test_spool import order


class Slow(io.RawIOBase):
    """A parent that reads nothing until it is told to."""

    def __init__(self) -> None:
        self.reading = threading.Event()
        self.lines: list[dict[str, Any]] = []

    def write(self, data: Any) -> int:
        """Wait, then take a line."""
        self.reading.wait(20)
        self.lines.append(json.loads(bytes(data)))
        return len(data)


def test_signs_of_life_are_refused_first_and_the_end_never() -> None:
    out = Slow()
    announce = Announcer(out, size=8)  # type: ignore[arg-type]
    announce({"type": "ready"})
    while announce._queue.qsize():
        pass
    for number in range(8):
        announce({"type": "hls", "msn": number})
        announce({"type": "alive"})
    for number in range(4):
        announce({"type": "warning", "message": str(number)})
    announce({"type": "state", "state": "finished"})
    assert announce.dropped == 16 - 6 + 2
    out.reading.set()
    announce.close()
    kinds = [event["type"] for event in out.lines]
    assert kinds.count("alive") + kinds.count("hls") == 6
    assert kinds.count("warning") == 2
    assert kinds[-1] == "state"


def test_alive_says_how_many_events_were_dropped() -> None:
    out = Slow()
    announce = Announcer(out, size=2)  # type: ignore[arg-type]
    for _ in range(9):
        announce({"type": "hls"})
    out.reading.set()
    while announce._queue.qsize():
        pass
    announce({"type": "alive"})
    announce.close()
    assert out.lines[-1] == {"type": "alive", "dropped": announce.dropped}
    assert announce.dropped > 0


def test_text_that_is_no_unicode_does_not_silence_what_follows() -> None:
    out = Slow()
    out.reading.set()
    announce = Announcer(out, size=8)  # type: ignore[arg-type]
    announce({"type": "warning", "message": "half a pair: \ud83d"})
    announce({"type": "state", "state": "finished"})
    announce.close()
    assert [event["type"] for event in out.lines] == ["warning", "state"]


def test_an_announcer_whose_reader_is_gone_still_ends() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    announce = Announcer(os.fdopen(writing, "wb", buffering=0), size=4)
    for _ in range(20):
        announce({"type": "hls"})
    announce.close()
    assert not announce._thread.is_alive()


def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: JobState | None, left: bool) -> list[dict[str, Any]]:
    """Run a job whose session ends in `state` (None: it breaks), its file delivered or left in the spool."""
    told: list[dict[str, Any]] = []
    folder = JobFolder(tmp_path / "job-1")

    def visit(*_: Any) -> Outcome:
        with JobFolder(folder.path).seized() as mine:
            assert not mine, "the job is held before it can be found"
        place = folder.path / "0-mp4"
        place.mkdir()
        (place / "recording.mp4").write_bytes(b"precious")
        if not left:
            keep_receipt(place, ())
        if state is None:
            raise Fault("broken")
        return Outcome(state, "why", None, (), 0)

    monkeypatch.setattr(worker, "_outcome", visit)
    worker._run(order(folder.path), told.append, iter(()))  # type: ignore[arg-type]
    return told


@pytest.mark.parametrize("state", [JobState.FINISHED, JobState.FAILED, None])
def test_the_folder_stays_while_anything_in_it_was_not_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: JobState | None
) -> None:
    (event,) = _run(tmp_path, monkeypatch, state, left=True)
    assert event["spool"] == str(tmp_path / "job-1")
    assert event["undelivered"] == [str(tmp_path / "job-1" / "0-mp4")]
    assert (tmp_path / "job-1" / "0-mp4" / "recording.mp4").read_bytes() == b"precious"


@pytest.mark.parametrize("state", [JobState.FINISHED, JobState.FAILED, JobState.ABORTED])
def test_the_folder_goes_once_all_of_it_was_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: JobState
) -> None:
    (event,) = _run(tmp_path, monkeypatch, state, left=False)
    assert (event["state"], event["spool"], event["undelivered"]) == (str(state), None, [])
    assert not any(tmp_path.iterdir())


def test_a_job_another_worker_holds_is_left_alone(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    folder = JobFolder(tmp_path / "job-1")
    with folder.held() as mine:
        assert mine
        folder.create(order(folder.path))
        assert worker._run(order(folder.path), told.append, iter(())) == 1  # type: ignore[arg-type]
        assert folder.document.is_file()
    assert "another worker" in told[0]["reason"]
