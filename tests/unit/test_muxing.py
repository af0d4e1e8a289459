"""Streams declared without an encoder mux and decode like those of one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from egress.model.media import Codec
from egress.sinks.muxing import MuxedStream
from tests.flashes import SIZE, programme


@pytest.mark.parametrize("form", ["mp4", "matroska"])
@pytest.mark.parametrize("sound", [Codec.AAC, Codec.OPUS])
def test_a_file_muxed_from_stream_info_decodes_whole(tmp_path: Path, form: str, sound: Codec) -> None:
    show = programme(2, sound=sound)
    path = tmp_path / f"file.{form}"
    with av.open(str(path), "w", format=form) as container:
        streams = {info.id: MuxedStream(container, info) for info in show.streams}
        for packet in show.packets:
            container.mux(streams[packet.stream].av_packet(packet))
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0].codec_context, container.streams.audio[0].codec_context
        assert (video.width, video.height, video.colorspace, audio.sample_rate) == (SIZE.width, SIZE.height, 2, 48000)
        assert sum(1 for _ in container.decode(video=0)) == 60


def test_times_and_keys_reach_libav_exactly(tmp_path: Path) -> None:
    show = programme(2, fps=Fraction(30000, 1001), b_frames=2)
    with av.open(str(tmp_path / "file.mp4"), "w") as container:
        streams = {info.id: MuxedStream(container, info) for info in show.streams}
        for packet in show.packets:
            made = streams[packet.stream].av_packet(packet)
            assert made.time_base == streams[packet.stream].info.time_base
            assert (made.pts, made.dts, made.duration) == (packet.pts, packet.dts, packet.duration)
            assert made.is_keyframe == packet.key
            container.mux(made)
