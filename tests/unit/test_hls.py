"""The HLS sink keeps the rules while live and once ended, in time and on disk."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from egress.model.errors import DestinationError, Fault
from egress.model.media import SECOND, Codec, Packet
from egress.model.outputs import HlsDoc
from egress.sinks.base import SPEAKER, Mark
from egress.sinks.hls import HlsSink
from tests.flashes import Programme, context, feed, offsets, programme, served
from tests.hls_checker import check, examine
from tests.hls_reading import attributes

DOC = HlsDoc(kind="hls", to="x", segment="2s")
TAGS = ("#EXT-X-SERVER-CONTROL", "#EXT-X-PART", "#EXT-X-PRELOAD-HINT", "#EXT-X-RENDITION-REPORT")


class Hls:
    """A sink, its folder, and what it announced."""

    def __init__(self, tmp_path: Path, **changes: object) -> None:
        self.folder, self.spool = tmp_path / "hls", tmp_path / "spool"
        self.told: list[dict[str, Any]] = []
        self.sink = HlsSink(DOC.model_copy(update=changes), context(self.spool, self.folder, self.told.append))

    def feed(self, show: Programme) -> None:
        feed(self.sink, show)

    def broken(self) -> list[str]:
        with served(self.folder) as address:
            return [str(v) for v in check(f"{address}/index.m3u8") if not v.should]

    def text(self, name: str) -> str:
        return (self.folder / f"{name}.m3u8").read_text()

    def files(self, folder: str) -> set[str]:
        return {path.name for path in (self.folder / folder).iterdir()}


SHOWS: dict[str, dict[str, Any]] = {
    "aac": {},
    "b-frames": {"b_frames": 2},
    "29.97": {"fps": Fraction(30000, 1001)},
    "25 fps": {"fps": Fraction(25), "keyframe": 50},
}


@pytest.mark.parametrize("show", SHOWS)
def test_live_and_ended_playlists_break_no_rule_and_play_in_sync(tmp_path: Path, show: str) -> None:
    hls = Hls(tmp_path)
    hls.feed(programme(8.7, **SHOWS[show]))
    assert hls.broken() == []
    (artifact,) = hls.sink.close()
    assert hls.broken() == []
    apart = offsets(artifact.location)
    assert len(apart) >= 7
    # At 29.97 a flash is on the picture grid and a beep is not; they drift apart in the source by 1 ms a second.
    assert max(map(abs, apart)) < (1 if show != "29.97" else 10)
    assert artifact.duration == pytest.approx(8.7 * SECOND, abs=0.05 * SECOND)


def test_sound_alone_is_a_presentation(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.feed(programme(8.7, picture=False))
    assert hls.broken() == []
    hls.sink.close()
    assert hls.broken() == []
    assert hls.text("index").splitlines()[-1] == "audio.m3u8"
    with av.open(str(hls.folder / "index.m3u8")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == pytest.approx(8.7 * 48000, abs=2048)


def test_opus_is_in_sync_too(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.feed(programme(8.7, sound=Codec.OPUS))
    (artifact,) = hls.sink.close()
    assert {text.split()[0] for text in hls.broken()} == {"A2.3"}
    assert max(map(abs, offsets(artifact.location))) < 1


def test_every_part_is_announced_once_its_playlist_is_on_disk(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    seen: list[bool] = []

    def told(event: dict[str, Any]) -> None:
        hls.told.append(event)
        name = f"{event['rendition']}/seg-{event['msn']}.{event['part']}.m4s"
        if event["rendition"] != "iframes" and not event["ended"]:
            seen.append(
                name in (hls.folder / f"{event['rendition']}.m3u8").read_text() and (hls.folder / name).exists()
            )

    sink = HlsSink(DOC, context(hls.spool, hls.folder, told))
    feed(sink, programme(6))
    sink.close()
    assert seen and all(seen)
    parts = [(e["msn"], e["part"]) for e in hls.told if e["rendition"] == "video" and not e["ended"]]
    assert parts == [(msn, part) for msn in range(3) for part in range(4)]
    sound = [(e["msn"], e["part"]) for e in hls.told if e["rendition"] == "audio" and not e["ended"]]
    assert sound == parts
    assert {e["rendition"] for e in hls.told if e["ended"]} == {"video", "audio"}
    assert {(e["type"], e["folder"]) for e in hls.told} == {("hls", str(hls.folder))}


def test_a_hinted_part_is_the_next_one_to_be_written(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    show = programme(6)
    hls.sink.open(show.streams)
    hint = ""
    for packet in show.packets:
        hls.sink.write(packet)
        if not (hls.folder / "video.m3u8").exists():
            continue
        line = next(line for line in hls.text("video").splitlines() if "PRELOAD-HINT" in line)
        if line != hint:
            assert not hint or (hls.folder / hint.partition('URI="')[2].rstrip('"')).exists()
            hint = line
    assert hint == '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="video/seg-3.0.m4s"'


def test_an_event_becomes_vod_unless_told_otherwise(tmp_path: Path) -> None:
    for vod, kind in ((True, "VOD"), (False, "EVENT")):
        hls = Hls(tmp_path / kind, vod=vod)
        hls.feed(programme(6))
        assert "#EXT-X-PLAYLIST-TYPE:EVENT\n" in hls.text("video")
        hls.sink.close()
        for name in ("video", "audio", "iframes"):
            text = hls.text(name)
            assert f"#EXT-X-PLAYLIST-TYPE:{kind}\n" in text
            assert text.endswith("#EXT-X-ENDLIST\n")
            assert not any(tag in text for tag in TAGS)


def test_a_sliding_window_forgets_segments_and_later_deletes_them(tmp_path: Path) -> None:
    hls = Hls(tmp_path, playlist="sliding", window=8 * SECOND)
    hls.feed(programme(44, fps=Fraction(10), keyframe=20))
    text = hls.text("video")
    assert "#EXT-X-PLAYLIST-TYPE" not in text
    listed = [line for line in text.splitlines() if not line.startswith("#")]
    assert listed[-6:] == [f"video/seg-{n}.m4s" for n in range(16, 22)]
    assert len(listed) in (6, 7)
    assert hls.broken() == []
    kept = {name for name in hls.files("video") if name.count(".") == 1 and name != "init.mp4"}
    assert {f"seg-{n}.m4s" for n in range(14, 22)} <= kept
    assert "seg-2.m4s" not in kept
    parts = {name for name in hls.files("video") if name.count(".") == 2}
    assert {f"seg-{n}.0.m4s" for n in range(18, 22)} <= parts
    assert len(parts) <= 4 * 8
    hls.sink.close()
    assert "#EXT-X-MEDIA-SEQUENCE:16\n" in hls.text("video")
    assert hls.broken() == []
    assert "seg-12.m4s" not in hls.files("video")


def test_marks_become_the_same_date_ranges_everywhere(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    show = programme(6)
    hls.sink.open(show.streams)
    hls.sink.mark(Mark(SECOND, "join", 'Ada "the first"\r\n#EXT-X-ENDLIST'))
    for packet in show.packets:
        hls.sink.write(packet)
    hls.sink.close()
    for name in ("video", "audio", "iframes"):
        (line,) = [line for line in hls.text(name).splitlines() if "DATERANGE" in line]
        assert 'START-DATE="2026-03-29T00:59:59.250Z"' in line
        assert "X-TEXT=\"Ada 'the first' #EXT-X-ENDLIST\"" in line


def test_who_speaks_is_a_date_range_until_the_next_one_does(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    show = programme(6)
    hls.sink.open(show.streams)
    for at, name in ((SECOND, "Ada"), (2 * SECOND, "Grace"), (3 * SECOND, "")):
        hls.sink.mark(Mark(at, SPEAKER, name))
    for packet in show.packets:
        hls.sink.write(packet)
    hls.sink.close()
    told = [attributes(line) for line in hls.text("video").splitlines() if "DATERANGE" in line]
    assert [one["X-TEXT"] for one in told] == ["Ada", "Grace", ""]
    lasts = {(one["CLASS"], one["END-ON-NEXT"], one.get("DURATION")) for one in told}
    assert lasts == {("egress.speaker", "YES", None)}
    assert told[0]["START-DATE"] == "2026-03-29T00:59:59.250Z"
    assert hls.broken() == []


def test_lost_packets_are_counted_and_lost_segments_are_gaps(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    show = programme(8.7)
    hls.sink.open(show.streams)
    for packet in show.packets:
        if packet.stream == "audio" or not (packet.pts == 40 or 110 <= packet.pts < 240):
            hls.sink.write(packet)
    hls.sink.close()
    assert hls.text("video").count("#EXT-X-GAP\n") == 2
    assert hls.sink.status()["gaps"] == 2
    with served(hls.folder) as address:
        broken = {violation.rule for violation in check(f"{address}/index.m3u8") if not violation.should}
    assert broken <= {"A7.3", "A8.1", "B6.2.1d", "A8.2"}


def test_time_that_goes_back_is_a_fault(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    show = programme(2)
    hls.feed(show)
    with pytest.raises(Fault, match="video goes back"):
        hls.sink.write(next(packet for packet in show.packets if packet.stream == "video"))


def test_keyframes_that_miss_the_segments_are_said_to(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="make `segment` a multiple of `keyframe`"):
        Hls(tmp_path).feed(programme(6, keyframe=90))


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.feed(programme(2))
    hls.sink.close()
    before = hls.text("index")
    with pytest.raises(DestinationError, match="holds a stream already"):
        Hls(tmp_path).feed(programme(2))
    assert hls.text("index") == before


def test_a_target_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "hls").write_bytes(b"a file")
    with pytest.raises(DestinationError, match=r"/hls cannot be made"):
        Hls(tmp_path).feed(programme(2))


def test_without_any_media_nothing_is_left(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.sink.open(programme(2).streams)
    assert hls.sink.close() == ()
    assert list(hls.folder.iterdir()) == []


def test_sound_that_comes_long_before_the_picture_is_kept(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    show = programme(6)
    hls.sink.open(show.streams)
    order = [*(p for p in show.packets if p.stream == "audio"), *(p for p in show.packets if p.stream == "video")]
    for packet in order:
        hls.sink.write(packet)
    (artifact,) = hls.sink.close()
    assert hls.broken() == []
    assert max(map(abs, offsets(artifact.location))) < 1


def test_sound_without_a_picture_does_not_fill_memory(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.sink.open(programme(2).streams)
    with pytest.raises(DestinationError, match="no picture"):
        for number in range(5000):
            hls.sink.write(Packet("audio", b"x", number * 1024, number * 1024, 1024, True))


def test_a_killed_presentation_is_ended_with_what_is_whole_on_disk(tmp_path: Path) -> None:
    _killed(tmp_path, "os.kill(os.getpid(), 9)")
    hls = Hls(tmp_path)
    assert "#EXT-X-ENDLIST" not in hls.text("video")
    (hls.folder / "video" / "seg-9.m4s.tmp").write_bytes(b"half")
    (hls.folder / "video" / "seg-3.3.m4s").write_bytes(b"cut short")
    (artifact,) = HlsSink.recover(hls.spool, str(hls.folder))
    assert hls.broken() == []
    assert "#EXT-X-PLAYLIST-TYPE:VOD\n" in hls.text("video")
    assert 'X-TEXT="Ada"' in hls.text("video")
    assert hls.text("video").count("#EXTINF") == 4
    assert 7.4 * SECOND <= artifact.duration <= 8 * SECOND
    assert max(map(abs, offsets(artifact.location))) < 1
    assert not [name for name in hls.files("video") if name.endswith(".tmp")]
    again = HlsSink.recover(hls.spool, str(hls.folder))
    assert again == (artifact,)


def test_an_end_of_the_programme_is_no_date_range(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.sink.open(programme(4).streams)
    hls.sink.mark(Mark(SECOND, "join", "Ada"))
    hls.sink.mark(Mark(2 * SECOND, "end", ""))
    for packet in programme(4).packets:
        hls.sink.write(packet)
    hls.sink.close()
    assert hls.text("video").count("#EXT-X-DATERANGE") == 1
    assert hls.text("video").count("#EXTINF") == 2


def test_there_is_nothing_to_recover_where_nothing_was_begun(tmp_path: Path) -> None:
    tmp_path.joinpath("spool").mkdir()
    assert HlsSink.recover(tmp_path / "spool", str(tmp_path / "hls")) == ()


def test_a_full_disk_is_named_and_what_was_written_is_ended(tmp_path: Path) -> None:
    limited = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limited += f"resource.setrlimit(resource.RLIMIT_FSIZE, (1500, {resource.RLIM_INFINITY}))"
    told = _killed(tmp_path, "print(json.dumps([str(failed), len(sink.abort())]))", before=limited)
    error, kept = json.loads(told)
    assert "cannot be written: File too large" in error
    assert str(tmp_path / "hls") in error
    assert kept == 1
    hls = Hls(tmp_path)
    assert hls.text("video").endswith("#EXT-X-ENDLIST\n")
    assert not [name for name in hls.files("video") if name.endswith(".tmp")]


def test_the_checker_tried_most_of_its_rules(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.feed(programme(8.7))
    with served(hls.folder) as address:
        tried = examine(f"{address}/index.m3u8").tried
        hls.sink.close()
        tried |= examine(f"{address}/index.m3u8").tried
    assert len(tried) >= 58


def _killed(tmp_path: Path, end: str, before: str = "pass") -> str:
    """Package 8 s in a process of its own, and end it in a way no process should."""
    code = f"""
import json, os, sys
from pathlib import Path
from tests.flashes import context, programme
from tests.unit.test_hls import DOC, HlsSink, Mark, SECOND
from egress.model.errors import DestinationError
root = Path({str(tmp_path)!r})
show = programme(8)
{before}
sink = HlsSink(DOC, context(root / "spool", root / "hls"))
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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, -9), done.stderr
    return done.stdout


def test_a_refused_folder_keeps_the_stream_that_was_in_it(tmp_path: Path) -> None:
    there = tmp_path / "live"
    (there / "video").mkdir(parents=True)
    (there / "index.m3u8").write_text("#EXTM3U\n")
    (there / "video" / "seg-0.m4s").write_bytes(b"recording")
    sink = HlsSink(DOC, context(tmp_path / "spool", there, lambda event: None))
    with pytest.raises(DestinationError, match="holds a stream already"):
        sink.open(())
    assert sink.abort() == ()
    assert (there / "video" / "seg-0.m4s").read_bytes() == b"recording"
    assert (there / "index.m3u8").is_file()
