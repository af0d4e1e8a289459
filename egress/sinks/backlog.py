"""What waits for a live destination: bounded in time and bytes, in decoding order, cut only at keyframes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from egress.sinks.stamps import AHEAD_MS, Unit

_LEAST_MS = 3_000
_MOST_MS = 20_000
_INTERLEAVE_MS = 2_000
"""How long one stream waits for the other to catch up; an encoder that looks ahead is late by its look-ahead."""


class Backlog:
    """Units that wait to be sent, at most max(3 s, two picture groups, but 20 s) and `most_bytes` of them.

    When it is full: pictures go from the oldest up to the next keyframe (or until one comes), sound goes when it is
    older than what may wait. `dropped` counts both by kind, but not what came before the first keyframe: a stream
    that starts in the middle of a programme has not lost it. `kinds` names the streams by index.
    """

    def __init__(self, kinds: Sequence[str], most_bytes: int = 32 << 20) -> None:
        self.dropped = dict.fromkeys(("video", "audio"), 0)
        self.bytes = 0
        self._kinds = tuple(kinds)
        self._most_bytes = most_bytes
        self._queues: list[deque[Unit]] = [deque() for _ in kinds]
        self._newest: list[int | None] = [None for _ in kinds]
        self._await_key = [kind == "video" for kind in kinds]
        self._last_key: int | None = None
        self._capacity = _LEAST_MS
        self._start: int | None = None

    def __len__(self) -> int:
        return sum(map(len, self._queues))

    @property
    def span(self) -> int:
        """Milliseconds from the oldest to the newest unit that wait."""
        ends = [(queue[0].at, queue[-1].at) for queue in self._queues if queue]
        return max(end for _, end in ends) - min(start for start, _ in ends) if ends else 0

    def push(self, unit: Unit) -> None:
        """Take one more; drops by the rule above when there is no room."""
        index = unit.stream
        newest = self._newest[index]
        self._newest[index] = unit.at if newest is None else max(newest, unit.at)
        if unit.kind == "video" and unit.key:
            if self._last_key is not None:
                self._capacity = max(_LEAST_MS, min(2 * (unit.at - self._last_key), _MOST_MS))
            self._last_key = unit.at
            self._await_key[index] = False
        if self._await_key[index]:
            self.dropped[unit.kind] += self._last_key is not None
            return
        if self._start is not None and unit.kind == "audio" and unit.at < self._start - AHEAD_MS:
            return
        self._queues[index].append(unit)
        self.bytes += len(unit.data)
        while self.span > self._capacity or self.bytes > self._most_bytes:
            self._drop_oldest()

    def begin(self) -> int | None:
        """Get ready to send from the oldest keyframe: drop what precedes it and return its time, None if none waits.

        Without pictures the oldest sound begins.
        """
        videos = [index for index, kind in enumerate(self._kinds) if kind == "video"]
        start: int | None = None
        for index in videos:
            queue = self._queues[index]
            while queue and not queue[0].key:
                self._drop(index)
            if not queue:
                self._await_key[index] = True
                return None
            start = queue[0].at if start is None else min(start, queue[0].at)
        if not videos:
            return min((queue[0].at for queue in self._queues if queue), default=None)
        first, self._start = self._start is None, start
        for index, queue in enumerate(self._queues):
            while start is not None and self._kinds[index] == "audio" and queue and queue[0].at < start - AHEAD_MS:
                self._drop(index, counting=not first)
        return start

    def pop(self, *, final: bool = False) -> Unit | None:
        """The next unit in decoding order over all streams; None when it must be waited for (never if `final`)."""
        heads = [(queue[0].at, index) for index, queue in enumerate(self._queues) if queue]
        if not heads:
            return None
        at, index = min(heads)
        if not final and not self._settled(at):
            return None
        unit = self._queues[index].popleft()
        self.bytes -= len(unit.data)
        return unit

    def break_off(self) -> None:
        """The receiver is gone: what comes next is of use only from a keyframe on."""
        for index, queue in enumerate(self._queues):
            if self._kinds[index] == "video":
                while queue and not queue[0].key:
                    self._drop(index)
                self._await_key[index] = not queue

    def _settled(self, at: int) -> bool:
        known = [newest for newest in self._newest if newest is not None]
        if max(known) - at > _INTERLEAVE_MS:
            return True
        return all(
            queue or (newest is not None and newest >= at)
            for queue, newest in zip(self._queues, self._newest, strict=True)
        )

    def _drop_oldest(self) -> None:
        _, index = min((queue[0].at, index) for index, queue in enumerate(self._queues) if queue)
        self._drop(index)
        if self._kinds[index] == "video":
            queue = self._queues[index]
            while queue and not queue[0].key:
                self._drop(index)
            self._await_key[index] = not queue

    def _drop(self, index: int, *, counting: bool = True) -> None:
        unit = self._queues[index].popleft()
        self.bytes -= len(unit.data)
        self.dropped[unit.kind] += counting
