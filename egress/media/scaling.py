"""One picture made fit for its tile: size, orientation and colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import av
import av.filter
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from egress.model.errors import Fault
from egress.model.look import Fit
from egress.model.media import Size

Matrix = Literal["bt601", "bt709"]

LARGEST = 4096
"""No side of a scaled picture is longer: a 16x4000 source must not become 320x80000 to cover its tile."""
NEARLY = 2
"""A contained picture this few pixels short of its tile fills it: a hair of background would look like a fault."""

_MATRICES = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc"}
"""AVColorSpace -> its name in the colorspace filter."""
_UNTAGGED = "bt470bg"
"""WebRTC's convention: what is not tagged is BT.601 limited, at any size."""
_FULL = 2


def fitted(source: Size, tile: Size, fit: Fit) -> Size:
    """The even size of `source` scaled to cover, or be contained in, an even `tile` at its own aspect."""
    wider = source.width * tile.height >= source.height * tile.width
    width, height = tile.width, tile.height
    if wider == (fit == "cover"):
        width = _even(source.width * tile.height / source.height, tile.width, fit)
    else:
        height = _even(source.height * tile.width / source.width, tile.height, fit)
    return Size(min(LARGEST, width), min(LARGEST, height))


def _even(length: float, tile: int, fit: Fit) -> int:
    even = max(2, round(length / 2) * 2)
    if abs(even - tile) <= NEARLY:
        return tile
    return max(even, tile) if fit == "cover" else min(even, tile)


class Scaler:
    """Scales, rotates and recolours one track's pictures to yuv420p BT.709 limited; used on one thread.

    Colour is converted after scaling, at the small size, by a SIMD filter: 25 us a 426x240 picture, where swscale's own
    conversion takes 300 us and is two steps too dark. What lasts from picture to picture is kept.
    """

    def __init__(self, matrix: Matrix | None = None) -> None:
        """`matrix` overrides what the stream says, for senders known to tag wrongly."""
        self._override = {"bt601": _UNTAGGED, "bt709": "bt709", None: None}[matrix]
        self._reformatter = VideoReformatter()
        self._seen: tuple[object, ...] | None = None
        self._way = _Way(Size(0, 0), Size(0, 0), "", full=False, shrinks=False)

    def scale(self, frame: av.VideoFrame, tile: Size | None, fit: Fit, rotation: int) -> tuple[av.VideoFrame, Size]:
        """The picture for its tile (None: its own size, made even), and the size it was sent in, once upright."""
        tags = (frame.format.name, int(frame.colorspace), int(frame.color_range))
        seen = (frame.width, frame.height, *tags, tile, fit, rotation)
        if seen != self._seen:
            # Each picture as the one before, nearly always: what is to be done to it is found once.
            self._way, self._seen = self._find(frame, tile, fit, rotation), seen
        way = self._way
        picture = self._resize(frame, way) if way.full or way.matrix == "bt709" else frame
        if way.full or way.matrix != "bt709":
            if way.graph is None:
                way.graph = _graph(picture, way)
            way.graph.push(picture)
            converted = way.graph.pull()
            if not isinstance(converted, av.VideoFrame):
                raise Fault("the colour conversion gave no picture")
            picture = converted
        if rotation % 360:
            picture = rotated(picture, rotation % 360)
        return picture, way.upright

    def _find(self, frame: av.VideoFrame, tile: Size | None, fit: Fit, rotation: int) -> _Way:
        sideways = rotation % 180 == 90
        sent = Size(frame.width, frame.height)
        upright = Size(sent.height, sent.width) if sideways else sent
        size = fitted(upright, tile, fit) if tile is not None else _made_even(upright)
        scaled = Size(size.height, size.width) if sideways else size
        return _Way(
            upright,
            scaled,
            self._override or _MATRICES.get(int(frame.colorspace), _UNTAGGED),
            full=int(frame.color_range) == _FULL or frame.format.name.startswith("yuvj"),
            shrinks=2 * sent.width >= 3 * scaled.width or 2 * sent.height >= 3 * scaled.height,
        )

    def _resize(self, frame: av.VideoFrame, way: _Way) -> av.VideoFrame:
        full, size = way.full, way.size
        return self._reformatter.reformat(
            frame,
            size.width,
            size.height,
            "yuvj420p" if full else "yuv420p",
            None,
            None,
            Interpolation.AREA if way.shrinks else Interpolation.BILINEAR,
            ColorRange.JPEG if full else ColorRange.MPEG,
            ColorRange.JPEG if full else ColorRange.MPEG,
            None,
            None,
            1,
        )


@dataclass(slots=True)
class _Way:
    """What is done to pictures of one kind: scaled to `size` before they are turned, converted by a kept `graph`.

    `shrinks`: to two thirds or less in a direction, where means of areas are nearer to what was sent than interpolation
    is, and cost less.
    """

    upright: Size
    size: Size
    matrix: str
    full: bool
    shrinks: bool
    graph: av.filter.Graph | None = None


def _made_even(size: Size) -> Size:
    return Size(max(2, size.width // 2 * 2), max(2, size.height // 2 * 2))


def _graph(picture: av.VideoFrame, way: _Way) -> av.filter.Graph:
    """Scales what is not of full range, and converts its colour, in one go: every call of libav waits for the GIL."""
    graph = av.filter.Graph()
    graph.threads = 1
    last = graph.add(
        "buffer",
        f"video_size={picture.width}x{picture.height}:pix_fmt={picture.format.name}:time_base=1/90000"
        f":colorspace={int(picture.colorspace)}:range={int(picture.color_range)}",
    )
    colour = (
        f"ispace={way.matrix}:irange={'pc' if way.full else 'tv'}:iprimaries=bt709:itrc=bt709"
        ":space=bt709:range=tv:primaries=bt709:trc=bt709:format=yuv420p:fast=1"
    )
    steps = [("colorspace", colour), ("buffersink", "")]
    if not way.full:
        scaling = f"{way.size.width}:{way.size.height}:flags={'area' if way.shrinks else 'bilinear'}"
        steps = [("scale", scaling), ("format", "yuv420p"), *steps]
    for name, arguments in steps:
        step = graph.add(name, arguments)
        last.link_to(step)
        last = step
    graph.configure()
    return graph


def rotated(picture: av.VideoFrame, degrees: int) -> av.VideoFrame:
    """A yuv420p picture turned clockwise by 90, 180 or 270 degrees."""
    turns = -degrees // 90
    sideways = turns % 2 == 1
    width, height = (picture.height, picture.width) if sideways else (picture.width, picture.height)
    turned = av.VideoFrame(width, height, "yuv420p")
    for source, target in zip(picture.planes, turned.planes, strict=True):
        upright = np.rot90(_pixels(source), turns)
        _pixels(target)[...] = upright
    turned.colorspace = picture.colorspace
    turned.color_range = picture.color_range
    return turned


def _pixels(plane: VideoPlane) -> npt.NDArray[np.uint8]:
    whole = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return whole[:, : plane.width]
