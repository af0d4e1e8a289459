"""AMF0, the value format of RTMP commands and FLV metadata (Adobe AMF0 specification, 2007)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

_NUMBER, _BOOLEAN, _STRING, _OBJECT, _NULL, _ECMA_ARRAY, _END = 0x00, 0x01, 0x02, 0x03, 0x05, 0x08, 0x09
_LONG_STRING = 0x0C
_DEPTH = 16


class Amf0Error(ValueError):
    """Bytes that are not AMF0."""


class EcmaArray(dict[str, Any]):
    """A mapping written as an ECMA array, which onMetaData wants, instead of an object."""


def encode(*values: Any) -> bytes:
    """The values one after the other; takes None, bool, int, float, str and mappings of these."""
    out = bytearray()
    for value in values:
        _write(out, value)
    return bytes(out)


def decode(data: bytes) -> list[Any]:
    """All values in `data`; raises Amf0Error."""
    values = []
    at = 0
    try:
        while at < len(data):
            value, at = _read(data, at, 0)
            values.append(value)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise Amf0Error(f"cut or broken AMF0 at byte {at}: {error}") from None
    return values


def _write(out: bytearray, value: Any) -> None:
    match value:
        case None:
            out.append(_NULL)
        case bool():
            out += bytes((_BOOLEAN, value))
        case int() | float():
            out += struct.pack(">Bd", _NUMBER, value)
        case str():
            raw = value.encode()
            out += (
                struct.pack(">BH", _STRING, len(raw))
                if len(raw) < 65536
                else struct.pack(">BI", _LONG_STRING, len(raw))
            )
            out += raw
        case Mapping():
            out += struct.pack(">BI", _ECMA_ARRAY, len(value)) if isinstance(value, EcmaArray) else bytes((_OBJECT,))
            for name, item in value.items():
                raw = name.encode()
                out += struct.pack(">H", len(raw)) + raw
                _write(out, item)
            out += bytes((0, 0, _END))
        case _:
            raise TypeError(f"AMF0 cannot hold a {type(value).__name__}")


def _read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > _DEPTH:
        raise Amf0Error("AMF0 nested too deeply")
    kind = data[at]
    at += 1
    match kind:
        case 0x00:
            return struct.unpack_from(">d", data, at)[0], at + 8
        case 0x01:
            return data[at] != 0, at + 1
        case 0x02:
            return _text(data, at, 2)
        case 0x0C:
            return _text(data, at, 4)
        case 0x03:
            return _members(data, at, depth)
        case 0x08:
            values, at = _members(data, at + 4, depth)
            return EcmaArray(values), at
        case 0x05 | 0x06:
            return None, at
        case 0x0A:
            (count,) = struct.unpack_from(">I", data, at)
            at += 4
            items = []
            for _ in range(count):
                item, at = _read(data, at, depth + 1)
                items.append(item)
            return items, at
        case 0x0B:
            return struct.unpack_from(">d", data, at)[0], at + 10
    raise Amf0Error(f"AMF0 type 0x{kind:02x} at byte {at - 1} is not known")


def _text(data: bytes, at: int, width: int) -> tuple[str, int]:
    length = int.from_bytes(data[at : at + width])
    at += width
    if at + length > len(data):
        raise Amf0Error(f"an AMF0 string of {length} bytes is cut at byte {len(data)}")
    return data[at : at + length].decode(), at + length


def _members(data: bytes, at: int, depth: int) -> tuple[dict[str, Any], int]:
    values: dict[str, Any] = {}
    while True:
        name, at = _text(data, at, 2)
        if not name and data[at] == _END:
            return values, at + 1
        values[name], at = _read(data, at, depth + 1)
