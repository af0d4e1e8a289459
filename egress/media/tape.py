"""Decoded sound of one track, addressed by the source's own sample count."""

from __future__ import annotations

import numpy as np

from egress.media.samples import Samples

HISTORY = 9_600
"""Samples kept behind the reader (200 ms), for interpolation and for going back a little."""
LENGTH = 48_000


class Tape:
    """The last second of decoded sound; `end` is the position of the next sample to come. Silent outside."""

    def __init__(self) -> None:
        self.end: int | None = None
        self._start = 0
        self._sound = np.zeros((2, LENGTH), np.float32)
        self._used = 0

    @property
    def start(self) -> int:
        """Position of the oldest sample still here."""
        return self._start

    def append(self, sound: Samples) -> None:
        """Sound (2, n) that continues at `end`; what is older than the tape is long is lost."""
        assert self.end is not None
        count = sound.shape[1]
        if self._used + count > LENGTH:
            kept = max(0, min(self._used, LENGTH // 2, LENGTH - count))
            self._sound[:, :kept] = self._sound[:, self._used - kept : self._used].copy()
            self._used = kept
        self._sound[:, self._used : self._used + count] = sound
        self._used += count
        self.end += count
        self._start = self.end - self._used

    def skip_to(self, position: int) -> None:
        """Silence up to a position; nothing before it is kept if that is far."""
        gap = position - self.end if self.end is not None else LENGTH
        if gap < 0:
            raise ValueError("a tape cannot be wound back")
        if self.end is None or gap > LENGTH // 2:
            self.end = self._start = position
            self._used = 0
        else:
            self.append(np.zeros((2, gap), np.float32))

    def forget(self) -> None:
        """Nothing before `end` will be heard again."""
        self._used = 0
        if self.end is not None:
            self._start = self.end

    def fade_out(self, since: int, samples: int) -> None:
        """Let the last `samples` fall to silence, as far as they lie at or after `since`."""
        if self.end is None:
            return
        count = max(0, min(samples, self.end - since, self._used))
        self._sound[:, self._used - count : self._used] *= np.linspace(1.0, 0.0, count, dtype=np.float32)

    def read(self, position: int, samples: int) -> Samples:
        """A copy of (2, samples) from a position on; zeros where nothing is."""
        sound = np.zeros((2, samples), np.float32)
        if self.end is None:
            return sound
        first, last = max(position, self._start), min(position + samples, self.end)
        if first < last:
            offset = first - self._start
            sound[:, first - position : last - position] = self._sound[:, offset : offset + last - first]
        return sound
