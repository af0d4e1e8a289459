"""Everything with letters on the canvas, drawn once with the bundled font: name labels, initials, captions."""

from __future__ import annotations

import colorsys
import unicodedata
import zlib
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from egress.media.overlay import Overlay
from egress.media.scene import Portrait
from egress.model.look import Palette

RGB = tuple[int, int, int]

_FINE = 4
_INK = (255, 255, 255, 255)
_MUTED = (255, 107, 107, 255)
_ELLIPSIS = "…"


def stable_colour(key: str) -> RGB:
    """The colour of a peer: the same in every process and job, and dark enough for white letters."""
    seed = zlib.crc32(key.encode())
    red, green, blue = colorsys.hls_to_rgb((seed % 360) / 360, 0.38 + 0.08 * (seed // 360 % 3) / 2, 0.45)
    return round(255 * red), round(255 * green), round(255 * blue)


def initials(name: str) -> str:
    """One or two capitals that stand for a name; '?' when it has no letter or digit."""
    words = [word for word in ("".join(c for c in part if c.isalnum()) for part in _shown(name).split()) if word]
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
    font = _font(max(6, round(height * 0.56)))
    padding = height // 2
    mark = height if muted and marks else 0
    room = widest - 2 * padding - mark
    fitted = _fitted(_shown(text), font, room)
    if room < height or not fitted:
        return None
    width = (int(font.getlength(fitted)) + 2 * padding + mark + 1) & ~1
    image = _rounded(width, height, (*ImageColor.getrgb(palette.label)[:3], 150))
    draw = ImageDraw.Draw(image)
    if mark:
        image.alpha_composite(_muted_mark(height), (padding // 2, 0))
    at = (padding + mark - (padding // 3 if mark else 0), height // 2)
    draw.text(at, fitted, palette.label_text, font, anchor="lm")
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
    font = _font(max(6, round(diameter * 0.4)))
    ImageDraw.Draw(image).text((diameter / 2, diameter / 2), initials(name), _INK, font, anchor="mm")
    return _overlay(image)


@lru_cache(maxsize=64)
def caption(text: str, size: int, widest: int, palette: Palette) -> Overlay | None:
    """One quiet line of text without a background, ellipsised to `widest`; None where nothing would fit."""
    font = _font(max(6, size))
    fitted = _fitted(text, font, widest - 4)
    if not fitted:
        return None
    width, height = (int(font.getlength(fitted)) + 5) & ~1, (round(size * 1.5) + 1) & ~1
    image = Image.new("RGBA", (width, height))
    ImageDraw.Draw(image).text((width / 2, height / 2), fitted, palette.quiet, font, anchor="mm")
    return _overlay(image)


@cache
def _font_data() -> bytes:
    return files("egress").joinpath("assets", "DejaVuSans.ttf").read_bytes()


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(BytesIO(_font_data()), size)


@lru_cache(maxsize=4096)
def _has_glyph(character: str) -> bool:
    probe = _font(16)
    return bytes(probe.getmask(character)) != bytes(probe.getmask("\U0010ffff"))


def _shown(text: str) -> str:
    """A name in one line, without what cannot be seen, and without emoji or marks the font lacks."""
    plain = unicodedata.normalize("NFC", " ".join(text.split()))[:300]
    return " ".join("".join(c for c in plain if _can_show(c)).split())


def _can_show(character: str) -> bool:
    # Letters without a glyph stay, as boxes: they still say that there is a name, and how long it is.
    kind = unicodedata.category(character)[0]
    selector = "\ufe00" <= character <= "\ufe0f"
    return kind != "C" and not selector and (kind not in "SM" or _has_glyph(character))


def _fitted(text: str, font: ImageFont.FreeTypeFont, widest: int) -> str:
    if font.getlength(text) <= widest:
        return text
    short, long = 0, len(text)
    while short < long:
        middle = (short + long + 1) // 2
        if font.getlength(text[:middle].rstrip() + _ELLIPSIS) <= widest:
            short = middle
        else:
            long = middle - 1
    return text[:short].rstrip() + _ELLIPSIS if short else ""


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
