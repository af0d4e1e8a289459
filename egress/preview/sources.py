"""The tracks of made-up participants as the programme takes them: pictures that are drawn when they are asked for."""

from __future__ import annotations

from collections.abc import Callable

import av

from egress.media.scaling import Scaler
from egress.media.shelf import Picture
from egress.model.look import Fit
from egress.model.media import SECOND, Nanos, Size
from egress.preview.figure import Figure, looks
from egress.preview.slide import slide

FPS = 15
"""Pictures a made-up camera takes in a second."""

_SIZES = (Size(320, 180), Size(640, 360), Size(1280, 720))
"""Layers a made-up camera sends: the smallest that fills its tile is taken."""


class Drawn:
    """A video track as its tile shows it: scaled by the same means as a real one."""

    def __init__(self) -> None:
        self._scaler = Scaler("bt709")
        self._tile: Size | None = None
        self._fit: Fit = "cover"
        self._picture: Picture | None = None

    def show(self, size: Size | None, fit: Fit) -> None:
        """Make pictures for a tile of this size from now on; without one, the last picture stays."""
        if size is not None and (size, fit) != (self._tile, self._fit):
            self._tile, self._fit, self._picture = size, fit, None

    def _fills(self, size: Size) -> bool:
        return self._tile is None or (self._tile.width <= size.width and self._tile.height <= size.height)

    def _scaled(self, frame: av.VideoFrame, at: Nanos) -> Picture:
        scaled, source = self._scaler.scale(frame, self._tile, self._fit, 0)
        self._picture = Picture(scaled, at, source)
        return self._picture


class Camera(Drawn):
    """Somebody before a camera; `speaks` tells at every moment whether the mouth moves."""

    def __init__(self, number: int, speaks: Callable[[], bool]) -> None:
        super().__init__()
        self._looks = looks(number)
        self._speaks = speaks
        self._figure: tuple[Size, Figure] | None = None

    def picture_at(self, at: Nanos, tolerance: Nanos) -> Picture | None:
        """The picture due at a session time; the same object for as long as the camera has taken no other."""
        number = (at + tolerance) * FPS // SECOND
        due = number * SECOND // FPS
        if self._picture is not None and self._picture.at == due:
            return self._picture
        size = next((size for size in _SIZES if self._fills(size)), _SIZES[-1])
        if self._figure is None or self._figure[0] != size:
            self._figure = (size, Figure(self._looks, size))
        return self._scaled(self._figure[1].draw(number / FPS, speaking=self._speaks()), due)


class Screen(Drawn):
    """A shared screen that stands still."""

    def picture_at(self, at: Nanos, tolerance: Nanos) -> Picture | None:
        """The slide, the same object for as long as its tile has the same size."""
        if self._picture is None:
            self._scaled(slide(), 0)
        return self._picture
