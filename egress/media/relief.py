"""What one track's decoder and scaler leave out while the machine is under strain."""

from __future__ import annotations

from egress.media.decoding import VideoDecoder
from egress.media.strain import Rung
from egress.model.media import MILLISECOND, SECOND, Nanos

HALF_RATE: Nanos = 60 * MILLISECOND
"""Pictures of a tile at half the rate are at least so far apart: every second one of 30 a second, all of 15."""
IN_TIME: Nanos = 75 * MILLISECOND
"""A frame that is here so long before its tick and decoded after it was kept waiting by this machine."""


class Relief:
    """Told what to give up on any thread, asked on the decoder's own."""

    def __init__(self) -> None:
        self.thinned = 0
        """Pictures decoded and not scaled."""
        self.overdue = 0
        """Pictures that had come in time and were decoded too late."""
        self._rung = Rung.NONE
        self._renewal: Nanos | None = None
        self._scaled: Nanos = -SECOND

    def give(self, rung: Rung, renewal: Nanos) -> None:
        """Give up what this rung says from now on; a keyframe that takes may be asked for from time `renewal` on."""
        if (rung >= Rung.LOOP_FILTER) is not (self._rung >= Rung.LOOP_FILTER):
            self._renewal = renewal
        self._rung = rung

    def apply(self, decoder: VideoDecoder, now: Nanos) -> bool:
        """Have the decoder leave out what is given up; says whether a keyframe should be asked for."""
        decoder.unfiltered = self._rung >= Rung.LOOP_FILTER
        decoder.discard(self._rung >= Rung.SMALL_TILES)
        if self._renewal is None or now < self._renewal:
            return False
        self._renewal = None
        return decoder.renewing

    def late(self, had: Nanos) -> None:
        """Note that a picture was decoded too late, whose frame had so long until its tick."""
        self.overdue += had >= IN_TIME

    def thins(self, at: Nanos) -> bool:
        """Whether the picture of session time `at` is one too many; it is counted."""
        if self._rung >= Rung.SMALL_TILES and 0 <= at - self._scaled < HALF_RATE:
            self.thinned += 1
            return True
        self._scaled = at
        return False
