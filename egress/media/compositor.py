"""The compositor: pictures of tracks onto one persistent canvas, redrawing only what is new."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import av
import numpy as np

from egress.layouts.base import Tile
from egress.media.labels import caption, name_label, portrait
from egress.media.overlay import Overlay, crop
from egress.media.planes import Colour, Plane, colour, planes, tag
from egress.media.scene import Style
from egress.model.look import CardDoc, Palette
from egress.model.media import Nanos, Size

_LEAST_LABELLED: Final = Size(64, 40)


class Shown(Protocol):
    """A picture scaled for its tile: `frame` is yuv420p, BT.709 limited range."""

    @property
    def frame(self) -> av.VideoFrame: ...


Pictures = Callable[[str], Shown | None]
"""The picture of a video track that is due now, or None; the same object means the same picture."""


class Compositor:
    """Draws tiles onto one I420 canvas, which stays valid, and unchanged, until the next `draw`.

    All methods are called on one thread. `painted` counts the pictures copied onto the canvas.
    """

    def __init__(self, size: Size, started: datetime = datetime.fromtimestamp(0, UTC)) -> None:
        """`started` is the wall time of session time 0, for clocks."""
        self.painted = 0
        self._started = started
        self._size = size
        self._canvas = av.VideoFrame(size.width, size.height, "yuv420p")
        tag(self._canvas)
        self._views = planes(self._canvas)
        self._cells: tuple[_Cell, ...] = ()
        self._speaking: frozenset[str] = frozenset()
        self.arrange((), Style(card=CardDoc(title="Waiting for participants")))

    def arrange(self, tiles: Sequence[Tile], style: Style) -> None:
        """Show these tiles in this style from the next `draw` on; a card takes the place of them all."""
        palette = style.theme.palette
        self._palette = palette
        self._background = colour(palette.background)
        self._labels = style.tiles.labels
        _fill(self._views, self._background)
        self._cells = tuple(self._cell(tile) for tile in tiles) if style.card is None else ()
        if style.card is not None:
            _centre(self._views, caption(style.card.title, max(10, self._size.height // 28), self._size.width, palette))

    def speaking(self, peers: Collection[str]) -> None:
        """Mark the tiles of the peers who are talking from the next `draw` on."""
        self._speaking = frozenset(peers)

    def draw(self, pictures: Pictures, at: Nanos) -> av.VideoFrame:
        """The canvas with what every tile shows at session time `at`."""
        for cell in self._cells:
            track = cell.tile.track
            picture = None if track is None else pictures(track)
            speaks = cell.tile.peer in self._speaking
            if cell.fresh and picture is cell.shown and speaks == cell.speaks:
                continue
            cell.paint(picture, speaks)
            self.painted += picture is not None
        return self._canvas

    def _cell(self, tile: Tile) -> _Cell:
        box = tile.box
        views = crop(self._views, box.x, box.y, box.width, box.height)
        return _Cell(tile, views, self._palette, labelled=self._labels)


class _Cell:
    """One tile on the canvas: what it shows now, and how to draw it anew."""

    def __init__(
        self,
        tile: Tile,
        views: tuple[Plane, ...],
        palette: Palette,
        *,
        labelled: bool,
    ) -> None:
        self.tile = tile
        self.shown: Shown | None = None
        self.speaks = False
        self.fresh = False
        self._views = views
        self._palette = palette
        self._background = colour(palette.background)
        self._surface = colour(palette.surface)
        self._accent = colour(palette.speaking)
        self._labelled = labelled
        self._label: tuple[Overlay, tuple[Plane, ...]] | None = None
        self._label_ready = False

    def paint(self, picture: Shown | None, speaks: bool) -> None:
        """Draw the tile showing `picture`, or its placeholder."""
        if picture is None:
            self._placeholder()
        else:
            _blit(picture.frame, self._views, self._background)
        if (picture is None or self._labelled) and (label := self._ready_label()):
            overlay, place = label
            overlay.blend(place)
        if speaks:
            _frame(self._views, self._accent)
        self.shown, self.speaks, self.fresh = picture, speaks, True

    def _placeholder(self) -> None:
        box = self.tile.box
        _fill(self._views, self._surface)
        if self.tile.peer:
            diameter = round(min(box.width, box.height) * 0.42)
            _centre(self._views, portrait(self.tile.label, self.tile.peer, diameter))
        else:
            _centre(self._views, caption(self.tile.label, max(8, box.height // 7), box.width, self._palette))

    def _ready_label(self) -> tuple[Overlay, tuple[Plane, ...]] | None:
        if not self._label_ready:
            self._label_ready = True
            box = self.tile.box
            if self.tile.peer and box.width >= _LEAST_LABELLED.width and box.height >= _LEAST_LABELLED.height:
                height = min(44, max(18, round(box.height * 0.085))) & ~1
                inset = (height // 3) & ~1
                overlay = name_label(
                    self.tile.label, height, box.width - 2 * inset, palette=self._palette, muted=self.tile.muted
                )
                if overlay is not None:
                    y = box.height - inset - overlay.height
                    place = crop(self._views, inset, y, overlay.width, overlay.height)
                    self._label = (overlay, place)
        return self._label


def _blit(frame: av.VideoFrame, views: Sequence[Plane], background: Colour) -> None:
    """Copy the middle of a frame into the middle of a tile, whichever of the two is larger."""
    tall, wide = views[0].shape
    width, height = min(frame.width & ~1, wide), min(frame.height & ~1, tall)
    if (width, height) != (wide, tall):
        _fill(views, background)
    source = crop(planes(frame), _even_half(frame.width - width), _even_half(frame.height - height), width, height)
    target = crop(views, _even_half(wide - width), _even_half(tall - height), width, height)
    for into, plane in zip(target, source, strict=True):
        np.copyto(into, plane)


def _centre(views: Sequence[Plane], overlay: Overlay | None) -> None:
    tall, wide = views[0].shape
    if overlay is not None and overlay.width <= wide and overlay.height <= tall:
        x, y = _even_half(wide - overlay.width), _even_half(tall - overlay.height)
        overlay.blend(crop(views, x, y, overlay.width, overlay.height))


def _frame(views: Sequence[Plane], ink: Colour) -> None:
    """A border inside the tile's edges."""
    tall, wide = views[0].shape
    line = min(max(2, (tall // 90) & ~1), tall, wide)
    for x, y, width, height in (
        (0, 0, wide, line),
        (0, tall - line, wide, line),
        (0, 0, line, tall),
        (wide - line, 0, line, tall),
    ):
        _fill(crop(views, x, y, width, height), ink)


def _fill(views: Sequence[Plane], ink: Colour) -> None:
    for view, value in zip(views, ink, strict=True):
        view[...] = value


def _even_half(length: int) -> int:
    return (length // 2) & ~1
