from __future__ import annotations

from fractions import Fraction

import av
import pytest

from egress.model.media import Codec, EncodedFrame, Size
from egress.rooms.picturesize import picture_size


def _keyframe(name: str, width: int, height: int, options: dict[str, str]) -> bytes:
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.options = Fraction(1, 30), options
    picture = av.VideoFrame(width, height, "yuv420p")
    picture.pts = 0
    return bytes(b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)]))


def _frame(codec: Codec, data: bytes, *, key: bool = True) -> EncodedFrame:
    return EncodedFrame(codec, data, 0, 0, key)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (320, 180), (426, 240), (1920, 1080), (98, 50)])
@pytest.mark.parametrize(
    ("codec", "name", "options"),
    [
        (Codec.VP8, "libvpx", {}),
        (Codec.H264, "libx264", {"profile": "baseline"}),
        (Codec.H264, "libx264", {"profile": "high"}),
    ],
)
def test_a_keyframe_tells_its_size(codec: Codec, name: str, options: dict[str, str], width: int, height: int) -> None:
    data = _keyframe(name, width, height, options)
    assert picture_size(_frame(codec, data)) == Size(width, height)


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize(
    "data", [b"", b"\0\0\1", b"\0\0\0\1\x67", b"\0\0\1\x67\x42\0\x1f" + bytes(40), bytes(12), b"\xff" * 600]
)
def test_what_is_broken_has_no_size(codec: Codec, data: bytes) -> None:
    assert picture_size(_frame(codec, data)) is None


def test_only_a_keyframe_has_a_size() -> None:
    assert picture_size(_frame(Codec.VP8, b"\0\0\0\x9d\x01\x2a\x40\x01\xb4\x00", key=False)) is None
