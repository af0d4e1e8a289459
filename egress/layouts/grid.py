"""Everyone in equal tiles."""

from __future__ import annotations

from egress.layouts.base import Tile, View
from egress.layouts.geometry import arrange
from egress.layouts.seating import seat, tiles
from egress.layouts.subjects import subjects
from egress.model.look import LayoutDoc
from egress.model.media import Size


def grid(view: View, canvas: Size, doc: LayoutDoc) -> tuple[Tile, ...]:
    """Everyone in equal tiles: pinned first, then by prominence, then in order of joining, who has a place keeps it."""
    equal = len({tile.box.size for tile in view.before}) == 1
    seated, left_over = seat(view, subjects(view), doc.most, view.before if equal else ())
    boxes = arrange(len(seated) + bool(left_over), canvas, gap=doc.gap, margin=doc.margin)
    return tiles(seated, left_over, boxes, doc)
