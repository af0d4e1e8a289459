"""What a job costs: CPU by stage, from who is in the room and what is made of it. The one place that knows.

Figures are thousandths of a core, i.e. CPU milliseconds a second, of a 2-core AMD EPYC virtual machine; another machine
differs by a factor, which what jobs were seen to need makes up for (egress.control.admission). They come from
tests/benchmarks: `scale` and `room` (whole jobs by stage, a straight line over participants), `floor` (encoding alone,
by preset and size) and `costs`, which sets this model against jobs of many kinds. docs/performance.md has the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from egress.model.media import Size
from egress.model.pipeline import Pipeline, Video
from egress.model.streams import STREAM_DOCS

CAMERA: Final = Size(640, 360)
"""What a participant is taken to send, at 30 pictures a second; a larger tile asks for more, a smaller one for less."""

_RATE = 30.0
"""Pictures a second that cameras send."""

_IDLE, _VOICE_IN, _CAMERA_IN, _MEGABIT_IN = 22.0, 1.8, 2.2, 2.0
"""Receiving: the event loop itself, then each track of sound (50 packets a second), each of pictures (30 frames a
second), and its bits: about 110 packets a megabit."""

_BITS = 2.6
"""Bits a second a camera sends for each pixel of its size."""

_TRACK, _DECODED, _SCALED = 5.0, 1.95, 0.55
"""Decoding: waking up for each track, a million pixels a second decoded and read by the scaler, and written by it."""

_TICK, _PAINTED, _TILE = 11.0, 0.25, 0.9
"""Composing: 30 ticks a second, a million pixels a second of the canvas, each tile."""

_MIXED, _VOICE, _SOUND = 14.0, 3.0, 20.0
"""Mixing and measuring, each voice decoded, and AAC."""

_HEARD_ONLY = 1.5
"""What all sound costs more without a picture, when it is made 50 times a second and not 30."""

_COPIED, _RUNG = 0.45, 1.5
"""Each million pixels a second handed to an encoder, and scaled for a smaller one."""

_PRESETS: Mapping[str, float] = MappingProxyType(
    {
        "ultrafast": 3.5,
        "superfast": 7.2,
        "veryfast": 12.6,
        "faster": 19.5,
        "fast": 33.0,
        "medium": 41.0,
        "slow": 79.0,
        "slower": 140.0,
        "veryslow": 240.0,
    }
)
"""x264's cost of a million pixels a second with `tune: zerolatency`."""

_LOOKING_AHEAD: Mapping[str, float] = MappingProxyType({"superfast": 1.3, "veryfast": 1.5, "faster": 1.5})
"""How much dearer these are without zerolatency; the others have about the same price."""

_FILE, _SEGMENTS, _STREAM_FEED, _SENDER, _TRACK_FILE = 7.0, 14.0, 4.0, 12.0, 0.3
"""Sinks: a file of the programme, HLS, what feeds a stream, the process that sends it, a track kept as it was sent."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Thousandths of a core by stage, named as in a worker's `exertion`; `senders` are processes of their own."""

    receive: float = 0.0
    decode: float = 0.0
    compose: float = 0.0
    mix: float = 0.0
    encode: float = 0.0
    sinks: float = 0.0
    senders: float = 0.0

    @property
    def worker(self) -> float:
        """The worker alone."""
        return self.receive + self.decode + self.compose + self.mix + self.encode + self.sinks

    @property
    def total(self) -> float:
        """With the processes that send streams."""
        return self.worker + self.senders


def cost(pipeline: Pipeline, cameras: Sequence[Size]) -> Cost:
    """What a job of this pipeline costs with these participants, each with a camera of this size and a voice."""
    received = sum(_pixels(size, _RATE) for size in cameras)
    receive = _IDLE + len(cameras) * (_VOICE_IN + _CAMERA_IN) + received / _RATE * _BITS * _MEGABIT_IN
    sinks, senders = _outputs(pipeline, len(cameras))
    if not pipeline.composed:
        return Cost(receive=receive, sinks=sinks, senders=senders)
    mix = _MIXED + len(cameras) * _VOICE
    video = pipeline.video
    if video is None:
        more = _HEARD_ONLY
        return Cost(receive, compose=_TICK, mix=mix * more, encode=_SOUND * more, sinks=sinks, senders=senders)
    canvas = _pixels(video.size, float(video.fps))
    return Cost(
        receive=receive,
        decode=len(cameras) * _TRACK + received * _DECODED + canvas * _SCALED,
        compose=_TICK * float(video.fps) / _RATE + canvas * _PAINTED + len(cameras) * _TILE,
        mix=mix,
        encode=_SOUND + _encoding(video),
        sinks=sinks,
        senders=senders,
    )


def _encoding(video: Video) -> float:
    each = _PRESETS[video.preset] * (1.0 if video.tune == "zerolatency" else _LOOKING_AHEAD.get(video.preset, 1.05))
    rate = float(video.fps)
    rungs = sum(_pixels(rung.size, rate) for rung in video.ladder)
    return _pixels(video.size, rate) * (each + _COPIED) + rungs * (each + _RUNG)


def _outputs(pipeline: Pipeline, tracks: int) -> tuple[float, float]:
    sinks = senders = 0.0
    for sink in pipeline.sinks:
        if isinstance(sink, STREAM_DOCS):
            sinks += _STREAM_FEED
            senders += _SENDER
        elif sink.kind == "tracks":
            sinks += 2 * tracks * _TRACK_FILE
        else:
            sinks += _SEGMENTS if sink.kind == "hls" else _FILE
    return sinks, senders


def _pixels(size: Size, rate: float) -> float:
    """Millions a second."""
    return size.width * size.height * rate / 1_000_000
