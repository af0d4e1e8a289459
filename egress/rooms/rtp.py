"""RTP packets (RFC 3550 5.1, RFC 8285) and counters that do not wrap; no I/O."""

from __future__ import annotations

from struct import Struct, error

_HEADER = Struct("!BBHLL")
_EXTENSION = Struct("!HH")
_ONE_BYTE = 0xBEDE
_TWO_BYTES = 0x1000


class RtpPacket:
    """One parsed RTP packet; `sequence` and `timestamp` as on the wire, `extensions` undecoded until asked for."""

    __slots__ = ("_block", "_profile", "arrived", "marker", "payload", "payload_type", "sequence", "ssrc", "timestamp")

    def __init__(
        self,
        payload_type: int,
        sequence: int,
        timestamp: int,
        ssrc: int,
        payload: bytes,
        marker: bool = False,
        arrived: int = 0,
        profile: int = 0,
        block: bytes = b"",
    ) -> None:
        self.payload_type = payload_type
        self.sequence = sequence
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.payload = payload
        self.marker = marker
        self.arrived = arrived
        self._profile = profile
        self._block = block

    @classmethod
    def parse(cls, data: bytes, arrived: int) -> RtpPacket:
        """The packet in a decrypted datagram; `arrived` is monotonic ns. Raises ValueError on anything malformed."""
        try:
            first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
            if first >> 6 != 2:
                raise ValueError("RTP version is not 2")
            start, end = 12 + 4 * (first & 0x0F), len(data)
            profile, block = 0, b""
            if first & 0x10:
                profile, words = _EXTENSION.unpack_from(data, start)
                start += 4
                block = data[start : start + 4 * words]
                start += 4 * words
        except error as problem:
            raise ValueError("RTP header is cut short") from problem
        if first & 0x20:
            padding = data[-1]
            if not padding:
                raise ValueError("RTP padding length is zero")
            end -= padding
        if start > end:
            raise ValueError("RTP packet is shorter than its header says")
        # Once a packet: naming the arguments would cost as much as all the rest.
        return cls(second & 0x7F, sequence, timestamp, ssrc, data[start:end], second > 0x7F, arrived, profile, block)

    def extension(self, wanted: int) -> bytes | None:
        """The value of header extension `wanted` (RFC 8285, one- or two-byte form); None when it is not there."""
        block, pos = self._block, 0
        size = len(block)
        if self._profile == _ONE_BYTE:
            while pos < size:
                head = block[pos]
                pos += 1
                if not head:
                    continue
                if head >> 4 == 15:
                    return None
                length = (head & 0x0F) + 1
                if head >> 4 == wanted:
                    value = block[pos : pos + length]
                    return value if len(value) == length else None
                pos += length
        elif self._profile & 0xFFF0 == _TWO_BYTES:
            while pos + 1 < size:
                head = block[pos]
                if not head:
                    pos += 1
                    continue
                length = block[pos + 1]
                if head == wanted:
                    value = block[pos + 2 : pos + 2 + length]
                    return value if len(value) == length else None
                pos += 2 + length
        return None

    def original(self, payload_type: int, ssrc: int) -> RtpPacket:
        """The packet that this retransmission carries (RFC 4588 4); raises ValueError when it carries none."""
        if len(self.payload) < 2:
            raise ValueError("RTX packet has no original sequence number")
        return RtpPacket(
            payload_type,
            (self.payload[0] << 8) | self.payload[1],
            self.timestamp,
            ssrc,
            self.payload[2:],
            marker=self.marker,
            arrived=self.arrived,
            profile=self._profile,
            block=self._block,
        )


class Unwrapper:
    """Counts on past the wrap of a `bits` wide counter; each value is taken as the one nearest to the last."""

    __slots__ = ("_half", "_modulus", "last")

    def __init__(self, bits: int) -> None:
        self._modulus = 1 << bits
        self._half = 1 << (bits - 1)
        self.last: int | None = None

    def __call__(self, value: int) -> int:
        """`value` as an unwrapped count, which becomes the last one."""
        if self.last is None:
            self.last = value
        else:
            self.last += (value - self.last + self._half) % self._modulus - self._half
        return self.last

    def near(self, value: int) -> int:
        """`value` as an unwrapped count, without moving on; it must not be asked before the first value."""
        if self.last is None:
            raise ValueError("nothing has been counted yet")
        return self.last + (value - self.last + self._half) % self._modulus - self._half
