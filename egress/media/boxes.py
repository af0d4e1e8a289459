"""Where boxes meet, and what is left of one that others cover."""

from __future__ import annotations

from collections.abc import Iterable

from egress.layouts.base import Box


def meet(a: Box, b: Box) -> Box | None:
    """What both cover; None when they have nothing in common."""
    left, top = max(a.x, b.x), max(a.y, b.y)
    right, bottom = min(a.x + a.width, b.x + b.width), min(a.y + a.height, b.y + b.height)
    return Box(left, top, right - left, bottom - top) if left < right and top < bottom else None


def without(box: Box, holes: Iterable[Box]) -> list[Box]:
    """What the holes leave of a box, as boxes that do not overlap; even where all of them are."""
    left = [box]
    for hole in holes:
        left = [part for whole in left for part in _around(whole, hole)]
    return left


def _around(box: Box, hole: Box) -> list[Box]:
    common = meet(box, hole)
    if common is None:
        return [box]
    below, beside = common.y + common.height, common.x + common.width
    parts = (
        Box(box.x, box.y, box.width, common.y - box.y),
        Box(box.x, common.y, common.x - box.x, common.height),
        Box(beside, common.y, box.x + box.width - beside, common.height),
        Box(box.x, below, box.width, box.y + box.height - below),
    )
    return [part for part in parts if part.width > 0 and part.height > 0]
