"""Whole pictures laid over or under the programme: overlays, cards, the background image."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from PIL import Image, ImageColor, ImageOps

from egress.layouts.base import Box
from egress.media.ink import rgb, write
from egress.media.labels import caption
from egress.media.overlay import Overlay
from egress.media.text import clean, lines
from egress.model.look import (
    AnyOverlay,
    CardDoc,
    ClockOverlay,
    ImageOverlay,
    LowerThirdOverlay,
    Palette,
    WatermarkOverlay,
)
from egress.model.media import Size

_LEADING: Final = 1.4


@dataclass(frozen=True, slots=True, eq=False)
class Art:
    """A picture and where on the canvas it lies: even numbers, inside the canvas."""

    overlay: Overlay
    box: Box


def overlay_art(doc: AnyOverlay, canvas: Size, palette: Palette, now: datetime) -> Art | None:
    """What an overlay looks like at wall time `now`; None when nothing legible fits.

    The same object is returned for as long as the same is shown: identity means unchanged.
    """
    shown = now.astimezone(ZoneInfo(doc.zone)).strftime(doc.format) if isinstance(doc, ClockOverlay) else ""
    return _overlay_art(doc, canvas, palette, shown)


@lru_cache(maxsize=8)
def card(doc: CardDoc, canvas: Size, palette: Palette) -> Art:
    """An opaque picture that fills the canvas: a title, a text, an image behind them."""
    image = Image.new("RGBA", (canvas.width, canvas.height), palette.background)
    if doc.image is not None:
        # The scrim keeps the text legible over any picture.
        image = Image.blend(_covering(doc.image, canvas), image, 0.6)
    short, widest = min(canvas.width, canvas.height), canvas.width * 0.84
    rows = [(row, rgb(palette.text)) for row in lines(clean(doc.title), short / 11, widest, 2, "bold")]
    rows += [(row, rgb(palette.quiet)) for row in lines(clean(doc.text), short / 22, widest, 4)]
    top = (canvas.height - sum(_LEADING * row.size for row, _ in rows)) / 2
    for row, colour in rows:
        baseline = round(top + (_LEADING * row.size + row.cap_height) / 2)
        write(image, row, (canvas.width - row.width) / 2, baseline, colour)
        top += _LEADING * row.size
    return Art(Overlay.of(np.asarray(image)), Box(0, 0, canvas.width, canvas.height))


@lru_cache(maxsize=4)
def background(path: str, canvas: Size) -> Art:
    """The picture in a file, cropped to cover the canvas, opaque."""
    image = _covering(path, canvas)
    return Art(Overlay.of(np.asarray(image)), Box(0, 0, canvas.width, canvas.height))


def _covering(path: str, canvas: Size) -> Image.Image:
    with Image.open(path) as file:
        upright = ImageOps.exif_transpose(file).convert("RGB")
    return ImageOps.fit(upright, (canvas.width, canvas.height)).convert("RGBA")


@lru_cache(maxsize=64)
def _overlay_art(doc: AnyOverlay, canvas: Size, palette: Palette, shown: str) -> Art | None:
    if isinstance(doc, ImageOverlay):
        side = round(canvas.width * doc.width) & ~1
        image = Image.new("RGBA", (side, side), ImageColor.getrgb(palette.surface))
        overlay: Overlay | None = Overlay.of(np.asarray(image))
    elif isinstance(doc, ClockOverlay):
        overlay = caption(shown, canvas.height // 28, canvas.width, palette)
    elif isinstance(doc, LowerThirdOverlay):
        overlay = caption(doc.title, canvas.height // 28, canvas.width, palette)
    elif isinstance(doc, WatermarkOverlay):
        overlay = caption(doc.text, canvas.height // 20, canvas.width, palette)
    else:
        overlay = caption(doc.text, canvas.height // 28, canvas.width, palette)
    if overlay is None or overlay.width > canvas.width or overlay.height > canvas.height:
        return None
    return Art(overlay, Box(0, 0, overlay.width, overlay.height))
