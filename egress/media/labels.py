"""What says who a peer is: name labels with their marks, and portraits; and captions. Each is drawn once."""

from __future__ import annotations

import colorsys
import zlib
from functools import lru_cache
from math import ceil
from typing import Final
from weakref import ref

import numpy as np
from PIL import Image, ImageDraw

from egress.media.ink import coverage, rgb, write
from egress.media.marks import Mark, mark
from egress.media.overlay import Overlay
from egress.media.scene import Portrait
from egress.media.text import clean, clusters, line
from egress.model.look import Palette
from egress.model.look_contrast import MARK, TEXT, contrast, nearest

_FINE: Final = 4
_LEAST_HEIGHT: Final = 10
"""Lower labels could not be read."""
_LEAST_INITIALS: Final = 12
_MOST_SEEN_THROUGH: Final = 0.6
_INKS: Final = ("#ffffff", "#101418")
_AHEAD: Final = "เแโใไເແໂໃໄ"
"""Vowels that Thai and Lao write before the letter a syllable begins with."""


def stable_colour(key: str) -> str:
    """The colour of a peer: the same in every process and job, and dark enough for white letters."""
    seed = zlib.crc32(key.encode())
    parts = colorsys.hls_to_rgb((seed % 360) / 360, 0.38 + 0.08 * (seed // 360 % 3) / 2, 0.45)
    return nearest(_hex(*(round(255 * part) for part in parts)), _INKS[:1], TEXT) or _INKS[1]


def initials(name: str) -> str:
    """One or two capitals that stand for a name, by what people take for letters; empty when it has none.

    They begin the first and the last word; of names without blanks (Chinese, Japanese, Korean) it is the family's.
    """
    found = [first for word in clean(name).split() if (first := _first(word))]
    return "".join(found[:1] + found[1:][-1:])


def _first(word: str) -> str:
    letters = (c for c in clusters(word) if c[0].isalnum() and c[0] not in _AHEAD and "\u20e3" not in c)
    letter = next(letters, "")
    return clusters(letter.upper())[0] if letter else ""


@lru_cache(maxsize=64)
def opacity(palette: Palette) -> int:
    """Of the pill, of 255: the least that leaves names and marks legible over any picture (WCAG 2.2).

    Black and white are the worst there is beneath it, as luminance grows with each of red, green and blue.
    """
    pairs = ((palette.label_text, TEXT), (palette.muted, MARK))
    # What the bare pill does not give, no opacity does.
    within = [(colour, min(least, contrast(colour, palette.label))) for colour, least in pairs]
    for alpha in range(round(255 * _MOST_SEEN_THROUGH), 255):
        grounds = [_mixed(palette.label, under, alpha) for under in (0, 255)]
        if all(contrast(colour, ground) >= least for colour, least in within for ground in grounds):
            return alpha
    return 255


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
    """A name on a pill of the given height, ellipsised to `widest`, with marks before it and a line of the accent.

    Where no letter of the name fits, the marks are alone; None where nothing legible would fit.
    """
    states: tuple[tuple[Mark, bool], ...] = (("muted", muted), ("camera-off", camera_off), ("lost", lost))
    shown = tuple(which for which, holds in states if holds and marks)
    return _name_label(text, height & ~1, widest, palette, accent, shown)


@lru_cache(maxsize=128)
def _name_label(
    text: str, height: int, widest: int, palette: Palette, accent: str | None, shown: tuple[Mark, ...]
) -> Overlay | None:
    if height < _LEAST_HEIGHT:
        return None
    side, gap, padding = round(height * 0.7) & ~1, max(2, height // 10), height // 2
    # Marks stand nearer to the end of the pill than letters do: they leave its corners free themselves.
    before = height // 3 + len(shown) * (side + gap) if shown else padding
    fitted = line(clean(text), max(6, round(height * 0.56)), widest - before - padding - gap)
    if fitted is not None:
        before += gap if shown else 0
        width = ceil(before + fitted.width + padding)
    elif shown:
        width = before - gap + height // 3
    else:
        return None
    width += width % 2
    if width > widest:
        return None
    image = _rounded(width, height, (*rgb(palette.label), opacity(palette)))
    for k, which in enumerate(shown):
        colour = palette.muted if which == "muted" else palette.label_text
        image.alpha_composite(mark(which, side, rgb(colour)), (height // 3 + k * (side + gap), (height - side) // 2))
    if fitted is not None:
        bottom = _underline(image, before, fitted.width, accent) if accent else height
        write(image, fitted, before, round((bottom + fitted.cap_height) / 2), rgb(palette.label_text))
    return _overlay(image)


def _underline(image: Image.Image, start: int, width: float, accent: str) -> int:
    """Draw the line under a name; where it begins. Whole blocks of two by two pixels keep its colour pure."""
    thick = max(2, 2 * round(image.height / 22))
    top = image.height - 2 * thick
    left, right = start & ~1, ceil((start + width) / 2) * 2
    image.alpha_composite(_rounded(right - left, thick, (*rgb(accent), 255)), (left, top))
    return top


def portrait(
    name: str, key: str, diameter: int, *, accent: str | None = None, image: Portrait | None = None
) -> Overlay:
    """What stands for a peer without a picture: a disc with its initials, or its avatar cut to a disc.

    The disc is of the accent, or else of the peer's own colour, either as near to it as its letters allow.
    """
    diameter, colour = max(2, diameter & ~1), accent or stable_colour(key)
    if image is not None and image.size:
        return _avatar_disc(_Picture(image), diameter, colour)
    return _initials_disc(initials(name), diameter, colour)


class _Picture:
    """A picture as a key: equal when it is the very same one, and not kept alive by it."""

    def __init__(self, image: Portrait) -> None:
        self.image = ref(image)
        self._number = id(image)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        # Another picture may come to live where one has died.
        return isinstance(other, _Picture) and self.image() is not None and self.image() is other.image()


@lru_cache(maxsize=64)
def _avatar_disc(picture: _Picture, diameter: int, colour: str) -> Overlay:
    pixels = picture.image()
    assert pixels is not None, "the caller holds it"
    height, width, _ = pixels.shape
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = Image.fromarray(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    # Where the avatar is transparent, the peer's colour shows.
    image = Image.new("RGBA", (diameter, diameter), colour)
    image.alpha_composite(square.resize((diameter, diameter), Image.Resampling.LANCZOS, reducing_gap=3))
    image.putalpha(_rounded(diameter, diameter, (0, 0, 0, 255)).getchannel("A"))
    return _overlay(image)


@lru_cache(maxsize=64)
def _initials_disc(letters: str, diameter: int, colour: str) -> Overlay:
    ground, ink = _legible(colour)
    image = _rounded(diameter, diameter, (*rgb(ground), 255))
    # Letters of two words never join.
    text, size = "\u200c".join(clusters(letters)), diameter * 0.42
    fitted = line(text, size)
    if fitted is not None and fitted.width > 0.7 * diameter:
        fitted = line(text, size * 0.7 * diameter / fitted.width)
    if fitted is not None and diameter >= _LEAST_INITIALS:
        x, baseline = (diameter - fitted.width) / 2, round((diameter + fitted.cap_height) / 2)
        covered = coverage(fitted, diameter, diameter, x, baseline).getbbox()
        if covered is not None:
            left, top, right, bottom = covered
            x += (diameter - left - right) / 2
            baseline += round((diameter - top - bottom) / 2)
        write(image, fitted, x, baseline, rgb(ink))
    elif not letters:
        side = round(diameter * 0.6) & ~1
        if side:
            image.alpha_composite(mark("person", side, rgb(ink)), ((diameter - side) // 2, (diameter - side) // 2))
    return _overlay(image)


def _legible(colour: str) -> tuple[str, str]:
    """A disc's colour and that of its letters: white where they can be, and the disc as near as it can be."""
    for ink in _INKS:
        if contrast(colour, ink) >= TEXT:
            return colour, ink
    ink = max(_INKS, key=lambda ink: contrast(colour, ink))
    return nearest(colour, (ink,), TEXT) or _INKS[1 - _INKS.index(ink)], ink


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


def _mixed(colour: str, under: int, alpha: int) -> str:
    """What a colour of some opacity makes of a grey beneath it."""
    return _hex(*(round((alpha * part + (255 - alpha) * under) / 255) for part in rgb(colour)))


def _hex(*parts: int) -> str:
    return "#" + bytes(parts).hex()


def _overlay(image: Image.Image) -> Overlay:
    return Overlay.of(np.asarray(image))
