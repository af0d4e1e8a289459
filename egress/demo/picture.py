"""The moving picture of one synthetic participant: background, bar code, readable number, flash on whole seconds."""

from __future__ import annotations

from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt

from egress.demo import barcode
from egress.demo.people import Person, chroma
from egress.model.media import Size

LOOP_SECONDS = 10
"""Pictures repeat after this long; the bar code counts pictures within it."""

_BT601 = {"kr": 0.299, "kb": 0.114}
_SEGMENTS = ("abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg")

Plane = npt.NDArray[np.uint8]


def flash_frames(fps: int) -> int:
    """For how many pictures from each whole second on the flash lasts: 100 ms."""
    return -(-fps // 10)


def planes(frame: av.VideoFrame) -> tuple[Plane, Plane, Plane]:
    """Writable views (height, width) of a yuv420p frame's planes."""
    views = []
    for plane in frame.planes:
        flat = np.frombuffer(cast(Any, plane), np.uint8)
        views.append(flat[: plane.line_size * plane.height].reshape(plane.height, plane.line_size)[:, : plane.width])
    return views[0], views[1], views[2]


class Artist:
    """Draws picture `index` (counted from any whole second of the shared clock; the loop is LOOP_SECONDS long)."""

    def __init__(self, person: Person, size: Size, fps: int) -> None:
        self.person = person
        self.size = size
        self.fps = fps
        self.length = LOOP_SECONDS * fps
        if self.length > 1 << barcode.COUNTER_BITS:
            raise ValueError(f"{fps} pictures a second are too many to count: at most 102")
        across = np.sin(2 * np.pi * np.arange(2 * size.width) * 5 / size.width)
        down = np.cos(2 * np.pi * (np.arange(size.height) / size.height * 4 + 0.07 * person.index))
        grain = np.random.default_rng(person.index).integers(-6, 7, (size.height, size.width), dtype=np.int16)
        wave = np.outer(34 * down, across).astype(np.int16)
        self._texture = (86 + wave + np.tile(grain, 2)).astype(np.uint8)
        self._flash = chroma(person.colour, **_BT601)
        self._tint = tuple(128 + (value - 128) // 10 for value in self._flash[1:])

    def flashes(self, index: int) -> bool:
        """Whether this picture belongs to a flash."""
        return index % self.fps < flash_frames(self.fps)

    def draw(self, index: int) -> av.VideoFrame:
        """A new yuv420p picture (BT.601 limited range, as WebRTC senders make them) with pts = index."""
        frame = av.VideoFrame(self.size.width, self.size.height, "yuv420p")
        frame.pts = index
        luma, blue, red = planes(frame)
        width, height = self.size.width, self.size.height
        if self.flashes(index):
            luma[:], blue[:], red[:] = self._flash
        else:
            shift = index % self.length * 2 * width // self.length % width
            luma[:] = self._texture[:, shift : shift + width]
            blue[:], red[:] = self._tint
            self._ball(luma, index)
        area = (
            slice(round(0.25 * height) // 2, -(-round(0.49 * height) // 2)),
            slice(round(0.26 * width) // 2, -(-round(0.74 * width) // 2)),
        )
        blue[area] = red[area] = 128
        barcode.draw(luma, index % self.length, self.person.index)
        self._number(luma, index % self.length)
        return frame

    def _ball(self, luma: Plane, index: int) -> None:
        width, height = self.size.width, self.size.height
        side = max(4, height // 8)
        along = index % self.length * 12 / self.length * 2 * np.pi
        x = round((width - side) * (0.5 + 0.5 * np.sin(along)))
        y = round(0.8 * height + (0.2 * height - side) * (0.5 + 0.5 * np.cos(3 * along)) - 0.02 * height)
        luma[y : y + side, x : x + side] = 210

    def _number(self, luma: Plane, number: int) -> None:
        """Seven-segment digits under the bar code, white on black."""
        height, width = luma.shape
        digit_height, digit_width = round(0.16 * height), round(0.055 * width)
        top, left = round(0.54 * height), round(0.5 * width - 2 * digit_width * 1.3)
        stroke = max(1, digit_height // 8)
        luma[top - stroke : top + digit_height + stroke, left - stroke : left + round(digit_width * 5.2)] = 20
        middle = digit_height // 2 - stroke // 2
        boxes = {
            "a": (0, stroke, 0, digit_width),
            "b": (0, middle, digit_width - stroke, digit_width),
            "c": (middle, digit_height, digit_width - stroke, digit_width),
            "d": (digit_height - stroke, digit_height, 0, digit_width),
            "e": (middle, digit_height, 0, stroke),
            "f": (0, middle, 0, stroke),
            "g": (middle, middle + stroke, 0, digit_width),
        }
        for place, digit in enumerate(f"{number:04d}"):
            x = left + round(place * digit_width * 1.3)
            for segment in _SEGMENTS[int(digit)]:
                y0, y1, x0, x1 = boxes[segment]
                luma[top + y0 : top + y1, x + x0 : x + x1] = 232
