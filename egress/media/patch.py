"""Patches: a part of an overlay made ready for its place on a canvas, in the form that is cheapest to lay there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from egress.layouts.base import Box
from egress.media.boxes import meet
from egress.media.canvas import SCRATCH, Canvas, Index, Region, Wide
from egress.media.overlay import Overlay
from egress.media.planes import Plane

_SPARSE: Final = 16
"""Reaching one scattered pixel costs as much as blending so many that lie side by side."""

_EIGHT: Final = np.uint16(8)
_WORTH_A_CUT: Final = 4000
"""Laying one more piece costs as much as blending so many blocks of two by two pixels."""


class Patch(ABC):
    """Something to lay over one place of a canvas; laid twice, it is blended twice."""

    @abstractmethod
    def lay(self) -> None:
        """Blend it onto the canvas, in place; where it is transparent, pixels stay bit-exact."""


def patches(canvas: Canvas, overlay: Overlay, at: Box, within: Box) -> list[Patch]:
    """The parts of an overlay lying at `at` that are to be seen within a box: together all of it, none twice."""
    part = meet(at, within)
    if part is None:
        return []
    luma, blue, _ = (kept != 256 for _, kept in _cropped(overlay, at, part))
    height, width = blue.shape
    seen = blue | luma.reshape(height, 2, width, 2).any(axis=(1, 3))
    return [
        _patch(canvas, overlay, at, Box(part.x + 2 * x, part.y + 2 * y, 2 * wide, 2 * tall))
        for x, y, wide, tall in _pieces(seen, 0, 0)
    ]


def _pieces(seen: npt.NDArray[np.bool_], x: int, y: int) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, width and height of what is seen, cut where an empty stripe costs more to blend than a cut does."""
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows):
        return
    top, left, bottom, right = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
    down, across = np.diff(rows), np.diff(columns)
    tallest, widest = down.max(initial=1), across.max(initial=1)
    save_down, save_across = (tallest - 1) * (right - left), (widest - 1) * (bottom - top)
    if max(save_down, save_across) < _WORTH_A_CUT:
        yield int(x + left), int(y + top), int(right - left), int(bottom - top)
    elif save_down >= save_across:
        cut = rows[down.argmax()] + 1
        yield from _pieces(seen[:cut], x, y)
        yield from _pieces(seen[cut:], x, y + int(cut))
    else:
        cut = columns[across.argmax()] + 1
        yield from _pieces(seen[:, :cut], x, y)
        yield from _pieces(seen[:, cut:], x + int(cut), y)


def _patch(canvas: Canvas, overlay: Overlay, at: Box, part: Box) -> Patch:
    luma, *chroma = _cropped(overlay, at, part)
    colours, kept = np.stack([colour for colour, _ in chroma]), chroma[0][1]
    if not luma[1].any() and not kept.any():
        return _Opaque(canvas.region(part), luma[0], colours)
    touched = np.count_nonzero(luma[1] != 256) + 2 * np.count_nonzero(kept != 256)
    if touched * _SPARSE < luma[1].size + 2 * kept.size:
        return _Sparse(canvas, part, luma[0], luma[1], colours, kept)
    return _Dense(canvas, canvas.region(part), luma[0], luma[1], colours, kept)


def _cropped(overlay: Overlay, at: Box, part: Box) -> list[tuple[Wide, Wide]]:
    layers = []
    for (colour, kept), scale in zip(overlay.layers, (1, 2, 2), strict=True):
        y, x = (part.y - at.y) // scale, (part.x - at.x) // scale
        rows, columns = slice(y, y + part.height // scale), slice(x, x + part.width // scale)
        layers.append((colour[rows, columns], kept[rows, columns]))
    return layers


class _Opaque(Patch):
    """Hides what is beneath."""

    def __init__(self, region: Region, luma: Wide, chroma: Wide) -> None:
        self._copies = [
            (view, (colour >> 8).astype(np.uint8)) for view, colour in zip(region, (luma, chroma), strict=True)
        ]

    def lay(self) -> None:
        for view, pixels in self._copies:
            np.copyto(view, pixels)


class _Dense(Patch):
    """Blends every pixel of its box, some rows at a time."""

    def __init__(self, canvas: Canvas, region: Region, luma: Wide, kept: Wide, chroma: Wide, kept_chroma: Wide) -> None:
        self._bands: list[tuple[Plane, Wide, Wide, Wide]] = []
        width = luma.shape[1]
        rows = max(1, SCRATCH // width)
        for y in range(0, luma.shape[0], rows):
            self._add(canvas, region.luma[y : y + rows], kept[y : y + rows], luma[y : y + rows])
        for y in range(0, chroma.shape[1], rows):
            band = np.s_[:, y : y + rows]
            self._add(canvas, region.chroma[band], kept_chroma[y : y + rows], chroma[band])

    def _add(self, canvas: Canvas, view: Plane, kept: Wide, colour: Wide) -> None:
        room = canvas.scratch[: view.size].reshape(view.shape)
        self._bands.append((view, np.ascontiguousarray(kept), np.ascontiguousarray(colour), room))

    def lay(self) -> None:
        for view, kept, colour, room in self._bands:
            np.copyto(room, view)
            np.multiply(room, kept, out=room)
            np.add(room, colour, out=room)
            np.right_shift(room, _EIGHT, out=room)
            view[...] = room


class _Sparse(Patch):
    """Blends only the pixels that are not transparent: letters without a ground, most of all."""

    def __init__(self, canvas: Canvas, part: Box, luma: Wide, kept: Wide, chroma: Wide, kept_chroma: Wide) -> None:
        seen, seen_chroma = (kept != 256).nonzero(), (kept_chroma != 256).nonzero()
        self._canvas = canvas
        self._places: Index = canvas.places(
            (seen[0] + part.y, seen[1] + part.x), (seen_chroma[0] + part.y // 2, seen_chroma[1] + part.x // 2)
        )
        half = kept_chroma[seen_chroma]
        self._kept = np.concatenate([kept[seen], half, half])
        self._colour = np.concatenate([luma[seen], chroma[0][seen_chroma], chroma[1][seen_chroma]])

    def lay(self) -> None:
        self._canvas.blend(self._places, self._kept, self._colour)
