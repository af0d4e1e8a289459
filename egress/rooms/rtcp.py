"""The RTCP that a receiver reads (sender reports, byes) and writes (reports, NACK, PLI, transport-cc); no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import pack, unpack_from

from egress.model.media import Nanos

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
_NACK, _TRANSPORT_CC, _PLI = 1, 15, 1
_EPOCHS = 2_208_988_800
"""Seconds from the NTP epoch (1900) to the Unix epoch (1970)."""
_REPORTS_EACH = 31
_TICK: Nanos = 250_000
"""Resolution of arrival deltas in transport-cc feedback."""
_BASE: Nanos = 64_000_000


@dataclass(frozen=True, slots=True)
class SenderInfo:
    """An RTP/NTP pair as on the wire: `ntp` is the 64-bit NTP time, `rtp` the 32-bit RTP time of the same instant."""

    ssrc: int
    ntp: int
    rtp: int

    @property
    def unix(self) -> Nanos:
        """The NTP time in nanoseconds since the Unix epoch."""
        return ((self.ntp - (_EPOCHS << 32)) * 1_000_000_000) >> 32


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The sources that have left."""

    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says about one stream (RFC 3550 6.4.1)."""

    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int
    lsr: int
    dlsr: int


def parse(data: bytes) -> list[SenderInfo | Goodbye]:
    """The sender reports and byes of a compound packet, in order; raises ValueError on malformed data."""
    found: list[SenderInfo | Goodbye] = []
    pos = 0
    while pos < len(data):
        if len(data) - pos < 4:
            raise ValueError("RTCP header is cut short")
        first, kind, words = unpack_from("!BBH", data, pos)
        end = pos + 4 + 4 * words
        if first >> 6 != 2 or end > len(data):
            raise ValueError("RTCP packet is malformed")
        count = first & 0x1F
        if kind == SR:
            if end - pos < 28:
                raise ValueError("RTCP sender report is cut short")
            ssrc, ntp, rtp = unpack_from("!LQL", data, pos + 4)
            found.append(SenderInfo(ssrc, ntp, rtp))
        elif kind == BYE:
            if end - pos < 4 + 4 * count:
                raise ValueError("RTCP bye is cut short")
            found.append(Goodbye(unpack_from(f"!{count}L", data, pos + 4)))
        pos = end
    return found


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def _block(block: ReportBlock) -> bytes:
    lost = max(-0x800000, min(block.lost, 0x7FFFFF)) & 0xFFFFFF
    return pack(
        "!LLLLLL",
        block.ssrc,
        (block.fraction << 24) | lost,
        block.highest & 0xFFFFFFFF,
        block.jitter & 0xFFFFFFFF,
        block.lsr,
        block.dlsr,
    )


def receiver_report(ssrc: int, cname: str, blocks: Sequence[ReportBlock]) -> bytes:
    """A compound packet (RFC 3550 6.1) from `ssrc`: receiver reports about any number of streams, and our name."""
    reports = [
        _packet(RR, len(part), pack("!L", ssrc) + b"".join(map(_block, part)))
        for part in (blocks[i : i + _REPORTS_EACH] for i in range(0, max(1, len(blocks)), _REPORTS_EACH))
    ]
    name = cname.encode()[:255]
    item = pack("!LBB", ssrc, 1, len(name)) + name + b"\0"
    return b"".join(reports) + _packet(SDES, 1, item + b"\0" * (-len(item) % 4))


def nack(ssrc: int, media: int, lost: Iterable[int]) -> bytes:
    """A generic NACK (RFC 4585 6.2.1) for sequence numbers in ascending order; they may wrap."""
    fields: list[list[int]] = []
    for sequence in lost:
        distance = (sequence - fields[-1][0]) & 0xFFFF if fields else 0
        if fields and 1 <= distance <= 16:
            fields[-1][1] |= 1 << (distance - 1)
        else:
            fields.append([sequence & 0xFFFF, 0])
    body = b"".join(pack("!HH", first, mask) for first, mask in fields)
    return _packet(RTPFB, _NACK, pack("!LL", ssrc, media) + body)


def pli(ssrc: int, media: int) -> bytes:
    """A picture loss indication (RFC 4585 6.3.1): please send a keyframe."""
    return _packet(PSFB, _PLI, pack("!LL", ssrc, media))


def transport_feedback(ssrc: int, media: int, count: int, first: int, arrivals: Sequence[Nanos | None]) -> bytes:
    """Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1).

    `count` numbers the feedback packets, `first` is the transport-wide sequence number of arrivals[0]; an arrival is
    monotonic ns, None where the packet has not come. At least one has, and neighbours in time are less than 8 s apart.
    """
    base = next(at for at in arrivals if at is not None) // _BASE
    last = base * (_BASE // _TICK)
    symbols: list[int] = []
    deltas = bytearray()
    for at in arrivals:
        if at is None:
            symbols.append(0)
            continue
        delta = at // _TICK - last
        last = at // _TICK
        if 0 <= delta <= 0xFF:
            symbols.append(1)
            deltas.append(delta)
        else:
            symbols.append(2)
            deltas += pack("!h", max(-0x8000, min(delta, 0x7FFF)))
    chunks = bytearray()
    pos = 0
    while pos < len(symbols):
        run = pos + 1
        while run < len(symbols) and symbols[run] == symbols[pos] and run - pos < 0x1FFF:
            run += 1
        if run - pos >= 7 or run == len(symbols):
            chunks += pack("!H", (symbols[pos] << 13) | (run - pos))
            pos = run
            continue
        vector = symbols[pos : pos + 7]
        word = 0xC000
        for index, symbol in enumerate(vector):
            word |= symbol << (12 - 2 * index)
        chunks += pack("!H", word)
        pos += len(vector)
    body = pack("!LLHH", ssrc, media, first & 0xFFFF, len(symbols)) + (base & 0xFFFFFF).to_bytes(3, "big")
    body += bytes([count & 0xFF]) + chunks + deltas
    padding = -len(body) % 4
    if not padding:
        return _packet(RTPFB, _TRANSPORT_CC, body)
    padded = body + b"\0" * (padding - 1) + bytes([padding])
    return pack("!BBH", 0xA0 | _TRANSPORT_CC, RTPFB, len(padded) // 4) + padded
