"""Timed metadata inside the media: ID3 tags in event message boxes, for players that look there alone."""

from __future__ import annotations

import struct

SCHEME = "https://aomedia.org/emsg/ID3"
"""Carriage of ID3 Timed Metadata in CMAF (AOMedia)."""

DESCRIPTION = "egress"
"""Names our text among other user-defined ones."""

_UNKNOWN = 0xFFFFFFFF


def event_box(number: int, timescale: int, at: int, duration: int, payload: str) -> bytes:
    """An `emsg` box, version 1 (ISO/IEC 23009-1, 5.10.3.3): `at` and `duration` in ticks, `number` its id.

    Its message is an ID3v2.4 tag with one user-defined text (TXXX). A duration of 0 is an instant.
    """
    fields = struct.pack(">IQII", timescale, at, min(duration, _UNKNOWN), number)
    body = struct.pack(">I", 1 << 24) + fields + SCHEME.encode() + b"\0\0" + _tag(payload)
    return struct.pack(">I4s", 8 + len(body), b"emsg") + body


def _tag(payload: str) -> bytes:
    """ID3v2.4, sections 3.1 and 4.2.6; text in UTF-8."""
    text = b"\3" + DESCRIPTION.encode() + b"\0" + payload.replace("\0", " ").encode() + b"\0"
    frame = b"TXXX" + _syncsafe(len(text)) + b"\0\0" + text
    return b"ID3\4\0\0" + _syncsafe(len(frame)) + frame


def _syncsafe(size: int) -> bytes:
    """A length in four bytes of seven bits."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
