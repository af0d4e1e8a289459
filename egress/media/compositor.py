"""The compositor: pictures of tracks onto one persistent canvas, redrawing only what is new."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import av

from egress.layouts.base import Tile
from egress.media.above import Above
from egress.media.backdrop import Backdrop
from egress.media.canvas import Canvas
from egress.media.cell import Cell, Shown
from egress.media.fade import Fade
from egress.media.scene import Style
from egress.model.look import CardDoc
from egress.model.media import Nanos, Size

Pictures = Callable[[str], Shown | None]
"""The picture of a video track that is due now, or None; the same object means the same picture."""

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


class Compositor:
    """Draws tiles onto one I420 canvas, which stays valid, and unchanged, until the next `draw`.

    All methods are called on one thread. `painted` counts the pictures copied onto the canvas. When tiles re-flow, the
    frame returned is another one for as long as the transition takes.
    """

    def __init__(self, size: Size, started: datetime = _EPOCH) -> None:
        """`started` is the wall time of session time 0, for clocks."""
        self.painted = 0
        self._started = started
        self._canvas = Canvas(size)
        self._cells: tuple[Cell, ...] = ()
        self._backdrop: Backdrop | None = None
        self._above: Above | None = None
        self._fade: Fade | None = None
        self._speaking: frozenset[str] = frozenset()
        self._tiles: tuple[Tile, ...] = ()
        self._style = Style(card=CardDoc(title="Waiting for participants"))
        self._next: tuple[tuple[Tile, ...], Style] | None = (self._tiles, self._style)
        self._seen_at: Nanos | None = None

    def arrange(self, tiles: Sequence[Tile], style: Style) -> None:
        """Show these tiles in this style from the next `draw` on; a card takes the place of them all."""
        self._next = (tuple(tiles), style)

    def speaking(self, peers: Collection[str]) -> None:
        """Mark the tiles of the peers who are talking from the next `draw` on."""
        self._speaking = frozenset(peers)

    def draw(self, pictures: Pictures, at: Nanos) -> av.VideoFrame:
        """The canvas with what every tile shows at session time `at`; `at` never goes back."""
        if self._next is not None:
            self._change(*self._next, at)
            self._next = None
        elif self._above is not None and self._above.timed:
            self._above.turn(self._wall(at))
        marked = self._style.tiles.speaking
        for cell in self._cells:
            track = cell.tile.track
            picture = None if track is None else pictures(track)
            speaks = marked and cell.tile.peer in self._speaking
            if cell.stale or picture is not cell.shown or speaks != cell.speaks:
                cell.paint(picture, speaks)
                self.painted += picture is not None
        self._seen_at = at
        if self._fade is not None and self._fade.over(at):
            self._fade = None
        return self._canvas.frame if self._fade is None else self._fade.mix(self._canvas, at).frame

    def _change(self, tiles: tuple[Tile, ...], style: Style, at: Nanos) -> None:
        duration = style.tiles.transition
        if self._seen_at is not None and duration > 0 and _reflows(self._tiles, self._style, tiles, style):
            # The new canvas begins to show just after the last picture of the old one. After a pause it still fades.
            begin = max(self._seen_at, at - duration // 4)
            self._fade = Fade(self._canvas if self._fade is None else self._fade.canvas, begin, duration)
        canvas, backdrop = self._canvas, self._backdrop
        if backdrop is None or (self._style.card, self._style.theme) != (style.card, style.theme):
            backdrop = self._backdrop = Backdrop(canvas, style)
        self._tiles, self._style = tiles, style
        backdrop.lay(canvas.box)
        self._cells, self._above = (), None
        if style.card is None:
            self._cells = tuple(Cell(canvas, tile, style) for tile in tiles)
            for k, cell in enumerate(self._cells):
                cell.lie_under(self._cells[k + 1 :])
            if style.overlays:
                palette = style.theme.palette
                self._above = Above(canvas, backdrop, self._cells, style.overlays, palette, self._wall(at))

    def _wall(self, at: Nanos) -> datetime:
        return self._started + timedelta(microseconds=at // 1000)


def _reflows(old: Sequence[Tile], was: Style, new: Sequence[Tile], style: Style) -> bool:
    """Whether the change from one arrangement to another is one of place: names, marks and borders change at once."""
    if was.card != style.card or was.theme != style.theme:
        return True
    if style.card is not None:
        return False
    before, after = was.tiles, style.tiles
    if (was.overlays, before.radius, before.border) != (style.overlays, after.radius, after.border):
        return True
    return len(old) != len(new) or any(map(_moved, old, new))


def _moved(old: Tile, new: Tile) -> bool:
    # A camera that goes off or on leaves its peer where it was.
    replaced = None not in (old.track, new.track) and (old.track, old.fit) != (new.track, new.fit)
    return replaced or (old.peer, old.box) != (new.peer, new.box)
