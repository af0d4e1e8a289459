"""Single pictures of the programme: a keyframe decoded on its own, made small, and judged by what it shows."""

from __future__ import annotations

import io

import av
import numpy as np
from PIL import Image

from egress.model.errors import DestinationError
from egress.model.media import Packet, Size, StreamInfo

_DETAIL = 64
"""Shades told apart when a picture is judged."""


class KeyframeDecoder:
    """Decodes keyframes of one stream, each without any other picture."""

    def __init__(self, info: StreamInfo) -> None:
        context = av.CodecContext.create("h264", "r")
        assert isinstance(context, av.VideoCodecContext)
        context.extradata = info.extradata
        context.thread_count = 1
        self._context = context

    def decode(self, packet: Packet) -> av.VideoFrame:
        """The picture of a keyframe; raises DestinationError when it cannot be decoded."""
        try:
            frames = [*self._context.decode(av.Packet(packet.data)), *self._context.decode(None)]
            self._context.flush_buffers()
        except av.FFmpegError as error:
            raise DestinationError(f"a keyframe cannot be decoded: {error.strerror}") from error
        if not frames:
            raise DestinationError("a keyframe holds no picture")
        return frames[0]


def fitting(picture: Size, box: Size) -> Size:
    """The size of a picture that fits in a box with its shape kept, never larger than it is; even sides."""
    scale = min(box.width / picture.width, box.height / picture.height, 1.0)
    return Size(max(2, round(picture.width * scale / 2) * 2), max(2, round(picture.height * scale / 2) * 2))


def image(frame: av.VideoFrame, size: Size) -> Image.Image:
    """A decoded picture in RGB at a size."""
    plain = frame.reformat(size.width, size.height, "rgb24", interpolation="AREA")
    return Image.fromarray(plain.to_ndarray())


def jpeg(picture: Image.Image, quality: int) -> bytes:
    """A picture as JPEG."""
    kept = io.BytesIO()
    picture.save(kept, "JPEG", quality=quality, optimize=True)
    return kept.getvalue()


def interest(picture: Image.Image) -> float:
    """How much a picture shows, 0 to 6: the entropy of its brightness in bits, less where it is nearly black or white.

    Black and plain cards have hardly any: a few shades make up nearly all of them; cameras and slides have 3 and more.
    """
    gray = np.asarray(picture.convert("L").resize((160, 90), Image.Resampling.BOX))
    shares = np.bincount((gray // (256 // _DETAIL)).ravel(), minlength=_DETAIL) / gray.size
    present = shares[shares > 0]
    entropy = float(-(present * np.log2(present)).sum())
    mean = float(gray.mean())
    return entropy * min(1.0, mean / 40, (255 - mean) / 25)
