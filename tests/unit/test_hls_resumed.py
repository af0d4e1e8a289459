"""A later attempt of a job goes on in the playlists of those before it, in step and without breaking a rule."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import av
import pytest

from egress.model.errors import DestinationError
from egress.model.media import SECOND
from egress.model.outputs import CaptionsDoc
from egress.sinks.base import CAPTION, METADATA, Mark
from egress.sinks.hls import HlsSink
from egress.sinks.plainlist import PlainList
from tests.flashes import STARTED, context, feed, offsets, programme
from tests.unit.test_hls import DOC, Hls


def attempt(hls: Hls, number: int, since: float, **changes: object) -> HlsSink:
    """The sink of a later attempt, whose session began `since` seconds after the first one's."""
    told = replace(
        context(hls.spool, hls.folder, hls.told.append), attempt=number, started=STARTED + timedelta(seconds=since)
    )
    return HlsSink(DOC.model_copy(update=changes), told)


def in_sync(location: str, joins: int) -> int:
    """How many beeps are with their flash. Those at the beginning of an attempt fade in, and are not measured."""
    apart = sorted(map(abs, offsets(location)))[: -joins or None]
    assert apart[-1] < 1
    return len(apart)


SHAPES: dict[str, dict[str, object]] = {
    "separate files": {},
    "one file": {"single_file": True},
    "captions and metadata": {"captions": (CaptionsDoc(),), "id3": True},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_playlists_go_on_after_a_discontinuity_live_and_ended(tmp_path: Path, shape: str) -> None:
    hls = Hls(tmp_path, **SHAPES[shape])
    hls.sink.open(programme(6.8, b_frames=2).streams)
    hls.sink.mark(Mark(SECOND, "join", "Ada"))
    hls.sink.mark(Mark(SECOND, CAPTION, "Hello", SECOND))
    for packet in programme(6.8, b_frames=2).packets:
        hls.sink.write(packet)
    before = hls.text("video").splitlines()
    sink = attempt(hls, 2, 10.0, **SHAPES[shape])
    sink.open(programme(5.2, b_frames=2).streams)
    sink.mark(Mark(SECOND, "leave", "Ada"))
    sink.mark(Mark(SECOND, METADATA, "again"))
    sink.mark(Mark(SECOND, CAPTION, "Back", SECOND))
    for packet in programme(5.2, b_frames=2).packets:
        sink.write(packet)
    assert hls.broken() == []
    text = hls.text("video")
    assert [line for line in before if line.startswith("#EXTINF")] == re.findall("#EXTINF.*", text)[:3]
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    assert (
        '#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="video/init-2.mp4"\n#EXT-X-PROGRAM-DATE-TIME:2026-03-29T01:00:08.2'
        in text
    )
    assert re.findall('START-DATE="([^"]*)"', text)[:2] == ["2026-03-29T00:59:59.250Z", "2026-03-29T01:00:09.250Z"]
    (artifact,) = sink.close()
    assert hls.broken() == []
    assert hls.text("video").count("#EXTINF") == 7
    assert in_sync(artifact.location, joins=1) >= 9
    assert artifact.duration == pytest.approx((6.5 + 5.2) * SECOND, abs=0.6 * SECOND)
    assert hls.files("video").isdisjoint({"seg-7.m4s"})
    if shape.startswith("captions"):
        assert "00:00:01.000 --> 00:00:02.000\nHello" in (hls.folder / "captions-en" / "seg-0.vtt").read_text()
        assert "00:00:11.000 --> 00:00:12.000\nBack" in (hls.folder / "captions-en" / "seg-4.vtt").read_text()


def test_a_part_that_was_seen_in_one_rendition_alone_is_a_gap_in_the_others(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.sink.open(programme(5).streams)
    for packet in programme(5).packets:
        if packet.stream == "video" or packet.pts < 4 * 48_000 - 1024:
            hls.sink.write(packet)
    sink = attempt(hls, 2, 8.0)
    feed(sink, programme(4))
    assert hls.broken() == []
    lost = r"#EXT-X-GAP\n#EXTINF:1[0-9.]+,\naudio/seg-2.m4s\n#EXT-X-DISCONTINUITY\n"
    assert re.search(lost, _without_dates(hls.text("audio")))
    assert "#EXT-X-GAP" not in hls.text("video")
    sink.close()
    assert hls.broken() == []


def _without_dates(text: str) -> str:
    return re.sub("#EXT-X-(PROGRAM-DATE-TIME|PART):.*\n", "", text)


def test_attempts_may_follow_each_other_and_recovery_finds_all_of_them(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.feed(programme(3))
    feed(attempt(hls, 2, 5.0), programme(3))
    feed(attempt(hls, 3, 10.0), programme(3))
    (artifact,) = HlsSink.recover(hls.spool, str(hls.folder))
    assert hls.broken() == []
    text = hls.text("video")
    assert text.count("#EXT-X-DISCONTINUITY\n") == 2
    assert [f"init-{n}.mp4" in text for n in (2, 3, 4)] == [True, True, False]
    assert hls.text("iframes").count("#EXT-X-DISCONTINUITY\n") == 2
    assert artifact.duration == pytest.approx(9 * SECOND, abs=0.2 * SECOND)
    assert in_sync(artifact.location, joins=2) >= 6


def test_discontinuities_that_slide_out_are_counted_and_init_segments_stay_right(tmp_path: Path) -> None:
    hls = Hls(tmp_path, playlist="sliding", window=4 * SECOND)
    hls.feed(programme(5))
    sink = attempt(hls, 2, 8.0, playlist="sliding", window=4 * SECOND)
    feed(sink, programme(19.5))
    assert hls.broken() == []
    for name in ("video", "audio", "iframes"):
        head = hls.text(name).partition("#EXTINF")[0]
        assert "#EXT-X-DISCONTINUITY-SEQUENCE:1\n" in head, name
        assert "init-2.mp4" in head, name
    third = attempt(hls, 3, 40.0, playlist="sliding", window=4 * SECOND)
    feed(third, programme(3))
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:1\n" in hls.text("video")
    assert hls.text("video").count("#EXT-X-DISCONTINUITY\n") == 1
    assert hls.broken() == []


def test_a_clock_that_was_set_back_does_not_bend_dates(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.feed(programme(4))
    feed(attempt(hls, 2, -3600.0), programme(4))
    assert hls.broken() == []
    assert "2026-03-29T01:00:02.2" in hls.text("video").split("#EXT-X-DISCONTINUITY\n")[1]


def test_an_attempt_in_which_nothing_came_leaves_what_there_was(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.feed(programme(4))
    sink = attempt(hls, 2, 8.0)
    sink.open(programme(4).streams)
    (artifact,) = sink.close()
    assert artifact.duration == pytest.approx(4 * SECOND, abs=0.1 * SECOND)
    assert hls.broken() == []
    assert "DISCONTINUITY\n" not in hls.text("video")


def test_an_attempt_after_one_without_media_begins_anew(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.sink.open(programme(4).streams)
    sink = attempt(hls, 2, 8.0)
    feed(sink, programme(4))
    sink.close()
    assert hls.broken() == []
    assert "DISCONTINUITY\n" not in hls.text("video")


def test_another_jobs_folder_is_left_alone(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.feed(programme(4))
    (hls.folder / ".job").write_text("another")
    with pytest.raises(DestinationError, match="holds a stream already"):
        attempt(hls, 2, 8.0).open(programme(4).streams)


def test_one_file_is_cut_to_what_is_whole_and_goes_on(tmp_path: Path) -> None:
    hls = Hls(tmp_path, single_file=True)
    hls.feed(programme(5))
    media = hls.folder / "video" / "media.m4s"
    whole = media.stat().st_size
    with media.open("ab") as file:
        file.write(b"\0\0\1\0moof half of a fragment")
    sink = attempt(hls, 2, 8.0, single_file=True)
    feed(sink, programme(4))
    assert "BYTERANGE:" in hls.text("video") and f"@{whole}\n" in hls.text("video")
    assert hls.broken() == []
    sink.close()
    assert hls.broken() == []
    with av.open(str(hls.folder / "index.m3u8")) as container:
        assert sum(1 for _ in container.decode(container.streams.video[0])) == 270


def test_what_a_store_is_given_names_all_media_of_every_attempt(tmp_path: Path) -> None:
    hls = Hls(tmp_path, captions=(CaptionsDoc(),))
    hls.feed(programme(5))
    feed(attempt(hls, 2, 8.0, captions=(CaptionsDoc(),)), programme(5))
    lists = {name: PlainList.of(f"{name}.m3u8", hls.text(name)) for name in ("index", "video", "captions-en")}
    assert lists["index"].playlists == {f"{n}.m3u8" for n in ("video", "audio", "captions-en", "iframes")}
    assert {"video/init.mp4", "video/init-2.mp4", "video/seg-0.m4s", "video/seg-4.m4s"} <= lists["video"].files
    assert lists["captions-en"].files == {f"captions-en/seg-{n}.vtt" for n in range(5)}
    for found in lists.values():
        assert all((hls.folder / name).is_file() for name in found.files | found.playlists)


def test_a_caption_lasts_over_the_death_of_its_worker(tmp_path: Path) -> None:
    hls = Hls(tmp_path, captions=(CaptionsDoc(),))
    hls.sink.open(programme(4).streams)
    hls.sink.mark(Mark(3 * SECOND, CAPTION, "Long", 4 * SECOND))
    for packet in programme(4).packets:
        hls.sink.write(packet)
    feed(attempt(hls, 2, 5.0, captions=(CaptionsDoc(),)), programme(4))
    texts = [(hls.folder / "captions-en" / f"seg-{number}.vtt").read_text() for number in (1, 2, 3)]
    assert ["00:00:03.000 --> 00:00:07.000\nLong" in text for text in texts] == [True, True, False]
    assert hls.broken() == []
