"""What is handed to players' pages arrives as it was said, in playlists and, where asked for, in the media."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import pytest

from egress.model.media import SECOND
from egress.sinks.base import METADATA, Mark
from egress.sinks.emsg import event_box
from egress.sinks.hls import HlsSink
from tests.flashes import offsets, programme
from tests.hls_reading import attributes, read_events, read_text_tag
from tests.unit.test_hls import Hls

PAYLOAD = json.dumps({"poll": 'Which "one", 100%?', "of": ["Ü", "\n", "#EXT-X-ENDLIST"]})


def annotated(tmp_path: Path, **changes: object) -> Hls:
    hls = Hls(tmp_path, id3=True, **changes)
    show = programme(6)
    hls.sink.open(show.streams)
    for packet in show.packets:
        if packet.stream == "video" and packet.pts == 75:
            hls.sink.mark(Mark(round(2.6 * SECOND), METADATA, PAYLOAD, 10 * SECOND))
            hls.sink.mark(Mark(SECOND, METADATA, "late"))
        hls.sink.write(packet)
    return hls


@pytest.mark.parametrize("single", [False, True])
def test_timed_metadata_arrive_whole_by_both_ways(tmp_path: Path, single: bool) -> None:
    hls = annotated(tmp_path, single_file=single)
    assert hls.broken() == []
    (artifact,) = hls.sink.close()
    assert hls.broken() == []
    assert max(map(abs, offsets(artifact.location))) < 1
    (line, late) = [line for line in hls.text("audio").splitlines() if "DATERANGE" in line]
    told = attributes(line)
    assert (told["CLASS"], told["DURATION"]) == ("egress.metadata", "10.000")
    assert told["START-DATE"] == "2026-03-29T01:00:00.850Z"
    assert unquote(told["X-PAYLOAD"]) == PAYLOAD
    assert 'X-PAYLOAD="late"' in late
    data = (hls.folder / "video" / ("media.m4s" if single else "seg-1.m4s")).read_bytes()
    events = [(round(event.at, 3), event.duration, read_text_tag(event.message)) for event in read_events(data)]
    # One that comes after its part is in the next, and true to where that begins.
    assert events == [(2.6, 10, PAYLOAD), (2.5, 0, "late")]


def test_a_channel_that_goes_on_for_ever_may_go_on_saying_things(tmp_path: Path) -> None:
    hls = Hls(tmp_path, playlist="sliding", window=4 * SECOND)
    show = programme(24)
    hls.sink.open(show.streams)
    hls.sink.mark(Mark(2 * SECOND, METADATA, "long", 6 * SECOND))
    for packet in show.packets:
        if packet.stream == "video":
            hls.sink.mark(Mark(packet.pts * SECOND // 30, METADATA, str(packet.pts)))
        hls.sink.write(packet)
        if packet.stream == "video" and packet.pts == 560:
            assert 'X-PAYLOAD="long"' in hls.text("audio"), "it holds"
    assert hls.broken() == []
    told = [attributes(line) for line in hls.text("video").splitlines() if "DATERANGE" in line]
    assert "long" not in {one["X-PAYLOAD"] for one in told}
    # The first one has number 0, and so picture 0 has number 1.
    assert all(one["ID"] == f"metadata-{int(one['X-PAYLOAD']) + 1}" for one in told)
    assert 12 * 30 <= len(told) <= 17 * 30
    before = hls.text("video")
    HlsSink.recover(hls.spool, str(hls.folder))
    ended = [attributes(line)["ID"] for line in hls.text("video").splitlines() if "DATERANGE" in line]
    assert ended[: len(told)] == [one["ID"] for one in told], before
    assert hls.broken() == []


def test_without_id3_media_carry_none(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    show = programme(2)
    hls.sink.open(show.streams)
    hls.sink.mark(Mark(0, METADATA, PAYLOAD))
    for packet in show.packets:
        hls.sink.write(packet)
    hls.sink.close()
    assert b"emsg" not in (hls.folder / "video" / "seg-0.m4s").read_bytes()
    assert hls.text("video").count("X-PAYLOAD") == 1


def test_sound_alone_carries_them(tmp_path: Path) -> None:
    hls = Hls(tmp_path, id3=True)
    hls.sink.open(programme(4, picture=False).streams)
    hls.sink.mark(Mark(SECOND, METADATA, "x"))
    for packet in programme(4, picture=False).packets:
        hls.sink.write(packet)
    hls.sink.close()
    assert hls.broken() == []
    assert b"emsg" in (hls.folder / "audio" / "seg-0.m4s").read_bytes()


def test_recovery_keeps_them(tmp_path: Path) -> None:
    hls = annotated(tmp_path)
    HlsSink.recover(hls.spool, str(hls.folder))
    assert hls.broken() == []
    assert hls.text("iframes").count("X-PAYLOAD") == 2


def test_sizes_of_a_long_text_are_syncsafe() -> None:
    box = event_box(1, 90_000, 0, 0, "x" * 4000)
    assert len(box) == int.from_bytes(box[:4], "big")
    (event,) = read_events(box)
    assert read_text_tag(event.message) == "x" * 4000
