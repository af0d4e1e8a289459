"""One picture made fit for its tile: size, orientation and colour."""

from __future__ import annotations

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

    Scaling keeps its swscale context, and colour is converted after it at the small size by a SIMD filter: 25 us a
    426x240 picture, where swscale's own conversion takes 300 us and is two steps too dark.
    """

    def __init__(self, matrix: Matrix | None = None) -> None:
        """`matrix` overrides what the stream says, for senders known to tag wrongly."""
        self._override = {"bt601": _UNTAGGED, "bt709": "bt709", None: None}[matrix]
        self._reformatter = VideoReformatter()
        self._graph: av.filter.Graph | None = None
        self._graph_key: tuple[object, ...] | None = None

    def scale(self, frame: av.VideoFrame, tile: Size | None, fit: Fit, rotation: int) -> tuple[av.VideoFrame, Size]:
        """The picture for its tile (None: its own size, made even), and the size it was sent in, once upright."""
        sideways = rotation % 180 == 90
        sent = Size(frame.width, frame.height)
        upright = Size(sent.height, sent.width) if sideways else sent
        size = fitted(upright, tile, fit) if tile is not None else _made_even(upright)
        scaled = Size(size.height, size.width) if sideways else size
        matrix = self._override or _MATRICES.get(int(frame.colorspace), _UNTAGGED)
        full = int(frame.color_range) == _FULL or frame.format.name.startswith("yuvj")
        shrinks = sent.width >= 2 * scaled.width or sent.height >= 2 * scaled.height
        picture = self._reformatter.reformat(
            frame,
            scaled.width,
            scaled.height,
            "yuvj420p" if full else "yuv420p",
            None,
            None,
            Interpolation.AREA if shrinks else Interpolation.BILINEAR,
            ColorRange.JPEG if full else ColorRange.MPEG,
            ColorRange.JPEG if full else ColorRange.MPEG,
            None,
            None,
            1,
        )
        if full or matrix != "bt709":
            picture = self._recolour(picture, matrix, full)
        if rotation % 360:
            picture = rotated(picture, rotation % 360)
        return picture, upright

    def _recolour(self, picture: av.VideoFrame, matrix: str, full: bool) -> av.VideoFrame:
        key = (picture.width, picture.height, matrix, full, int(picture.colorspace), int(picture.color_range))
        if self._graph is None or key != self._graph_key:
            self._graph, self._graph_key = _colour_graph(picture, matrix, full), key
        self._graph.push(picture)
        converted = self._graph.pull()
        if not isinstance(converted, av.VideoFrame):
            raise Fault("the colour conversion gave no picture")
        return converted


def _made_even(size: Size) -> Size:
    return Size(max(2, size.width // 2 * 2), max(2, size.height // 2 * 2))


def _colour_graph(picture: av.VideoFrame, matrix: str, full: bool) -> av.filter.Graph:
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add(
        "buffer",
        f"video_size={picture.width}x{picture.height}:pix_fmt={picture.format.name}:time_base=1/90000"
        f":colorspace={int(picture.colorspace)}:range={int(picture.color_range)}",
    )
    convert = graph.add(
        "colorspace",
        f"ispace={matrix}:irange={'pc' if full else 'tv'}:iprimaries=bt709:itrc=bt709"
        ":space=bt709:range=tv:primaries=bt709:trc=bt709:format=yuv420p:fast=1",
    )
    sink = graph.add("buffersink")
    source.link_to(convert)
    convert.link_to(sink)
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
