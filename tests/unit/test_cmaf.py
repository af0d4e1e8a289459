"""CMAF bytes hold what they are given, as libav and a second reader see them."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import pytest

from egress.model.errors import Fault
from egress.model.media import Codec, StreamInfo
from egress.sinks.avc import length_prefixed
from egress.sinks.cmaf import Sample, Track, fragment, init_segment, read_fragments
from tests import hls_reading
from tests.flashes import SIZE, programme


def _stream(kind: str, codec: Codec = Codec.AAC) -> StreamInfo:
    return next(info for info in programme(2, sound=codec).streams if info.kind == kind)


def test_libav_reads_codec_size_and_rate_from_the_init_segment() -> None:
    with av.open(io.BytesIO(init_segment(Track.of(_stream("video")))), format="mp4") as container:
        video = container.streams.video[0].codec_context
        assert (video.name, video.width, video.height) == ("h264", SIZE.width, SIZE.height)
    for codec in (Codec.AAC, Codec.OPUS):
        with av.open(io.BytesIO(init_segment(Track.of(_stream("audio", codec)))), format="mp4") as container:
            audio = container.streams.audio[0].codec_context
            assert (audio.name, audio.sample_rate, audio.channels) == (codec, 48000, 2)


def test_codec_strings_name_profile_and_level() -> None:
    assert Track.of(_stream("audio")).codec == "mp4a.40.2"
    assert Track.of(_stream("audio", Codec.OPUS)).codec == "opus"
    assert Track.of(_stream("video")).codec.startswith("avc1.64")


@pytest.mark.parametrize("fps", [Fraction(30), Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(7)])
def test_a_frame_is_a_whole_number_of_ticks(fps: Fraction) -> None:
    info = programme(2, fps=fps).streams[0]
    track = Track.of(info)
    assert Fraction(track.scale, track.timescale) == info.time_base
    assert track.timescale >= 10_000


def test_a_fragment_is_read_back_by_us_and_by_a_second_reader() -> None:
    samples = [Sample(bytes([n]) * (n + 1), 3000, 0, n == 0) for n in range(15)]
    data = fragment(7, 2**33, samples) + fragment(8, 2**33 + 45000, samples[1:])
    first, second = read_fragments(io.BytesIO(data))
    assert (first.decode_time, first.duration, first.key, first.first) == (2**33, 45000, True, 1)
    assert (second.at, second.key, second.end) == (first.size, False, 2**33 + 45000 + 42000)
    assert data[first.at + first.head : first.at + first.head + 2] == b"\0\1"
    one, two = hls_reading.read_fragments(data)
    assert not one.problems + two.problems
    assert [sample.data for sample in one.samples] == [sample.data for sample in samples]
    assert [sample.sync for sample in one.samples] == [True] + [False] * 14
    assert (one.sequence, two.sequence, two.decode_time) == (7, 8, 2**33 + 45000)


def test_keys_offsets_and_uneven_durations_are_kept() -> None:
    samples = [
        Sample(b"aa", 3000, 6000, True),
        Sample(b"b", 3003, 0, False),
        Sample(b"cccc", 2997, 3000, True),
        Sample(b"d", 3000, 3000, False),
    ]
    (read,) = hls_reading.read_fragments(fragment(1, 0, samples))
    assert not read.problems
    assert [(s.data, s.duration, s.offset, s.sync) for s in read.samples] == [
        (s.data, s.duration, s.offset, s.key) for s in samples
    ]
    (ours,) = read_fragments(io.BytesIO(fragment(1, 0, samples)))
    assert (ours.duration, ours.first, ours.key) == (12000, 2, True)


def test_reading_stops_at_a_fragment_cut_short() -> None:
    whole = fragment(1, 0, [Sample(b"abc", 1024, 0, True)])
    for cut in (1, 4, len(whole) // 2, len(whole) - 1):
        assert len(list(read_fragments(io.BytesIO(whole + whole[:cut])))) == 1
    assert list(read_fragments(io.BytesIO(b"not a fragment at all"))) == []


def test_init_and_fragments_decode() -> None:
    show = programme(2)
    info = show.streams[0]
    track = Track.of(info)
    packets = [packet for packet in show.packets if packet.stream == "video"]
    samples = [Sample(length_prefixed(p.data), track.scale, 0, p.key) for p in packets]
    data = init_segment(track) + fragment(1, 0, samples[:30]) + fragment(2, 30 * track.scale, samples[30:])
    with av.open(io.BytesIO(data)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([n / 30 for n in range(60)])


def test_an_unusable_codec_header_is_refused() -> None:
    with pytest.raises(Fault, match="AudioSpecificConfig"):
        Track.of(StreamInfo("a", "audio", Codec.AAC, Fraction(1, 48000), b"", 96000, rate=48000, channels=2))
    with pytest.raises(Fault, match="vp8 cannot be carried"):
        Track.of(StreamInfo("v", "video", Codec.VP8, Fraction(1, 30), b"", 96000))
