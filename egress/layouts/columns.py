"""Full-height columns side by side, as in an interview; rows on tall canvases."""

from __future__ import annotations

from egress.layouts.base import Tile, View
from egress.layouts.geometry import Shape, inner, line
from egress.layouts.seating import equal, seat, tiles
from egress.layouts.subjects import subjects
from egress.model.look import ColumnsDoc
from egress.model.media import Size

_COLUMN = Shape(0.4, 2.4)
"""Narrower than this a face does not fit; wider, as a row, neither."""


def columns(view: View, canvas: Size, doc: ColumnsDoc) -> tuple[Tile, ...]:
    """Everyone in a column, or a row, in the order of the grid."""
    seated, left_over = seat(view, subjects(view), doc.most, equal(view.before))
    boxes = line(len(seated) + bool(left_over), inner(canvas, doc.margin), doc.gap, _COLUMN)
    return tiles(seated, left_over, boxes, doc)
