"""The one session clock: integer nanoseconds from a monotonic origin, tied to the wall clock exactly once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from egress.model.media import Nanos


def monotonic() -> Nanos:
    """Now on the monotonic clock that EncodedFrame.arrived uses."""
    return time.monotonic_ns()


@dataclass(frozen=True, slots=True)
class SessionClock:
    """Session time 0 is `origin` (monotonic ns) and happened at `wall` (UTC); wall-clock steps never bend it."""

    origin: Nanos
    wall: datetime

    @classmethod
    def start(cls) -> SessionClock:
        """A clock whose session time 0 is now."""
        return cls(monotonic(), datetime.now(UTC))

    def now(self) -> Nanos:
        """Session time now."""
        return monotonic() - self.origin
