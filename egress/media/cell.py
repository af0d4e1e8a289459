"""One tile on the canvas: what it shows now, and how to paint it anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import av
import numpy as np

from egress.layouts.base import Box, Tile
from egress.media.boxes import meet
from egress.media.canvas import Canvas, Index, Region
from egress.media.corners import Edge
from egress.media.overlay import Overlay
from egress.media.patch import Patch, patches
from egress.media.planes import Plane, colour, planes
from egress.media.scene import Style
from egress.model.media import Size

_LEAST_LABELLED: Final = Size(64, 40)
_LARGEST_LABEL: Final = 44
"""Height of a label in pixels at 720 lines; larger canvases have larger ones, as they are not watched from nearer."""


_Part = tuple[slice, slice]


class Shown(Protocol):
    """A picture scaled for its tile: `frame` is yuv420p, BT.709 limited range."""

    @property
    def frame(self) -> av.VideoFrame: ...


class Cell:
    """One tile, with everything that does not change with its picture made beforehand.

    Painting covers the whole box of the tile: picture or placeholder, name, edge, then the parts of overlays above it.
    """

    def __init__(self, canvas: Canvas, tile: Tile, style: Style) -> None:
        """`canvas` shows the backdrop, and nothing else, at this moment: it is what the corners let through."""
        self.tile = tile
        self.shown: Shown | None = None
        self.speaks = False
        self.stale = True
        """Whether it must be painted although it shows the same."""
        self.above: list[list[Patch]] = []
        """Parts of each overlay, from the lowest to the topmost, that lie over what is seen of this tile."""
        self._palette = palette = style.theme.palette
        self._canvas = canvas
        self._region = canvas.region(tile.box)
        self._size = (tile.box.width, tile.box.height)
        self._background, self._surface = colour(palette.background), colour(palette.surface)
        self._style = style
        self._placeholder: list[Patch] | None = None
        """Who is not seen: drawn when there is no picture for the first time, for mostly there is one."""
        self._dress(style)
        self._covering: list[tuple[Cell, list[tuple[Edge, Index]]]] = []
        self._fitted: Size | None = None
        self._parts: tuple[tuple[Plane, _Part], ...] = ()
        self._bare = False

    def lie_under(self, later: Sequence[Cell]) -> None:
        """Learn which tiles float above this one: they are painted anew whenever it was."""
        box = self.tile.box
        self._covering = [
            (cell, [(edge, edge.within(box)) for edge in cell.edges]) for cell in later if meet(cell.tile.box, box)
        ]

    def paint(self, picture: Shown | None, speaks: bool) -> None:
        """Show `picture`, or the placeholder when there is none."""
        if picture is None:
            self._region.fill(self._surface)
            if self._placeholder is None:
                self._placeholder = [*self._stand_in(), *self._named(self.tile.label)]
            for part in self._placeholder:
                part.lay()
        else:
            self._blit(picture.frame)
            for part in self._label:
                part.lay()
        (self._loud if speaks else self._quiet).lay()
        for cell, samples in self._covering:
            cell.stale = True
            for edge, which in samples:
                edge.sample(which)
        for parts in self.above:
            for part in parts:
                part.lay()
        self.shown, self.speaks, self.stale = picture, speaks, False

    @property
    def edges(self) -> tuple[Edge, Edge]:
        """The edge it has in silence, and the one while its peer speaks."""
        return self._quiet, self._loud

    def _dress(self, style: Style) -> None:
        box, doc, palette = self.tile.box, style.tiles, self._palette
        loud = max(doc.border, 2, (box.height // 90) & ~1)
        # A shared screen is not to be nibbled at: its corners are square, and its sharer's voice is marked elsewhere.
        screen, radius = self.tile.screen, 0 if self.tile.screen else doc.radius
        self._quiet = Edge(self._canvas, box, radius, doc.border, colour(palette.border))
        self._loud = self._quiet if screen else Edge(self._canvas, box, radius, loud, colour(palette.speaking))
        for edge in self.edges:
            edge.sample()
        self._widest = loud
        marked = doc.marks and (self.tile.muted or self.tile.camera_off or self.tile.lost)
        self._label = self._named(self.tile.label if doc.labels else "") if doc.labels or marked else []

    def _named(self, text: str) -> list[Patch]:
        """The label with its marks in the lower left corner, clear of a rounded corner and the border."""
        # What draws letters takes long to load, and some programmes show none.
        from egress.media.labels import name_label

        tile, box, style = self.tile, self.tile.box, self._style
        if not tile.peer or box.width < _LEAST_LABELLED.width or box.height < _LEAST_LABELLED.height:
            return []
        canvas = self._canvas.size
        most = max(_LARGEST_LABEL, min(canvas.width, canvas.height) * _LARGEST_LABEL // 720)
        height = min(most, max(18, round(box.height * 0.085))) & ~1
        radius = min(style.tiles.radius, box.width // 2, box.height // 2)
        inset = max(height // 3, self._widest + 2, radius * 3 // 10 + self._widest) & ~1
        overlay = name_label(
            text,
            height,
            box.width - 2 * inset,
            palette=self._palette,
            accent=style.accents.get(tile.role),
            muted=tile.muted,
            camera_off=tile.camera_off,
            lost=tile.lost,
            marks=style.tiles.marks,
        )
        return self._placed(overlay, inset, box.height - inset - (overlay.height if overlay else 0))

    def _stand_in(self) -> list[Patch]:
        """Who is not seen: a portrait, or the words of a tile that stands for several peers."""
        from egress.media.labels import caption, portrait

        tile, style, (width, height) = self.tile, self._style, self._size
        overlay: Overlay | None
        if tile.peer:
            image = style.portraits.get(tile.peer)
            diameter = round(min(width, height) * 0.42)
            overlay = portrait(tile.label, tile.peer, diameter, accent=style.accents.get(tile.role), image=image)
        else:
            overlay = caption(tile.label, max(8, min(width, height) // 7), width, self._palette)
        if overlay is None:
            return []
        return self._placed(overlay, _even_half(width - overlay.width), _even_half(height - overlay.height))

    def _placed(self, overlay: Overlay | None, x: int, y: int) -> list[Patch]:
        """An overlay at a place inside the tile; nothing when it does not fit."""
        width, height = self._size
        if overlay is None or x < 0 or y < 0 or x + overlay.width > width or y + overlay.height > height:
            return []
        box = self.tile.box
        return patches(self._canvas, overlay, Box(box.x + x, box.y + y, overlay.width, overlay.height), box)

    def _blit(self, frame: av.VideoFrame) -> None:
        """Copy the middle of a frame into the middle of the tile, whichever of the two is larger."""
        if self._fitted is None or frame.width != self._fitted.width or frame.height != self._fitted.height:
            self._fit(Size(frame.width, frame.height))
        if self._bare:
            self._region.fill(self._background)
        for (target, part), plane in zip(self._parts, planes(frame), strict=True):
            target[...] = plane[part]

    def _fit(self, size: Size) -> None:
        """Learn where in the tile each plane of frames of a size goes, and which part of it."""
        wide, tall = self._size
        width, height = min(size.width & ~1, wide), min(size.height & ~1, tall)
        x, y = _even_half(size.width - width), _even_half(size.height - height)
        target = _middle(self._region, width, height)
        luma = np.s_[y : y + height, x : x + width]
        chroma = np.s_[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2]
        self._parts = ((target.luma, luma), (target.chroma[0], chroma), (target.chroma[1], chroma))
        self._bare = width < wide or height < tall
        self._fitted = size


def _middle(region: Region, width: int, height: int) -> Region:
    tall, wide = region.luma.shape
    x, y = _even_half(wide - width), _even_half(tall - height)
    half = np.s_[:, y // 2 : (y + height) // 2, x // 2 : (x + width) // 2]
    return Region(region.luma[y : y + height, x : x + width], region.chroma[half])


def _even_half(length: int) -> int:
    return (length // 2) & ~1
