"""A look-ahead limiter that keeps the true peak of a mix under a ceiling and leaves quieter sound bit-exact."""

from __future__ import annotations

from typing import Final

import numpy as np

from egress.media.samples import Samples, product

_STEP: Final = 48
_AHEAD: Final = 5
_BEFORE: Final = 5
_AFTER: Final = 6
_RELEASE: Final = 150
_IDLE: Final = 0.9999
_SLOPE: Final = np.arange(_STEP, dtype=np.float32) / np.float32(_STEP)


def _interpolators() -> Samples:
    """Kaiser-windowed sinc weights (3, taps) for the instants 1/4, 2/4 and 3/4 after a sample."""
    taps = np.arange(-_BEFORE, _AFTER + 1)
    rows = []
    for phase in (0.25, 0.5, 0.75):
        distance = taps - phase
        window = np.i0(4 * np.sqrt(1 - (distance / (_AFTER + 0.25)) ** 2))
        weights = np.sinc(distance) * window
        rows.append(weights / weights.sum())
    return np.stack(rows).astype(np.float32)


_WEIGHTS = _interpolators()
_WORST = float(np.abs(_WEIGHTS).sum(axis=1).max())
"""No instant between samples can be larger than this times the largest sample around it."""

_ROW: Final = 12
_REACH: Final = _BEFORE + _ROW + _AFTER


def _quadruple() -> Samples:
    """The matrix (_REACH, 4 * _ROW) that makes of so many samples _ROW of them and the three instants after each.

    One product of matrices with a few zeros in them takes two thirds of the time of three convolutions.
    """
    matrix = np.zeros((_REACH, _ROW, 4), np.float32)
    for sample in range(_ROW):
        matrix[sample + _BEFORE, sample, 0] = 1
        matrix[sample : sample + _BEFORE + 1 + _AFTER, sample, 1:] = _WEIGHTS.T
    return matrix.reshape(_REACH, 4 * _ROW)


_QUADRUPLE = _quadruple()


class Limiter:
    """Delays sound by `latency` samples and turns it down where its true peak would pass `ceiling` (linear).

    Peaks are read at four times the sample rate in steps of 1 ms. The gain falls in a straight line over the 5 ms
    before a peak and recovers with a time constant of 150 ms, so that neither clicks. Input and output are float32
    of shape (channels, n), for any n.
    """

    latency: Final = (_AHEAD + 1) * _STEP + _AFTER

    def __init__(self, channels: int, ceiling: float) -> None:
        self.limited = 0
        self._channels = channels
        self._ceiling = ceiling
        self._alpha = 1 - float(np.exp(-1 / _RELEASE))
        self.reset()

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._past = np.zeros((self._channels, self.latency), np.float32)
        self._gain = np.ones(self.latency - _AHEAD * _STEP, np.float32)
        self._unread = 0
        self._targets: Samples = np.ones(_AHEAD, np.float32)
        self._held: Samples = np.ones(_AHEAD, np.float32)
        self._calm = True
        """Whether the gain is 1 as far as it is known."""
        self._still = self.latency
        """How many samples, the last ones given, were silence that was said to be."""
        self._nothing = np.zeros((self._channels, 0), np.float32)

    def process(self, sound: Samples) -> Samples:
        """As many samples as are given, those of `latency` samples ago."""
        count = sound.shape[1]
        self._still = 0
        joined = np.concatenate((self._past, sound), axis=1)
        self._past = joined[:, count:]
        self._unread += count
        steps = max(0, self._unread - _AFTER) // _STEP
        if steps:
            self._gain = np.concatenate((self._gain, self._follow(joined, steps)))
            self._unread -= steps * _STEP
        gain, self._gain = self._gain[:count], self._gain[count:]
        out = joined[:, :count]
        if self._calm:
            return out
        turned = bool(gain.size) and gain.min() < 1
        self._calm = bool(self._held.min() == 1 and self._gain.min(initial=1) == 1)
        if not turned:
            return out
        self.limited += 1
        return out * gain

    def silence(self, count: int) -> Samples:
        """As `process` of so much silence. Where nothing is heard any more that is nearly for nothing; what is given
        then is given again, and cannot be written to."""
        if self._nothing.shape[1] != count:
            self._nothing = np.zeros((self._channels, count), np.float32)
            self._nothing.flags.writeable = False
        if not self._calm or self._still < self.latency:
            still = self._still + count
            out = self.process(self._nothing)
            self._still = still
            return out
        self._unread += count
        steps = max(0, self._unread - _AFTER) // _STEP
        self._unread -= steps * _STEP
        known = self._gain.size + steps * _STEP - count
        if known != self._gain.size:
            self._gain = np.ones(known, np.float32)
        return self._nothing

    def _follow(self, joined: Samples, steps: int) -> Samples:
        """The gain of the `steps` steps that are AHEAD of those whose peaks are read now."""
        first = joined.shape[1] - self._unread
        around = joined[:, first - _BEFORE : first + steps * _STEP + _AFTER]
        loud = max(float(around.max()), -float(around.min())) * _WORST > self._ceiling
        if self._calm and not loud:
            return np.ones(steps * _STEP, np.float32)
        wanted = np.ones(steps, np.float32)
        if loud:
            np.divide(self._ceiling, np.maximum(_true_peaks(joined, first, steps), self._ceiling), out=wanted)
        targets: Samples = np.concatenate((self._targets, wanted))
        self._targets = targets[-_AHEAD:]
        if targets.min() == 1 and self._held.min() == 1:
            return np.ones(steps * _STEP, np.float32)
        self._calm = False
        held = self._held.tolist()
        last = held[-1]
        for goal in _least(targets).tolist():
            released = last + (1 - last) * self._alpha
            last = min(goal, 1.0 if released > _IDLE else released)
            held.append(last)
        holds = np.array(held, np.float32)
        self._held = holds[-_AHEAD:]
        corners = holds[: steps + 1].copy()
        for k in range(1, _AHEAD):
            corners += holds[k : k + steps + 1]
        corners /= _AHEAD
        gain: Samples = (corners[1:] - corners[:-1])[:, None] * _SLOPE
        gain += corners[:-1, None]
        return gain.reshape(-1)


def _least(targets: Samples) -> Samples:
    """The least of each _AHEAD + 1 targets in a row."""
    two = np.minimum(targets[:-1], targets[1:])
    four = np.minimum(two[:-2], two[2:])
    six: Samples = np.minimum(four[:-2], two[4:])
    return six


def _true_peaks(joined: Samples, first: int, steps: int) -> Samples:
    """The largest true peak of each step over all channels; steps begin at sample `first` of `joined`."""
    channels, rows = len(joined), steps * (_STEP // _ROW)
    across, along = joined.strides
    begin = (first - _BEFORE) * along
    windows = np.ndarray((channels, rows, _REACH), np.float32, joined, begin, (across, _ROW * along, along))
    between = product(np.ascontiguousarray(windows).reshape(channels * rows, _REACH), _QUADRUPLE)
    np.abs(between, out=between)
    peaks: Samples = between.reshape(channels, steps, -1).max(axis=2).max(axis=0)
    return peaks
