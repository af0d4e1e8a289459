"""Captions keep step with the picture, are shown when they were said, and survive the process."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from egress.model.media import SECOND
from egress.model.outputs import CaptionsDoc
from egress.sinks.base import CAPTION, Mark
from egress.sinks.captions import CueLog
from egress.sinks.hls import HlsSink
from egress.sinks.webvtt import Cue, segment
from tests.flashes import programme
from tests.unit.test_hls import Hls

TRACKS = (CaptionsDoc(language="en", name="English"), CaptionsDoc(language="pt-BR"))


def captioned(tmp_path: Path, seconds: float, *marks: Mark, **show: int) -> Hls:
    """A presentation that takes each caption when its time comes."""
    hls = Hls(tmp_path, captions=TRACKS)
    made = programme(seconds, **show)
    waiting = sorted(marks, key=lambda mark: mark.at)
    hls.sink.open(made.streams)
    for packet in made.packets:
        while waiting and packet.stream == "video" and packet.pts * SECOND >= waiting[0].at * 30:
            hls.sink.mark(waiting.pop(0))
        hls.sink.write(packet)
    return hls


def said(at: float, text: str, lasts: float = 1.0, language: str = "") -> Mark:
    return Mark(round(at * SECOND), CAPTION, text, round(lasts * SECOND), language)


def test_captions_cover_the_programme_live_and_ended(tmp_path: Path) -> None:
    hls = captioned(tmp_path, 7.3, said(1, "Hello"), said(3.5, "across the border", 2.0), said(5, "Olá", 1, "pt-br"))
    assert hls.broken() == []
    hls.sink.close()
    assert hls.broken() == []
    assert hls.files("captions-en") >= {f"seg-{n}.vtt" for n in range(4)}
    both = [(hls.folder / "captions-en" / f"seg-{n}.vtt").read_text() for n in (1, 2)]
    assert all("00:00:03.500 --> 00:00:05.500\nacross the border\n" in text for text in both)
    assert "Olá" in (hls.folder / "captions-pt-br" / "seg-2.vtt").read_text()
    assert "-->" not in (hls.folder / "captions-en" / "seg-3.vtt").read_text()
    lines = [line for line in hls.text("index").splitlines() if "SUBTITLES" in line]
    assert 'NAME="English",LANGUAGE="en"' in lines[0] and 'NAME="pt-BR",LANGUAGE="pt-BR"' in lines[1]
    assert lines[2].endswith(',SUBTITLES="captions"')
    assert "DATERANGE" not in hls.text("video")


def test_a_caption_is_in_the_part_in_which_it_was_said(tmp_path: Path) -> None:
    hls = captioned(tmp_path, 3.0, said(2.6, "Quick"))
    parts = [f"seg-1.{n}.vtt" for n in range(2)]
    assert ["Quick" in (hls.folder / "captions-en" / part).read_text() for part in parts] == [False, True]
    assert f'URI="captions-en/{parts[1]}",INDEPENDENT=YES' in hls.text("captions-en")
    assert 'PRELOAD-HINT:TYPE=PART,URI="captions-en/seg-1.2.vtt"' in hls.text("captions-en")
    assert hls.text("captions-en").count("RENDITION-REPORT") == 3
    assert hls.text("video").count("RENDITION-REPORT") == 3


def test_a_caption_that_comes_too_late_begins_with_the_next_part(tmp_path: Path) -> None:
    hls = Hls(tmp_path, captions=TRACKS)
    show = programme(4)
    hls.feed(show)
    hls.sink.mark(said(0.5, "Late", 1.5))
    hls.sink.close()
    hls = Hls(tmp_path / "two", captions=TRACKS)
    hls.sink.open(show.streams)
    for packet in show.packets:
        if packet.stream == "video" and packet.pts == 100:
            hls.sink.mark(said(0.5, "Late", 1.5))
        hls.sink.write(packet)
    assert "00:00:03.000 --> 00:00:04.500\nLate" in (hls.folder / "captions-en" / "seg-1.vtt").read_text()


def test_captions_reach_no_further_than_the_picture_that_is_whole(tmp_path: Path) -> None:
    hls = captioned(tmp_path, 8.2, said(6.2, "Heard", 0.2), said(7.7, "Lost", 0.2))
    for path in (hls.folder / "video").glob("seg-3*"):
        if path.name != "seg-3.0.m4s":
            path.unlink()
    HlsSink.recover(hls.spool, str(hls.folder))
    text = (hls.folder / "captions-en" / "seg-3.vtt").read_text()
    assert ("Heard" in text, "Lost" in text) == (True, False)
    assert {broken.split()[0] for broken in hls.broken()} <= {"A8.2"}


def test_b_frames_move_captions_along_with_the_picture(tmp_path: Path) -> None:
    hls = captioned(tmp_path, 5.0, said(1, "Hello"), b_frames=2)
    hls.sink.close()
    assert hls.broken() == []
    assert "MPEGTS:6000," in (hls.folder / "captions-en" / "seg-0.vtt").read_text()


def test_unknown_languages_are_counted(tmp_path: Path) -> None:
    hls = captioned(tmp_path, 1.0, said(0.2, "Hej", 1, "sv"))
    assert hls.sink.status()["captions_refused"] == 1
    assert hls.sink.status()["marks_refused"] == 0


def test_captions_of_a_killed_process_are_whole(tmp_path: Path) -> None:
    hls = captioned(tmp_path, 7.3, said(1, "Hello"), said(6.4, "and bye"))
    (hls.folder / "captions-en" / "seg-0.vtt").unlink()
    HlsSink.recover(hls.spool, str(hls.folder))
    assert hls.broken() == []
    assert "Hello" in (hls.folder / "captions-en" / "seg-0.vtt").read_text()
    assert "and bye" in (hls.folder / "captions-en" / "seg-3.vtt").read_text()
    assert hls.text("captions-en").count("#EXTINF") == hls.text("video").count("#EXTINF") == 4


def test_sound_alone_has_captions_too(tmp_path: Path) -> None:
    hls = Hls(tmp_path, captions=TRACKS)
    hls.feed(programme(4.7, picture=False))
    hls.sink.mark(said(4.2, "Heard"))
    hls.sink.close()
    assert hls.broken() == []
    assert "Heard" in (hls.folder / "captions-en" / "seg-2.vtt").read_text()


def test_other_players_find_the_captions_in_time(tmp_path: Path) -> None:
    hls = captioned(tmp_path, 7.3, said(1, "Hello"), said(3.5, "across", 2.0))
    hls.sink.close()
    with av.open(str(hls.folder / "captions-en.m3u8")) as container:
        found = {(packet.pts, bytes(packet)) for packet in container.demux() if packet.size}
    assert {text for _, text in found} == {b"Hello", b"across"}


def test_words_are_text_and_never_marks_of_the_format() -> None:
    text = segment([Cue(0, SECOND, "a <b> & c\n\n\n--> d\x00")], 0, SECOND, Fraction(0)).decode()
    assert text.split("\n", 3)[3] == "00:00:00.000 --> 00:00:01.000\na &lt;b&gt; &amp; c\n--&gt; d\n\n"


def test_times_beyond_a_hundred_hours_can_be_said() -> None:
    at = 101 * 3600 * SECOND + SECOND // 2
    assert b"101:00:00.500 --> 101:00:01.500\nx" in segment([Cue(at, at + SECOND, "x")], at, at + 1, Fraction(0))


def test_a_line_cut_short_costs_one_caption(tmp_path: Path) -> None:
    log = CueLog(tmp_path / "cues")
    assert log.add("captions-en", Cue(0, 1, "one"))
    with (tmp_path / "cues").open("a") as file:
        file.write('{"track": "captions-en", "sta')
    assert CueLog(tmp_path / "cues").load() == {"captions-en": [Cue(0, 1, "one")]}


def test_captions_that_slid_out_are_deleted_with_their_parts(tmp_path: Path) -> None:
    hls = Hls(tmp_path, captions=TRACKS[:1], playlist="sliding", window=8 * SECOND)
    hls.feed(programme(44, fps=Fraction(10), keyframe=20))
    assert hls.broken() == []
    assert "seg-2.vtt" not in hls.files("captions-en") and "seg-16.vtt" in hls.files("captions-en")
    assert sum(name.count(".") == 2 for name in hls.files("captions-en")) <= 4 * 8
    hls.sink.close()
    assert hls.broken() == []
    assert sum(name.count(".") == 2 for name in hls.files("captions-en")) <= 4 * 4
    assert "#EXT-X-MEDIA-SEQUENCE:16\n" in hls.text("captions-en")


def test_a_spool_that_takes_nothing_costs_no_caption_and_no_mark(tmp_path: Path) -> None:
    hls = Hls(tmp_path, captions=TRACKS[:1])
    for name in ("marks.jsonl", "captions.jsonl"):
        (hls.spool / name).mkdir()
    hls.sink.open(programme(4).streams)
    hls.sink.mark(Mark(SECOND, "join", "Ada"))
    hls.sink.mark(said(1, "Hello"))
    for packet in programme(4).packets:
        hls.sink.write(packet)
    hls.sink.close()
    assert 'X-TEXT="Ada"' in hls.text("video")
    assert "Hello" in (hls.folder / "captions-en" / "seg-0.vtt").read_text()
