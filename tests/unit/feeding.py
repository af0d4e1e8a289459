"""Sources for intake tests: really encoded media with RTP times, and a sender's clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from egress.model.errors import EndOfTrack
from egress.model.media import MILLISECOND, SECOND, Codec, EncodedFrame, Nanos, SenderReport, Size

OPUS_FRAME = 960
WALL: Nanos = 1_790_000_000 * SECOND


class FedSource:
    """A MediaSource that hands out what it is fed, then ends when told so."""

    def __init__(self, frames: Iterable[EncodedFrame] = (), *, ends: bool = False) -> None:
        self.asked = 0
        self._queue: asyncio.Queue[EncodedFrame | None] = asyncio.Queue()
        for frame in frames:
            self._queue.put_nowait(frame)
        if ends:
            self.end()

    def feed(self, *frames: EncodedFrame) -> None:
        for frame in frames:
            self._queue.put_nowait(frame)

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def recv(self) -> EncodedFrame:
        frame = await self._queue.get()
        if frame is None:
            raise EndOfTrack
        return frame

    def request_keyframe(self) -> None:
        self.asked += 1

    def stats(self) -> dict[str, int]:
        return {}

    async def drained(self) -> None:
        while not self._queue.empty():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Sender:
    """One track's sender: RTP starts at `rtp`, runs `skew` fast; frames need `delay` to arrive, reports say `wall`."""

    rate: int
    origin: Nanos
    rtp: int = 1_000_000
    delay: Nanos = 20 * MILLISECOND
    skew: float = 0.0
    wall: Nanos = WALL
    stream: int = 1
    reports: Nanos | None = SECOND

    def rtp_of(self, at: Nanos) -> int:
        """The RTP count of something that happened `at` ns after the sender began."""
        return self.rtp + round(at * (1.0 + self.skew) * self.rate / SECOND)

    def report(self, at: Nanos) -> SenderReport:
        return SenderReport(self.rtp_of(at), self.wall + round(at * (1.0 + self.skew)), self.origin + at + self.delay)

    def frame(self, at: Nanos, codec: Codec, data: bytes, key: bool, **changes: Any) -> EncodedFrame:
        report = None if self.reports is None else self.report(at // self.reports * self.reports)
        frame = EncodedFrame(
            codec, data, self.rtp_of(at), self.origin + at + self.delay, key, report=report, stream=self.stream
        )
        return replace(frame, **changes)


def opus(sound: npt.NDArray[np.float32], **options: str) -> list[bytes]:
    """Packets of 20 ms of mono or stereo sound (channels, n)."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate = 48_000
    encoder.layout = "stereo" if sound.shape[0] == 2 else "mono"
    encoder.format = "flt"
    encoder.bit_rate = 128_000
    encoder.time_base = Fraction(1, 48_000)
    encoder.options = options
    packets = []
    for start in range(0, sound.shape[1] - OPUS_FRAME + 1, OPUS_FRAME):
        block = np.ascontiguousarray(sound[:, start : start + OPUS_FRAME].T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout=encoder.layout.name)
        frame.sample_rate = 48_000
        frame.pts = start
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


def tone(hertz: float, seconds: float, amplitude: float = 0.3) -> npt.NDArray[np.float32]:
    samples = np.arange(round(seconds * 48_000))
    return (amplitude * np.sin(2 * np.pi * hertz * samples / 48_000)).astype(np.float32)[None]


def picture(size: Size, luma: int, blue: int = 128, red: int = 128) -> av.VideoFrame:
    frame = av.VideoFrame(size.width, size.height, "yuv420p")
    for plane, value in zip(frame.planes, (luma, blue, red), strict=True):
        np.frombuffer(plane, np.uint8)[:] = value
    return frame


def video(
    pictures: Sequence[av.VideoFrame], codec: Codec = Codec.VP8, keys: int = 1000, **options: str
) -> list[tuple[bytes, bool]]:
    """(data, key) of each picture, encoded for real time; `options` are the encoder's."""
    encoder: Any = av.CodecContext.create({Codec.VP8: "libvpx", Codec.H264: "libx264"}[codec], "w")
    encoder.width, encoder.height = pictures[0].width, pictures[0].height
    encoder.pix_fmt = "yuv420p"
    encoder.bit_rate = 1_000_000
    encoder.time_base = Fraction(1, 30)
    encoder.framerate = Fraction(30)
    encoder.gop_size = keys
    encoder.thread_count = 1
    usual = (
        {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        if codec is Codec.VP8
        else {"preset": "ultrafast", "tune": "zerolatency"}
    )
    encoder.options = usual | options
    encoded = []
    for number, frame in enumerate(pictures):
        frame.pts = number
        encoded += [(bytes(packet), packet.is_keyframe) for packet in encoder.encode(frame)]
    return encoded


def luma(frame: av.VideoFrame) -> int:
    """The middle pixel's brightness."""
    plane = frame.planes[0]
    return int(
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[plane.height // 2, plane.width // 2]
    )
