"""What rows are made of: ids, times, JSON, and pages of a list with cursors."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from egress.model.errors import RequestError

Micros = int
"""An instant: microseconds since 1970 in UTC."""

Item = TypeVar("Item")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SMALLEST, _LARGEST = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Part of a list; `next` is the cursor of what follows, None at the end."""

    items: tuple[Item, ...]
    next: str | None = None


def micros() -> Micros:
    """The time of the wall clock."""
    return time.time_ns() // 1000


def moment(at: Micros) -> datetime:
    """An instant as an aware time."""
    return _EPOCH + timedelta(microseconds=at)


def since_epoch(at: datetime) -> Micros:
    """An aware time as an instant."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def rfc3339(at: Micros) -> str:
    """An instant as texts and APIs write it: 2026-03-01T12:00:00.000000Z."""
    return f"{(_EPOCH + timedelta(microseconds=at)).isoformat(timespec='microseconds')[:-6]}Z"


def new_id(prefix: str) -> str:
    """An id that never repeats: the prefix says what it is of."""
    return f"{prefix}_{secrets.token_hex(8)}"


def canonical(value: Any) -> str:
    """JSON that is the same text for equal values; ASCII, so that every database takes every character in it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def cursor(*parts: int | str) -> str:
    """A place in a list that goes on after the item with these sort values."""
    return base64.urlsafe_b64encode(canonical(parts).encode()).decode().rstrip("=")


def read_cursor(text: str, *kinds: type) -> tuple[Any, ...]:
    """The sort values of a cursor; raises RequestError when it is none that `cursor` made of these kinds."""
    try:
        parts = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        parts = None
    if (
        not isinstance(parts, list)
        or [type(part) for part in parts] != list(kinds)
        or not all(_SMALLEST <= part <= _LARGEST for part in parts if isinstance(part, int))
    ):
        wrong = "is no cursor of this list; use what `next` said, or leave it out to begin"
        raise RequestError(f"cursor: {wrong}", (("cursor", wrong),))
    return tuple(parts)


def paged(items: Sequence[Item], limit: int, place: Callable[[Item], Sequence[int | str]]) -> Page[Item]:
    """The page of `limit` items when one more than that was looked for; `place` gives an item's sort values."""
    if len(items) <= limit:
        return Page(tuple(items))
    kept = tuple(items[:limit])
    return Page(kept, cursor(*place(kept[-1])))
