from __future__ import annotations

import struct

import pytest
from aiortc.rtp import RtcpByePacket, RtcpPacket, RtcpRrPacket, RtcpRtpfbPacket, RtcpSenderInfo, RtcpSrPacket

from egress.rooms import rtcp
from egress.rooms.rtcp import Goodbye, ReportBlock, SenderInfo


def test_sender_reports_and_byes_are_read_from_a_compound_packet() -> None:
    sr = RtcpSrPacket(ssrc=5, sender_info=RtcpSenderInfo(0x83AA7E80_80000000, 1000, 1, 2))
    data = bytes(sr) + rtcp.receiver_report(9, "name", []) + bytes(RtcpByePacket([5, 6]))
    report, bye = rtcp.parse(data)
    assert report == SenderInfo(5, 0x83AA7E80_80000000, 1000)
    assert isinstance(report, SenderInfo) and report.unix == 500_000_000
    assert bye == Goodbye((5, 6))


@pytest.mark.parametrize("data", [b"\x80", b"\x80\xc8\0\6", b"\0\xc8\0\0", b"\x80\xc8\0\1abcd", b"\x82\xcb\0\1abcd"])
def test_malformed_reports_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        rtcp.parse(data)


def test_receiver_reports_are_understood_by_another_implementation() -> None:
    block = ReportBlock(7, 25, -3, (2 << 16) + 5, 90, 0x11223344, 65536)
    report = RtcpPacket.parse(rtcp.receiver_report(9, "name", [block]))[0]
    assert isinstance(report, RtcpRrPacket)
    found = report.reports[0]
    assert (found.ssrc, found.fraction_lost, found.packets_lost) == (7, 25, -3)
    assert (found.highest_sequence, found.jitter, found.lsr, found.dlsr) == ((2 << 16) + 5, 90, 0x11223344, 65536)


def test_more_streams_than_one_report_holds_make_more_reports() -> None:
    blocks = [ReportBlock(i, 0, 0, 0, 0, 0, 0) for i in range(70)]
    reports = [p for p in RtcpPacket.parse(rtcp.receiver_report(1, "n", blocks)) if isinstance(p, RtcpRrPacket)]
    assert [len(r.reports) for r in reports] == [31, 31, 8]


@pytest.mark.parametrize("lost", [[5], [5, 6, 21, 22], [65535, 0, 3], [1, 100, 117], list(range(300, 340))])
def test_a_nack_names_exactly_what_is_missing(lost: list[int]) -> None:
    packet = RtcpPacket.parse(rtcp.nack(1, 2, lost))[0]
    assert isinstance(packet, RtcpRtpfbPacket)
    assert [seq & 0xFFFF for seq in packet.lost] == lost
    assert (packet.ssrc, packet.media_ssrc) == (1, 2)


def test_a_pli_is_a_pli() -> None:
    assert rtcp.pli(1, 2) == struct.pack("!BBHLL", 0x81, 206, 2, 1, 2)


def decode_feedback(data: bytes) -> dict[int, int]:
    """Sequence number -> arrival in 250 us ticks, read as the draft says."""
    first, kind, words = struct.unpack_from("!BBH", data)
    assert kind == 205 and first & 0x1F == 15 and len(data) == 4 * words + 4
    body = data[12 : -data[-1]] if first & 0x20 else data[12:]
    base, count = struct.unpack_from("!HH", body)
    clock = int.from_bytes(body[4:7], "big") * 256
    symbols: list[int] = []
    pos = 8
    while len(symbols) < count:
        (chunk,) = struct.unpack_from("!H", body, pos)
        pos += 2
        if not chunk & 0x8000:
            symbols += [(chunk >> 13) & 3] * (chunk & 0x1FFF)
        else:
            symbols += [(chunk >> (12 - 2 * i)) & 3 for i in range(7)]
    found = {}
    for index, symbol in enumerate(symbols[:count]):
        if symbol == 1:
            clock += body[pos]
            pos += 1
        elif symbol == 2:
            clock += struct.unpack_from("!h", body, pos)[0]
            pos += 2
        else:
            continue
        found[(base + index) & 0xFFFF] = clock
    assert pos == len(body)
    return found


def test_transport_feedback_tells_when_each_packet_came() -> None:
    arrivals: list[int | None] = [10_000_000_000 + i * 1_000_000 for i in range(40)]
    arrivals[3] = None
    arrivals[10] = 10_300_000_000
    arrivals[20:35] = [None] * 15
    found = decode_feedback(rtcp.transport_feedback(1, 2, 0, 65530, arrivals))
    base = 10_000_000_000 // 250_000
    expected = {(65530 + i) & 0xFFFF: at // 250_000 for i, at in enumerate(arrivals) if at is not None}
    shift = base // 256 // (1 << 24) * (1 << 24) * 256
    assert found == {seq: at - shift for seq, at in expected.items()}
