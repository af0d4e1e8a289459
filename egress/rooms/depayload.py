"""From the packets of one stream, in order, to whole encoded frames: one assembler for each codec; no I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from egress.model.media import Codec, Nanos
from egress.rooms.rtp import RtpPacket

MOST_BYTES = 8 << 20
"""A frame that grows beyond this is thrown away: no sane encoder makes one."""


class Unit(NamedTuple):
    """A whole access unit as it came off the wire; `timestamp` is the 32-bit RTP time, `arrived` of its last packet."""

    data: bytes
    timestamp: int
    arrived: Nanos
    key: bool
    gap: bool


class Assembler(ABC):
    """Takes the packets of one stream in sequence order, hands out units; broken ones are counted and left out."""

    codec: Codec

    def __init__(self, emit: Callable[[Unit], None]) -> None:
        self._emit = emit
        self.malformed = 0
        self.incomplete = 0

    @abstractmethod
    def push(self, packet: RtpPacket) -> None:
        """The next packet."""

    @abstractmethod
    def lose(self) -> None:
        """Packets are missing before the next one pushed."""


class OpusAssembler(Assembler):
    """One packet is one unit (RFC 7587); the packet's framing is checked, as a broken one would confuse a decoder."""

    codec = Codec.OPUS

    def __init__(self, emit: Callable[[Unit], None]) -> None:
        super().__init__(emit)
        self._gap = False

    def push(self, packet: RtpPacket) -> None:
        if not packet.payload:
            return
        if not opus_samples(packet.payload):
            self.malformed += 1
            self._gap = True
            return
        gap, self._gap = self._gap, False
        self._emit(Unit(packet.payload, packet.timestamp, packet.arrived, True, gap))

    def lose(self) -> None:
        self._gap = True


_FRAME_48K = {0: (480, 960, 1920, 2880), 1: (480, 960, 480, 960), 2: (120, 240, 480, 960)}


def opus_samples(payload: bytes) -> int:
    """Samples at 48 kHz in an Opus packet, from its TOC (RFC 6716 3.1-3.2); 0 when the packet breaks those rules."""
    toc = payload[0]
    config, size = toc >> 3, len(payload)
    mode = 0 if config < 12 else 1 if config < 16 else 2
    frame = _FRAME_48K[mode][config & 3]
    match toc & 3:
        case 0:
            count = 1
        case 1:
            count = 2 if size % 2 else 0
        case 2:
            count = 2 if _first_size(payload[1:]) <= size - 2 else 0
        case _:
            if size < 2:
                return 0
            count = payload[1] & 0x3F
    return frame * count if frame * count <= 5760 else 0


def _first_size(body: bytes) -> int:
    """The coded length of the first of two frames plus its extra length byte; beyond any packet when cut short."""
    if not body:
        return 1 << 16
    if body[0] < 252:
        return body[0]
    return 1 << 16 if len(body) < 2 else 4 * body[1] + body[0] + 1


class VideoAssembler(Assembler):
    """What VP8 and H.264 share: a unit ends with the marker bit or the next timestamp, and is whole or left out.

    After a loss, packets are taken up again only where a unit is known to begin.
    """

    def __init__(self, emit: Callable[[Unit], None]) -> None:
        super().__init__(emit)
        self._parts: list[bytes] = []
        self._bytes = 0
        self._timestamp = -1
        self._arrived: Nanos = 0
        self._started = False
        self._broken = False
        self._gap = False
        self._hole = True

    def push(self, packet: RtpPacket) -> None:
        payload = packet.payload
        if not payload:
            # Padding, sent to probe the network; its marker means nothing.
            return
        if packet.timestamp != self._timestamp:
            if self._started:
                self._finish()
            self._timestamp = packet.timestamp
            self._start(broken=self._hole and not self._begins(payload))
        elif not self._started:
            self._start(broken=self._hole and not self._begins(payload))
        self._hole = False
        if packet.arrived > self._arrived:
            self._arrived = packet.arrived
        if not self._broken and (not self._take(payload) or self._bytes > MOST_BYTES):
            self.malformed += 1
            self._broken = True
        if packet.marker:
            self._finish()

    def lose(self) -> None:
        self._hole = self._gap = True
        self._broken = self._started

    def _start(self, *, broken: bool) -> None:
        self._parts.clear()
        self._bytes = 0
        self._arrived = 0
        self._started = True
        self._broken = broken
        self._reset()

    def _finish(self) -> None:
        self._started = False
        if self._broken:
            self.incomplete += 1
            self._gap = True
            return
        unit = self._unit(b"".join(self._parts))
        self._parts.clear()
        if unit is None:
            return
        data, key, follows = unit
        self._gap = False
        self._emit(Unit(data, self._timestamp, self._arrived, key, not follows))

    @abstractmethod
    def _begins(self, payload: bytes) -> bool:
        """Whether this packet is surely the first of a unit."""

    @abstractmethod
    def _reset(self) -> None:
        """A new unit begins."""

    @abstractmethod
    def _take(self, payload: bytes) -> bool:
        """Add a packet's media to the unit; False when it is malformed."""

    @abstractmethod
    def _unit(self, data: bytes) -> tuple[bytes, bool, bool] | None:
        """(data, key, follows): the finished unit, and whether no unit before it is missing; None: no picture in it."""


class Vp8Assembler(VideoAssembler):
    """VP8 (RFC 7741). Picture ids tell lost frames from lost padding, TL0PICIDX those that nothing refers to."""

    codec = Codec.VP8

    def __init__(self, emit: Callable[[Unit], None]) -> None:
        super().__init__(emit)
        self._picture: tuple[int, int] | None = None
        self._tl0: int | None = None
        self._last_picture: int | None = None
        self._last_tl0: int | None = None
        self._base = False

    def _begins(self, payload: bytes) -> bool:
        return payload[0] & 0x17 == 0x10

    def _reset(self) -> None:
        self._picture = self._tl0 = None
        self._base = False

    def _take(self, payload: bytes) -> bool:
        pos = 1
        picture: tuple[int, int] | None = None
        tl0: int | None = None
        base = False
        try:
            if payload[0] & 0x80:
                bits = payload[1]
                pos = 2
                if bits & 0x80:
                    if payload[pos] & 0x80:
                        picture = (((payload[pos] & 0x7F) << 8) | payload[pos + 1], 0x7FFF)
                        pos += 2
                    else:
                        picture = (payload[pos], 0x7F)
                        pos += 1
                if bits & 0x40:
                    tl0 = payload[pos]
                    pos += 1
                if bits & 0x30:
                    # Base layer, or a layer switching point: it refers to the base layer only.
                    base = bool(bits & 0x20) and (payload[pos] >> 6 == 0 or bool(payload[pos] & 0x20))
                    pos += 1
        except IndexError:
            return False
        if pos >= len(payload) or (not self._parts and not self._begins(payload)):
            return False
        if not self._parts:
            # All packets of a picture say the same, but for Janus, which numbers the pictures of simulcast layers anew
            # and leaves out packets of less than six bytes: only the last ones can be so short.
            self._picture, self._tl0, self._base = picture, tl0, base
        self._parts.append(payload[pos:])
        self._bytes += len(payload) - pos
        return True

    def _unit(self, data: bytes) -> tuple[bytes, bool, bool] | None:
        key = not data[0] & 1
        if len(data) < 3 or (key and (len(data) < 10 or data[3:6] != b"\x9d\x01\x2a")):
            self.malformed += 1
            self._gap = True
            return None
        follows = not self._gap
        if self._picture is not None:
            number, mask = self._picture
            if self._last_picture is not None:
                follows = number == (self._last_picture + 1) & mask or number == self._last_picture
            if not follows and self._base and self._tl0 is not None and self._last_tl0 is not None:
                follows = self._tl0 in (self._last_tl0, (self._last_tl0 + 1) & 0xFF)
            self._last_picture = number
        if self._tl0 is not None:
            self._last_tl0 = self._tl0
        return data, key, follows
