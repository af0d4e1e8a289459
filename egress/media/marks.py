"""Marks: small pictures in one colour that say how a peer is, or stand for one who has no name to speak of."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal

from PIL import Image, ImageDraw

from egress.media.ink import RGB

Mark = Literal["muted", "camera-off", "lost", "person"]

_FINE: Final = 8
"""Shapes are drawn so many times larger and then reduced: Pillow's own edges are not smooth."""
_GRID: Final = 24
"""Shapes are written down in a square of so many units a side."""
_STROKE: Final = 2.4


class _Pen:
    """Draws on a mask in units of the grid."""

    def __init__(self, side: int) -> None:
        self.mask = Image.new("L", (side, side))
        self._draw = ImageDraw.Draw(self.mask)
        self._unit = side / _GRID

    def box(self, left: float, top: float, right: float, bottom: float, radius: float) -> None:
        self._draw.rounded_rectangle(self._scaled(left, top, right, bottom), radius * self._unit, 255)

    def disc(self, x: float, y: float, radius: float, ink: int = 255) -> None:
        self._draw.ellipse(self._scaled(x - radius, y - radius, x + radius, y + radius), ink)

    def bow(self, x: float, y: float, radius: float, start: float, end: float) -> None:
        """Part of a circle, from and to degrees clockwise from three o'clock."""
        outer = radius + _STROKE / 2
        around = self._scaled(x - outer, y - outer, x + outer, y + outer)
        self._draw.arc(around, start, end, 255, round(_STROKE * self._unit))

    def shape(self, *points: float) -> None:
        self._draw.polygon(self._scaled(*points), 255)

    def stroke(self, x: float, y: float, to_x: float, to_y: float, width: float = _STROKE, ink: int = 255) -> None:
        """A line with round ends."""
        self._draw.line(self._scaled(x, y, to_x, to_y), ink, round(width * self._unit))
        self.disc(x, y, width / 2, ink)
        self.disc(to_x, to_y, width / 2, ink)

    def cross_out(self) -> None:
        """A stroke through everything, set off from it so that it shows at a dozen pixels."""
        self.stroke(4, 3, 21, 21, 2.6 * _STROKE, 0)
        self.stroke(3.2, 3.2, 20.8, 20.8)

    def _scaled(self, *units: float) -> list[float]:
        return [unit * self._unit for unit in units]


@lru_cache(maxsize=64)
def mark(which: Mark, side: int, colour: RGB) -> Image.Image:
    """A mark as an RGBA picture of `side` by `side` pixels, shared: not to be drawn on."""
    pen = _Pen(side * _FINE)
    _SHAPES[which](pen)
    image = Image.new("RGBA", (side, side), (*colour, 0))
    image.putalpha(pen.mask.resize((side, side), Image.Resampling.BOX))
    return image


def _muted(pen: _Pen) -> None:
    pen.box(8.4, 2, 15.6, 14.4, 3.6)
    pen.bow(12, 11, 6.6, 10, 170)
    pen.stroke(12, 18, 12, 21)
    pen.stroke(8.6, 21.4, 15.4, 21.4)
    pen.cross_out()


def _camera_off(pen: _Pen) -> None:
    pen.box(1.5, 5.5, 16, 18.5, 3)
    pen.shape(17.2, 10.6, 22.8, 6.4, 22.8, 17.6, 17.2, 13.4)
    pen.cross_out()


def _lost(pen: _Pen) -> None:
    """Bars of reception with a cross where they are low."""
    pen.box(2.5, 16, 7, 21.5, 1)
    pen.box(9.5, 11, 14, 21.5, 1)
    pen.box(16.5, 3, 21, 21.5, 1)
    pen.stroke(3.5, 3.5, 9, 9)
    pen.stroke(9, 3.5, 3.5, 9)


def _person(pen: _Pen) -> None:
    """Head and shoulders."""
    pen.disc(12, 7.6, 5)
    pen.box(2.6, 14.2, 21.4, 33, 9)
    pen.stroke(0, 23.4, 24, 23.4, 1.6, 0)


_SHAPES: Final[dict[Mark, Callable[[_Pen], None]]] = {
    "muted": _muted,
    "camera-off": _camera_off,
    "lost": _lost,
    "person": _person,
}
