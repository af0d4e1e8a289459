"""One participant's media, encoded beforehand into a loop, so that publishing it costs next to nothing.

The loop is LOOP_SECONDS long and lies fixed on the shared clock: picture `k` since the clock's zero is picture
`k % length` of the loop, and so is every Opus packet of 20 ms. Loops are kept in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

from egress.demo.people import Person
from egress.demo.picture import LOOP_SECONDS, Artist
from egress.model.media import Codec, Size

RATE = 48_000
PACKET_SAMPLES = 960
LOOKAHEAD = 312
BEEP_SECONDS = 0.1
BEEP_LEVEL = 0.08
_RAMP_SECONDS = 0.002
_WARM_UP_PACKETS = 10
_FORMAT = 5


@dataclass(frozen=True, slots=True)
class Clip:
    """A loop of encoded video: `frames[k % len(frames)]`; `keys` are the indices decodable by themselves."""

    person: Person
    size: Size
    fps: int
    codec: Codec
    frames: tuple[bytes, ...]
    keys: frozenset[int]

    def encoder(self) -> PictureEncoder:
        """A live encoder of the same pictures, for a keyframe out of turn."""
        return PictureEncoder(self.person, self.size, self.fps, self.codec)


class PictureEncoder:
    """Encodes one participant's pictures one by one; not thread-safe."""

    def __init__(self, person: Person, size: Size, fps: int, codec: Codec) -> None:
        self._artist = Artist(person, size, fps)
        name, options = {
            Codec.VP8: ("libvpx", {"deadline": "realtime", "cpu-used": "-16", "lag-in-frames": "0"}),
            Codec.H264: (
                "libx264",
                {
                    "preset": "ultrafast",
                    "tune": "zerolatency",
                    "profile": "baseline",
                    "crf": "24",
                    "x264-params": "scenecut=0",
                },
            ),
        }[codec]
        if codec is Codec.H264 and (size.width % 2 or size.height % 2):
            raise ValueError(f"{size} cannot be H.264: width and height must be even; use VP8 for odd sizes")
        encoder: Any = av.CodecContext.create(name, "w")
        encoder.width, encoder.height, encoder.pix_fmt = size.width, size.height, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, fps), Fraction(fps)
        encoder.thread_count = 1
        encoder.gop_size = fps
        encoder.options = options
        if codec is Codec.VP8:
            encoder.bit_rate = round(2.6 * size.width * size.height)
            encoder.qmin, encoder.qmax = 10, 44
        self._encoder = encoder

    def encode(self, index: int, *, key: bool) -> tuple[bytes, bool]:
        """The encoded picture `index`, and whether it is decodable by itself."""
        frame = self._artist.draw(index)
        frame.pict_type = PictureType.I if key else PictureType.NONE
        packets = self._encoder.encode(frame)
        return b"".join(bytes(packet) for packet in packets), any(packet.is_keyframe for packet in packets)


def video(person: Person, size: Size, fps: int, codec: Codec) -> Clip:
    """The participant's video loop, from the cache or encoded now; raises ValueError for a size it cannot encode."""
    name = _name("video", person, codec, size, fps)
    cached = _load(name)
    if cached is None:
        encoder = PictureEncoder(person, size, fps, codec)
        encoded = [encoder.encode(index, key=index % fps == 0) for index in range(LOOP_SECONDS * fps)]
        cached = [data for data, _ in encoded], [index for index, (_, key) in enumerate(encoded) if key]
        _store(name, *cached)
    frames, keys = cached
    return Clip(person, size, fps, codec, tuple(frames), frozenset(keys))


def audio(person: Person) -> tuple[bytes, ...]:
    """The participant's Opus loop, 20 ms a packet, beeps on whole seconds.

    As with every Opus sender, what a decoder puts out lags by the encoder's look-ahead: LOOKAHEAD samples.
    """
    channels = 2 if person.index % 2 == 0 else 1
    name = _name("audio", person, Codec.OPUS, channels)
    cached = _load(name)
    if cached is None:
        cached = _encode_audio(person, channels), []
        _store(name, *cached)
    return tuple(cached[0])


def beeps(tone: float, seconds: int = LOOP_SECONDS) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Mono samples with a beep on every whole second, at half amplitude exactly on the second and 100 ms later."""
    time = (np.arange(seconds * RATE) / RATE + 0.5) % 1.0 - 0.5
    rise = np.clip((time + _RAMP_SECONDS / 2) / _RAMP_SECONDS, 0, 1)
    fall = np.clip((BEEP_SECONDS + _RAMP_SECONDS / 2 - time) / _RAMP_SECONDS, 0, 1)
    shape = np.sin(0.5 * np.pi * np.minimum(rise, fall)) ** 2
    return (BEEP_LEVEL * shape * np.sin(2 * np.pi * tone * time)).astype(np.float32)


def _encode_audio(person: Person, channels: int) -> list[bytes]:
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.format = RATE, "flt"
    encoder.layout = "stereo" if channels == 2 else "mono"
    encoder.bit_rate = 32_000 * channels
    encoder.options = {"application": "audio", "frame_duration": "20", "vbr": "on"}
    encoder.open()
    samples = beeps(person.tone)
    warm_up = samples[-_WARM_UP_PACKETS * PACKET_SAMPLES :]
    mono = np.concatenate((warm_up, samples))
    packets: list[bytes] = []
    for position in range(0, len(mono), PACKET_SAMPLES):
        block = np.repeat(mono[position : position + PACKET_SAMPLES], channels)[None, :]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "flt", encoder.layout.name)
        frame.sample_rate, frame.pts = RATE, position
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    return packets[_WARM_UP_PACKETS : _WARM_UP_PACKETS + LOOP_SECONDS * RATE // PACKET_SAMPLES]


def prepare(people: Sequence[tuple[Person, Size, int, Codec]]) -> None:
    """Put the loops of many participants into the cache, on all cores."""
    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
        work = [pool.submit(video, *one) for one in people] + [pool.submit(audio, one[0]) for one in people]
        for done in work:
            done.result()


def folder() -> Path:
    """Where loops are kept: EGRESS_CLIPS, else `egress/clips` in the user's cache folder."""
    if chosen := os.environ.get("EGRESS_CLIPS"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "egress" / "clips"


def _name(kind: str, person: Person, *details: object) -> str:
    key = repr((_FORMAT, av.__version__, kind, person, *map(str, details)))
    return f"{kind}-{person.index}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _load(name: str) -> tuple[list[bytes], list[int]] | None:
    """What was stored under a name; None when nothing is, or it is damaged."""
    try:
        head, _, body = (folder() / name).read_bytes().partition(b"\n")
        about = json.loads(head)
        if hashlib.sha256(body).hexdigest() != about["sha256"]:
            return None
        frames, position = [], 0
        for length in about["lengths"]:
            frames.append(body[position : position + length])
            position += length
        return frames, about["keys"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _store(name: str, frames: Sequence[bytes], keys: Sequence[int]) -> None:
    """Keep a loop; a cache that cannot be written only costs the encoding next time."""
    body = b"".join(frames)
    about = {
        "lengths": [len(frame) for frame in frames],
        "keys": list(keys),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder(), prefix=".", delete=False) as file:
            file.write(json.dumps(about).encode() + b"\n" + body)
        Path(file.name).replace(folder() / name)
    except OSError:
        return
