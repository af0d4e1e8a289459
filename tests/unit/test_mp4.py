"""The MP4 is exact, tagged, safe against crashes and full disks, and becomes an ordinary file."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from egress.model.errors import DestinationError
from egress.model.media import SECOND, Codec
from egress.model.outputs import Mp4Doc
from egress.sinks.base import CAPTION, METADATA, Mark
from egress.sinks.marks import LIMIT
from egress.sinks.mp4 import Mp4Sink
from tests.flashes import context, feed, offsets, programme

DOC = Mp4Doc(kind="mp4", to="x.mp4")


def _sink(tmp_path: Path, **changes: object) -> Mp4Sink:
    return Mp4Sink(DOC.model_copy(update=changes), context(tmp_path / "spool", tmp_path / "out.mp4"))


def _boxes(path: Path) -> list[str]:
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big") or len(data) - at
        size = int.from_bytes(data[at + 8 : at + 16], "big") if size == 1 else size
        found.append(data[at + 4 : at + 8].decode("latin-1"))
        at += size
    return found


@pytest.mark.parametrize(
    "kind",
    [{}, {"b_frames": 2}, {"sound": Codec.OPUS}, {"fps": Fraction(30000, 1001)}],
    ids=["aac", "b-frames", "opus", "29.97"],
)
def test_beeps_play_with_their_flashes_and_pictures_are_evenly_spaced(tmp_path: Path, kind: dict[str, Any]) -> None:
    show = programme(4, **kind)
    sink = _sink(tmp_path)
    feed(sink, show)
    (artifact,) = sink.deliver(sink.close())
    assert artifact.location == str(tmp_path / "out.mp4")
    apart = offsets(artifact.location)
    assert len(apart) == 3
    base = show.streams[0].time_base
    # A flash stands on the picture grid, a beep does not: at 29.97 they are up to a frame apart in the source itself.
    limit = 1.0 if base.numerator == 1 else 5.0
    assert max(map(abs, apart)) < limit
    with av.open(artifact.location) as container:
        video = container.streams.video[0]
        times = sorted(p.pts * p.time_base for p in container.demux(video) if p.pts is not None)
        assert times[0] == 0
        assert {two - one for one, two in pairwise(times)} == {base}
        assert container.start_time == 0
        assert container.duration is not None
        assert abs(container.duration / 1e6 - float(len(times) * base)) <= float(base)
    assert abs(artifact.duration - len(times) * base * SECOND) <= base * SECOND


def test_the_closed_file_is_ordinary_and_the_spool_copy_is_gone(tmp_path: Path) -> None:
    sink = _sink(tmp_path)
    feed(sink, programme(4))
    (artifact,) = sink.deliver(sink.close())
    path = Path(artifact.location)
    assert _boxes(path) == ["ftyp", "free", "mdat", "moov"]
    assert artifact.size == path.stat().st_size
    assert not (tmp_path / "spool" / "recording.mp4").exists()


def test_title_room_start_and_chapters_stand_in_the_file(tmp_path: Path) -> None:
    sink = _sink(tmp_path)
    sink.open(programme(15, sound=Codec.AAC, picture=False).streams)
    sink.mark(Mark(SECOND // 2, "join", "Ada"))
    for packet in programme(15, sound=Codec.AAC, picture=False).packets:
        sink.write(packet)
    sink.mark(Mark(12 * SECOND, "leave", "Ada"))
    (artifact,) = sink.deliver(sink.close())
    with av.open(artifact.location) as container:
        tags = container.metadata
        chapters = [(c["start"] * c["time_base"], c["metadata"]["title"]) for c in container.chapters()]
    assert tags["title"] == "Stand-up"
    assert tags["album"] == "local:standup"
    assert "local:standup" in tags["comment"]
    assert tags["creation_time"].startswith("2026-03-29T00:59:58")
    assert tags["encoder"].startswith("Egress ")
    assert chapters == [(0, "Ada joined"), (12, "Ada left")]
    assert artifact.details["chapters"] == [{"at": 0.0, "title": "Ada joined"}, {"at": 12.0, "title": "Ada left"}]


def test_what_is_said_to_viewers_takes_no_room_of_chapters(tmp_path: Path) -> None:
    sink = _sink(tmp_path)
    sink.open(programme(4).streams)
    for number in range(LIMIT):
        sink.mark(Mark(number, CAPTION, "Hello", SECOND))
        sink.mark(Mark(number, METADATA, "{}"))
    sink.mark(Mark(SECOND, "join", "Ada"))
    assert sink.status()["marks"] == 1
    sink.close()


def test_a_recording_of_sound_alone_starts_at_zero(tmp_path: Path) -> None:
    sink = _sink(tmp_path)
    feed(sink, programme(4, picture=False))
    (artifact,) = sink.deliver(sink.close())
    with av.open(artifact.location) as container:
        assert [stream.type for stream in container.streams] == ["audio"]
        assert container.start_time == 0
        assert sum(frame.samples for frame in container.decode(audio=0)) == pytest.approx(4 * 48000, abs=1024)


def test_an_existing_file_is_not_written_over_unless_asked(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"precious")
    sink = _sink(tmp_path)
    with pytest.raises(DestinationError, match="exists already"):
        sink.open(programme(2).streams)
    assert target.read_bytes() == b"precious"


def test_a_spool_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    sink = _sink(tmp_path)
    (tmp_path / "spool" / "recording.mp4").mkdir()
    with pytest.raises(DestinationError, match=r"recording\.mp4 cannot be written"):
        feed(sink, programme(2))


def test_given_up_it_leaves_a_playable_file_in_the_spool(tmp_path: Path) -> None:
    sink = _sink(tmp_path)
    feed(sink, programme(4))
    (artifact,) = sink.abort()
    assert artifact.details == {"final": False}
    assert Path(artifact.location).parent == tmp_path / "spool"
    assert len(offsets(artifact.location)) == 3
    (recovered,) = Mp4Sink.recover(tmp_path / "spool", str(tmp_path / "out.mp4"))
    assert len(offsets(recovered.location)) == 3


def test_given_up_before_anything_came_it_leaves_nothing(tmp_path: Path) -> None:
    assert _sink(tmp_path).abort() == ()


def test_a_killed_recording_plays_and_is_recovered_as_an_ordinary_file(tmp_path: Path) -> None:
    _killed(tmp_path, "os.kill(os.getpid(), 9)")
    spool = tmp_path / "spool"
    cut = offsets(spool / "recording.mp4")
    assert len(cut) == 6
    assert max(map(abs, cut)) < 1
    (artifact,) = Mp4Sink.recover(spool, str(tmp_path / "out.mp4"))
    path = Path(artifact.location)
    kinds = _boxes(path)
    assert "moof" not in kinds
    assert kinds.index("moov") < kinds.index("mdat")
    assert 7 * SECOND <= artifact.duration <= 8 * SECOND
    apart = offsets(path)
    assert len(apart) == 6
    assert max(map(abs, apart)) < 1
    with av.open(str(path)) as container:
        assert container.metadata["title"] == "Stand-up"
        assert container.metadata["creation_time"].startswith("2026-03-29T00:59:58")
        assert [c["metadata"]["title"] for c in container.chapters()] == ["Ada joined"]
        assert container.start_time == 0
    left = ["delivered.jsonl", "delivery.json", "marks.jsonl", "recording.json"]
    assert sorted(p.name for p in spool.iterdir()) == left
    (again,) = Mp4Sink.recover(spool, str(path))
    assert (again.location, again.size, again.duration) == (artifact.location, artifact.size, artifact.duration)


def test_a_closed_recording_is_delivered_again_after_its_target_refused_it(tmp_path: Path) -> None:
    blocked = tmp_path / "folder"
    sink = Mp4Sink(DOC, context(tmp_path / "spool", blocked / "out.mp4"))
    feed(sink, programme(4))
    blocked.write_bytes(b"in the way")
    made = sink.close()
    with pytest.raises(DestinationError, match="cannot be written"):
        sink.deliver(made)
    blocked.unlink()
    for _ in range(2):
        (artifact,) = Mp4Sink.recover(tmp_path / "spool", str(blocked / "out.mp4"))
        assert artifact.duration == pytest.approx(4 * SECOND, abs=SECOND / 30)
        assert artifact.details == {}
        assert len(offsets(artifact.location)) == 3


def test_a_damaged_recording_is_kept_and_told_of(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "recording.mp4").write_bytes(b"\0" * 100_000)
    with pytest.raises(DestinationError, match="damaged"):
        Mp4Sink.recover(spool, str(tmp_path / "out.mp4"))
    assert (spool / "recording.mp4").stat().st_size == 100_000


def test_a_file_with_nothing_playable_is_not_delivered(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    assert Mp4Sink.recover(spool, str(tmp_path / "out.mp4")) == ()
    (spool / "recording.mp4").write_bytes(b"\0\0\0\x1cftypisom")
    assert Mp4Sink.recover(spool, str(tmp_path / "out.mp4")) == ()
    assert not (tmp_path / "out.mp4").exists()


def test_a_full_disk_is_named_and_what_was_written_plays(tmp_path: Path) -> None:
    limited = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limited += f"resource.setrlimit(resource.RLIMIT_FSIZE, (12000, {resource.RLIM_INFINITY}))"
    told = _killed(tmp_path, "print(json.dumps([str(failed), len(sink.abort())]))", before=limited)
    error, kept = json.loads(told)
    assert "recording.mp4 cannot be written" in error
    assert kept == 1
    (artifact,) = Mp4Sink.recover(tmp_path / "spool", str(tmp_path / "out.mp4"))
    assert len(offsets(artifact.location)) >= 2


@pytest.mark.parametrize("kind", [{}, {"b_frames": 2}, {"picture": False}], ids=["plain", "b-frames", "sound alone"])
def test_a_blank_tail_is_cut_at_the_next_keyframe(tmp_path: Path, kind: dict[str, Any]) -> None:
    sink = _sink(tmp_path)
    sink.open(programme(15, **kind).streams)
    sink.mark(Mark(SECOND, "join", "Ada"))
    sink.mark(Mark(12 * SECOND, "leave", "Ada"))
    for packet in programme(15, **kind).packets:
        sink.write(packet)
    sink.mark(Mark(12 * SECOND + SECOND // 2, "end", ""))
    (kept,) = sink.close()
    assert kept.duration > 14.9 * SECOND, "closing does not wait for the cut"
    (artifact,) = sink.deliver((kept,))
    until = 12.5 if "picture" in kind else 14.0
    assert artifact.duration / SECOND == pytest.approx(until, abs=0.03)
    assert artifact.details["chapters"] == [{"at": 0.0, "title": "Ada joined"}, {"at": 12.0, "title": "Ada left"}]
    with av.open(artifact.location) as container:
        assert container.metadata["title"] == "Stand-up"
        assert container.metadata["comment"].endswith("job job1")
        assert len(container.chapters()) == len(artifact.details["chapters"])
        assert container.start_time == 0
        assert container.duration is not None and container.duration / 1e6 == pytest.approx(until, abs=0.05)
        if "picture" not in kind:
            assert sum(1 for _ in container.decode(video=0)) == 14 * 30
    if "picture" not in kind:
        assert max(map(abs, offsets(artifact.location))) < 1
    assert _boxes(Path(artifact.location)) == ["ftyp", "free", "mdat", "moov"]
    assert not list((tmp_path / "spool").glob("*.mp4"))


def test_a_recording_that_died_before_its_cut_is_cut_by_recovery(tmp_path: Path) -> None:
    for closed in (True, False):
        root = tmp_path / str(closed)
        sink = _sink(root)
        feed(sink, programme(8))
        sink.mark(Mark(3 * SECOND, "end", ""))
        if closed:
            sink.close()
            (root / "spool" / "cut.mp4").write_bytes(b"half a cut")
        else:
            sink.abort()
            (root / "spool" / "recording.json").write_text(
                json.dumps({**json.loads((root / "spool" / "recording.json").read_text()), "length": 0})
            )
        (artifact,) = Mp4Sink.recover(root / "spool", str(root / "out.mp4"))
        assert artifact.duration / SECOND == pytest.approx(4, abs=0.03)


def test_without_room_for_the_cut_the_whole_recording_is_delivered(tmp_path: Path) -> None:
    sink = _sink(tmp_path)
    feed(sink, programme(8))
    sink.mark(Mark(3 * SECOND, "end", ""))
    (tmp_path / "spool" / "cut.mp4").symlink_to("/dev/full")
    (artifact,) = sink.deliver(sink.close())
    assert artifact.duration / SECOND == pytest.approx(8, abs=0.03)
    assert len(offsets(artifact.location)) == 7


def test_a_file_that_came_while_recording_stays_and_this_one_goes_beside_it(tmp_path: Path) -> None:
    sink = _sink(tmp_path)
    feed(sink, programme(2))
    (tmp_path / "out.mp4").write_bytes(b"another's")
    (artifact,) = sink.deliver(sink.close())
    assert artifact.location == str(tmp_path / "out-job1.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == b"another's"


def _killed(tmp_path: Path, end: str, before: str = "pass") -> str:
    """Record 8 s in a process of its own, and end it in a way no process should."""
    code = f"""
import json, os, sys
from pathlib import Path
from typing import Any
from tests.flashes import context, programme
from tests.unit.test_mp4 import DOC, Mp4Sink, Mark, SECOND
from egress.model.errors import DestinationError
root = Path({str(tmp_path)!r})
show = programme(8)
{before}
sink = Mp4Sink(DOC, context(root / "spool", root / "out.mp4"))
sink.open(show.streams)
sink.mark(Mark(SECOND, "join", "Ada"))
failed = None
try:
    for packet in show.packets:
        sink.write(packet)
except DestinationError as error:
    failed = error
{end}
"""
    run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run
    done = run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, -9), done.stderr
    return done.stdout
