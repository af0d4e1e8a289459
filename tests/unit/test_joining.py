"""What several attempts wrote becomes one ordinary file: in sync, evenly paced, and the same however it is made."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from egress.model.errors import DestinationError
from egress.model.media import SECOND, Codec
from egress.model.outputs import Mp4Doc
from egress.sinks.base import END, PAUSE, RESUME, Mark
from egress.sinks.joining import Piece, join, pieces
from egress.sinks.mp4 import Mp4Sink
from tests.flashes import Programme, context, feed, offsets, programme

DOC = Mp4Doc(kind="mp4", to="x.mp4")


def attempt(tmp_path: Path, number: int, show: Programme) -> Mp4Sink:
    """The MP4 sink of one attempt, fed and not closed; as its worker's death leaves it."""
    sink = Mp4Sink(DOC, replace(context(tmp_path / "spool", tmp_path / "out.mp4"), attempt=number))
    feed(sink, show)
    return sink


def died(tmp_path: Path, number: int, show: Programme) -> None:
    """An attempt whose last fragments never reached the disk."""
    sink = attempt(tmp_path, number, show)
    file = Piece(tmp_path / "spool", number).file
    left = file.read_bytes()
    # A dead process has no thread that goes on making the whole.
    if sink._growing is not None:
        sink._growing.give_up()
        sink._growing._thread.join()
    sink._container.close()  # type: ignore[union-attr]
    file.write_bytes(left)


def shown(path: Path) -> list[Fraction]:
    """When each picture is shown, all of them decoded."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]  # type: ignore[operator]


def heard(path: Path) -> list[tuple[int, int]]:
    """(pts, duration) of each packet of sound."""
    with av.open(str(path)) as container:
        packets = container.demux(audio=0)
        return [(packet.pts, packet.duration) for packet in packets if packet.pts is not None]  # type: ignore[misc]


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("sound", [Codec.AAC, Codec.OPUS])
def test_two_attempts_that_died_and_one_that_ended_are_one_file_in_sync(
    tmp_path: Path, b_frames: int, sound: Codec
) -> None:
    show = programme(4, b_frames=b_frames, sound=sound)
    died(tmp_path, 1, show)
    died(tmp_path, 2, show)
    last = attempt(tmp_path, 3, programme(3, b_frames=b_frames, sound=sound))
    (made,) = last.deliver(last.close())
    times = shown(tmp_path / "out.mp4")
    assert 8 < len(times) / 30 < 11, "whole but for what had not reached the disk"
    assert times == sorted(set(times)) and times[0] == 0
    gaps = {after - before for before, after in itertools.pairwise(times)}
    assert gaps == {Fraction(1, 30)} or b_frames
    assert max(gaps) <= Fraction(4, 30)
    assert max(abs(offset) for offset in offsets(tmp_path / "out.mp4")) < 30
    packets = heard(tmp_path / "out.mp4")
    holes = [after[0] - before[0] - before[1] for before, after in itertools.pairwise(packets)]
    assert all(hole == 0 for hole in holes)
    assert abs(made.duration / SECOND - len(times) / 30) < 0.15
    assert len(made.details["joins"]) == 2  # type: ignore[arg-type]
    assert not list((tmp_path / "spool").glob("*.mp4"))


def test_recovery_makes_the_very_file_an_undisturbed_end_makes(tmp_path: Path) -> None:
    for place in ("one", "other"):
        died(tmp_path / place, 1, programme(4))
    sink = attempt(tmp_path / "one", 2, programme(3))
    sink.deliver(sink.close())
    attempt(tmp_path / "other", 2, programme(3)).close()
    (made,) = Mp4Sink.recover(tmp_path / "other" / "spool", str(tmp_path / "other" / "out.mp4"))
    assert (tmp_path / "one" / "out.mp4").read_bytes() == (tmp_path / "other" / "out.mp4").read_bytes()
    assert made.details["recovered"]


def test_a_join_cut_short_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    died(tmp_path, 1, programme(4))
    attempt(tmp_path, 2, programme(2)).close()
    spool = tmp_path / "spool"
    kept = {path.name: path.read_bytes() for path in spool.iterdir()}
    assert join(spool)
    whole = (spool / "recording.mp4").read_bytes()
    state = (spool / "recording.json").read_text()
    for name, data in kept.items():
        (spool / name).write_bytes(data)
    (spool / "joined.mp4").write_bytes(b"half a file")
    assert join(spool)
    assert (spool / "recording.mp4").read_bytes() == whole
    plan = {"state": json.loads(state), "marks": []}
    (spool / "joined.json").write_text(json.dumps(plan))
    for name in ("recording-2.mp4", "recording-2.json"):
        (spool / name).write_bytes(kept[name])
    assert join(spool), "it had died between putting the whole in its place and taking the pieces away"
    assert (spool / "recording.mp4").read_bytes() == whole
    assert [piece.attempt for piece in pieces(spool)] == [1]
    assert not join(spool)


def test_chapters_stand_where_things_happened_in_the_whole(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    first = attempt(tmp_path, 1, programme(30))
    first.mark(Mark(2 * SECOND, "mark", "Vote"))
    first.close()
    second = attempt(tmp_path, 2, programme(30))
    second.mark(Mark(20 * SECOND, "mark", "Result"))
    (made,) = second.deliver(second.close())
    rows = [(round(row["at"]), row["title"]) for row in made.details["chapters"]]  # type: ignore[attr-defined]
    assert rows == [(0, "Start"), (2, "Vote"), (30, "Went on after an interruption"), (50, "Result")]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == [title for _, title in rows]
        assert "job1" in container.metadata["comment"]
    assert not pieces(spool)


def test_pauses_of_each_attempt_are_left_out_of_the_whole(tmp_path: Path) -> None:
    first = attempt(tmp_path, 1, programme(4))
    first.close()
    second = Mp4Sink(DOC, replace(context(tmp_path / "spool", tmp_path / "out.mp4"), attempt=2))
    show = programme(8)
    second.open(show.streams)
    second.mark(Mark(2 * SECOND, PAUSE, "Paused"))
    second.mark(Mark(6 * SECOND, RESUME, "Resumed"))
    for packet in show.packets:
        second.write(packet)
    second.mark(Mark(7 * SECOND, "mark", "Late"))
    (made,) = second.deliver(second.close())
    assert abs(made.duration / SECOND - 8) < 0.1
    assert made.details["chapters"][-1] == {"at": pytest.approx(7, abs=0.1), "title": "Late"}  # type: ignore[index]


def test_an_attempt_in_an_empty_room_adds_nothing(tmp_path: Path) -> None:
    first = attempt(tmp_path, 1, programme(4))
    first.close()
    second = attempt(tmp_path, 2, programme(6))
    second.mark(Mark(0, END, "the room is empty"))
    (made,) = second.deliver(second.close())
    assert abs(made.duration / SECOND - 4) < 0.1 and "joins" not in made.details


def test_an_attempt_that_left_nothing_readable_is_left_out(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    attempt(tmp_path, 1, programme(4)).close()
    (spool / "recording-2.mp4").write_bytes(b"")
    third = attempt(tmp_path, 3, programme(3))
    (made,) = third.deliver(third.close())
    assert abs(made.duration / SECOND - 7) < 0.1


def test_pieces_of_other_settings_are_not_mixed_and_all_are_kept(tmp_path: Path) -> None:
    attempt(tmp_path, 1, programme(2)).close()
    second = attempt(tmp_path, 2, programme(2, b_frames=2))
    with pytest.raises(DestinationError, match="other settings"):
        second.deliver(second.close())
    assert [piece.attempt for piece in pieces(tmp_path / "spool")] == [1, 2]
