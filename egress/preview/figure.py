"""What a made-up camera sees: head and shoulders in somebody's own colours before a soft background; no photo."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from egress.media.overlay import Overlay, crop
from egress.media.planes import Plane, planes, tag, ycc
from egress.model.media import Size

RGB = tuple[int, int, int]

_FINE = 2
"""Shapes are drawn this much larger and scaled down, for smooth edges."""

_SKIN: tuple[RGB, ...] = (
    (244, 208, 178), (141, 85, 54), (224, 172, 132), (92, 58, 40), (255, 222, 199), (198, 138, 96), (172, 112, 74)
)  # fmt: skip
_HAIR: tuple[RGB, ...] = ((44, 34, 32), (122, 78, 44), (22, 20, 26), (196, 150, 84), (150, 150, 156), (150, 76, 42))
_SHIRT: tuple[RGB, ...] = (
    (58, 98, 142), (150, 62, 68), (52, 116, 96), (226, 226, 220), (96, 76, 132), (206, 148, 58), (60, 64, 72),
    (70, 140, 160),
)  # fmt: skip
_ROOM: tuple[tuple[RGB, RGB], ...] = (
    ((206, 196, 180), (146, 132, 118)),
    ((122, 142, 156), (74, 90, 106)),
    ((196, 206, 196), (120, 142, 128)),
    ((92, 84, 96), (52, 48, 62)),
    ((222, 204, 190), (176, 138, 118)),
    ((150, 166, 186), (96, 106, 140)),
    ((176, 170, 148), (110, 106, 88)),
    ((74, 96, 98), (38, 54, 60)),
    ((214, 214, 222), (158, 158, 176)),
)
_STYLES = (
    ("bun", False), ("long", False), ("short", True), ("curls", False), ("short", False), ("long", False),
    ("bald", True), ("long", False), ("short", False), ("bun", False), ("bald", False), ("curls", False),
    ("short", True), ("long", False), ("bald", True), ("bun", False),
)  # fmt: skip
"""How the hair is worn, and whether there is a beard."""


@dataclass(frozen=True, slots=True)
class Looks:
    """How somebody looks; all colours RGB."""

    skin: RGB
    hair: RGB
    shirt: RGB
    room: tuple[RGB, RGB]
    style: str
    glasses: bool
    beard: bool
    seed: int


def looks(number: int) -> Looks:
    """The looks of participant `number`: neighbours differ in everything, and no two of the first 64 are alike."""
    style, beard = _STYLES[number % len(_STYLES)]
    return Looks(
        _SKIN[number * 3 % len(_SKIN)],
        _HAIR[(number * 5 + number // 6) % len(_HAIR)],
        _SHIRT[(number * 3 + number // 8) % len(_SHIRT)],
        _ROOM[number * 4 % len(_ROOM)],
        style,
        glasses=number % 4 == 1,
        beard=beard,
        seed=zlib.crc32(b"%d" % number),
    )


class Figure:
    """One person before a camera of a given size; draws pictures yuv420p BT.709 limited, for any moment."""

    def __init__(self, looks: Looks, size: Size) -> None:
        """`size` is even; heads have the same size in proportion to its shorter side."""
        self._looks = looks
        self._size = size
        self._variants: dict[tuple[bool, bool], Overlay] = {}

    def draw(self, seconds: float, *, speaking: bool) -> av.VideoFrame:
        """The picture at a moment: whoever speaks moves the mouth, everyone sways and blinks."""
        seed = self._looks.seed
        phase = seed % 628 / 100
        reach = min(self._size.width, self._size.height)
        sway = 0.022 * np.sin(0.9 * seconds + phase) + (0.008 * np.sin(4.1 * seconds + phase) if speaking else 0)
        nod = 0.007 * np.sin(1.3 * seconds + 2 * phase) + (0.007 * np.sin(6.3 * seconds) if speaking else 0)
        mouth = speaking and np.sin(11 * seconds + phase) + np.sin(17.3 * seconds) > -0.7
        blink = (seconds + phase) % 3.7 < 0.12
        frame = av.VideoFrame(self._size.width, self._size.height, "yuv420p")
        tag(frame)
        canvas = planes(frame)
        for view, plane in zip(canvas, self._background, strict=True):
            view[...] = plane
        body = self._body(open_mouth=bool(mouth), blink=blink)
        x = (self._size.width - body.width) // 2 + round(reach * float(sway))
        y = self._size.height - body.height + self._sink + round(reach * float(nod))
        _lay(canvas, body, x & ~1, y & ~1)
        return frame

    @property
    def _unit(self) -> float:
        """A hundredth of the shorter side."""
        return min(self._size.width, self._size.height) / 100

    @property
    def _sink(self) -> int:
        """How much of the body is below the picture's edge, so that no motion uncovers its end."""
        return round(3 * self._unit) & ~1

    @cached_property
    def _background(self) -> tuple[Plane, ...]:
        width, height = self._size.width, self._size.height
        light, dark = (np.array(tone, np.float32) for tone in self._looks.room)
        rng = np.random.default_rng(self._looks.seed)
        across, down = np.meshgrid(np.linspace(0, 1, 64, dtype=np.float32), np.linspace(0, 1, 36, dtype=np.float32))
        angle = rng.uniform(-0.6, 0.6)
        mix = np.clip(0.15 + 0.75 * (down + angle * (across - 0.5)), 0, 1)[..., None]
        image = Image.fromarray(np.round(light * (1 - mix) + dark * mix).astype(np.uint8))
        draw = ImageDraw.Draw(image, "RGBA")
        # A window or a shelf far out of focus: a room, but nothing to look at.
        side = int(rng.integers(0, 2))
        left = 4 + 40 * side
        draw.rectangle((left, 3, left + 15, 18), fill=(255, 252, 240, 95))
        draw.line((left + 7, 3, left + 7, 18), fill=(90, 86, 80, 90), width=1)
        other = 46 - 40 * side
        for shelf in (8, 15, 22):
            draw.rectangle((other, shelf, other + 15, shelf + 1), fill=(50, 40, 34, 70))
            for book in range(5):
                tone = tuple(int(v) for v in rng.integers(60, 200, 3))
                tall = int(rng.integers(3, 6))
                draw.rectangle((other + 1 + 3 * book, shelf - tall, other + 2 + 3 * book, shelf - 1), fill=(*tone, 60))
        image = image.filter(ImageFilter.GaussianBlur(1.3)).resize((width, height), Image.Resampling.BICUBIC)
        return picture_planes(np.asarray(image.filter(ImageFilter.GaussianBlur(self._unit)), np.float32))

    def _body(self, *, open_mouth: bool, blink: bool) -> Overlay:
        key = (open_mouth, blink)
        if key not in self._variants:
            side = round(100 * self._unit) & ~1
            image = Image.new("RGBA", (side * _FINE, side * _FINE), (*self._looks.shirt, 0))
            _Drawing(image, self._looks).person(open_mouth=open_mouth, blink=blink)
            self._variants[key] = Overlay.of(np.asarray(image.resize((side, side), Image.Resampling.BOX)))
        return self._variants[key]


class _Drawing:
    """Shapes in hundredths of the image's side."""

    def __init__(self, image: Image.Image, looks: Looks) -> None:
        self._draw = ImageDraw.Draw(image)
        self._unit = image.width / 100
        self._looks = looks

    def person(self, *, open_mouth: bool, blink: bool) -> None:
        """Head and shoulders, from the back to the front."""
        looks = self._looks
        skin, shade, hair = looks.skin, _mixed(looks.skin, (60, 20, 10), 0.22), looks.hair
        if looks.style == "long":
            self._round((31, 15, 69, 80), 18, hair)
        elif looks.style == "bun":
            self._ellipse((41, 3, 59, 20), hair)
        elif looks.style == "curls":
            for x, y in ((34, 30), (37, 22), (44, 16), (52, 15), (60, 19), (65, 27), (66, 36), (33, 38)):
                self._ellipse((x - 8, y - 7, x + 8, y + 9), hair)
        self._round((12, 78, 88, 130), 22, looks.shirt)
        self._ellipse((40, 72, 60, 86), shade)
        self._round((42, 58, 58, 81), 6, shade)
        self._ellipse((31, 40, 37, 51), shade)
        self._ellipse((63, 40, 69, 51), shade)
        self._ellipse((33, 18, 67, 68), skin)
        if looks.beard:
            self._pie((33.5, 30, 66.5, 69), 18, 162, _mixed(hair, skin, 0.15))
            self._ellipse((37, 40, 63, 60), skin)
        if looks.style != "bald":
            self._pie((31.6, 13, 68.4, 66), 193, 347, hair)
        self._face(hair, shade, open_mouth=open_mouth, blink=blink)
        self._pie((38, 73, 62, 92), 20, 160, _mixed(looks.shirt, (0, 0, 0), 0.25))

    def _face(self, hair: RGB, shade: RGB, *, open_mouth: bool, blink: bool) -> None:
        dark = (40, 30, 30)
        brow = _mixed(hair, dark, 0.4)
        for x in (42.5, 57.5):
            self._line((x - 3.4, 38.4, x + 3.4, 38.4), brow, 1.1)
            if blink:
                self._line((x - 2.2, 44, x + 2.2, 44), dark, 0.7)
            else:
                self._ellipse((x - 1.7, 41.9, x + 1.7, 45.7), dark)
                self._ellipse((x + 0.1, 42.4, x + 1.1, 43.5), (235, 232, 228))
            if self._looks.glasses:
                self._rim((x - 5.4, 39.6, x + 5.4, 48.6), (30, 30, 36))
        if self._looks.glasses:
            self._line((47.9, 43, 52.1, 43), (30, 30, 36), 0.9)
        self._line((50, 45, 49.2, 51.5), shade, 1)
        self._line((48.9, 51.5, 51.4, 51.8), shade, 1)
        if open_mouth:
            self._ellipse((45.2, 55, 54.8, 61.4), (110, 36, 40))
            self._ellipse((47, 58.4, 53, 61.2), (196, 96, 96))
        else:
            self._arc((44.5, 51, 55.5, 59), 25, 155, (150, 66, 62), 1.1)

    def _ellipse(self, box: tuple[float, float, float, float], fill: RGB) -> None:
        self._draw.ellipse(self._at(box), fill=(*fill, 255))

    def _round(self, box: tuple[float, float, float, float], radius: float, fill: RGB) -> None:
        self._draw.rounded_rectangle(self._at(box), radius * self._unit, fill=(*fill, 255))

    def _pie(self, box: tuple[float, float, float, float], start: float, end: float, fill: RGB) -> None:
        self._draw.chord(self._at(box), start, end, fill=(*fill, 255))

    def _arc(self, box: tuple[float, float, float, float], start: float, end: float, ink: RGB, width: float) -> None:
        self._draw.arc(self._at(box), start, end, (*ink, 255), max(1, round(width * self._unit)))

    def _rim(self, box: tuple[float, float, float, float], ink: RGB) -> None:
        self._draw.rounded_rectangle(self._at(box), 3 * self._unit, outline=(*ink, 255), width=round(0.8 * self._unit))

    def _line(self, box: tuple[float, float, float, float], ink: RGB, width: float) -> None:
        self._draw.line(self._at(box), (*ink, 255), max(1, round(width * self._unit)))

    def _at(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        left, top, right, bottom = (value * self._unit for value in box)
        return left, top, right, bottom


def picture_planes(rgb: npt.NDArray[np.float32]) -> tuple[Plane, ...]:
    """Y, U and V at 4:2:0 of (height, width, 3) gamma-coded RGB in 0..255."""
    luma, *differences = ycc(rgb[..., 0], rgb[..., 1], rgb[..., 2])
    height, width = luma.shape
    chroma = (plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)) for plane in differences)
    return tuple(np.round(plane).astype(np.uint8) for plane in (luma, *chroma))


def _lay(canvas: tuple[Plane, ...], body: Overlay, x: int, y: int) -> None:
    """Blend as much of an overlay as lies on the canvas; x and y are even, and may be negative."""
    tall, wide = canvas[0].shape
    left, top = max(0, -x), max(0, -y)
    width, height = min(body.width, wide - x) - left, min(body.height, tall - y) - top
    cut = []
    for step, (colour, rest) in zip((1, 2, 2), body.layers, strict=True):
        rows = slice(top // step, (top + height) // step)
        columns = slice(left // step, (left + width) // step)
        cut.append((colour[rows, columns], rest[rows, columns]))
    Overlay(width, height, tuple(cut)).blend(crop(canvas, x + left, y + top, width, height))


def _mixed(one: RGB, other: RGB, share: float) -> RGB:
    red, green, blue = (round(a * (1 - share) + b * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
