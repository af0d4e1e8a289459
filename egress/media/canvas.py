"""A canvas: one 4:2:0 picture that is drawn on in place, and views of parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import av
import numpy as np
import numpy.typing as npt

from egress.layouts.base import Box
from egress.media.planes import Colour, Plane, planes, tag
from egress.model.media import Size

Index = npt.NDArray[np.intp]
Wide = npt.NDArray[np.uint16]

SCRATCH: Final = 1 << 16
"""Values worked on at once: two such rows of 16 bits stay in a processor's second cache."""


class Region(NamedTuple):
    """A rectangle of a picture: luma (height, width), and Cb and Cr in one view (2, height / 2, width / 2)."""

    luma: Plane
    chroma: Plane

    def fill(self, ink: Colour) -> None:
        """Make it all one colour."""
        self.luma[...] = ink[0]
        self.chroma[0] = ink[1]
        self.chroma[1] = ink[2]


class Canvas:
    """One BT.709 limited-range yuv420p frame; used on one thread.

    Each numpy call costs about as much as a thousand pixels, so both chroma planes are one view, and scattered pixels
    of all three planes are reached through one: `flat`, which begins at the plane with the lowest address. Only values
    at `places` belong to the picture; those between may belong to nobody.
    """

    def __init__(self, size: Size) -> None:
        self.size = size
        self.box = Box(0, 0, size.width, size.height)
        self.frame = av.VideoFrame(size.width, size.height, "yuv420p")
        tag(self.frame)
        views = planes(self.frame)
        addresses = [view.__array_interface__["data"][0] for view in views]
        first = addresses.index(min(addresses))
        self._starts = [address - addresses[first] for address in addresses]
        self._strides = [view.strides[0] for view in views]
        reach = max(start + view.shape[0] * view.strides[0] for start, view in zip(self._starts, views, strict=True))
        self.flat: Plane = np.lib.stride_tricks.as_strided(views[first], (reach,), (1,))
        chroma = np.lib.stride_tricks.as_strided(
            views[1], (2, *views[1].shape), (addresses[2] - addresses[1], *views[1].strides)
        )
        self._whole = Region(views[0], chroma)
        self.lines: tuple[Plane, ...] = tuple(
            np.lib.stride_tricks.as_strided(view, (view.shape[0] * view.strides[0],), (1,)) for view in views
        )
        """Y, U and V with the padding of their lines, one after the other."""
        self.scratch: Wide = np.empty(SCRATCH, np.uint16)

    def region(self, box: Box) -> Region:
        """A rectangle of even numbers."""
        luma, chroma = self._whole
        half = np.s_[:, box.y // 2 : (box.y + box.height) // 2, box.x // 2 : (box.x + box.width) // 2]
        return Region(luma[box.y : box.y + box.height, box.x : box.x + box.width], chroma[half])

    def blend(self, places: Index, kept: Wide, added: Wide) -> None:
        """Let pixels at `places` keep so much of 256 of what they are, and add a colour that is multiplied already."""
        mixed = self.flat[places] * kept
        mixed += added
        mixed >>= 8
        self.flat[places] = mixed

    def places(self, luma: Sequence[Index], chroma: Sequence[Index]) -> Index:
        """Where pixels lie in `flat`: luma at (rows, columns), then Cb and Cr, each at (rows, columns) of its plane."""
        asked = (luma, chroma, chroma)
        return np.concatenate(
            [
                start + rows * stride + columns
                for start, stride, (rows, columns) in zip(self._starts, self._strides, asked, strict=True)
            ]
        ).astype(np.intp)
