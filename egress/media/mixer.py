"""The mixer: everyone's sound into one, never clipped."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Final, Literal

import numpy as np

from egress.media.limiter import Limiter
from egress.media.samples import Samples
from egress.model.errors import Fault

CEILING: Final = -1.0
"""dB true peak relative to full scale."""

_IN_HAND = 0.5
"""dB kept in hand: a 12-tap detector reads up to 0.4 dB too little on the steepest edges."""


class Mixer:
    """Sums stereo blocks into `channels` channels behind a look-ahead limiter.

    Output is delayed by `latency` samples: the first `latency` samples that `mix` returns are silence from before
    the beginning (drop them, and sample k out is sample k in), and `flush` returns the last ones. Sound that stays
    under the ceiling passes bit-exact, so silence in is exact silence out. Blocks with a sample that is not a finite
    number are left out and counted in `broken`.
    """

    latency: Final = Limiter.latency

    def __init__(self, channels: int = 2) -> None:
        if channels not in (1, 2):
            raise Fault(f"a mix has 1 or 2 channels, not {channels}")
        self.channels = channels
        self.broken = 0
        self._limiter = Limiter(channels, 10 ** ((CEILING - _IN_HAND) / 20))

    @property
    def limited(self) -> int:
        """How many blocks were turned down."""
        return self._limiter.limited

    def mix(self, blocks: Sequence[Samples], n: int) -> Samples:
        """The next `n` samples, float32 (channels, n), of blocks of shape (2, n); no blocks are silence."""
        return self._limiter.process(self._sum(blocks, n)) if blocks else self._limiter.silence(n)

    def flush(self) -> Samples:
        """The last `latency` samples of the mix; afterwards the mixer is as new."""
        last = self._limiter.process(np.zeros((self.channels, self.latency), np.float32))
        self._limiter.reset()
        return last

    def _sum(self, blocks: Sequence[Samples], n: int) -> Samples:
        total, middle = np.zeros((2, n), np.float32), None
        for block in blocks:
            if block.shape != (2, n):
                raise Fault(f"the mixer was given a block of {block.shape}, not (2, {n})")
            if block.strides[0]:
                total += block
            elif middle is None:
                middle = block[0].copy()
            else:
                middle += block[0]
        if middle is not None:
            total += middle
        # The power is not finite where a sample is not, and only rarely besides: it is had for a third of the price.
        if blocks and not isfinite(np.vdot(total, total)) and not np.isfinite(total).all():
            whole = [block for block in blocks if np.isfinite(block).all()]
            self.broken += len(blocks) - len(whole)
            return self._sum(whole, n)
        if self.channels == 1:
            return (total[:1] + total[1:]) * np.float32(0.5)
        return total


def one_sided(block: Samples, side: Literal["left", "right"]) -> Samples:
    """A stereo block as mono on one side, the other one silent."""
    out = np.zeros_like(block)
    out[int(side == "right")] = (block[0] + block[1]) * np.float32(0.5)
    return out
