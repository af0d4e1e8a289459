"""Which simulcast layer of a track to ask for: the smallest that fills its tile; up at once, down with patience."""

from __future__ import annotations

import math

from egress.model.media import MILLISECOND, SECOND, Nanos, Size

TOP = 2
"""Janus knows three substreams, 0 to 2, and three temporal layers."""
ASSUMED = Size(1280, 720)
"""What the largest layer is taken to be until pictures of it have come; each lower one is half as large."""
COVERS = 0.9
"""A layer this much of the tile's size is good enough: nobody sees that it was enlarged."""
DOWN_AFTER: Nanos = 2 * SECOND
_SETTLED: Nanos = 300 * MILLISECOND

Layer = tuple[int, int]


def guess(videos: int, canvas: Size = ASSUMED) -> Size:
    """How large a tile will be about when so many videos are shown, before the layout has said."""
    columns = max(1, math.ceil(math.sqrt(videos)))
    return Size(canvas.width // columns, canvas.height // max(1, math.ceil(videos / columns)))


class Layers:
    """The layers of one track. Sizes are learned from the keyframes that come; no I/O, times are given."""

    def __init__(self, tile: Size | None) -> None:
        self.switches = 0
        self._tile = tile
        self._sizes: dict[int, Size] = {}
        self._current: int | None = None
        self._seen: Size | None = None
        self._changed: Nanos = 0
        self._small_since: Nanos | None = None
        self.target = self._fitting()

    def want(self, tile: Size | None) -> None:
        """The tile's size from now on; None: not shown."""
        self._tile = tile

    def saw(self, size: Size, now: Nanos) -> None:
        """A keyframe of this size came."""
        if size != self._seen:
            self._seen, self._changed = size, now

    def switched(self, substream: int, now: Nanos) -> None:
        """The server sends this substream now."""
        if 0 <= substream <= TOP and substream != self._current:
            if self._current is not None:
                self.switches += 1
            self._current, self._changed = substream, now

    def choose(self, now: Nanos) -> Layer | None:
        """The (substream, temporal layer) to ask for now; None while what was asked for is right."""
        self._learn(now)
        fitting = self._fitting()
        if fitting == self.target:
            self._small_since = None
            return None
        if fitting < self.target:
            if self._small_since is None:
                self._small_since = now
            if now - self._small_since < DOWN_AFTER:
                return None
        self._small_since = None
        self.target = fitting
        return fitting

    def _learn(self, now: Nanos) -> None:
        """What came is of the layer the server last switched to, once both have settled."""
        if self._seen is None or self._current is None or now - self._changed < _SETTLED:
            return
        if self._sizes.get(self._current) != self._seen:
            known = self._sizes.get(self._current)
            if known is not None:
                # The source itself has another size now: what was known of its other layers no longer holds.
                self._sizes.clear()
            self._sizes[self._current] = self._seen

    def size(self, substream: int) -> Size:
        """How large a layer is: as seen, else by halves from the nearest one seen, else as assumed."""
        if substream in self._sizes:
            return self._sizes[substream]
        near = min(self._sizes, key=lambda known: abs(known - substream), default=TOP)
        base, shift = self._sizes.get(near, ASSUMED), substream - near
        factor = 2.0**shift
        return Size(max(1, round(base.width * factor)), max(1, round(base.height * factor)))

    def _fitting(self) -> Layer:
        if self._tile is None:
            return 0, 0
        for substream in range(TOP):
            size = self.size(substream)
            if size.width >= COVERS * self._tile.width and size.height >= COVERS * self._tile.height:
                return substream, TOP
        return TOP, TOP
