"""Patches: a part of an overlay made ready for its place on a canvas, in the form that is cheapest to lay there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

import numpy as np

from egress.layouts.base import Box
from egress.media.boxes import meet
from egress.media.canvas import SCRATCH, Canvas, Index, Region, Wide
from egress.media.overlay import Overlay
from egress.media.planes import Plane

_SPARSE: Final = 8
"""Reaching one scattered pixel costs as much as blending so many that lie side by side."""


class Patch(ABC):
    """Something to lay over one place of a canvas; laid twice, it is blended twice."""

    @abstractmethod
    def lay(self) -> None:
        """Blend it onto the canvas, in place; where it is transparent, pixels stay bit-exact."""


def patch(canvas: Canvas, overlay: Overlay, at: Box, within: Box) -> Patch | None:
    """The part of an overlay lying at `at` that is within a box; None when nothing of it is to be seen there."""
    part = meet(at, within)
    if part is None:
        return None
    part = _opaque_bounds(overlay, at, part)
    if part is None:
        return None
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


def _opaque_bounds(overlay: Overlay, at: Box, part: Box) -> Box | None:
    """The smallest box of even numbers around what is not transparent."""
    luma, chroma, _ = (kept != 256 for _, kept in _cropped(overlay, at, part))
    rows = luma.any(axis=1).reshape(-1, 2).any(axis=1) | chroma.any(axis=1)
    columns = luma.any(axis=0).reshape(-1, 2).any(axis=1) | chroma.any(axis=0)
    (down,), (across,) = rows.nonzero(), columns.nonzero()
    if not len(down):
        return None
    top, left = 2 * int(down[0]), 2 * int(across[0])
    height, width = 2 * int(down[-1]) + 2 - top, 2 * int(across[-1]) + 2 - left
    return Box(part.x + left, part.y + top, width, height)


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
            np.multiply(view, kept, out=room)
            np.add(room, colour, out=room)
            np.right_shift(room, 8, out=room)
            np.copyto(view, room, casting="unsafe")


class _Sparse(Patch):
    """Blends only the pixels that are not transparent: letters without a ground, most of all."""

    def __init__(self, canvas: Canvas, part: Box, luma: Wide, kept: Wide, chroma: Wide, kept_chroma: Wide) -> None:
        seen, seen_chroma = (kept != 256).nonzero(), (kept_chroma != 256).nonzero()
        self._flat = canvas.flat
        self._places: Index = canvas.places(
            (seen[0] + part.y, seen[1] + part.x), (seen_chroma[0] + part.y // 2, seen_chroma[1] + part.x // 2)
        )
        half = kept_chroma[seen_chroma]
        self._kept = np.concatenate([kept[seen], half, half])
        self._colour = np.concatenate([luma[seen], chroma[0][seen_chroma], chroma[1][seen_chroma]])

    def lay(self) -> None:
        mixed = self._flat[self._places] * self._kept
        mixed += self._colour
        mixed >>= 8
        self._flat[self._places] = mixed
