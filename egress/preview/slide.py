"""The screen somebody shares in a preview: a slide whose edges, fine lines and small letters show what is lost."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from io import BytesIO

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from egress.media.planes import planes, tag
from egress.model.media import Size
from egress.preview.figure import picture_planes

SIZE = Size(1920, 1080)

_PAPER, _INK, _QUIET = "#fbfaf7", "#1d2733", "#66717d"
_EDGE, _BARS = "#c2410c", ("#2f6f9f", "#3f9c79", "#d59a35", "#8a5aa8", "#c25b5b", "#4c7f8c")
_POINTS = (
    "Nothing of a shared screen is cut off: the orange frame is whole",
    "Letters stay readable on a stage, and in a strip tell which slide it is",
    "Fine lines, one pixel wide and one apart, show what scaling makes of them",
)
_HEIGHTS = (0.34, 0.52, 0.47, 0.71, 0.63, 0.92)


@cache
def slide() -> av.VideoFrame:
    """The picture, yuv420p BT.709 limited; always the same object, for it never changes."""
    image = Image.new("RGB", (SIZE.width, SIZE.height), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, SIZE.width - 1, SIZE.height - 1), outline=_EDGE, width=10)
    draw.text((100, 84), "Quarterly review", _INK, _font(92))
    draw.text((104, 200), "What was planned, what was done, what comes next", _QUIET, _font(42))
    for row, text in enumerate(_POINTS):
        y = 330 + 78 * row
        draw.ellipse((104, y + 12, 124, y + 32), fill=_BARS[0])
        draw.text((150, y), text, _INK, _font(40))
    _chart(draw, 104, 600, 980, 380)
    _fine_lines(draw, 1180, 620)
    draw.text((1180, 890), "26  The quick brown fox jumps over 13 lazy dogs", _INK, _font(26))
    draw.text((1180, 934), "20  The quick brown fox jumps over 13 lazy dogs", _INK, _font(20))
    draw.text((1180, 968), "14  The quick brown fox jumps over 13 lazy dogs", _INK, _font(14))
    draw.text((SIZE.width - 60, SIZE.height - 60), "7 / 24", _QUIET, _font(30), anchor="rs")
    frame = av.VideoFrame(SIZE.width, SIZE.height, "yuv420p")
    tag(frame)
    for view, plane in zip(planes(frame), picture_planes(np.asarray(image, np.float32)), strict=True):
        view[...] = plane
    return frame


def _chart(draw: ImageDraw.ImageDraw, left: int, top: int, width: int, height: int) -> None:
    for step in range(5):
        y = top + height * step // 4
        draw.line((left, y, left + width, y), "#d5d8dc", 2)
    pitch = width // len(_HEIGHTS)
    for index, (share, colour) in enumerate(zip(_HEIGHTS, _BARS, strict=True)):
        x = left + 30 + index * pitch
        draw.rectangle((x, top + height - round(share * height), x + pitch - 60, top + height), fill=colour)
        draw.text((x + (pitch - 60) / 2, top + height + 14), f"Q{index + 1}", _QUIET, _font(26), anchor="mt")


def _fine_lines(draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
    """Patches of lines 1, 2 and 4 pixels wide, across and down."""
    for index, line in enumerate((1, 2, 4)):
        x = left + 210 * index
        draw.text((x, top - 46), f"{line} px", _QUIET, _font(28))
        for offset in range(0, 88, 2 * line):
            draw.rectangle((x + offset, top, x + offset + line - 1, top + 190), fill=_INK)
        for offset in range(0, 192, 2 * line):
            draw.rectangle((x + 98, top + offset, x + 180, top + offset + line - 1), fill=_INK)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(BytesIO(files("egress").joinpath("assets", "DejaVuSans.ttf").read_bytes()), size)
