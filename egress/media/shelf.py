"""Pictures of one track that wait for their tick."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import av

from egress.model.media import MILLISECOND, Nanos, Size

ROOM = 16
HYSTERESIS: Nanos = 10 * MILLISECOND
"""A 30 fps camera stamps its pictures a few ms early or late; on a 30 fps canvas whose boundary lies just there, each
such error would repeat one picture and skip the next."""

OFF_CENTRE: Nanos = MILLISECOND // 2
"""How far beyond half a tick pictures may lie from their ticks, on average over `SMOOTHING` of them, before the pace is
given up for once: lip sync must not pay for evenness."""
SMOOTHING = 16


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded picture: `frame` is yuv420p BT.709 limited, sized for its tile; `at` is its session time.

    `source` is the size the sender sent, after rotation.
    """

    frame: av.VideoFrame
    at: Nanos
    source: Size


class Shelf:
    """Decoded pictures in order of time, few of them; picks the one that belongs to a tick. Not locked."""

    def __init__(self) -> None:
        self.current: Picture | None = None
        self.skipped = 0
        """Pictures that were never picked, because a newer one was due as well, or there was no room."""
        self._waiting: deque[Picture] = deque()
        self._taken: Nanos = 0
        self._off: Nanos = 0
        """How much later than their ticks the pictures taken of late lie, smoothed."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def newest(self) -> Picture | None:
        """The latest picture put here."""
        return self._waiting[-1] if self._waiting else self.current

    def put(self, picture: Picture) -> None:
        """Take the next picture; those that lie later than it belong to a time that was given up."""
        while self._waiting and self._waiting[-1].at >= picture.at:
            self._waiting.pop()
            self.skipped += 1
        if len(self._waiting) >= ROOM:
            self._waiting.popleft()
            self.skipped += 1
        self._waiting.append(picture)

    def replace_newest(self, picture: Picture) -> None:
        """The newest picture in another size."""
        if self._waiting:
            self._waiting[-1] = picture
        elif self.current is not None:
            self.current = picture

    def clear(self) -> None:
        """Forget every picture."""
        self.current = None
        self._waiting.clear()

    def pick(self, at: Nanos, tolerance: Nanos) -> Picture | None:
        """The picture of the tick at session time `at`: the newest that is due `tolerance` (half a tick) later."""
        off_centre = abs(self._off) > tolerance + OFF_CENTRE
        count = self._due(at, tolerance, 0 if off_centre else min(HYSTERESIS, tolerance * 3 // 5))
        if off_centre and count != 1:
            # A tick repeated or a picture skipped moves all that follow by one tick; the pace goes on from here.
            self._off += -2 * tolerance if self._off > 0 else 2 * tolerance
            self._taken = at
        self.skipped += max(0, count - 1)
        for _ in range(count):
            self.current = self._waiting.popleft()
            self._taken = at
        if self.current is not None and count > 0:
            self._off += (self.current.at - at - self._off) // SMOOTHING
        return self.current

    def _due(self, at: Nanos, tolerance: Nanos, slack: Nanos) -> int:
        """How many waiting pictures to take: where two answers are nearly right, the one that keeps the pace."""
        limit = at + tolerance
        waiting = self._waiting
        count = sum(1 for picture in waiting if picture.at <= limit)
        if self.current is None:
            return count
        answers = [count]
        if count < len(waiting) and waiting[count].at <= limit + slack:
            answers.append(count + 1)
        if count > 0 and waiting[count - 1].at > limit - slack:
            answers.append(count - 1)
        expected = self.current.at + at - self._taken
        times = [self.current.at, *(picture.at for picture in waiting)]
        return min(answers, key=lambda answer: abs(times[answer] - expected))
