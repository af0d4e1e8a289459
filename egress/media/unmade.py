"""What stands in for the programme of a job that makes none of its own: nothing ticks, nothing is mixed or encoded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from egress.media.loudness import Loudness
from egress.media.programme import ProgrammeStats
from egress.media.scene import Scene
from egress.model.clock import SessionClock
from egress.model.media import SECOND, Nanos, StreamInfo


class Unmade:
    """A programme without streams, which tells of pauses as one with streams does; see Programme for each method."""

    infos: tuple[StreamInfo, ...] = ()
    stats = ProgrammeStats(ticks=0, late=0, repeated=0, refused=0, limited=0, broken=0, left_out=0, error=None)
    loudness: Loudness | None = None
    mixed: Nanos = 0

    def __init__(self, clock: SessionClock, delay: Nanos, on_pause: Callable[[bool, Nanos], None]) -> None:
        """`on_pause` is told on the thread that calls `revise`."""
        self._clock = clock
        self._delay = delay
        self._on_pause = on_pause
        self._paused = False

    @property
    def position(self) -> Nanos:
        """The session time that a tick would be made of."""
        return max(0, self._clock.now() - self._delay)

    def encoders(self) -> Mapping[str, Mapping[str, int]]:
        """None."""
        return {}

    def start(self) -> None:
        """There is nothing to start."""

    def show(self, scene: Scene, at: Nanos) -> None:
        """Take note of whether the scene is paused."""
        self.revise(((at, scene),))

    def revise(self, scenes: Sequence[tuple[Nanos, Scene]]) -> None:
        """Take note of whether the scenes are paused: operators mean the time of the tick, so it holds at once."""
        for at, scene in scenes:
            if scene.paused != self._paused:
                self._paused = scene.paused
                self._on_pause(scene.paused, at)

    def finish(self, at: Nanos) -> Nanos:
        """Wait until what was captured before session time `at` has come; returns that; blocks meanwhile."""
        threading.Event().wait(max(0, at + self._delay - self._clock.now()) / SECOND)
        return at
