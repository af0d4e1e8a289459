"""One track is cut exactly: at the packet nearest to the grid, into files that hold each other's bytes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from egress.model.media import MILLISECOND, SECOND, Codec, Packet
from egress.model.outputs import HlsDoc
from egress.sinks.presentation import Presentation
from egress.sinks.rendition import Rendition
from tests.flashes import STARTED, programme


def _renditions(to: Path, sound: Codec = Codec.AAC, fps: Fraction = Fraction(30)) -> dict[str, Rendition]:
    doc = HlsDoc(kind="hls", to="x", part="500ms", segment="2s")
    plan = Presentation.of(doc, to, STARTED, programme(2, sound=sound, fps=fps).streams)
    made = {info.kind: Rendition(plan, info) for info in plan.streams}
    for name, rendition in made.items():
        (to / name).mkdir(parents=True)
        rendition.begin(plan)
    return made


def _sound(count: int, length: int = 1024, first: int = 0) -> list[Packet]:
    return [Packet("audio", b"x", first + n * length, first + n * length, length, True) for n in range(count)]


def test_parts_of_sound_end_at_the_packet_nearest_to_the_grid(tmp_path: Path) -> None:
    rendition = _renditions(tmp_path)["audio"]
    for packet in _sound(400):
        rendition.add(packet)
    for segment in list(rendition.listing.segments)[:3]:
        at = segment.start
        for number, part in enumerate(segment.parts):
            grid = round(segment.start / (2 * SECOND)) * 2 * SECOND + number * SECOND // 2
            assert abs(at - grid) <= 1024 * SECOND / 48000 / 2 + 1
            assert part.independent
            at += part.duration
        assert at == segment.end


def test_opus_parts_keep_the_phase_their_priming_gives_them(tmp_path: Path) -> None:
    rendition = _renditions(tmp_path, Codec.OPUS)["audio"]
    for packet in _sound(400, 960, -312):
        rendition.add(packet)
    parts = [part.duration for segment in rendition.listing.segments for part in segment.parts]
    assert rendition.listing.segments[0].start == 13_500_000
    assert set(parts[1:]) == {500 * MILLISECOND}


def test_priming_is_left_out(tmp_path: Path) -> None:
    rendition = _renditions(tmp_path)["audio"]
    assert not any(rendition.add(packet) for packet in _sound(3, first=-1024))
    rendition.finish()
    assert rendition.listing.segments[0].start == 0
    assert rendition.end == round(2048 * SECOND / 48000)


def test_a_segment_holds_the_bytes_of_its_parts(tmp_path: Path) -> None:
    rendition = _renditions(tmp_path)["video"]
    for packet in programme(2).packets:
        if packet.stream == "video":
            rendition.add(packet)
    (segment,) = rendition.listing.segments
    parts = b"".join((tmp_path / part.uri).read_bytes() for part in segment.parts)
    assert (tmp_path / segment.uri).read_bytes() == parts
    assert [part.independent for part in segment.parts] == [True, False, False, False]
    assert segment.size == len(parts) == rendition.bytes


def test_the_last_segment_is_as_long_as_what_came(tmp_path: Path) -> None:
    rendition = _renditions(tmp_path)["video"]
    for packet in programme(2.7).packets:
        if packet.stream == "video":
            rendition.add(packet)
    assert rendition.pending == 200 * MILLISECOND
    assert rendition.finish()
    assert not rendition.finish()
    assert [segment.duration for segment in rendition.listing.segments] == [2 * SECOND, 700 * MILLISECOND]
    assert rendition.last == (1, 1)


def test_a_picture_waits_for_its_first_keyframe(tmp_path: Path) -> None:
    rendition = _renditions(tmp_path)["video"]
    packets = [packet for packet in programme(4).packets if packet.stream == "video"]
    assert not any(rendition.add(packet) for packet in packets[3:60])
    rendition.add(packets[60])
    rendition.finish()
    assert [(s.start, s.gap) for s in rendition.listing.segments] == [(0, True), (2 * SECOND, False)]
    assert rendition.gaps == 0


def test_pictures_after_a_loss_wait_for_a_keyframe(tmp_path: Path) -> None:
    rendition = _renditions(tmp_path)["video"]
    for packet in programme(4).packets:
        if packet.stream == "video" and packet.pts != 40:
            rendition.add(packet)
    assert [len(segment.parts) for segment in rendition.listing.segments] == [3, 4]
    assert [segment.duration for segment in rendition.listing.segments] == [2 * SECOND, 2 * SECOND]
    assert rendition.gaps == 1


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)])
def test_pictures_are_cut_by_count(tmp_path: Path, fps: Fraction) -> None:
    rendition = _renditions(tmp_path, fps=fps)["video"]
    per_part, per_segment = round(fps / 2), round(fps * 2)
    for n in range(3 * per_segment):
        rendition.add(Packet("video", b"\0\0\0\1\x65x", n, n, 1, n % per_segment == 0))
    for number, segment in enumerate(rendition.listing.segments):
        assert segment.start == round(number * per_segment / fps * SECOND)
        assert len(segment.parts) == -(-per_segment // per_part)
