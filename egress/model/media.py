"""What flows: encoded frames from a room, pictures and sound to the programme, packets to sinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Literal, Protocol, runtime_checkable

Nanos = int
"""Integer nanoseconds. Which origin (monotonic, session, NTP/UTC) is said where it is used."""

SECOND: Nanos = 1_000_000_000
MILLISECOND: Nanos = 1_000_000


class Codec(StrEnum):
    """A codec as carried by RTP or by the programme."""

    VP8 = "vp8"
    H264 = "h264"
    OPUS = "opus"
    AAC = "aac"


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class SenderReport:
    """One RTP/NTP pair from an RTCP sender report (RFC 3550 6.4.1).

    `rtp` is unwrapped to 64 bits on the same count as EncodedFrame.rtp of the same stream; `ntp` is
    nanoseconds since the Unix epoch by the SENDER's clock; `arrived` is our monotonic clock.
    """

    rtp: int
    ntp: Nanos
    arrived: Nanos


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One access unit as the sender encoded it (VP8 frame, H.264 Annex B, Opus packet).

    `rtp` is the RTP timestamp unwrapped to 64 bits (clock rate 90000 for video, 48000 for Opus).
    `arrived` is the monotonic time of its LAST packet. `key`: decodable without what came before.
    `gap`: at least one frame (video) or packet (audio) was lost just before this one. `report` is the newest
    sender report of the stream as of this frame. `stream` identifies the RTP stream: when it changes, the
    decoder and timeline start afresh. `rotation` is clockwise degrees (RTP video orientation), 0 when unknown.
    """

    codec: Codec
    data: bytes
    rtp: int
    arrived: Nanos
    key: bool
    gap: bool = False
    report: SenderReport | None = None
    stream: int = 0
    rotation: int = 0


class MediaSource(Protocol):
    """One track's encoded media."""

    async def recv(self) -> EncodedFrame:
        """The next frame in order; raises EndOfTrack when the track is over."""

    def request_keyframe(self) -> None:
        """Ask the sender for a keyframe; rate-limited below, so callers may ask freely."""

    def stats(self) -> Mapping[str, int]:
        """Counters since the track began: packets, bytes, lost, recovered, dropped, frames, plis, nacks."""


@runtime_checkable
class Deliverer(MediaSource, Protocol):
    """A source that can hand each frame on as it comes, with no task to be woken for it."""

    async def deliver(self, take: Callable[[EncodedFrame], None]) -> None:
        """Call `take` for each frame, in order, on the loop's thread, instead of `recv`.

        Raises EndOfTrack when the track is over, and what `take` raises; the frame it was given is gone then.
        """


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One encoded stream of the programme, with all a muxer in any process needs to declare it.

    `extradata` is the encoder's global header: Annex B SPS+PPS for H.264, AudioSpecificConfig for AAC, OpusHead
    for Opus. Packets of H.264 are Annex B; AAC packets are raw (no ADTS). `initial_padding` is encoder priming in
    samples: the first audio packet has pts = -initial_padding, so that the first real sample has pts 0. `rung` is 0 for
    the programme itself, n for the n-th smaller picture of its ladder, which has the same pictures and keyframes.
    """

    id: str
    kind: Literal["video", "audio"]
    codec: Codec
    time_base: Fraction
    extradata: bytes
    bitrate: int
    size: Size | None = None
    fps: Fraction | None = None
    rate: int = 0
    channels: int = 0
    initial_padding: int = 0
    rung: int = 0


@dataclass(frozen=True, slots=True)
class Packet:
    """One encoded access unit of the programme; times are counts of the stream's time_base.

    Video time_base is 1/fps (picture n has pts n; no B-frame reordering unless dts says so); audio time_base is
    1/rate (pts counts samples).
    """

    stream: str
    data: bytes
    pts: int
    dts: int
    duration: int
    key: bool
