"""Cards and backgrounds: opaque pictures that fill the canvas."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from egress.media.art import Art
from egress.media.fonts import Weight
from egress.media.ink import RGB, rgb, write
from egress.media.pictures import covering
from egress.media.text import ELLIPSIS, Line, clean, lines
from egress.model.look import CardDoc, Palette
from egress.model.media import Size

_WIDEST, _HIGHEST = 0.84, 0.86
"""Of the canvas, for the text."""
_TITLE, _TEXT = 1 / 11, 1 / 23
"""Pixels to the em, as parts of the canvas's shorter side."""
_LEADING: Final[dict[Weight, float]] = {"bold": 1.22, "medium": 1.45}
_MOST: Final[dict[Weight, int]] = {"bold": 4, "medium": 5}
_SHARES: Final = (1.0, 0.85, 0.7, 0.58)
"""Sizes tried until all of the text fits."""
_LEAST: Final = 9.0
_SCRIM, _VEIL = 0.9, 0.45
"""How much of the picture the background's colour hides behind the text, and far from it."""


class _Row(NamedTuple):
    line: Line
    colour: RGB
    baseline: float
    """From the top of the block."""


class _Block(NamedTuple):
    rows: tuple[_Row, ...]
    height: float
    cut: bool


@lru_cache(maxsize=4)
def card(doc: CardDoc, canvas: Size, palette: Palette) -> Art:
    """An opaque picture that fills the canvas: a title, a text, an image behind them.

    Text is made smaller until it fits, then cut. Raises EgressError for an image that cannot be read.
    """
    image = Image.new("RGBA", (canvas.width, canvas.height), palette.background)
    block = _fitting(clean(doc.title), clean(doc.text), canvas, palette)
    top = (canvas.height - block.height) / 2
    if doc.image is not None:
        picture = covering(doc.image, canvas, rgb(palette.background))
        scrim = _scrim(canvas, top, block.height) if block.rows else Image.new("L", image.size)
        image = Image.composite(image, picture, scrim)
    for row in block.rows:
        write(image, row.line, (canvas.width - row.line.width) / 2, round(top + row.baseline), row.colour)
    return Art.of(image, canvas)


@lru_cache(maxsize=4)
def background(path: str, canvas: Size, palette: Palette) -> Art:
    """The picture in a file, cropped to cover the canvas, opaque. Raises EgressError when it cannot be read."""
    return Art.of(covering(path, canvas, rgb(palette.background)), canvas)


def _fitting(title: str, text: str, canvas: Size, palette: Palette) -> _Block:
    block = _Block((), 0, False)
    for share in _SHARES:
        block = _laid_out(title, text, share, canvas, palette)
        if not block.cut and block.height <= canvas.height * _HIGHEST:
            return block
    rows = list(block.rows)
    while len(rows) > 1 and rows[-1].baseline > canvas.height * _HIGHEST:
        rows.pop()
    return block._replace(rows=tuple(rows), height=rows[-1].baseline if rows else 0)


def _laid_out(title: str, text: str, share: float, canvas: Size, palette: Palette) -> _Block:
    """The lines of both, from cap height to last baseline."""
    short, widest = min(canvas.width, canvas.height), canvas.width * _WIDEST
    size, small = max(_LEAST, short * _TITLE * share), max(_LEAST, short * _TEXT * max(share, 0.75))
    above = _balanced(title, size, widest, "bold")
    below = _balanced(text, small, widest, "medium")
    rows: list[_Row] = []
    baseline = 0.0
    for row in above:
        baseline += row.size * _LEADING["bold"] if rows else row.cap_height
        rows.append(_Row(row, rgb(palette.text), baseline))
    for k, row in enumerate(below):
        # Between title and text there is more than between lines of either.
        baseline += row.size * _LEADING["medium"] if k else row.cap_height + (size * 0.8 if above else 0)
        rows.append(_Row(row, rgb(palette.quiet), baseline))
    cut = any(
        part and part[-1].text.endswith(ELLIPSIS) and not said.endswith(ELLIPSIS)
        for part, said in ((above, title), (below, text))
    )
    return _Block(tuple(rows), baseline, cut)


def _balanced(text: str, size: float, widest: float, weight: Weight) -> tuple[Line, ...]:
    """Lines of about one length, where that takes no more of them."""
    greedy = lines(text, size, widest, _MOST[weight], weight)
    if len(greedy) < 2 or greedy[-1].text.endswith(ELLIPSIS):
        return greedy
    narrow = min(widest, sum(row.width for row in greedy) / len(greedy) * 1.12)
    even = lines(text, size, narrow, _MOST[weight], weight)
    fits = len(even) == len(greedy) and not even[-1].text.endswith(ELLIPSIS)
    return even if fits else greedy


def _scrim(canvas: Size, top: float, height: float) -> Image.Image:
    """How much of the picture is hidden, in 255ths: most behind the text, softly less above and below it."""
    short = min(canvas.width, canvas.height)
    rows = np.arange(canvas.height, dtype=np.float32)
    away = np.maximum(top - rows, rows - (top + height)) - 0.06 * short
    near = 1 - np.clip(away / (0.22 * short), 0, 1)
    share = _VEIL + (_SCRIM - _VEIL) * near * near * (3 - 2 * near)
    column = np.round(255 * share).astype(np.uint8)[:, None]
    return Image.fromarray(np.repeat(column, canvas.width, axis=1))
