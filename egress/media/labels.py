"""Everything with letters on the canvas, drawn once: name labels, initials, captions."""

from __future__ import annotations

import colorsys
import zlib
from functools import lru_cache
from math import ceil

import numpy as np
from PIL import Image, ImageDraw

from egress.media.ink import RGB, rgb, write
from egress.media.overlay import Overlay
from egress.media.scene import Portrait
from egress.media.text import clean, line
from egress.model.look import Palette

_FINE = 4
_INK = (255, 255, 255)
_MUTED = (255, 107, 107, 255)


def stable_colour(key: str) -> RGB:
    """The colour of a peer: the same in every process and job, and dark enough for white letters."""
    seed = zlib.crc32(key.encode())
    red, green, blue = colorsys.hls_to_rgb((seed % 360) / 360, 0.38 + 0.08 * (seed // 360 % 3) / 2, 0.45)
    return round(255 * red), round(255 * green), round(255 * blue)


def initials(name: str) -> str:
    """One or two capitals that stand for a name; '?' when it has no letter or digit."""
    words = [word for word in ("".join(c for c in part if c.isalnum()) for part in clean(name).split()) if word]
    chosen = words[:1] + words[-1:] if len(words) > 1 else words
    return "".join(word[0].upper()[0] for word in chosen) or "?"


@lru_cache(maxsize=512)
def name_label(
    text: str,
    height: int,
    widest: int,
    *,
    palette: Palette,
    accent: str | None = None,
    muted: bool = False,
    camera_off: bool = False,
    lost: bool = False,
    marks: bool = True,
) -> Overlay | None:
    """A name on a pill of the given height, ellipsised to `widest`; None where nothing legible would fit."""
    height &= ~1
    padding = height // 2
    mark = height if muted and marks else 0
    room = widest - 2 * padding - mark
    fitted = line(clean(text), max(6, round(height * 0.56)), room)
    if room < height or fitted is None:
        return None
    width = (ceil(fitted.width) + 2 * padding + mark + 1) & ~1
    image = _rounded(width, height, (*rgb(palette.label), 150))
    if mark:
        image.alpha_composite(_muted_mark(height), (padding // 2, 0))
    start = padding + mark - (padding // 3 if mark else 0)
    write(image, fitted, start, round((height + fitted.cap_height) / 2), rgb(palette.label_text))
    return _overlay(image)


def portrait(
    name: str, key: str, diameter: int, *, accent: str | None = None, image: Portrait | None = None
) -> Overlay:
    """What stands for a peer without a picture: a disc with its initials, or its avatar cut to a disc."""
    return _initials_disc(name, key, diameter)


@lru_cache(maxsize=256)
def _initials_disc(name: str, key: str, diameter: int) -> Overlay:
    diameter = max(2, diameter & ~1)
    image = _rounded(diameter, diameter, (*stable_colour(key), 255))
    fitted = line(initials(name), max(6, round(diameter * 0.4)))
    if fitted is not None:
        write(image, fitted, (diameter - fitted.width) / 2, round((diameter + fitted.cap_height) / 2), _INK)
    return _overlay(image)


@lru_cache(maxsize=64)
def caption(text: str, size: int, widest: int, palette: Palette) -> Overlay | None:
    """One quiet line of text without a background, ellipsised to `widest`; None where nothing would fit."""
    fitted = line(clean(text), max(6, size), widest - 4)
    if fitted is None:
        return None
    width, height = (ceil(fitted.width) + 5) & ~1, (round(size * 1.5) + 1) & ~1
    image = Image.new("RGBA", (width, height))
    write(image, fitted, (width - fitted.width) / 2, round((height + fitted.cap_height) / 2), rgb(palette.quiet))
    return _overlay(image)


def _rounded(width: int, height: int, colour: tuple[int, int, int, int]) -> Image.Image:
    """A pill (a disc when square) with smooth edges, which Pillow only draws when it is scaled down."""
    mask = Image.new("L", (width * _FINE, height * _FINE))
    radius = min(width, height) * _FINE // 2
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, width * _FINE - 1, height * _FINE - 1), radius, 255)
    mask = mask.resize((width, height), Image.Resampling.BOX).point(lambda a: a * colour[3] // 255)
    image = Image.new("RGBA", (width, height), (*colour[:3], 0))
    image.putalpha(mask)
    return image


def _muted_mark(height: int) -> Image.Image:
    """A crossed-out microphone."""
    side = height * _FINE
    image = Image.new("RGBA", (side, side), (*_MUTED[:3], 0))
    draw = ImageDraw.Draw(image)
    unit = side / 24
    line = max(1, round(1.7 * unit))
    draw.rounded_rectangle((9.5 * unit, 5 * unit, 14.5 * unit, 13.5 * unit), 2.5 * unit, _MUTED)
    draw.arc((7 * unit, 7 * unit, 17 * unit, 16.5 * unit), 0, 180, _MUTED, line)
    draw.line((12 * unit, 16 * unit, 12 * unit, 19 * unit), _MUTED, line)
    draw.line((6 * unit, 5 * unit, 18 * unit, 19 * unit), _MUTED, line)
    return image.resize((height, height), Image.Resampling.BOX)


def _overlay(image: Image.Image) -> Overlay:
    return Overlay.of(np.asarray(image))
