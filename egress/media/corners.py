"""The edge of a tile: rounded corners that show what is beneath, and a border that follows them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from egress.layouts.base import Box
from egress.media.canvas import Canvas, Index, Wide
from egress.media.planes import Colour, Plane

_Share = npt.NDArray[np.float32]


class Edge:
    """Everything of one tile that is not simply its picture, ready to be laid over it.

    Only pixels that change are touched: those of the four corners at once, through one list of places, and the straight
    parts of a border as rectangles. What shows through the corners must have been taken by `sample` beforehand.
    """

    def __init__(self, canvas: Canvas, box: Box, radius: int, border: int, ink: Colour) -> None:
        """`radius` and `border` are held to half the tile."""
        half = min(box.width, box.height) // 2 & ~1
        radius, border = min(radius, half), min(border, half)
        shape = _shape(box.width, box.height, radius, border)
        self._canvas = canvas
        rows, columns = shape.luma_rows + box.y, shape.luma_columns + box.x
        half_rows, half_columns = shape.chroma_rows + box.y // 2, shape.chroma_columns + box.x // 2
        self._places: Index = canvas.places((rows, columns), (half_rows, half_columns))
        self._rows = np.concatenate([rows, 2 * half_rows, 2 * half_rows])
        self._columns = np.concatenate([columns, 2 * half_columns, 2 * half_columns])
        self._kept, self._beneath = shape.kept, shape.beneath
        inks = np.repeat(np.array(ink, np.uint16), [len(rows), len(half_rows), len(half_rows)])
        # The half added here rounds the shift in `lay`; the shares add up to 256, so 16 bits are enough.
        self._inked: Wide = (256 - self._kept - self._beneath) * inks + np.uint16(128)
        self._added = self._inked.copy()
        self._bars = _bars(canvas, box, shape.side, border, ink)

    def within(self, box: Box) -> Index:
        """Which of its pixels lie within a box; for `sample`."""
        across = (self._columns >= box.x) & (self._columns < box.x + box.width)
        down = (self._rows >= box.y) & (self._rows < box.y + box.height)
        return (across & down).nonzero()[0]

    def sample(self, which: Index | None = None) -> None:
        """Take what shows through the corners from the canvas as it is now, all of it or some pixels only."""
        if which is None:
            self._added = self._canvas.flat[self._places] * self._beneath + self._inked
        else:
            self._added[which] = self._canvas.flat[self._places[which]] * self._beneath[which] + self._inked[which]

    def lay(self) -> None:
        """Cut the corners and draw the border, over a tile painted anew."""
        for view, value in self._bars:
            view[...] = value
        if len(self._places):
            self._canvas.blend(self._places, self._kept, self._added)


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """Which pixels of a tile the edge changes, relative to the tile, and how much of 256 the picture keeps of each.

    `beneath` is how much shows what is beneath the tile; the border has the rest. Both are of luma, Cb and Cr.
    """

    side: int
    luma_rows: Index
    luma_columns: Index
    chroma_rows: Index
    chroma_columns: Index
    kept: Wide
    beneath: Wide


@lru_cache(maxsize=64)
def _shape(width: int, height: int, radius: int, border: int) -> _Shape:
    side = max(radius, border) + 1 & ~1
    inner, outer = _coverage(side, radius - border, border), _coverage(side, radius, 0)
    rows, columns, kept, beneath = _four(inner, outer, width, height)
    half_rows, half_columns, half_kept, half_beneath = _four(_halved(inner), _halved(outer), width // 2, height // 2)
    if border % 2:
        # A chroma pixel on the inner line of a border of an odd width is half border, half picture.
        more_rows, more_columns = _line(border // 2, side // 2, width // 2, height // 2)
        half_rows, half_columns = np.concatenate([half_rows, more_rows]), np.concatenate([half_columns, more_columns])
        half_kept = np.concatenate([half_kept, np.full(len(more_rows), 128, np.uint16)])
        half_beneath = np.concatenate([half_beneath, np.zeros(len(more_rows), np.uint16)])
    return _Shape(
        side,
        rows,
        columns,
        half_rows,
        half_columns,
        np.concatenate([kept, half_kept, half_kept]),
        np.concatenate([beneath, half_beneath, half_beneath]),
    )


def _coverage(side: int, radius: int, inset: int) -> _Share:
    """How much of each pixel of a top left corner is inside a rounded rectangle that begins `inset` further in."""
    radius = max(0, radius)
    middle = np.arange(side, dtype=np.float32) + np.float32(0.5)
    away = np.maximum(0, inset + radius - middle)
    round_off = np.hypot(away[:, None], away[None, :])
    share = np.clip(radius + np.float32(0.5) - round_off, 0, 1)
    # On the straight parts, where only one way counts, edges lie between pixels and nothing is shared.
    straight = (away[:, None] == 0) | (away[None, :] == 0)
    inside = (middle[:, None] > inset) & (middle[None, :] > inset)
    return np.where(straight, inside, share * inside).astype(np.float32)


def _halved(share: _Share) -> _Share:
    side = len(share) // 2
    mean: _Share = share.reshape(side, 2, side, 2).mean(axis=(1, 3))
    return mean


def _four(inner: _Share, outer: _Share, width: int, height: int) -> tuple[Index, Index, Wide, Wide]:
    """Rows, columns and shares of the pixels that change in all four corners of a plane of a tile."""
    kept = np.round(inner * 256).astype(np.uint16)
    beneath = np.uint16(256) - np.round(outer * 256).astype(np.uint16)
    down, across = (kept < 256).nonzero()
    shares = kept[down, across], beneath[down, across]
    rows = np.concatenate([down, down, height - 1 - down, height - 1 - down])
    columns = np.concatenate([across, width - 1 - across, across, width - 1 - across])
    return rows, columns, np.tile(shares[0], 4), np.tile(shares[1], 4)


def _line(offset: int, side: int, width: int, height: int) -> tuple[Index, Index]:
    """The straight parts, between the corners, of a line around a plane of a tile."""
    across, down = np.arange(side, width - side), np.arange(side, height - side)
    rows = [np.full_like(across, offset), np.full_like(across, height - 1 - offset), down, down]
    columns = [across, across, np.full_like(down, offset), np.full_like(down, width - 1 - offset)]
    return np.concatenate(rows), np.concatenate(columns)


def _bars(
    canvas: Canvas, box: Box, side: int, border: int, ink: Colour
) -> list[tuple[Plane, int | npt.NDArray[np.uint8]]]:
    """The straight parts of a border: views, and what fills them."""
    region = canvas.region(box)
    inks = np.array(ink[1:], np.uint8).reshape(2, 1, 1)
    bars: list[tuple[Plane, int | npt.NDArray[np.uint8]]] = []
    for view, value, line, off in ((region.luma, ink[0], border, side), (region.chroma, inks, border // 2, side // 2)):
        tall, wide = view.shape[-2:]
        bars += [
            (view[..., :line, off : wide - off], value),
            (view[..., tall - line :, off : wide - off], value),
            (view[..., off : tall - off, :line], value),
            (view[..., off : tall - off, wide - line :], value),
        ]
    return [(view, value) for view, value in bars if view.size]
