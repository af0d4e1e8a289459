"""An overlay: a small picture with transparency, ready to be blended onto 4:2:0 planes without any float work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egress.media.planes import Plane, yuv

_Wide = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """Premultiplied Y, U and V with what they leave of the picture beneath; width and height are even.

    Where it is fully transparent, blending leaves the picture bit-exact.
    """

    width: int
    height: int
    layers: tuple[tuple[_Wide, _Wide], ...]

    @classmethod
    def of(cls, rgba: npt.NDArray[np.uint8]) -> Overlay:
        """From (height, width, 4) gamma-coded RGBA with straight alpha, into BT.709 limited range."""
        alpha = np.round(rgba[..., 3:].astype(np.float32) * np.float32(256 / 255))
        premultiplied = yuv(rgba[..., :3].astype(np.float32)) * alpha
        layers = [_layer(premultiplied[..., 0], alpha[..., 0])]
        layers += [_layer(_halved(premultiplied[..., k]), _halved(alpha[..., 0])) for k in (1, 2)]
        return cls(rgba.shape[1], rgba.shape[0], tuple(layers))

    def blend(self, views: Sequence[Plane]) -> None:
        """Lay it over views (Y, U, V) of its own size."""
        for view, (colour, left) in zip(views, self.layers, strict=True):
            mixed = view * left
            mixed += colour
            mixed >>= 8
            view[...] = mixed


def crop(views: Sequence[Plane], x: int, y: int, width: int, height: int) -> tuple[Plane, ...]:
    """The same rectangle (even numbers) of Y, U and V."""
    y_plane, *chroma = views
    halves = (plane[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2] for plane in chroma)
    return (y_plane[y : y + height, x : x + width], *halves)


def _layer(colour: npt.NDArray[np.float32], alpha: npt.NDArray[np.float32]) -> tuple[_Wide, _Wide]:
    # The half added here rounds the shift in blend; 255 * 256 + 128 still fits 16 bits.
    return np.round(colour + 128).astype(np.uint16), (256 - np.round(alpha)).astype(np.uint16)


def _halved(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    height, width = plane.shape
    mean: npt.NDArray[np.float32] = plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3), dtype=np.float32)
    return mean
