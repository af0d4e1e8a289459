"""Streams of a libav container declared from StreamInfo alone, without an encoder."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import av

from egress.model.media import Codec, Packet, StreamInfo
from egress.sinks.avc import length_prefixed
from egress.sinks.cmaf import Track, init_segment

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream


class MuxedStream:
    """One stream of the programme in one container; `av_packet` turns its packets into libav's.

    H.264 comes as Annex B and is muxed length-prefixed, as the declared `avcC` says.
    """

    def __init__(self, container: OutputContainer, info: StreamInfo) -> None:
        self.info = info
        # The init segment holds every codec parameter a muxer wants; libav's own demuxer turns it into a template.
        head = init_segment(Track.of(info), priming=info.initial_padding)
        with av.open(io.BytesIO(head), format="mp4") as template:
            self.stream: VideoStream | AudioStream = container.add_stream_from_template(
                template.streams.video[0] if info.kind == "video" else template.streams.audio[0], opaque=True
            )
        self.stream.time_base = info.time_base

    def av_packet(self, packet: Packet) -> av.Packet[Any]:
        """One packet ready to be muxed into the container."""
        data = length_prefixed(packet.data) if self.info.codec is Codec.H264 else packet.data
        made = av.Packet(data)
        made.stream = self.stream
        made.time_base = self.info.time_base
        made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
        made.is_keyframe = packet.key
        return made
