"""Four seconds of a programme from the product's own encoders, made once, for sinks to take."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np

from egress.media.encoder import AudioEncoder, VideoEncoder
from egress.model.media import SECOND, Codec, EncodedFrame, Packet, Size, StreamInfo
from egress.model.passing import Passed, PassedItem, TrackFrame, TrackTaken
from egress.model.pipeline import Audio, Video
from egress.model.room import Peer, Track, TrackSource

SECONDS, FPS, RATE = 4, 30, 48_000


@dataclass(frozen=True, slots=True)
class Programme:
    """Streams, and their packets in the order of their decoding times."""

    streams: tuple[StreamInfo, ...]
    packets: tuple[Packet, ...]


@cache
def programme(
    kinds: tuple[str, ...] = ("video", "audio"), *, codec: str = "aac", tune: str = "zerolatency"
) -> Programme:
    """A moving picture, 320x180 at 30 per second, keyframes 2 s apart, and a tone; `tune: none` makes B-frames."""
    packets: list[Packet] = []
    streams: list[StreamInfo] = []
    if "video" in kinds:
        streams.append(_video(packets, tune))
    if "audio" in kinds:
        streams.append(_audio(packets, codec))
    bases = {info.id: info.time_base for info in streams}
    return Programme(tuple(streams), tuple(sorted(packets, key=lambda p: Fraction(p.dts) * bases[p.stream])))


def _video(packets: list[Packet], tune: str) -> StreamInfo:
    document = Video.model_validate({"size": "320x180", "fps": FPS, "bitrate": "400k", "keyframe": "2s", "tune": tune})
    encoder = VideoEncoder(document, packets.append)
    noise = np.random.default_rng(1).integers(16, 235, (270, 320), dtype=np.uint8)
    for n in range(SECONDS * FPS):
        encoder.offer(n, av.VideoFrame.from_ndarray(np.roll(noise, 3 * n, axis=1), format="yuv420p"), patience=5)
    encoder.close(SECONDS * FPS)
    assert encoder.error is None
    assert encoder.info.size == Size(320, 180)
    return encoder.info


def _audio(packets: list[Packet], codec: str) -> StreamInfo:
    encoder = AudioEncoder(Audio.model_validate({"codec": codec}), packets.append)
    wave = 0.2 * np.sin(2 * np.pi * 997 * np.arange(SECONDS * RATE) / RATE)
    sound = np.tile(wave.astype(np.float32), (2, 1))
    for start in range(0, sound.shape[1], 4800):
        encoder.offer(np.ascontiguousarray(sound[:, start : start + 4800]))
    encoder.close()
    assert encoder.error is None
    return encoder.info


@cache
def tracks(made: Programme) -> tuple[Passed, ...]:
    """The same as a camera and a microphone would send it: H.264 in order of decoding, and silence in Opus."""
    ada = Peer("ada", "Ada")
    items: list[PassedItem] = []
    for info in made.streams:
        source = TrackSource.CAMERA if info.kind == "video" else TrackSource.MIC
        items.append(TrackTaken(Track(info.id, ada.id, info.kind, source), ada, 0, _nothing))
    for packet in made.packets:
        info = next(info for info in made.streams if info.id == packet.stream)
        at = int(max(0, packet.dts) * info.time_base * SECOND)
        data = packet.data if info.kind == "video" else b"\xfc\xff\xfe"
        # A keyframe of a sender stands alone: it carries its parameter sets.
        data = info.extradata + data if info.kind == "video" and packet.key else data
        codec = info.codec if info.kind == "video" else Codec.OPUS
        rtp = at * (90_000 if info.kind == "video" else RATE) // SECOND
        items.append(TrackFrame(info.id, EncodedFrame(codec, data, rtp, at, packet.key, stream=1), at))
    return tuple(Passed(tuple(items[at : at + 50])) for at in range(0, len(items), 50))


def _nothing() -> None:
    """No sender is there to be asked for a keyframe."""


LENGTH = SECONDS * SECOND
"""Length of the programme."""
