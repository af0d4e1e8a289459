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
"""A layer is left for a smaller one after its tile was small for so long."""
APART: Nanos = 2 * SECOND
"""Only a tile that grew gets another layer sooner than this after the last one was asked for."""
_SETTLED: Nanos = 500 * MILLISECOND
"""On its way to the layer asked for Janus passes through others for some milliseconds, and says so later than their
pictures come."""
_STEP_MOST = 2.6
"""No layer is so many times as wide as the next smaller one: publishers scale by 2, some by 1.5, few not at all."""
_ASPECT_MOST = 1.1

Layer = tuple[int, int]


def guess(videos: int, canvas: Size = ASSUMED) -> Size:
    """How large a tile will be about when so many videos are shown, before the layout has said."""
    columns = max(1, math.ceil(math.sqrt(videos)))
    return Size(canvas.width // columns, canvas.height // max(1, math.ceil(videos / columns)))


def begin_at(last: Size | None, videos: int) -> Size:
    """How large a new track will about be shown: as the last one was, but not larger than where all are alike."""
    even = guess(videos)
    return last if last is not None and last.width * last.height < even.width * even.height else even


class Layers:
    """The layers of one track. Sizes are learned from the keyframes that come; no I/O, times are given."""

    def __init__(self, tile: Size | None) -> None:
        self.switches = 0
        """How often the server has settled on another layer."""
        self._tile = tile
        self._sizes: dict[int, Size] = {}
        self._told: int | None = None
        self._settled: int | None = None
        self._seen: Size | None = None
        self._changed: Nanos = 0
        self._small_since: Nanos | None = None
        self._asked: Nanos | None = None
        self._asked_for = tile
        self.target = self._fitting()

    def want(self, tile: Size | None) -> None:
        """The tile's size from now on; None: not shown."""
        self._tile = tile

    def saw(self, size: Size, now: Nanos) -> None:
        """A keyframe of this size came."""
        if size != self._seen:
            self._seen, self._changed = size, now

    def missed(self) -> None:
        """Frames were lost, maybe the first ones of another layer: what comes is of no known size."""
        self._seen = None

    def switched(self, substream: int, now: Nanos) -> None:
        """The server says that it sends this substream now."""
        if 0 <= substream <= TOP and substream != self._told:
            self._told, self._changed = substream, now

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
        if self._asked is not None and now - self._asked < APART and not self._grown():
            return None
        self._small_since = None
        self.target, self._asked, self._asked_for = fitting, now, self._tile
        return fitting

    def _grown(self) -> bool:
        """Whether the tile is larger than when the last layer was asked for."""
        before, tile = self._asked_for, self._tile
        if tile is None or before is None:
            return tile is not None
        return tile.width > before.width or tile.height > before.height

    def _learn(self, now: Nanos) -> None:
        """What came is of the layer the server last switched to, once both have stayed the same for a while."""
        if self._told is None or now - self._changed < _SETTLED:
            return
        if self._told != self._settled:
            self.switches += self._settled is not None
            self._settled = self._told
        if self._seen is None or self._sizes.get(self._told) == self._seen:
            return
        if self._told in self._sizes:
            # The source itself has another size now: what was known of its other layers no longer holds.
            self._sizes.clear()
        self._sizes[self._told] = self._seen
        believed = {other: size for other, size in self._sizes.items() if self._fits_beside(other)}
        self._sizes = believed

    def _fits_beside(self, other: int) -> bool:
        """Whether what is known of another layer can be true, now that the size of the one being sent is."""
        assert self._told is not None
        one, two = self._sizes[min(self._told, other)], self._sizes[max(self._told, other)]
        across, down = two.width / one.width, two.height / one.height
        most = _STEP_MOST ** abs(self._told - other)
        alike = max(across, down) <= _ASPECT_MOST * min(across, down)
        return alike and 1 <= across <= most and 1 <= down <= most

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
