"""Laying lines of text onto pictures: outlines of glyphs as smooth coverage, emoji in their own colours."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import uharfbuzz as hb
from PIL import Image, ImageColor, ImageDraw

from egress.media.fonts import Font
from egress.media.text import Line

RGB = tuple[int, int, int]
_FINE: Final = 4


def rgb(text: str) -> RGB:
    """Red, green and blue of '#rrggbb'."""
    return ImageColor.getrgb(text)[:3]


def write(image: Image.Image, line: Line, x: float, baseline: float, colour: RGB) -> None:
    """Draw a line onto an RGBA picture from `x` on, standing on `baseline` (pixels from the top)."""
    mask = coverage(line, image.width, image.height, x, baseline)
    if (inked := mask.getbbox()) is not None:
        mask = mask.crop(inked)
        ink = Image.new("RGBA", mask.size, (*colour, 0))
        ink.putalpha(mask)
        image.alpha_composite(ink, inked[:2])
    for glyph in line.glyphs:
        if glyph.font.coloured and (drawn := _picture(glyph.font, glyph.number, round(line.size * 4) / 4)):
            picture, left, top = drawn
            lay(image, picture, (round(x + glyph.x + left), round(baseline - glyph.y - top)))


def ground(width: int, height: int, radius: float, colour: tuple[int, int, int, int]) -> Image.Image:
    """A rectangle of one RGBA colour with smoothly rounded corners: Pillow draws those only larger than life."""
    mask = Image.new("L", (width * _FINE, height * _FINE))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, width * _FINE - 1, height * _FINE - 1), radius * _FINE, 255)
    image = Image.new("RGBA", (width, height), (*colour[:3], 0))
    image.putalpha(mask.resize((width, height), Image.Resampling.BOX).point(lambda a: a * colour[3] // 255))
    return image


def lay(image: Image.Image, picture: Image.Image, place: tuple[int, int]) -> None:
    """Composite an RGBA picture onto another, over whose edges it may reach."""
    x, y = place
    seen = (max(0, -x), max(0, -y), min(picture.width, image.width - x), min(picture.height, image.height - y))
    if seen[0] < seen[2] and seen[1] < seen[3]:
        image.alpha_composite(picture.crop(seen), (max(0, x), max(0, y)))


def coverage(line: Line, width: int, height: int, x: float, baseline: float) -> Image.Image:
    """How much of each pixel (mode L) the outlines of a line cover."""
    drawn: Any = hb.RasterDraw()
    drawn.extents = hb.RasterExtents(x_origin=0, y_origin=0, width=width, height=height, stride=0)
    for glyph in line.glyphs:
        if not glyph.font.coloured:
            scale = line.size / glyph.font.upem
            drawn.transform = (scale, 0.0, 0.0, scale, x + glyph.x, height - baseline + glyph.y)
            drawn.draw_glyph(glyph.font.font, glyph.number)
    made = drawn.render()
    if made is None:
        return Image.new("L", (width, height))
    # Rows come from the bottom up.
    stride = made.extents.stride
    pixels: npt.NDArray[np.uint8] = np.frombuffer(made.buffer, np.uint8).reshape(height, stride)[::-1, :width]
    return Image.fromarray(np.ascontiguousarray(pixels))


@lru_cache(maxsize=256)
def _picture(font: Font, number: int, size: float) -> tuple[Image.Image, float, float] | None:
    """A coloured glyph at a size, with how far it begins right of its place and how high above the baseline."""
    extents = font.font.get_glyph_extents(number)
    if extents is None or not extents.width or not extents.height:
        return None
    scale = size / font.upem
    left, top = extents.x_bearing * scale, extents.y_bearing * scale
    width, height = max(1, round(extents.width * scale)), max(1, round(-extents.height * scale))
    data = font.font.get_glyph_color_png(number).data
    if data:
        with Image.open(BytesIO(data)) as file:
            picture = file.convert("RGBA")
        return picture.resize((width, height), Image.Resampling.LANCZOS), left, top
    return _painted(font, number, scale, width, height, left, top)


def _painted(
    font: Font, number: int, scale: float, width: int, height: int, left: float, top: float
) -> tuple[Image.Image, float, float] | None:
    """A glyph of coloured outlines (COLR)."""
    brush: Any = hb.RasterPaint()
    brush.transform = (scale, 0.0, 0.0, scale, -left, height - top)
    brush.extents = hb.RasterExtents(x_origin=0, y_origin=0, width=width, height=height, stride=0)
    if not brush.paint_glyph_or_fail(font.font, number) or (made := brush.render()) is None:
        return None
    stride = made.extents.stride // 4
    premultiplied = np.frombuffer(made.buffer, np.uint8).reshape(height, stride, 4)[::-1, :width].astype(np.float32)
    alpha = premultiplied[..., 3:]
    colours = premultiplied[..., 2::-1] * 255 / np.maximum(alpha, 1)
    straight = np.concatenate([np.minimum(colours, 255), alpha], axis=-1).round().astype(np.uint8)
    return Image.fromarray(straight), left, top
