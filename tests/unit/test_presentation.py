"""A presentation's arithmetic holds the rules for every usual rate, and survives being written down."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from egress.model.errors import DestinationError, Fault
from egress.model.media import MILLISECOND, SECOND, Codec
from egress.model.outputs import HlsDoc
from egress.sinks.playlist import Meter, Segment
from egress.sinks.presentation import Presentation, write_file
from egress.sinks.variants import index
from tests.flashes import STARTED, programme


def _plan(part: int, segment: int, fps: Fraction = Fraction(30), sound: Codec = Codec.AAC) -> Presentation:
    doc = HlsDoc(kind="hls", to="x", part=f"{part}ms", segment=f"{segment}ms")
    streams = programme(2, sound=sound).streams
    video = replace(streams[0], time_base=1 / fps, fps=fps)
    return Presentation.of(doc, Path("/x"), STARTED, (video, streams[1]))


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30), Fraction(60), Fraction(30000, 1001), Fraction(24)])
@pytest.mark.parametrize("part", [200, 333, 500, 1000])
def test_pictures_and_sound_fill_their_parts_to_85_percent(part: int, fps: Fraction) -> None:
    plan = _plan(part, 4000, fps)
    target = Fraction(plan.part_target, SECOND)
    assert (plan.part * fps).denominator == 1
    assert Fraction(85, 100) * target <= plan.part <= target + Fraction(1, SECOND)
    packet = Fraction(1024, 48000)
    fewest = (plan.part // packet) * packet
    assert Fraction(85, 100) * target <= fewest
    assert (plan.part // packet + 1) * packet <= target + packet


def test_opus_packets_fit_half_seconds_exactly() -> None:
    assert _plan(500, 4000, sound=Codec.OPUS).part_target == SECOND // 2
    assert _plan(500, 4000).part_target == 512 * MILLISECOND


@pytest.mark.parametrize(("segment", "target"), [(2000, 2), (4000, 4), (6000, 6), (2500, 3), (4490, 5), (400, 1)])
def test_the_target_duration_covers_a_packet_more_than_a_segment(segment: int, target: int) -> None:
    assert _plan(200, segment).target == target


def test_it_is_read_back_as_it_was_kept(tmp_path: Path) -> None:
    plan = _plan(500, 4000).shifted(Fraction(1, 15))
    plan.keep(tmp_path / "presentation.json")
    read = Presentation.load(tmp_path / "presentation.json")
    assert replace(read, streams=()) == replace(plan, streams=())
    for one, two in zip(read.streams, plan.streams, strict=True):
        assert replace(one, size=None, fps=None) == replace(two, size=None, fps=None)
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(Fault, match="cannot be read"):
        Presentation.load(tmp_path / "broken.json")


def test_live_rates_are_never_below_the_configured_and_ended_ones_are_measured() -> None:
    plan = _plan(500, 4000)
    meters = {"video": Meter(4), "audio": Meter(4)}
    for meter in meters.values():
        meter.add(Segment("s", 0, 4 * SECOND, 10_000))
    assert "BANDWIDTH=340400,AVERAGE-BANDWIDTH=340400," in index(plan, meters, ended=False)
    assert "BANDWIDTH=40000,AVERAGE-BANDWIDTH=40000," in index(plan, meters, ended=True)
    meters["video"].add(Segment("s", 0, 4 * SECOND, 1_000_000))
    assert "BANDWIDTH=2110400,AVERAGE-BANDWIDTH=1120400," in index(plan, meters, ended=False)


def test_two_pictures_of_one_programme_or_nothing_at_all_are_refused() -> None:
    doc = HlsDoc(kind="hls", to="x")
    streams = programme(2).streams
    for wrong in ((), (streams[0], streams[0])):
        with pytest.raises(Fault, match="one picture in several sizes and one sound"):
            Presentation.of(doc, Path("/x"), STARTED, wrong)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    (tmp_path / "file.tmp").symlink_to("/dev/full")
    with pytest.raises(DestinationError, match=r"file cannot be written: No space left on device"):
        write_file(path, b"three")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]
