"""A cross-fade from what was seen to a canvas that lives on."""

from __future__ import annotations

import numpy as np

from egress.media.canvas import SCRATCH, Canvas
from egress.model.media import Nanos

_WHOLE = 128
"""Steps from the old canvas to the new one; both weighted and added still fit 16 bits."""


class Fade:
    """Mixes the canvas that was seen when it began with another, over a time; exists only as long as that lasts.

    A part of the new canvas is seen from the first moment after `begin`, and nothing of the old one when it is over.
    """

    def __init__(self, seen: Canvas, begin: Nanos, duration: Nanos) -> None:
        self.canvas = Canvas(seen.size)
        """What is to be seen, after `mix`."""
        self._begin, self._duration = begin, duration
        self._old = [line.copy() for line in seen.lines]
        self._room = np.empty(SCRATCH, np.uint16)

    def over(self, at: Nanos) -> bool:
        """Whether nothing of the old canvas is seen any more at session time `at`."""
        return at - self._begin >= self._duration

    def mix(self, new: Canvas, at: Nanos) -> Canvas:
        """What is to be seen at session time `at`; stays so until the next `mix`."""
        share = max(1, min(_WHOLE, _WHOLE * (at - self._begin) // self._duration))
        weight, rest = np.uint16(share), np.uint16(_WHOLE - share)
        for old, fresh, target in zip(self._old, new.lines, self.canvas.lines, strict=True):
            for start in range(0, len(old), SCRATCH):
                band = slice(start, start + SCRATCH)
                mixed, other = new.scratch[: len(old) - start], self._room[: len(old) - start]
                np.multiply(fresh[band], weight, out=mixed)
                np.multiply(old[band], rest, out=other)
                np.add(mixed, other, out=mixed)
                np.add(mixed, np.uint16(_WHOLE // 2), out=mixed)
                np.right_shift(mixed, 7, out=mixed)
                np.copyto(target[band], mixed, casting="unsafe")
        return self.canvas
