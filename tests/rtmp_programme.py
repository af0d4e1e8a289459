"""A real encoded programme to publish: moving pictures and a tone, encoded once and kept."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np

from egress.model.media import SECOND, Codec, Packet, Size, StreamInfo
from egress.sinks.base import SinkThread

FPS, RATE = 30, 48_000


@dataclass(frozen=True)
class Programme:
    """Streams and their packets in the order an encoder would give them."""

    streams: tuple[StreamInfo, ...]
    packets: tuple[Packet, ...]

    def only(self, kind: str) -> Programme:
        """The same with one stream."""
        streams = tuple(info for info in self.streams if info.kind == kind)
        return Programme(streams, tuple(p for p in self.packets if p.stream == streams[0].id))

    def at(self, packet: Packet) -> Fraction:
        """Decoding time of a packet in seconds."""
        base = next(info.time_base for info in self.streams if info.id == packet.stream)
        return packet.dts * base


@cache
def programme(seconds: int, *, keyframe: int = 30, bitrate: int = 400_000, b_frames: int = 0) -> Programme:
    """`seconds` of 320x180 at 30 fps with a keyframe every `keyframe` pictures, and 48 kHz stereo AAC."""
    video = av.CodecContext.create("libx264", "w")
    video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
    video.time_base, video.framerate = Fraction(1, FPS), Fraction(FPS)
    video.bit_rate, video.gop_size, video.max_b_frames = bitrate, keyframe, b_frames
    video.flags |= 1 << 22
    video.options = {"preset": "superfast", "x264-params": f"scenecut=0:keyint={keyframe}:min-keyint={keyframe}"}
    if not b_frames:
        video.options |= {"tune": "zerolatency"}
    sound = av.CodecContext.create("aac", "w")
    sound.rate, sound.layout, sound.format = RATE, "stereo", "fltp"
    sound.bit_rate, sound.time_base = 128_000, Fraction(1, RATE)
    sound.flags |= 1 << 22
    packets = [_packet("video", p) for p in _pictures(video, seconds)]
    packets += [_packet("audio", p) for p in _tone(sound, seconds)]
    streams = (
        StreamInfo(
            "video",
            "video",
            Codec.H264,
            Fraction(1, FPS),
            bytes(video.extradata or b""),
            bitrate,
            size=Size(320, 180),
            fps=Fraction(FPS),
        ),
        StreamInfo(
            "audio",
            "audio",
            Codec.AAC,
            Fraction(1, RATE),
            bytes(sound.extradata or b""),
            128_000,
            rate=RATE,
            channels=2,
            initial_padding=1024,
        ),
    )
    made = Programme(streams, ())
    return Programme(streams, tuple(sorted(packets, key=made.at)))


def _pictures(context: av.VideoCodecContext, seconds: int) -> Iterator[av.Packet]:
    noise = np.random.default_rng(1).integers(16, 235, (270, 320), dtype=np.uint8)
    for number in range(seconds * FPS):
        frame = av.VideoFrame.from_ndarray(np.roll(noise, number * 3, axis=1), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        yield from context.encode(frame)
    yield from context.encode(None)


def _tone(context: av.AudioCodecContext, seconds: int) -> Iterator[av.Packet]:
    for start in range(0, seconds * RATE, 1024):
        wave = 0.2 * np.sin(2 * np.pi * 997 * np.arange(start, start + 1024) / RATE)
        frame = av.AudioFrame.from_ndarray(np.tile(wave.astype(np.float32), (2, 1)), format="fltp", layout="stereo")
        frame.rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        yield from context.encode(frame)
    yield from context.encode(None)


def _packet(stream: str, packet: av.Packet) -> Packet:
    assert packet.pts is not None and packet.dts is not None
    return Packet(stream, bytes(packet), packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe)


def play(thread: SinkThread, show: Programme, packets: Iterable[Packet] | None = None) -> None:
    """Offer the packets to a sink at the pace of their own times, as a live encoder does."""
    first: Fraction | None = None
    began = time.monotonic_ns()
    for packet in show.packets if packets is None else packets:
        at = show.at(packet)
        first = at if first is None else first
        wait = began + int((at - first) * SECOND) - time.monotonic_ns()
        if wait > 0:
            time.sleep(wait / SECOND)
        assert thread.offer(packet), thread.error
