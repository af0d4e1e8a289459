"""Art: pictures laid over or under the programme, each with its place on the canvas."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from PIL import Image

from egress.layouts.base import Box
from egress.media import captions
from egress.media.overlay import Overlay
from egress.media.pictures import scaled
from egress.media.watermark import once, tiled
from egress.model.look import (
    AnyOverlay,
    ClockOverlay,
    ImageOverlay,
    LowerThirdOverlay,
    Palette,
    Place,
    TitleOverlay,
    WatermarkOverlay,
)
from egress.model.media import Size

_SAFE: Final = 0.05
"""Of the canvas's width left free beside a lower third (EBU R 95: graphics keep 5 % from the edges)."""

_NAMES: Final = 0.13
"""Of the canvas's height that the name of a tile as large as the canvas takes, with the room around it."""

_Still = ImageOverlay | TitleOverlay | WatermarkOverlay | LowerThirdOverlay
_Placed = tuple[Image.Image, Place, int, int]
"""A picture, where it goes, and how far from the edges, across and down."""


@dataclass(frozen=True, slots=True, eq=False)
class Art:
    """A picture and where on the canvas it lies: even numbers, inside the canvas."""

    overlay: Overlay
    box: Box

    @classmethod
    def of(cls, image: Image.Image, canvas: Size, place: Place = "centre", across: int = 0, down: int = 0) -> Art:
        """An RGBA picture no larger than the canvas, so far from its edges; odd sides get a transparent line more."""
        size = Size(image.width + image.width % 2, image.height + image.height % 2)
        x = _along(canvas.width, size.width, across, "left" in place, "right" in place)
        y = _along(canvas.height, size.height, down, "top" in place, "bottom" in place)
        if size != Size(image.width, image.height):
            whole = Image.new("RGBA", (size.width, size.height))
            # The transparent line lies away from the edge that the picture keeps its distance from.
            whole.paste(
                image, (image.width % 2 if "right" in place else 0, image.height % 2 if "bottom" in place else 0)
            )
            image = whole
        return cls(Overlay.of(np.asarray(image)), Box(x, y, size.width, size.height))


def overlay_art(doc: AnyOverlay, canvas: Size, palette: Palette, now: datetime) -> Art | None:
    """What an overlay looks like at wall time `now`; None when nothing legible fits.

    The same object is returned for as long as the same is shown: identity means unchanged. Each overlay keeps to
    its own place and knows nothing of the others. Raises EgressError for a picture that cannot be read.
    """
    if isinstance(doc, ClockOverlay):
        return _clock(doc, canvas, palette, shown(doc, now))
    return _still(doc, canvas, palette)


def shown(clock: ClockOverlay, now: datetime) -> str:
    """What a clock says; in UTC where its zone is not known, and nothing where its format cannot be followed."""
    try:
        return now.astimezone(_zone(clock.zone)).strftime(clock.format)
    except (ValueError, OverflowError):
        return ""


@cache
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return UTC


def _along(whole: int, length: int, margin: int, first: bool, last: bool) -> int:
    """Where a length begins on one side of the canvas: at its first edge, its last one, or in the middle."""
    margin &= ~1
    at = margin if first else whole - length - margin if last else (whole - length) // 2 & ~1
    return max(0, min(at, whole - length))


@lru_cache(maxsize=32)
def _still(doc: _Still, canvas: Size, palette: Palette) -> Art | None:
    return _art(_drawn(doc, canvas, palette), doc.opacity, canvas)


@lru_cache(maxsize=32)
def _clock(doc: ClockOverlay, canvas: Size, palette: Palette, said: str) -> Art | None:
    # Apart from the others, lest passing seconds drive logos out of their cache.
    image, edge = captions.clock_pill(said, canvas, palette), _edge(canvas)
    return _art(None if image is None else (image, doc.place, edge, edge), doc.opacity, canvas)


def _edge(canvas: Size) -> int:
    """How far a line of its own keeps from the edges: in the middle of a title's bar, should there be one."""
    return (captions.bar_height(canvas) - captions.pill_height(canvas)) // 2


def _drawn(doc: _Still, canvas: Size, palette: Palette) -> _Placed | None:
    image: Image.Image | None
    place: Place
    across = down = 0
    if isinstance(doc, ImageOverlay):
        across = down = doc.margin + doc.margin % 2
        most = Size(canvas.width - 2 * across, canvas.height - 2 * down)
        image, place = scaled(doc.image, round(canvas.width * doc.width), most), doc.place
    elif isinstance(doc, TitleOverlay):
        image, place = captions.title_bar(doc.text, canvas, palette), doc.place
    elif isinstance(doc, LowerThirdOverlay):
        across = round(canvas.width * _SAFE)
        down = max(captions.bar_height(canvas) + 2 * _edge(canvas), round(canvas.height * _NAMES))
        share = 0.6 if canvas.width > canvas.height else 1
        widest = min(canvas.width - 2 * across, round(canvas.width * share))
        image = captions.lower_third(doc, canvas, palette, widest)
        place = "bottom-left" if doc.place == "left" else "bottom-right"
    elif doc.place == "everywhere":
        image, place = tiled(doc.text, canvas, palette), "centre"
    else:
        image, place = once(doc.text, canvas, palette), doc.place
        across = down = _edge(canvas)
    return None if image is None else (image, place, across, down)


def _art(drawn: _Placed | None, opacity: float, canvas: Size) -> Art | None:
    if drawn is None or drawn[0].width > canvas.width or drawn[0].height > canvas.height:
        return None
    image, place, across, down = drawn
    if opacity < 1:
        image = image.copy()
        image.putalpha(image.getchannel("A").point(lambda a: round(a * opacity)))
    return Art.of(image, canvas, place, across, down)
