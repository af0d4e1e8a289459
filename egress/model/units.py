"""The units a pipeline document is written in: durations, bitrates, sizes, frame rates."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from egress.model.media import Size

_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*(ms|s|m|h)")
_FACTOR = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
_BITRATE = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*([kKM]?)")
_SIZE = re.compile(r"(\d{1,9})\s*x\s*(\d{1,9})")


def duration(value: Any) -> int:
    """Nanoseconds of '500ms', '2s', '5m', '4h'; raises ValueError naming the accepted form."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return round(Fraction(match[1]) * _FACTOR[match[2]])
    raise ValueError(f"{value!r} is not a duration; write it like 500ms, 2s, 5m or 4h")


def duration_text(nanos: int) -> str:
    """The shortest exact way to write a duration."""
    for unit in ("h", "m", "s", "ms"):
        if nanos and nanos % _FACTOR[unit] == 0:
            return f"{nanos // _FACTOR[unit]}{unit}"
    whole, rest = divmod(nanos, _FACTOR["ms"])
    return f"{whole}.{rest:06d}".rstrip("0") + "ms" if nanos else "0s"


def bitrate(value: Any) -> int:
    """Bits per second of '3M', '128k', 96000; raises ValueError naming the accepted form."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and (match := _BITRATE.fullmatch(value.strip())):
        return round(float(match[1]) * {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000}[match[2]])
    raise ValueError(f"{value!r} is not a bitrate; write it like 3M, 128k or 96000")


def bitrate_text(bits: int) -> str:
    """The shortest exact way to write a bitrate."""
    for factor, unit in ((1_000_000, "M"), (1_000, "k")):
        if bits and bits % factor == 0:
            return f"{bits // factor}{unit}"
    return str(bits)


def size(value: Any) -> Size:
    """A Size of '1280x720'; raises ValueError naming the accepted form."""
    if isinstance(value, Size):
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return Size(int(match[1]), int(match[2]))
    raise ValueError(f"{value!r} is not a size; write it like 1280x720")


def frame_rate(value: Any) -> Fraction:
    """Frames per second of 30, '25' or '30000/1001'; raises ValueError naming the accepted form."""
    if isinstance(value, Fraction):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value)
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}(/[1-9]\d{0,8})?", value.strip()):
        return Fraction(value.strip())
    raise ValueError(f"{value!r} is not a frame rate; write it like 30 or 30000/1001")


Duration = Annotated[
    int,
    BeforeValidator(lambda v: v if isinstance(v, int) and not isinstance(v, bool) and v == 0 else duration(v)),
    PlainSerializer(duration_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*(ms|s|m|h)$", "examples": ["500ms", "2s"]}),
]
Bitrate = Annotated[
    int,
    BeforeValidator(bitrate),
    PlainSerializer(bitrate_text, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?\s*[kKM]?$"}, {"type": "integer"}]}),
]
PixelSize = Annotated[
    Size,
    BeforeValidator(size),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+\s*x\s*\d+$", "examples": ["1280x720"]}),
]
FrameRate = Annotated[
    Fraction,
    BeforeValidator(frame_rate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\d+(/[1-9]\d*)?$"}],
            "examples": [30],
        }
    ),
]
