"""Decoded sound of one track, addressed by the source's own sample count."""

from __future__ import annotations

import numpy as np

from egress.media.samples import Samples

LENGTH = 48_000


class Tape:
    """The last second of decoded sound; `end` is the position of the next sample to come. Silent outside.

    It has as many channels as the sound it was given had at most: one until it is given two.
    """

    def __init__(self) -> None:
        self.end: int | None = None
        self._start = 0
        self._sound = np.zeros((1, LENGTH), np.float32)
        self._used = 0
        self._sounds_until: int | None = None

    @property
    def start(self) -> int:
        """Position of the oldest sample still here."""
        return self._start

    def silent(self, position: int, samples: int) -> bool:
        """Whether nothing was put on the tape, but silence, from a position on for so many samples, or before them."""
        return self._sounds_until is None or position >= self._sounds_until or position + samples <= self._start

    def append(self, sound: Samples) -> None:
        """Sound (channels, n) that continues at `end`; what is older than the tape is long is lost."""
        if len(sound) > len(self._sound):
            self._sound = np.repeat(self._sound, len(sound), axis=0)
        self._put(sound)
        self._sounds_until = self.end

    def skip_to(self, position: int) -> None:
        """Silence up to a position; nothing before it is kept if that is far."""
        gap = position - self.end if self.end is not None else LENGTH
        if gap < 0:
            raise ValueError("a tape cannot be wound back")
        if self.end is None or gap > LENGTH // 2:
            self.end = self._start = position
            self._used = 0
            self._sounds_until = None
        else:
            self._put(np.zeros((1, gap), np.float32))

    def forget(self) -> None:
        """Nothing before `end` will be heard again."""
        self._used = 0
        self._sounds_until = None
        if self.end is not None:
            self._start = self.end

    def fade_out(self, since: int, samples: int) -> None:
        """Let the last `samples` fall to silence, as far as they lie at or after `since`."""
        if self.end is None:
            return
        count = max(0, min(samples, self.end - since, self._used))
        self._sound[:, self._used - count : self._used] *= np.linspace(1.0, 0.0, count, dtype=np.float32)

    def read(self, position: int, samples: int) -> Samples:
        """A copy of (channels, samples) from a position on; zeros where nothing is."""
        end = self._start if self.end is None else self.end
        first, last = max(position, self._start), min(position + samples, end)
        offset = first - self._start
        if last - first == samples:
            return self._sound[:, offset : offset + samples].copy()
        sound = np.zeros((len(self._sound), samples), np.float32)
        if first < last:
            sound[:, first - position : last - position] = self._sound[:, offset : offset + last - first]
        return sound

    def _put(self, sound: Samples) -> None:
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
