from __future__ import annotations

import struct

import pytest

from egress.rooms.rtp import RtpPacket, Unwrapper


def raw(first: int = 0x80, tail: bytes = b"media", sequence: int = 7, second: int = 0x60) -> bytes:
    return struct.pack("!BBHLL", first, second, sequence, 1234, 42) + tail


def test_header_fields_and_payload_are_read() -> None:
    packet = RtpPacket.parse(raw(second=0xE0), 99)
    assert (packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc) == (0x60, 7, 1234, 42)
    assert packet.marker and packet.payload == b"media" and packet.arrived == 99


def test_sources_and_padding_are_not_payload() -> None:
    assert RtpPacket.parse(raw(0x82, b"\0" * 8 + b"media"), 0).payload == b"media"
    assert RtpPacket.parse(raw(0xA0, b"media\0\0\3"), 0).payload == b"media"
    assert RtpPacket.parse(raw(0xA0, b"\0\0\3"), 0).payload == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        raw(0x40),
        raw(0x8F, b"abc"),
        raw(0x90, b"\xbe\xde"),
        raw(0x90, b"\xbe\xde\0\x09abc"),
        raw(0xA0, b"media\0"),
        raw(0xA0, b"me\x09"),
    ],
)
def test_malformed_packets_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        RtpPacket.parse(data, 0)


def test_one_byte_extensions_are_found_past_others_and_padding() -> None:
    block = b"\x10a" + b"\0" + b"\x31\x12\x34" + b"\0\0"
    packet = RtpPacket.parse(raw(0x90, b"\xbe\xde\0\2" + block + b"media"), 0)
    assert packet.extension(1) == b"a"
    assert packet.extension(3) == b"\x12\x34"
    assert packet.extension(2) is None
    assert packet.payload == b"media"


def test_two_byte_extensions_are_found() -> None:
    block = b"\x14\2\xab\xcd" + b"\x15\0" + b"\x16\1z" + b"\0" * 3
    packet = RtpPacket.parse(raw(0x90, b"\x10\0\0\3" + block + b"media"), 0)
    assert packet.extension(0x14) == b"\xab\xcd"
    assert packet.extension(0x15) == b""
    assert packet.extension(0x16) == b"z"


def test_an_extension_cut_short_is_not_a_value() -> None:
    packet = RtpPacket.parse(raw(0x90, b"\xbe\xde\0\1" + b"\0\0\0\x12" + b"media"), 0)
    assert packet.extension(1) is None


def test_a_retransmission_yields_its_original() -> None:
    packet = RtpPacket.parse(raw(tail=b"\x01\x02media"), 5).original(96, 77)
    assert (packet.payload_type, packet.sequence, packet.ssrc, packet.payload) == (96, 0x0102, 77, b"media")
    assert packet.timestamp == 1234 and packet.arrived == 5
    with pytest.raises(ValueError):
        RtpPacket.parse(raw(tail=b"\x01"), 5).original(96, 77)


def test_counters_go_on_past_the_wrap_in_both_directions() -> None:
    count = Unwrapper(16)
    assert [count(v) for v in (65534, 65535, 0, 1, 65535, 2)] == [65534, 65535, 65536, 65537, 65535, 65538]
    assert count.near(65530) == 65530
    stamp = Unwrapper(32)
    assert stamp(0xFFFFFF00) == 0xFFFFFF00
    assert stamp(0x100) == (1 << 32) + 0x100


def test_nothing_is_near_before_the_first_value() -> None:
    with pytest.raises(ValueError):
        Unwrapper(16).near(1)
