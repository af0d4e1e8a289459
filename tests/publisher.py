"""A real WebRTC publisher for tests: aiortc sends media that was encoded beforehand, so that it costs little."""

from __future__ import annotations

import asyncio
import fractions
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)


@dataclass(frozen=True)
class Clip:
    """Encoded access units to be sent over and over, `ticks` of `time_base` apart."""

    units: tuple[bytes, ...]
    ticks: int
    time_base: fractions.Fraction


@cache
def video_clip(
    codec: str = "libvpx", *, size: tuple[int, int] = (640, 360), frames: int = 30, rate: int = 600_000
) -> Clip:
    """One second (by default) of blocks that move sideways; begins with a keyframe."""
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.time_base = fractions.Fraction(1, 30)
    context.framerate = fractions.Fraction(30)
    context.bit_rate = rate
    context.gop_size = frames
    context.options = (
        {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        if codec == "libvpx"
        else {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
    )
    coarse = np.random.default_rng(7).integers(0, 90, (size[1] // 24 + 1, size[0] // 12 + 1), dtype=np.uint8)
    noise = np.repeat(np.repeat(coarse, 24, 0), 24, 1)[: size[1]]
    noise = noise + np.random.default_rng(8).integers(0, 8, noise.shape, dtype=np.uint8)
    random = np.random.default_rng(9)
    units: list[bytes] = []
    for index in range(frames):
        luma = noise[:, index * 5 : index * 5 + size[0]] + np.uint8(90)
        # Some of each picture is new, so that every frame takes a few packets.
        luma[: size[1] // 3, : size[0] // 3] += random.integers(0, 40, (size[1] // 3, size[0] // 3), dtype=np.uint8)
        chroma = np.full((size[1] // 2, size[0]), 128, np.uint8)
        frame = av.VideoFrame.from_ndarray(np.vstack([luma, chroma]), format="yuv420p")
        frame.pts = index
        units += [bytes(packet) for packet in context.encode(frame)]
    units += [bytes(packet) for packet in context.encode(None)]
    return Clip(tuple(units), 1, fractions.Fraction(1, 30))


@cache
def audio_clip() -> Clip:
    """One second of a 440 Hz tone in Opus, 20 ms packets."""
    context: Any = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48000, "stereo", "s16"
    context.bit_rate = 48_000
    units: list[bytes] = []
    for index in range(50):
        at = (np.arange(960) + 960 * index) / 48000
        tone = np.repeat((8000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16), 2).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48000, 960 * index
        units += [bytes(packet) for packet in context.encode(frame)]
    return Clip(tuple(units), 960, fractions.Fraction(1, 48000))


class ClipTrack(MediaStreamTrack):
    """Sends a clip in a loop at its own pace until stopped; `paused` sends nothing.

    A machine that stood still makes up for nothing, as a camera does not: a burst would push packets that were lost out
    of what aiortc keeps to send again, the latest 128.
    """

    def __init__(self, kind: str, clip: Clip) -> None:
        self.kind = kind
        super().__init__()
        self.clip = clip
        self.paused = False
        self.sent = 0
        self._count = 0
        self._begun: float | None = None

    async def recv(self) -> Any:
        if self._begun is None:
            self._begun = time.monotonic()
        while True:
            due = self._begun + float(self._count * self.clip.ticks * self.clip.time_base)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if (late := time.monotonic() - due) > 0.5:
                self._begun += late
            self._count += 1
            if not self.paused:
                break
        packet = av.Packet(self.clip.units[(self._count - 1) % len(self.clip.units)])
        packet.pts = packet.dts = (self._count - 1) * self.clip.ticks
        packet.time_base = self.clip.time_base
        self.sent += 1
        return packet


class Publisher:
    """One aiortc peer that offers the given tracks."""

    def __init__(self, tracks: list[ClipTrack], *, video_codec: str = "video/VP8") -> None:
        self.tracks = tracks
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        for track in tracks:
            transceiver = self.connection.addTransceiver(track, direction="sendonly")
            if track.kind == "video":
                wanted = [
                    c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType in (video_codec, "video/rtx")
                ]
                transceiver.setCodecPreferences(wanted)

    async def offer(self) -> str:
        """The SDP offer, candidates included."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        """Take the answer and begin to send."""
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self) -> None:
        """Stop sending."""
        for track in self.tracks:
            track.stop()
        await self.connection.close()
