"""How long something takes, over a whole job, in a few hundred numbers."""

from __future__ import annotations

from collections.abc import Mapping

from egress.model.media import Nanos

_BITS = 4
"""Of each time so many are kept below its highest one: percentiles are true within a sixteenth."""


class Tempo:
    """A histogram of times in classes that grow with them; written on one thread, read from any."""

    def __init__(self) -> None:
        self._counts = [0] * (64 << _BITS)
        self._count = 0
        self._most: Nanos = 0

    def note(self, took: Nanos) -> None:
        """Count one."""
        took = max(0, took)
        shift = max(0, took.bit_length() - _BITS - 1)
        self._counts[(shift << _BITS) + (took >> shift)] += 1
        self._count += 1
        self._most = max(self._most, took)

    def percentile(self, share: int) -> Nanos:
        """What so many of a hundred did not exceed; 0 when there was none."""
        rank = -(-self._count * share // 100)
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if count and seen >= rank:
                shift = max(0, (index >> _BITS) - 1)
                return min(self._most, ((index - (shift << _BITS) + 1) << shift) - 1)
        return 0

    def read(self) -> Mapping[str, int]:
        """Median, 99th percentile and the longest, in microseconds."""
        return {"p50": self.percentile(50) // 1000, "p99": self.percentile(99) // 1000, "max": self._most // 1000}
