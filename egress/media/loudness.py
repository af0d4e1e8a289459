"""How loud the mix is: programme loudness, its range and true peak, measured while it is made."""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.filter import Graph

from egress.media.samples import Samples, product

log = logging.getLogger(__name__)

BACKLOG: Final = 30
"""Seconds of sound that may wait to be measured; more is left out, counted."""

_BLOCK = 2
"""Blocks a second that are measured. Loudness has a new value every 100 ms (EBU Tech 3341, 2.4), but nobody who is told
of it looks so often, and to wake a thread for a block costs as much as to measure it."""

_REACH = 12
"""Samples before and after an instant that its value between samples is read from."""

_OVERSAMPLING = 4

_CLOSE_WITHIN = 10.0
_SILENCE = -70.0
"""LUFS; nothing below it counts (the absolute gate of BS.1770-4), so as an integrated value it says: no sound yet."""


@dataclass(frozen=True, slots=True)
class Loudness:
    """Of what has been heard so far: LUFS, LU and dBTP, None where there was only silence.

    `momentary` is of the last 400 ms, `short_term` of the last 3 s, `integrated` and `range` of all; `true_peak` is
    the highest, `clipped` counts samples at full scale or beyond, `left_out` those that were not measured.
    """

    momentary: float | None = None
    short_term: float | None = None
    integrated: float | None = None
    range: float | None = None
    true_peak: float | None = None
    clipped: int = 0
    left_out: int = 0


def _interpolators() -> Samples:
    """Kaiser-windowed sinc weights (3, taps) for the instants 1/4, 2/4 and 3/4 after a sample."""
    taps = np.arange(1 - _REACH, _REACH + 1)
    rows = []
    for phase in range(1, _OVERSAMPLING):
        distance = taps - phase / _OVERSAMPLING
        weights = np.sinc(distance) * np.i0(6 * np.sqrt(1 - (distance / _REACH) ** 2))
        rows.append(weights / weights.sum())
    return np.stack(rows).astype(np.float32)


_WEIGHTS = _interpolators()
_WORST = float(np.abs(_WEIGHTS).sum(axis=1).max())
"""No instant between samples can be larger than this times the largest sample around it."""


def _between() -> Samples:
    """The matrix (3 * _REACH - 1, 3 * _REACH) that makes of samples the instants between the _REACH in their middle."""
    matrix = np.zeros((3 * _REACH - 1, _REACH, _OVERSAMPLING - 1), np.float32)
    for sample in range(_REACH):
        matrix[sample : sample + 2 * _REACH, sample] = _WEIGHTS.T
    return matrix.reshape(3 * _REACH - 1, -1)


_BETWEEN = _between()


class TruePeak:
    """The highest true peak of sound that adjoins, linear: read at four times its rate (BS.1770-4, annex 2)."""

    def __init__(self, channels: int) -> None:
        self.highest = 0.0
        self._past = np.zeros((channels, 2 * _REACH - 1), np.float32)

    def hear(self, sound: Samples) -> None:
        """Take the next samples (channels, n), n at least 24."""
        joined = np.concatenate((self._past, sound), axis=1)
        channels, steps = len(joined), (joined.shape[1] - 2 * _REACH + 1) // _REACH
        self._past = joined[:, steps * _REACH :]
        self.highest = max(self.highest, float(joined.max()), -float(joined.min()))
        parts = np.abs(joined[:, : (steps + 1) * _REACH]).reshape(channels, steps + 1, _REACH).max(axis=2)
        # Only where a sample is near that could lift the peak: in speech that soon is almost nowhere.
        loud = parts * _WORST > self.highest
        if not loud.any():
            return
        across, along = joined.strides
        rows = np.ndarray((channels, steps, 3 * _REACH - 1), np.float32, joined, 0, (across, _REACH * along, along))
        between = product(rows[loud[:, :-1] | loud[:, 1:]], _BETWEEN)
        self.highest = max(self.highest, float(between.max(initial=0.0)), -float(between.min(initial=0.0)))


class _Gauge:
    """libavfilter's ebur128 for BS.1770-4 and EBU Tech 3342; true peaks are read here, for its own cost three times as
    much."""

    def __init__(self, rate: int, channels: int) -> None:
        layout = "stereo" if channels == 2 else "mono"
        self._rate = rate
        self._layout = layout
        self._pts = 0
        self._graph = Graph()
        form = f"sample_rate={rate}:sample_fmt=fltp:channel_layout={layout}:time_base=1/{rate}"
        self._source = self._graph.add("abuffer", form)
        meter = self._graph.add("ebur128", "metadata=1:framelog=quiet:peak=none")
        self._result = self._graph.add("abuffersink")
        self._source.link_to(meter)
        meter.link_to(self._result)
        self._graph.configure()

    def measure(self, sound: Samples) -> dict[str, str]:
        """The filter's values after these samples; {} when it has none yet."""
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout=self._layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._pts, Fraction(1, self._rate)
        self._pts += sound.shape[1]
        self._source.push(frame)
        values: dict[str, str] = {}
        for answer in self._answers():
            values = dict(answer.metadata)
        return values

    def _answers(self) -> Iterator[av.AudioFrame]:
        while True:
            try:
                frame = self._result.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            if isinstance(frame, av.AudioFrame):
                yield frame


class LoudnessMeter:
    """Measures contiguous blocks of the mix on a thread of its own, so that the mix never waits for it.

    What a pause leaves out of a file is silence in the mix, and the gates of the measure leave silence out, so that one
    measure holds for files with their pauses and without.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self.value = Loudness()
        self._block = rate // _BLOCK
        self._most = BACKLOG * rate
        self._gauge = _Gauge(rate, channels)
        self._peak = TruePeak(channels)
        self._clipped = 0
        self._left_out = 0
        self._offered = 0
        self._taken = 0
        self._gathered: list[Samples] = []
        self._enough = self._block
        self._works = True
        self._waiting: queue.SimpleQueue[list[Samples] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="loudness", daemon=True)
        self._thread.start()

    def offer(self, block: Samples) -> None:
        """Queue float32 samples (channels, n) that follow those before; they must not change afterwards. Never waits.

        Called on one thread. Its own is woken when there is enough for a value.
        """
        if self._offered - self._taken > self._most or not self._works:
            self._left_out += block.shape[1]
            return
        self._offered += block.shape[1]
        self._gathered.append(block)
        if self._offered >= self._enough:
            self._enough = self._offered + self._block
            self._hand_over()

    def close(self) -> Loudness:
        """Measure what waits, and say the whole."""
        self._hand_over()
        self._waiting.put(None)
        self._thread.join(_CLOSE_WITHIN)
        return self.value

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        self._waiting.put(gathered)

    def _run(self) -> None:
        try:
            self._work()
        except Exception:
            # A figure less; the programme has no need of it.
            log.exception("the loudness is measured no more")
            self._works = False

    def _work(self) -> None:
        rest: list[Samples] = []
        while (blocks := self._waiting.get()) is not None:
            rest = blocks
            if sum(block.shape[1] for block in blocks) >= self._block:
                self._measure(np.concatenate(blocks, axis=1))
                rest = []
        self._measure(np.concatenate([*rest, np.zeros((len(self._peak._past), 2 * _REACH), np.float32)], axis=1))

    def _measure(self, sound: Samples) -> None:
        self._taken += sound.shape[1]
        self._peak.hear(sound)
        self._clipped += int(np.count_nonzero(np.abs(sound) >= 1.0)) if self._peak.highest >= 1.0 else 0
        values = self._gauge.measure(sound)
        before = self.value
        self.value = Loudness(
            momentary=_level(values, "M", before.momentary),
            short_term=_level(values, "S", before.short_term),
            integrated=_level(values, "I", before.integrated),
            range=_number(values, "LRA", before.range),
            true_peak=round(20 * math.log10(self._peak.highest), 2) if self._peak.highest > 0 else None,
            clipped=self._clipped,
            left_out=self._left_out,
        )


def _number(values: dict[str, str], name: str, before: float | None) -> float | None:
    value = float(values.get(f"lavfi.r128.{name}", "nan"))
    return before if math.isnan(value) else round(value, 2)


def _level(values: dict[str, str], name: str, before: float | None) -> float | None:
    value = _number(values, name, before)
    return None if value is None or value <= _SILENCE else value
