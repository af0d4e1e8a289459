"""Voice activity: whether what is heard of a track is somebody speaking, and not noise, hum or a keyboard."""

from __future__ import annotations

from typing import Final

import numpy as np

from egress.media.samples import Samples

_FRAME: Final = 480
"""10 ms, the grain of all that follows."""
_LAG: Final = 40
"""A second difference over so many samples passes 200 to 1000 Hz, where voices are, but neither hum nor rumble."""

_MEMORY: Final = 150
"""Frames in which the quietest one is the noise: nobody speaks for 1.5 s without a dip between words."""
_SYLLABLES: Final = 40
"""Frames in which speech rises and falls; what does not is a tone or noise, which so counts for its onset only."""
_VOWEL: Final = 24
"""Frames half of which are loud while somebody speaks; keys and beeps are shorter."""
_HANG: Final = 12
"""Frames that speech is taken to last on: a short pause between syllables is not its end."""

_ROOM: Final = 16 * _MEMORY
"""Frames of room: what is remembered is moved to its beginning whenever it has come to its end."""

_ABOVE: Final = 8.0
"""How much louder than the noise speech is, and its vowels than its dips: 9 dB."""
_LEAST: Final = 10 ** (-48 / 10)
"""Power (mean square) below which nothing is speech: -48 dBFS."""


class VoiceActivity:
    """Judges the sound of one track, which it is given block by block, without a break, on one thread."""

    def __init__(self) -> None:
        self._powers = np.zeros(_ROOM, np.float32)
        self._end = _MEMORY
        self._still = _MEMORY
        """How many frames in a row, the last one among them, were exact silence..."""
        self._quiet = _SYLLABLES
        """...and how many were too quiet for speech."""
        self._left = 0

    @property
    def speaking(self) -> bool:
        """Whether somebody spoke at the end of what was heard."""
        return self._left > 0

    def hear(self, block: Samples | None, samples: int) -> None:
        """The next block (1 or 2 channels, samples); None is silence."""
        count = max(1, round(samples / _FRAME))
        if block is None:
            if self._still < _MEMORY:
                self._still += count
                self._add(0.0, count)
            if self._left <= count:
                self._left = 0
                return
        else:
            self._still = 0
            powers = _frames(block, count)
            self._add(powers, count)
            if max(powers.tolist()) >= _LEAST:
                self._quiet = -count
        self._quiet += count
        # Mostly nobody speaks, and most microphones hear little else.
        spoken = self._quiet < _SYLLABLES and self._spoken()
        self._left = _HANG if spoken else max(0, self._left - count)

    def _add(self, powers: Samples | float, count: int) -> None:
        if self._end + count > _ROOM:
            self._powers[:_MEMORY] = self._powers[self._end - _MEMORY : self._end]
            self._end = _MEMORY
        self._powers[self._end : self._end + count] = powers
        self._end += count

    def _spoken(self) -> bool:
        memory = self._powers[self._end - _MEMORY : self._end]
        syllables = memory[-_SYLLABLES:]
        loudest = float(np.maximum.reduce(syllables))
        if loudest < max(_LEAST, _ABOVE * float(np.minimum.reduce(syllables))):
            return False
        loud = memory[-_VOWEL:] > max(_LEAST, _ABOVE * float(np.minimum.reduce(memory)))
        return int(np.count_nonzero(loud)) * 2 >= _VOWEL


def _frames(block: Samples, count: int) -> Samples:
    """The power of `count` equal stretches of a block, without hum and rumble."""
    sides = len(block)
    sound = block[0] if sides == 1 else block[0] + block[1]
    # Half of the mean of both sides.
    share = np.float32(0.5 / sides) ** 2
    if sound.size < 4 * _LAG * count:
        return np.full(count, 4 * share * np.vdot(sound, sound) / sound.size, np.float32)
    once = sound[_LAG:] - sound[:-_LAG]
    twice = once[_LAG:] - once[:-_LAG]
    size = twice.size // count
    rows = twice[: size * count].reshape(count, size)
    powers: Samples = np.vecdot(rows, rows) * (share / size)
    return powers
