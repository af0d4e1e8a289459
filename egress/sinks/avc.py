"""H.264 as files carry it: Annex B to length-prefixed, and what a sequence parameter set says."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from egress.model.errors import Fault

_START = re.compile(rb"\x00\x00\x01")
_SPS, _PPS, _DELIMITER = 7, 8, 9
_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128})


@dataclass(frozen=True, slots=True)
class Colour:
    """Code points of ISO/IEC 23091-2, as `colr` boxes and the VUI carry them."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the first SPS of a stream says; `config` is the AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3)."""

    width: int
    height: int
    codec: str
    colour: Colour | None
    config: bytes


def nal_units(data: bytes) -> list[bytes]:
    """The NAL units of an Annex B byte stream, without start codes and trailing zeros."""
    starts = [match.end() for match in _START.finditer(data)]
    ends = [start - 3 for start in starts[1:]] + [len(data)]
    return [unit for start, end in zip(starts, ends, strict=False) if (unit := data[start:end].rstrip(b"\0"))]


def length_prefixed(data: bytes) -> bytes:
    """An Annex B access unit as ISO files carry it: 4-byte lengths, parameter sets and delimiters left out."""
    kept = [unit for unit in nal_units(data) if unit[0] & 31 not in (_SPS, _PPS, _DELIMITER)]
    return b"".join(part for unit in kept for part in (struct.pack(">I", len(unit)), unit))


def parameters(extradata: bytes) -> Parameters:
    """Read the encoder's global header (Annex B SPS and PPS); raises Fault when there is none."""
    units = nal_units(extradata)
    sps = [unit for unit in units if unit[0] & 31 == _SPS]
    pps = [unit for unit in units if unit[0] & 31 == _PPS]
    if not sps or not pps:
        raise Fault("the video encoder's header holds no H.264 parameter sets")
    reader = _Bits(sps[0])
    profile, compatibility, level = sps[0][1:4]
    reader.skip(32)
    reader.ue()
    chroma, luma_depth, chroma_depth = 1, 0, 0
    if profile in _WITH_CHROMA:
        chroma = reader.ue()
        if chroma == 3:
            reader.skip(1)
        luma_depth, chroma_depth = reader.ue(), reader.ue()
        reader.skip(1)
        if reader.bit():
            _skip_scaling(reader, 12 if chroma == 3 else 8)
    width, height = _size(reader, chroma)
    colour = _vui_colour(reader) if reader.bit() else None
    config = bytes((1, profile, compatibility, level, 0xFF, 0xE0 | len(sps)))
    config += b"".join(struct.pack(">H", len(unit)) + unit for unit in sps) + bytes((len(pps),))
    config += b"".join(struct.pack(">H", len(unit)) + unit for unit in pps)
    if profile in _WITH_CHROMA:
        config += bytes((0xFC | chroma, 0xF8 | luma_depth, 0xF8 | chroma_depth, 0))
    return Parameters(width, height, f"avc1.{profile:02x}{compatibility:02x}{level:02x}", colour, config)


class _Bits:
    """Reads the bits of a NAL unit, emulation prevention removed (ITU-T H.264 7.3, 9.1)."""

    def __init__(self, unit: bytes) -> None:
        payload = unit.replace(b"\0\0\3", b"\0\0")
        self._length = len(payload) * 8
        self._value = int.from_bytes(payload, "big")
        self._at = 0

    def skip(self, count: int) -> None:
        self._at += count

    def bits(self, count: int) -> int:
        self._at += count
        if self._at > self._length:
            raise Fault("the video encoder's sequence parameter set is cut short")
        return self._value >> (self._length - self._at) & ((1 << count) - 1)

    def bit(self) -> int:
        return self.bits(1)

    def ue(self) -> int:
        zeros = 0
        while not self.bit():
            zeros += 1
        return (1 << zeros) - 1 + (self.bits(zeros) if zeros else 0)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -code // 2


def _skip_scaling(reader: _Bits, lists: int) -> None:
    for index in range(lists):
        if not reader.bit():
            continue
        last, following = 8, 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + reader.se()) % 256
            last = following or last


def _size(reader: _Bits, chroma: int) -> tuple[int, int]:
    reader.ue()
    order = reader.ue()
    if order == 0:
        reader.ue()
    elif order == 1:
        reader.skip(1)
        reader.se()
        reader.se()
        for _ in range(reader.ue()):
            reader.se()
    reader.ue()
    reader.skip(1)
    width = (reader.ue() + 1) * 16
    map_height = reader.ue() + 1
    frames_only = reader.bit()
    height = (2 - frames_only) * map_height * 16
    if not frames_only:
        reader.skip(1)
    reader.skip(1)
    if reader.bit():
        left, right, top, bottom = (reader.ue() for _ in range(4))
        across = 2 if chroma in (1, 2) else 1
        down = (2 if chroma == 1 else 1) * (2 - frames_only)
        width -= (left + right) * across
        height -= (top + bottom) * down
    return width, height


def _vui_colour(reader: _Bits) -> Colour | None:
    if reader.bit() and reader.bits(8) == 255:
        reader.skip(32)
    if reader.bit():
        reader.skip(1)
    if not reader.bit():
        return None
    reader.skip(3)
    full_range = bool(reader.bit())
    if not reader.bit():
        return None
    return Colour(reader.bits(8), reader.bits(8), reader.bits(8), full_range)
