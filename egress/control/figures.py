"""What a running job's worker says of itself once a second, made into what people watch: counters, rates, load."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping
from typing import Any

from egress.model.media import SECOND

_SPAN = 5.0
"""Seconds rates are taken over."""
_LOAD_SPAN = 60.0
"""Seconds the load is taken over: capacity must not follow every scene."""

_LEFT_OUT = ("type", "attempt", "network", "intake", "encoders")
"""Too much for a list of jobs; the manifest has it."""


class Figures:
    """The latest figures of one job, over all its workers."""

    def __init__(self) -> None:
        self.shown: dict[str, Any] = {}
        """As the API gives them."""
        self._fresh = False
        self._before: deque[tuple[float, float, float, float]] = deque()
        self._sinks = ""
        self._moved: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds the worker has recorded."""
        return float(self.shown.get("elapsed", 0.0))

    @property
    def length(self) -> int:
        """The same in ns."""
        return round(self.elapsed * SECOND)

    @property
    def load(self) -> float:
        """CPU cores used over the last minute."""
        if len(self._before) < 2:
            return 0.0
        (first, *_, cpu), (last, *_, now) = self._before[0], self._before[-1]
        return max(0.0, (now - cpu) / (last - first)) if last > first else 0.0

    def still(self, now: float) -> float:
        """Seconds since anything of the sinks changed; without end when nothing was ever heard of them."""
        return math.inf if self._moved is None else now - self._moved

    def note(self, event: Mapping[str, Any], now: float) -> None:
        """Take an `alive` event; `now` is any clock of seconds."""
        shown = {name: value for name, value in event.items() if name not in _LEFT_OUT}
        ticks, size, cpu = (float(event.get(name, 0)) for name in ("ticks", "bytes", "cpu"))
        if self._before and cpu < self._before[-1][3]:
            # Another worker counts anew.
            self._before.clear()
        self._before.append((now, ticks, size, cpu))
        while len(self._before) > 2 and now - self._before[1][0] > _LOAD_SPAN:
            self._before.popleft()
        then = next((one for one in self._before if now - one[0] <= _SPAN), self._before[-1])
        span = now - then[0]
        shown["fps"] = round((ticks - then[1]) / span, 2) if span > 0 else 0.0
        shown["bitrate"] = round((size - then[2]) * 8 / span) if span > 0 else 0
        shown["load"] = round((cpu - then[3]) / span, 3) if span > 0 else 0.0
        sinks = json.dumps(event.get("sinks", ()), sort_keys=True, default=str)
        if sinks != self._sinks or self._moved is None:
            self._sinks, self._moved = sinks, now
        self.shown, self._fresh = shown, True

    def take(self) -> tuple[int, dict[str, Any]] | None:
        """(ns of media so far, figures) if they are others than last time."""
        if not self._fresh:
            return None
        self._fresh = False
        return self.length, self.shown
