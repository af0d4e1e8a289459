"""What the analyser hears in a product: its sound on one time line, beeps to a millisecond, clipping and true peak."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from egress.demo.clip import BEEP_LEVEL

_STEP = 0.001
_WINDOW = 31
_FLOOR = 0.25 * BEEP_LEVEL
_JITTER = 0.002
_CLIPPED = 32767 / 32768

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sound:
    """Decoded sound, (channels, n); sample 0 is heard at `start` seconds. `gaps` counts jumps of its timestamps."""

    samples: Samples
    rate: int
    start: float
    gaps: int
    codec: str

    @property
    def seconds(self) -> float:
        """How long it is."""
        return int(self.samples.shape[1]) / self.rate

    @property
    def clipped(self) -> int:
        """Samples at full scale."""
        return int(np.count_nonzero(np.abs(self.samples) >= _CLIPPED))

    @property
    def true_peak(self) -> float:
        """dBTP after ITU-R BS.1770 by four-fold oversampling."""
        loudest = np.abs(self.samples).max(initial=0.0).item()
        if loudest == 0.0:
            return -math.inf
        taps = np.arange(-16, 16)
        peak: float = loudest
        for channel in self.samples:
            near = np.flatnonzero(np.abs(channel) > 0.6 * loudest)
            near = near[(near > 16) & (near < len(channel) - 16)]
            for phase in (0.25, 0.5, 0.75):
                kernel = np.sinc(taps + phase) * np.cos(np.pi * (taps + phase) / 34) ** 2
                for part in np.array_split(near, max(1, len(near) // 20000)):
                    if len(part):
                        between: Samples = channel[part[:, None] - taps[None, :]] @ kernel
                        peak = max(peak, float(np.abs(between).max()))
        return 20 * math.log10(float(peak))

    def mono(self) -> Samples:
        """All channels as one."""
        return np.asarray(self.samples.mean(axis=0), np.float32)


@dataclass(frozen=True, slots=True)
class Beep:
    """A tone that came and went, in seconds; `level` is its amplitude."""

    at: float
    length: float
    level: float


def hear(location: str | Path, options: dict[str, str] | None = None) -> Sound | None:
    """Decode the sound of a file, playlist or address; None when it has none."""
    with av.open(str(location), options=options or {}) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        rate, codec = stream.rate, stream.codec_context.name
        blocks: list[NDArray[Any]] = []
        start: float | None = None
        written = gaps = 0
        for frame in container.decode(stream):
            block = _planar(frame)
            at = float(frame.pts * frame.time_base) if frame.pts is not None and frame.time_base else None
            if start is None:
                start = at or 0.0
            elif at is not None:
                missing = round((at - start) * rate) - written
                if abs(missing) > _JITTER * rate:
                    gaps += 1
                    if missing > 0:
                        blocks.append(np.zeros((block.shape[0], missing), np.float32))
                        written += missing
                    else:
                        block = block[:, min(-missing, block.shape[1]) :]
            blocks.append(block)
            written += block.shape[1]
    if start is None:
        return None
    return Sound(np.concatenate(blocks, axis=1).astype(np.float32), rate, start, gaps, codec)


def _planar(frame: av.AudioFrame) -> NDArray[Any]:
    raw = frame.to_ndarray()
    if not frame.format.is_planar:
        raw = raw.reshape(-1, frame.layout.nb_channels).T
    if raw.dtype == np.int16:
        return raw.astype(np.float32) / 32768
    return raw.astype(np.float32)


def beeps(mono: Samples, rate: int, tone: float, start: float = 0.0) -> tuple[Beep, ...]:
    """Every sounding of one tone. Its beginning and end are where its envelope crosses half of its level.

    The envelope comes of a symmetric window, so half of the level is met exactly at the edge however long the window.
    """
    hop = round(rate * _STEP)
    count = len(mono) // hop
    if count < _WINDOW:
        return ()
    time = np.arange(count * hop) / rate
    shifted = mono[: count * hop] * np.exp(-2j * np.pi * tone * time)
    window = np.hanning(_WINDOW + 2)[1:-1]
    slow = np.convolve(shifted.reshape(count, hop).mean(axis=1), window / window.sum(), "same")
    envelope = 2 * np.abs(slow)
    found = []
    loud = envelope > _FLOOR
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(int)))
    for first, last in edges.reshape(-1, 2):
        level = float(np.percentile(envelope[first:last], 80))
        above = np.flatnonzero(envelope[first:last] >= level / 2)
        rise, fall = first + above[0], first + above[-1]
        begun = _crossing(envelope, rise - 1, level / 2)
        ended = _crossing(envelope, fall, level / 2)
        found.append(Beep(start + (begun + 0.5) * _STEP, (ended - begun) * _STEP, level))
    return tuple(beep for beep in found if beep.length > 0.02)


def _crossing(envelope: NDArray[np.float64], before: int, height: float) -> float:
    """Where between `before` and the next step the envelope crosses a height."""
    if before < 0 or before + 1 >= len(envelope):
        return float(max(before, 0))
    low, high = envelope[before], envelope[before + 1]
    return before + float((height - low) / (high - low)) if high != low else float(before)
