"""How fast something has been growing lately."""

from __future__ import annotations

from collections import deque

_SPAN = 5.0
_STEP = 0.5


class Meter:
    """The rate of a count over the last five seconds; times are monotonic seconds, given by the caller."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, count: int) -> None:
        """The count stands at this now; never less than before."""
        if not self._seen or now - self._seen[-1][0] >= _STEP:
            self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _SPAN:
            self._seen.popleft()

    def rate(self, now: float, count: int) -> float:
        """Counts a second."""
        if not self._seen:
            return 0.0
        since, then = self._seen[0]
        return (count - then) / (now - since) if now - since >= _STEP else 0.0
