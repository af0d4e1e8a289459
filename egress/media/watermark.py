"""Watermarks: faint letters without a ground, edged so that they show over light and dark alike."""

from __future__ import annotations

from math import ceil, cos, radians, sin
from typing import Final

from PIL import Image, ImageFilter

from egress.media.captions import LEAST, even, type_size
from egress.media.ink import lay, rgb, write
from egress.media.text import Line, clean, line
from egress.model.look import Palette
from egress.model.media import Size

_ONCE, _TILED = 0.07, 0.045
"""Pixels to the em, as parts of the canvas's shorter side."""
_RISE: Final = 30
"""Degrees by which tiled lines rise from left to right."""
_EDGE: Final = 0.7
"""How strong the edge of letters is against the letters."""


def once(text: str, canvas: Size, palette: Palette) -> Image.Image | None:
    """A text in one line, smaller where it is long, ellipsised where even that does not fit."""
    size, widest = type_size(canvas, _ONCE), canvas.width * 0.9
    whole = line(clean(text), size) if size else None
    if whole is None or size is None:
        return None
    fitted = line(clean(text), max(LEAST, min(size, size * widest / whole.width - 0.01)), widest)
    return None if fitted is None else _edged(fitted, palette)


def tiled(text: str, canvas: Size, palette: Palette) -> Image.Image | None:
    """A text all over the canvas in rising lines, each shifted against its neighbours like bricks."""
    size = type_size(canvas, _TILED)
    fitted = line(clean(text), size) if size else None
    if fitted is None or size is None:
        return None
    stamp = _edged(fitted, palette).rotate(_RISE, Image.Resampling.BICUBIC, expand=True)
    image = Image.new("RGBA", (canvas.width, canvas.height))
    period, apart = fitted.width + 4 * size, 6 * size
    along, down = (cos(radians(_RISE)), -sin(radians(_RISE))), (sin(radians(_RISE)), cos(radians(_RISE)))
    reach = (canvas.width + canvas.height) / 2
    rows, columns = ceil(reach / apart), ceil(reach / period) + 1
    for row in range(-rows, rows + 1):
        for column in range(-columns, columns + 1):
            far, deep = (column + row % 2 / 2) * period, row * apart
            x = canvas.width / 2 + far * along[0] + deep * down[0] - stamp.width / 2
            y = canvas.height / 2 + far * along[1] + deep * down[1] - stamp.height / 2
            lay(image, stamp, (round(x), round(y)))
    return image


def _edged(fitted: Line, palette: Palette) -> Image.Image:
    """A line in the text's colour with a soft edge in the background's."""
    radius = max(1.0, fitted.size * 0.04)
    around = ceil(3 * radius)
    width, height = even(fitted.width + 2 * around), even(fitted.size * 1.5 + 2 * around)
    letters = Image.new("RGBA", (width, height), (*rgb(palette.text), 0))
    write(letters, fitted, (width - fitted.width) / 2, round((height + fitted.cap_height) / 2), rgb(palette.text))
    blurred = letters.getchannel("A").filter(ImageFilter.GaussianBlur(radius))
    image = Image.new("RGBA", (width, height), rgb(palette.background))
    # What is hardly to be seen is left out: it would be blended at every picture.
    image.putalpha(blurred.point(lambda a: round(min(255, a * 1.6) * _EDGE) if a > 40 else 0))
    image.alpha_composite(letters)
    return image
