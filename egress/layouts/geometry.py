"""Boxes on a canvas: equal tiles, shapes within bounds, fractions; every number even, as 4:2:0 chroma needs."""

from __future__ import annotations

from dataclasses import dataclass

from egress.layouts.base import Box
from egress.model.media import Size


@dataclass(frozen=True, slots=True)
class Shape:
    """The aspects, width over height, that a tile may have."""

    narrowest: float
    widest: float


EQUAL = Shape(4 / 3, 1.9)
"""Equal tiles: what suits a person's picture; a little more than 16:9 avoids thin bars."""


def inner(canvas: Size, margin: int) -> Box:
    """The canvas within its margin, which never takes more than half of it."""
    width, height = canvas.width & ~1, canvas.height & ~1
    margin = min(margin, min(width, height) // 4) & ~1
    return Box(margin, margin, width - 2 * margin, height - 2 * margin)


def arrange(count: int, canvas: Size, *, gap: int = 0, margin: int = 0) -> tuple[Box, ...]:
    """`count` equal boxes, as large as the canvas allows at about 16:9, row by row with the last row centred."""
    return fill(count, inner(canvas, margin), gap)


def fill(count: int, region: Box, gap: int, shape: Shape = EQUAL) -> tuple[Box, ...]:
    """`count` equal boxes of this shape, as large as the region allows, row by row with the last row centred."""
    if count < 1:
        return ()
    columns, spacing, size = _best(count, region.size, gap, shape)
    return _rows(count, columns, region, spacing, size)


def line(count: int, region: Box, gap: int, shape: Shape) -> tuple[Box, ...]:
    """`count` equal boxes of this shape in one line: side by side, or one above the other in a tall region."""
    if count < 1:
        return ()
    columns = 1 if region.height > region.width else count
    spacing, size = _cell(count, columns, region.size, gap, shape)
    return _rows(count, columns, region, spacing, size)


def room_for(most: int, region: Box, gap: int, least: int) -> int:
    """How many equal tiles, at most `most` and at least one, a region holds that are not lower than `least` pixels."""
    return next((n for n in range(most, 1, -1) if _best(n, region.size, gap, EQUAL)[2].height >= least), 1)


def fitted(region: Box, shape: Shape) -> Box:
    """The largest box of this shape in the middle of a region."""
    size = _shaped(region.width, region.height, shape)
    return Box(
        region.x + ((region.width - size.width) // 2 & ~1),
        region.y + ((region.height - size.height) // 2 & ~1),
        size.width,
        size.height,
    )


def part(region: Box, x: float, y: float, width: float, height: float) -> Box:
    """A box given in fractions of a region, cut off where it would reach out; parts that touch still do."""
    left, top = _even(region.width * x), _even(region.height * y)
    left, top = min(left, region.width - 2), min(top, region.height - 2)
    right = min(_even(region.width * (x + width)), region.width)
    bottom = min(_even(region.height * (y + height)), region.height)
    return Box(region.x + left, region.y + top, max(2, right - left), max(2, bottom - top))


def overlap(a: Box, b: Box) -> bool:
    """Whether two boxes share a pixel."""
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def within(box: Box, region: Box) -> bool:
    """Whether a box lies wholly in a region."""
    return (
        region.x <= box.x
        and region.y <= box.y
        and box.x + box.width <= region.x + region.width
        and box.y + box.height <= region.y + region.height
    )


def _best(count: int, region: Size, gap: int, shape: Shape) -> tuple[int, int, Size]:
    """How many columns make the largest tiles, the space between them, and their size; of equals, fewer columns."""
    best: tuple[int, int, Size] | None = None
    for columns in range(1, count + 1):
        spacing, size = _cell(count, columns, region, gap, shape)
        if best is None or size.width * size.height > best[2].width * best[2].height:
            best = (columns, spacing, size)
    assert best is not None
    return best


def _cell(count: int, columns: int, region: Size, gap: int, shape: Shape) -> tuple[int, Size]:
    """The space between tiles in so many columns, which gives way when there is little, and the size of each."""
    rows = -(-count // columns)
    spacing = min(gap, region.width // (5 * columns), region.height // (5 * rows))
    width = (region.width - (columns - 1) * spacing) // columns
    height = (region.height - (rows - 1) * spacing) // rows
    return spacing, _shaped(width, height, shape)


def _rows(count: int, columns: int, region: Box, spacing: int, size: Size) -> tuple[Box, ...]:
    """Boxes in so many columns, in the middle of the region."""
    rows = -(-count // columns)
    top = (region.height - rows * size.height - (rows - 1) * spacing) // 2
    boxes = []
    for row in range(rows):
        in_row = min(columns, count - row * columns)
        left = (region.width - in_row * size.width - (in_row - 1) * spacing) // 2
        y = region.y + (top + row * (size.height + spacing)) & ~1
        boxes += [
            Box(region.x + (left + column * (size.width + spacing)) & ~1, y, size.width, size.height)
            for column in range(in_row)
        ]
    return tuple(boxes)


def _shaped(width: int, height: int, shape: Shape) -> Size:
    """The largest even size inside a cell that keeps to a shape, as far as pixels allow; nothing in one too small."""
    width, height = width & ~1, height & ~1
    if width < 2 or height < 2:
        return Size(0, 0)
    width = min(width, int(height * shape.widest) & ~1)
    height = min(height, int(width / shape.narrowest) & ~1)
    return Size(max(2, width), max(2, height))


def _even(length: float) -> int:
    return round(length / 2) * 2
