"""How alike two pictures look to people: antialiasing may differ, a label, a place, a colour or a corner may not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

BLUR = 1.5
"""Pixels: what differs by less than a stroke's edge is one to the eye."""

FEW = 12
"""So many pixels, each way round, may differ as much as they like: less than a rounded corner has."""

MEAN, WORST = 0.95, 14.0
"""Limits in CIE76 colour differences, of which one can just be seen side by side."""

_COMMON = 176

_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = np.array([0.9505, 1.0, 1.089])


@dataclass(frozen=True)
class Likeness:
    """`mean` difference over the picture, and `worst` that all but the FEW worst pixels stay within."""

    mean: float
    worst: float

    @property
    def alike(self) -> bool:
        return self.mean <= MEAN and self.worst <= WORST


def likeness(one: Image.Image, other: Image.Image) -> Likeness:
    """Compare two pictures of the same size."""
    assert one.size == other.size, f"{one.size} is not {other.size}"
    difference = np.sqrt(((_lab(one) - _lab(other)) ** 2).sum(axis=-1)).ravel()
    return Likeness(float(difference.mean()), float(np.partition(difference, -FEW)[-FEW]))


def palette(picture: Image.Image) -> Image.Image:
    """The picture in 256 colours, a part of them for what is rare: small marks count as much as large gradients."""
    common = picture.quantize(_COMMON, Image.Quantize.MEDIANCUT, kmeans=3, dither=Image.Dither.NONE)
    pixels = np.asarray(picture).reshape(-1, 3)
    off = np.abs(pixels.astype(np.int16) - np.asarray(common.convert("RGB"), np.int16).reshape(-1, 3)).sum(axis=1)
    worst = pixels[np.argsort(off, kind="stable")[-len(pixels) // 50 :]]
    rare = Image.fromarray(worst[None]).quantize(256 - _COMMON, Image.Quantize.MEDIANCUT, kmeans=3)
    colours = np.concatenate([_palette_of(common, _COMMON), _palette_of(rare, 256 - _COMMON)])
    # Pillow finds the nearest of given colours only roughly. Nor does it dither here: noise is what compresses worst.
    known, where = np.unique(pixels, axis=0, return_inverse=True)
    nearest = np.array([np.abs(colours - pixel).sum(axis=1).argmin() for pixel in known.astype(np.int16)], np.uint8)
    small = Image.fromarray(nearest[where.ravel()].reshape(picture.height, picture.width), "P")
    small.putpalette(colours.astype(np.uint8).tobytes())
    return small


def _palette_of(image: Image.Image, count: int) -> npt.NDArray[np.int16]:
    return np.array((image.getpalette() or [])[: 3 * count], np.int16).reshape(-1, 3)


def _lab(image: Image.Image) -> npt.NDArray[np.float64]:
    """CIE 1976 L*a*b* of an sRGB picture seen from a little distance."""
    blurred = np.asarray(image.convert("RGB").filter(ImageFilter.GaussianBlur(BLUR)), np.float64) / 255
    linear = np.where(blurred <= 0.04045, blurred / 12.92, ((blurred + 0.055) / 1.055) ** 2.4)
    scaled = linear @ _TO_XYZ.T / _WHITE
    root = np.where(scaled > 0.008856, np.cbrt(scaled), scaled * 7.787 + 16 / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
