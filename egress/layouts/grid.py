"""Everyone in equal tiles."""

from __future__ import annotations

from egress.layouts.base import Tile, View
from egress.layouts.geometry import arrange
from egress.layouts.seating import equal, seat, tiles
from egress.layouts.subjects import subjects
from egress.model.look import LayoutDoc
from egress.model.media import Size


def grid(view: View, canvas: Size, doc: LayoutDoc) -> tuple[Tile, ...]:
    """Everyone in equal tiles: pinned first, then by prominence, then in order of joining, who has a place keeps it."""
    seated, left_over = seat(view, subjects(view), doc.most, equal(view.before))
    boxes = arrange(len(seated) + bool(left_over), canvas, gap=doc.gap, margin=doc.margin)
    return tiles(seated, left_over, boxes, doc)
