"""How long to wait before trying a destination again."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Full jitter: a random wait between `floor` and a bound that doubles from `first` to `most` (all seconds)."""

    def __init__(
        self,
        first: float = 1.0,
        most: float = 30.0,
        floor: float = 0.1,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first = first
        self._most = most
        self._floor = floor
        self._uniform = uniform
        self._bound = first

    def next(self) -> float:
        """Seconds to wait before the next try."""
        wait = self._uniform(self._floor, self._bound)
        self._bound = min(self._bound * 2, self._most)
        return wait

    def reset(self) -> None:
        """It worked: begin with short waits again."""
        self._bound = self._first
