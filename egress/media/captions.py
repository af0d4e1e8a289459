"""Captions: text of overlays on a ground of its own, so that it can be read over any picture."""

from __future__ import annotations

from math import ceil
from typing import Final

from PIL import Image

from egress.media.ink import ground, rgb, write
from egress.media.text import Line, clean, line
from egress.model.look import LowerThirdOverlay, Palette
from egress.model.media import Size

LEAST: Final = 10
"""Pixels to the em of the smallest text that is legible after encoding."""

_GROUND: Final = 230
"""How opaque bars are, of 255: a hint of the picture beneath, and contrast enough over white and black."""
_PILL: Final = 190
_TITLE, _CLOCK, _NAME, _SUBTITLE = 0.0375, 0.029, 0.046, 0.03
"""Pixels to the em, as parts of the canvas's shorter side."""


def type_size(canvas: Size, share: float) -> float | None:
    """Pixels to the em for text that is this part of the canvas's shorter side; None where it would fill too much."""
    short = min(canvas.width, canvas.height)
    return max(LEAST, short * share) if short >= 12 * LEAST else None


def even(length: float) -> int:
    """The next even number of pixels."""
    return ceil(length / 2) * 2


def bar_height(canvas: Size) -> int:
    """How high the bar of a title is, or would be: lower thirds stay above it, and clocks lie in its middle."""
    return even(2 * max(LEAST, min(canvas.width, canvas.height) * _TITLE))


def pill_height(canvas: Size) -> int:
    """How high a clock is."""
    return even(1.8 * max(LEAST, min(canvas.width, canvas.height) * _CLOCK))


def title_bar(text: str, canvas: Size, palette: Palette) -> Image.Image | None:
    """A bar across the canvas with a title in its middle, ellipsised."""
    size, height = type_size(canvas, _TITLE), bar_height(canvas)
    fitted = line(clean(text), size, canvas.width - height, "bold") if size else None
    if fitted is None:
        return None
    image = Image.new("RGBA", (canvas.width, height), (*rgb(palette.surface), _GROUND))
    write(image, fitted, (canvas.width - fitted.width) / 2, _middle(height, fitted), rgb(palette.text))
    return image


def clock_pill(text: str, canvas: Size, palette: Palette) -> Image.Image | None:
    """A pill with the time of day, in smaller letters where it would not fit: half a time is none."""
    size, height = type_size(canvas, _CLOCK), pill_height(canvas)
    widest = canvas.width - 2 * height
    fitted = line(clean(text), size) if size else None
    if fitted is not None and size and fitted.width > widest:
        fitted = line(clean(text), size * widest / fitted.width - 0.01)
    if fitted is None or fitted.size < LEAST * 0.9:
        return None
    width = even(fitted.width + height * 0.9)
    image = ground(width, height, height / 2, (*rgb(palette.label), _PILL))
    write(image, fitted, (width - fitted.width) / 2, _middle(height, fitted), rgb(palette.label_text))
    return image


def lower_third(doc: LowerThirdOverlay, canvas: Size, palette: Palette, widest: int) -> Image.Image | None:
    """Who or what this is on a ground with a bar of the accent's colour at its outer side, at most `widest` wide."""
    size, small = type_size(canvas, _NAME), type_size(canvas, _SUBTITLE)
    if size is None or small is None:
        return None
    stripe, padding = max(2, round(size * 0.18)), round(size * 0.55)
    room = widest - stripe - 2 * padding
    title = line(clean(doc.title), size, room, "bold")
    subtitle = line(clean(doc.subtitle), small, room)
    rows = [(row, ink) for row, ink in ((title, palette.text), (subtitle, palette.quiet)) if row is not None]
    if not rows:
        return None
    width = even(stripe + 2 * padding + max(row.width for row, _ in rows))
    rise = sum(row.cap_height for row, _ in rows) + (len(rows) - 1) * size * 0.55
    height = even(rise + 2 * padding)
    image = ground(width, height, size * 0.12, (*rgb(palette.surface), _GROUND))
    _stripe(image, stripe, palette, right=doc.place == "right")
    baseline = (height - rise) / 2
    for row, ink in rows:
        baseline += row.cap_height
        x = width - stripe - padding - row.width if doc.place == "right" else float(stripe + padding)
        write(image, row, x, round(baseline), rgb(ink))
        baseline += size * 0.55
    return image


def _middle(height: int, fitted: Line) -> int:
    """The baseline that centres capitals."""
    return round((height + fitted.cap_height) / 2)


def _stripe(image: Image.Image, width: int, palette: Palette, *, right: bool) -> None:
    """Paint one side of a ground in the accent's colour, within its rounded corners."""
    at = (image.width - width, 0) if right else (0, 0)
    part = image.crop((*at, at[0] + width, image.height))
    edge = Image.new("RGBA", part.size, (*rgb(palette.speaking), 0))
    edge.putalpha(part.getchannel("A").point(lambda a: min(255, round(a * 255 / _GROUND))))
    image.paste(edge, at)
