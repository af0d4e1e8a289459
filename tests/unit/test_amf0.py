"""AMF0 values survive the way out and back, and broken bytes are refused."""

from __future__ import annotations

import pytest

from egress.sinks import amf0


def test_values_come_back_as_they_went() -> None:
    values = ["connect", 1.0, None, True, {"a": "x", "b": {"c": 2.5}}, amf0.EcmaArray(width=320.0), "y" * 70_000]
    assert amf0.decode(amf0.encode(*values)) == values


def test_known_bytes() -> None:
    assert (
        amf0.encode("ab", 1, {"k": None}) == b"\x02\x00\x02ab\x00\x3f\xf0" + bytes(6) + b"\x03\x00\x01k\x05\x00\x00\x09"
    )
    assert amf0.decode(b"\x0a\x00\x00\x00\x02\x05\x06\x0b" + bytes(10)) == [[None, None], 0.0]


@pytest.mark.parametrize(
    "data", [b"\x02\x00\x09ab", b"\x00\x00", b"\x03\x00\x01", b"\x42", b"\x02\x00\x01\xff", b"\x03\x00\x01a" * 40]
)
def test_broken_bytes_are_an_error(data: bytes) -> None:
    with pytest.raises(amf0.Amf0Error):
        amf0.decode(data)


def test_what_amf0_cannot_hold_is_an_error() -> None:
    with pytest.raises(TypeError, match="bytes"):
        amf0.encode(b"x")
