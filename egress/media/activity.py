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

_ABOVE: Final = 8.0
"""How much louder than the noise speech is, and its vowels than its dips: 9 dB."""
_LEAST: Final = 10 ** (-48 / 10)
"""Power (mean square) below which nothing is speech: -48 dBFS."""


class VoiceActivity:
    """Judges the sound of one track, which it is given block by block, without a break, on one thread."""

    def __init__(self) -> None:
        self._powers = np.zeros(_MEMORY, np.float32)
        self._left = 0

    @property
    def speaking(self) -> bool:
        """Whether somebody spoke at the end of what was heard."""
        return self._left > 0

    def hear(self, block: Samples | None, samples: int) -> None:
        """The next block (2, samples); None is silence."""
        count = max(1, round(samples / _FRAME))
        powers = np.zeros(count, np.float32) if block is None else _frames(block, count)
        self._powers = np.concatenate((self._powers, powers))[-_MEMORY:]
        if block is None and self._left <= count:
            self._left = 0
            return
        self._left = _HANG if self._spoken() else max(0, self._left - count)

    def _spoken(self) -> bool:
        syllables = self._powers[-_SYLLABLES:]
        if float(syllables.max()) < max(_LEAST, _ABOVE * float(syllables.min())):
            return False
        loud = self._powers[-_VOWEL:] > max(_LEAST, _ABOVE * float(self._powers.min()))
        return int(np.count_nonzero(loud)) * 2 >= _VOWEL


def _frames(block: Samples, count: int) -> Samples:
    """The power of `count` equal stretches of a block, without hum and rumble."""
    mono = (block[0] + block[1]) * np.float32(0.25)
    if mono.size < 4 * _LAG * count:
        return np.full(count, 4 * float(np.mean(mono**2)), np.float32)
    voice = 2 * mono[_LAG:-_LAG] - mono[: -2 * _LAG] - mono[2 * _LAG :]
    size = voice.size // count
    powers: Samples = np.square(voice[: size * count].reshape(count, size)).mean(axis=1)
    return powers
