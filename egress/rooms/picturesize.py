"""How large the pictures of a stream are, read from a keyframe without decoding it; no I/O."""

from __future__ import annotations

from egress.model.media import Codec, EncodedFrame, Size
from egress.rooms.h264 import golomb

_SPS = 7
_WITH_CHROMA = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
_LONGEST_SPS = 512


def picture_size(frame: EncodedFrame) -> Size | None:
    """The size in the headers of a VP8 (RFC 6386 9.1) or H.264 keyframe; None when there is none to be read."""
    if not frame.key:
        return None
    if frame.codec is Codec.VP8:
        return _vp8(frame.data)
    if frame.codec is Codec.H264:
        return _h264(frame.data)
    return None


def _vp8(data: bytes) -> Size | None:
    if len(data) < 10 or data[3:6] != b"\x9d\x01\x2a":
        return None
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return Size(width, height) if width and height else None


def _h264(data: bytes) -> Size | None:
    at = data.find(b"\0\0\1")
    while 0 <= at < len(data) - 8:
        if data[at + 3] & 0x1F == _SPS:
            end = data.find(b"\0\0\1", at + 3)
            unit = data[at + 3 : end if end > 0 else at + _LONGEST_SPS][:_LONGEST_SPS]
            try:
                return _sps(unit.replace(b"\0\0\3", b"\0\0"))
            except ValueError:
                return None
        at = data.find(b"\0\0\1", at + 3)
    return None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._pos = 0

    def number(self) -> int:
        value, self._pos = golomb(self._data, self._pos)
        if value is None:
            raise ValueError("cut short")
        return value

    def bit(self) -> int:
        if self._pos >= 8 * len(self._data):
            raise ValueError("cut short")
        self._pos += 1
        at = self._pos - 1
        return self._data[at >> 3] >> (7 - (at & 7)) & 1

    def signed(self) -> int:
        value = self.number()
        return (value + 1) // 2 if value % 2 else -(value // 2)


def _sps(unit: bytes) -> Size | None:
    """Width and height of a sequence parameter set after cropping (ITU-T H.264 7.3.2.1.1)."""
    if len(unit) < 5:
        return None
    bits = _Reader(unit[4:])
    bits.number()
    chroma, separate = 1, 0
    if unit[1] in _WITH_CHROMA:
        chroma = bits.number()
        if chroma == 3:
            separate = bits.bit()
        bits.number()
        bits.number()
        bits.bit()
        if bits.bit():
            _skip_scaling(bits, 8 if chroma != 3 else 12)
    bits.number()
    order = bits.number()
    if order == 0:
        bits.number()
    elif order == 1:
        bits.bit()
        bits.number()
        bits.number()
        for _ in range(min(bits.number(), 255)):
            bits.number()
    bits.number()
    bits.bit()
    width, height = 16 * (bits.number() + 1), bits.number() + 1
    frames_only = bits.bit()
    height *= 16 * (2 - frames_only)
    if not frames_only:
        bits.bit()
    bits.bit()
    if bits.bit():
        left, right, top, bottom = (bits.number() for _ in range(4))
        across = 2 if chroma in (1, 2) and not separate else 1
        down = (2 if chroma == 1 and not separate else 1) * (2 - frames_only)
        width -= across * (left + right)
        height -= down * (top + bottom)
    return Size(width, height) if 0 < width <= 16384 and 0 < height <= 16384 else None


def _skip_scaling(bits: _Reader, lists: int) -> None:
    for index in range(lists):
        if not bits.bit():
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.signed()) % 256
            last = following or last
