"""H.264 over RTP (RFC 6184, packetization modes 0 and 1) to Annex B access units whose keyframes stand alone."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from egress.model.media import Codec
from egress.rooms.depayload import Unit, VideoAssembler

_START = b"\0\0\0\1"
_IDR, _SEI, _SPS, _PPS, _AUD, _STAP_A, _FU_A = 5, 6, 7, 8, 9, 24, 28
_SLICES = (1, 2, _IDR)
"""NAL unit types that begin with a slice header."""
_MOST_SETS = 32


class H264Assembler(VideoAssembler):
    """Single NAL units, STAP-A and FU-A. `sprop` is the fmtp parameter sprop-parameter-sets, if there was one."""

    codec = Codec.H264

    def __init__(self, emit: Callable[[Unit], None], sprop: str = "") -> None:
        super().__init__(emit)
        self._sps: dict[int, bytes] = {}
        self._pps: dict[int, bytes] = {}
        self._types: set[int] = set()
        self._intra = True
        self._fragment: list[bytes] = []
        for text in filter(None, sprop.split(",")):
            try:
                nal = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                self.malformed += 1
                continue
            self._remember(nal)

    def _begins(self, payload: bytes) -> bool:
        kind = payload[0] & 0x1F
        if kind == _STAP_A:
            return len(payload) > 3 and self._first(payload[3] & 0x1F, payload[4:5])
        if kind == _FU_A:
            return len(payload) > 2 and bool(payload[1] & 0x80) and self._first(payload[1] & 0x1F, payload[2:3])
        return self._first(kind, payload[1:2])

    @staticmethod
    def _first(kind: int, body: bytes) -> bool:
        # A slice whose header begins with a 1 bit has first_mb_in_slice = 0.
        return kind in (_SEI, _SPS, _PPS, _AUD) or (1 <= kind <= _IDR and bool(body) and body[0] >= 0x80)

    def _reset(self) -> None:
        self._types.clear()
        self._intra = True
        self._fragment.clear()

    def _take(self, payload: bytes) -> bool:
        kind = payload[0] & 0x1F
        if payload[0] & 0x80:
            return False
        if 1 <= kind <= 23:
            return not self._fragment and self._nal(payload)
        if kind == _STAP_A:
            return not self._fragment and self._aggregate(payload)
        if kind == _FU_A:
            return self._fragmented(payload)
        return False

    def _aggregate(self, payload: bytes) -> bool:
        pos = 1
        while pos + 2 <= len(payload):
            size = (payload[pos] << 8) | payload[pos + 1]
            pos += 2
            if not size or pos + size > len(payload) or not self._nal(payload[pos : pos + size]):
                return False
            pos += size
        return pos == len(payload) and pos > 1

    def _fragmented(self, payload: bytes) -> bool:
        if len(payload) < 3:
            return False
        head = payload[1]
        if head & 0x80:
            if self._fragment:
                return False
            self._fragment.append(bytes([(payload[0] & 0xE0) | (head & 0x1F)]))
        elif not self._fragment:
            return False
        self._fragment.append(payload[2:])
        self._bytes += len(payload)
        if head & 0x40:
            nal = b"".join(self._fragment)
            self._fragment.clear()
            return self._nal(nal)
        return True

    def _nal(self, nal: bytes) -> bool:
        kind = nal[0] & 0x1F
        if nal[0] & 0x80 or not 1 <= kind <= 23:
            return False
        self._types.add(kind)
        if kind in (_SPS, _PPS):
            if not self._remember(nal):
                return False
        elif kind in _SLICES:
            self._intra = self._intra and _slice_type(nal) in (2, 4, 7, 9)
        self._parts.append(_START + nal)
        self._bytes += len(nal) + 4
        return True

    def _remember(self, nal: bytes) -> bool:
        kind = nal[0] & 0x1F if nal else 0
        sets = self._sps if kind == _SPS else self._pps
        number = golomb(nal[4:12] if kind == _SPS else nal[1:9], 0)[0]
        if kind not in (_SPS, _PPS) or number is None or (number not in sets and len(sets) >= _MOST_SETS):
            return False
        sets[number] = nal
        return True

    def _unit(self, data: bytes) -> tuple[bytes, bool, bool] | None:
        if self._fragment:
            self.malformed += 1
            self._gap = True
            return None
        if not any(1 <= kind <= _IDR for kind in self._types):
            return None
        key = _IDR in self._types or (_SPS in self._types and self._intra)
        if key and not {_SPS, _PPS} <= self._types:
            missing = [] if _SPS in self._types else list(self._sps.values())
            if _PPS not in self._types:
                missing += self._pps.values()
            heads = b"".join(_START + nal for nal in missing)
            # Parameter sets follow an access unit delimiter, where there is one, and precede all else.
            cut = len(self._parts[0]) if self._parts[0][4] & 0x1F == _AUD else 0
            data = data[:cut] + heads + data[cut:]
        return data, key, not self._gap


def golomb(data: bytes, pos: int) -> tuple[int | None, int]:
    """The Exp-Golomb number at bit `pos` and the bit after it; (None, pos) when data ends before it does."""
    zeros = 0
    bits = 8 * len(data)
    start = pos
    while pos < bits and not data[pos >> 3] >> (7 - (pos & 7)) & 1:
        zeros += 1
        pos += 1
    if zeros > 31 or pos + zeros >= bits:
        return None, start
    value = 0
    for at in range(pos, pos + zeros + 1):
        value = (value << 1) | (data[at >> 3] >> (7 - (at & 7)) & 1)
    return value - 1, pos + zeros + 1


def _slice_type(nal: bytes) -> int | None:
    """slice_type of a slice NAL unit (ITU-T H.264 7.3.3); None when it is cut short."""
    head = nal[1:16]
    _, pos = golomb(head, 0)
    return golomb(head, pos)[0]
