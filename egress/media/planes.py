"""Planes of a 4:2:0 picture as numpy views, and the one colour space of the programme: BT.709, limited range."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane

from egress.model.media import Size

Plane = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]
Colour = tuple[int, int, int]
"""Y, Cb, Cr."""

LIMITED: Final = 1
"""AVCOL_RANGE_MPEG: luma 16..235, chroma 16..240."""

BT709: Final = 1
"""AVCOL_SPC_BT709, AVCOL_PRI_BT709 and AVCOL_TRC_BT709 are the same number."""

_KR, _KB = 0.2126, 0.0722


def planes(frame: av.VideoFrame) -> tuple[Plane, Plane, Plane]:
    """Views of a yuv420p frame's Y, U and V, without the padding of its lines; they keep the frame's memory alive."""
    y, u, v = frame.planes
    return _view(y), _view(u), _view(v)


def _view(plane: VideoPlane) -> Plane:
    return np.ndarray((plane.height, plane.width), np.uint8, memoryview(plane), 0, (plane.line_size, 1))


def black(size: Size) -> av.VideoFrame:
    """A new black yuv420p frame."""
    frame = av.VideoFrame(size.width, size.height, "yuv420p")
    for plane, value in zip(planes(frame), (16, 128, 128), strict=True):
        plane[...] = value
    return frame


def tag(frame: av.VideoFrame) -> None:
    """Say on the frame that it is BT.709 in limited range."""
    frame.color_range = LIMITED
    frame.colorspace = frame.color_primaries = frame.color_trc = BT709


def ycc(red: Float, green: Float, blue: Float) -> tuple[Float, Float, Float]:
    """BT.709 limited-range Y, Cb, Cr of gamma-coded R, G, B in 0..255, each plane by itself."""
    luma = _KR * red + (1 - _KR - _KB) * green + _KB * blue
    blue_difference = (blue - luma) / (2 * (1 - _KB))
    red_difference = (red - luma) / (2 * (1 - _KR))
    return 16 + luma * (219 / 255), 128 + blue_difference * (224 / 255), 128 + red_difference * (224 / 255)


@lru_cache(maxsize=64)
def colour(text: str) -> Colour:
    """Y, Cb, Cr of '#rrggbb'."""
    red, green, blue = (np.array(int(text[k : k + 2], 16), np.float32) for k in (1, 3, 5))
    y, u, v = (round(float(value)) for value in ycc(red, green, blue))
    return y, u, v
