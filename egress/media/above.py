"""Overlays above the tiles, cut along them, so that no pixel is blended twice and none is redrawn for nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from egress.layouts.base import Box
from egress.media.backdrop import Backdrop
from egress.media.boxes import meet, without
from egress.media.canvas import Canvas
from egress.media.cell import Cell
from egress.media.patch import Patch, patches
from egress.model.errors import EgressError
from egress.model.look import AnyOverlay, ClockOverlay, Palette

if TYPE_CHECKING:
    from egress.media.art import Art

log = logging.getLogger(__name__)


class Above:
    """The overlays of one arrangement of tiles.

    A part over a tile belongs to the tile, which lays it again whenever it was painted; parts over the backdrop are
    laid once. Where an overlay changes, the tiles beneath are painted anew and the backdrop is restored first.
    """

    def __init__(
        self,
        canvas: Canvas,
        backdrop: Backdrop,
        cells: Sequence[Cell],
        docs: Sequence[AnyOverlay],
        palette: Palette,
        now: datetime,
    ) -> None:
        """`canvas` shows the backdrop, and nothing else, at this moment; `now` is its wall time."""
        self._canvas, self._backdrop, self._palette = canvas, backdrop, palette
        self._cells = cells
        self._tiles = [cell.tile.box for cell in cells]
        self._seen = [without(box, self._tiles[k + 1 :]) for k, box in enumerate(self._tiles)]
        self._docs = docs
        self._clocks = [k for k, doc in enumerate(docs) if isinstance(doc, ClockOverlay)]
        self._second = now.replace(microsecond=0)
        self._art = [self._drawn(doc, now) for doc in docs]
        for cell, seen in zip(cells, self._seen, strict=True):
            cell.above = [self._parts(art, seen) for art in self._art]
        for art in self._art:
            if art is not None:
                self._lay(self._parts(art, without(art.box, self._tiles)))

    @property
    def timed(self) -> bool:
        """Whether anything here changes with time."""
        return bool(self._clocks)

    def turn(self, now: datetime) -> None:
        """Let clocks show wall time `now`; they are looked at once a second."""
        second = now.replace(microsecond=0)
        if second == self._second:
            return
        self._second = second
        for k in self._clocks:
            art = self._drawn(self._docs[k], now)
            if art is not self._art[k]:
                before, self._art[k] = self._art[k], art
                self._change(k, [a.box for a in (before, art) if a is not None])

    def _change(self, k: int, boxes: Sequence[Box]) -> None:
        for cell, seen in zip(self._cells, self._seen, strict=True):
            if any(meet(box, part) for box in boxes for part in seen):
                cell.above[k] = self._parts(self._art[k], seen)
                cell.stale = True
        for part in (part for box in boxes for part in without(box, self._tiles)):
            self._backdrop.lay(part)
            for art in self._art:
                self._lay(self._parts(art, [part]))

    def _parts(self, art: Art | None, boxes: Sequence[Box]) -> list[Patch]:
        if art is None:
            return []
        return [part for box in boxes for part in patches(self._canvas, art.overlay, art.box, box)]

    def _lay(self, parts: Sequence[Patch]) -> None:
        for part in parts:
            part.lay()

    def _drawn(self, doc: AnyOverlay, now: datetime) -> Art | None:
        from egress.media.art import overlay_art

        try:
            return overlay_art(doc, self._canvas.size, self._palette, now)
        except (OSError, EgressError) as error:
            log.warning("an overlay is left out: %s", error)
            return None
