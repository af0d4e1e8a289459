"""The programme: a clock that pulls one picture and one block of sound per tick and hands them to the encoders."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

# Compositions may never need what draws letters; a job does sooner or later, and must not load it within a tick.
from egress.media import cards as cards
from egress.media.floor import Floor
from egress.media.loudness import Loudness
from egress.media.production import Production
from egress.media.scene import Scene
from egress.media.strain import Rung, Step
from egress.media.watch import Watch
from egress.model.clock import SessionClock
from egress.model.errors import EgressError, Fault
from egress.model.media import SECOND, Nanos, Packet, StreamInfo
from egress.model.pipeline import Pipeline

log = logging.getLogger(__name__)

PATIENCE: Nanos = SECOND // 4
"""How late a tick may be and still draw its picture: drawing is much faster than real time, so a short stall of the
machine is caught up with, not shown."""


@dataclass(frozen=True, slots=True)
class ProgrammeStats:
    """Counters since the programme began, and `error`: why it ticks no more although it was not told to end."""

    ticks: int
    late: int
    """Ticks too late to draw: the picture before them is repeated."""
    repeated: int
    """Pictures encoded again in place of one that was missing."""
    refused: int
    """Pictures drawn that the video encoder had no room for."""
    limited: int
    """Blocks of sound that were turned down, lest they clip."""
    broken: int
    """Blocks of a track's sound left out because they held no finite numbers."""
    left_out: int
    """Tracks left out because asking for their media failed."""
    error: str | None
    halved: int = 0
    """Ticks not drawn on purpose, so that every second picture is a repeat."""
    rung: int = 0
    """What is given up at the moment for the machine to keep up, and all before it (egress.media.strain.Rung)."""
    degraded: Mapping[str, int] = field(default_factory=dict)
    """Milliseconds for which each rung was in force."""
    tick: Mapping[str, int] = field(default_factory=dict)
    """Wall time of making a tick in microseconds: p50, p99 and max."""


class Programme:
    """Runs the tick on its own thread: the tick for session time t happens at wall time t + delay.

    Output times are counts: picture n shows session time n/fps, sample k sounds at session time k/rate, whatever the
    wall clock did. A tick more than `PATIENCE` late draws nothing (the encoder repeats its last picture) but mixes its
    sound, so sound is never lost and the counts never slip.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        clock: SessionClock,
        on_packet: Callable[[Packet], None],
        on_error: Callable[[EgressError], None],
        on_warning: Callable[[str], None] = log.warning,
        on_floor: Callable[[Floor], None] | None = None,
        on_pause: Callable[[bool, Nanos], None] | None = None,
        on_strain: Callable[[Step], None] | None = None,
    ) -> None:
        """`on_error` is told, on any thread, what ends the programme; the others are called on the tick's thread.

        `on_warning` is told what it survives, `on_floor` who has the floor and who spoke before, when that changes;
        `on_pause` when a pause begins or ends, the session time of the first tick in or after it, before its picture;
        `on_strain` when something is given up for the machine to keep up, or taken back.
        """
        self._clock = clock
        self._delay = pipeline.delay
        self._on_error = on_error
        self._made = Production(pipeline, clock.wall, on_packet, on_error, on_warning, on_floor)
        self._on_pause = on_pause
        self._on_strain = on_strain
        self._watch = Watch(self._made, pipeline, clock)
        self._fading = False
        self._unmute: int | None = None
        self._scenes: deque[tuple[Nanos, Scene]] = deque()
        self._lock = threading.Lock()
        self._end: Nanos | None = None
        self._wake = threading.Event()
        self._late = 0
        self._error: str | None = None
        self._thread = threading.Thread(target=self._run, name="programme", daemon=True)

    @property
    def infos(self) -> tuple[StreamInfo, ...]:
        """The streams of the programme, known before the first tick."""
        return self._made.infos

    @property
    def stats(self) -> ProgrammeStats:
        """Counters; read from any thread."""
        made = self._made
        return ProgrammeStats(
            ticks=made.ticks,
            late=self._late,
            repeated=made.video.main.repeated if made.video else 0,
            refused=made.video.main.refused if made.video else 0,
            limited=made.mixer.limited,
            broken=made.mixer.broken,
            left_out=made.cast.left_out,
            error=self._error,
            halved=made.halved,
            rung=int(made.rung),
            degraded=self._watch.degraded(),
            tick=self._watch.tempo.read(),
        )

    @property
    def loudness(self) -> Loudness:
        """Of the sound so far; read from any thread."""
        return self._made.loudness

    @property
    def mixed(self) -> Nanos:
        """CPU time that sound took on the tick's thread; read from any thread."""
        return self._made.mixed

    def encoders(self) -> Mapping[str, Mapping[str, int]]:
        """Counters of every encoder, by stream; called from any thread."""
        return self._made.encoders()

    def start(self) -> None:
        """Begin ticking at session time 0."""
        self._thread.start()

    @property
    def position(self) -> Nanos:
        """The session time of the earliest tick that is still to be made; read from any thread."""
        return self._made.time(self._made.ticks)

    def show(self, scene: Scene, at: Nanos) -> None:
        """From session time `at` on the programme is made of `scene`, whatever it was to be made of then or later."""
        self.revise(((at, scene),))

    def revise(self, scenes: Sequence[tuple[Nanos, Scene]]) -> None:
        """Let these scenes, each from its session time on and in their order, follow instead of what was said for
        the first one's time or later; what is past takes effect at the next tick."""
        with self._lock:
            while self._scenes and self._scenes[-1][0] >= scenes[0][0]:
                self._scenes.pop()
            self._scenes.extend(scenes)

    def finish(self, at: Nanos) -> Nanos:
        """Tick up to session time `at`, flush the encoders, and return the programme's length; blocks meanwhile."""
        self._end = at
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._made.finish()
        return self.position

    def _run(self) -> None:
        try:
            while self._tick():
                pass
        except EgressError as error:
            self._fail(error)
        except Exception as error:
            log.exception("the programme failed")
            self._fail(Fault(f"the programme failed: {type(error).__name__}: {error}"))

    def _fail(self, error: EgressError) -> None:
        self._error = error.message
        self._on_error(error)

    def _tick(self) -> bool:
        at = self.position
        while (wait := at + self._delay - self._clock.now()) > 0:
            if self._wake.wait(wait / SECOND):
                if self._end is not None and at >= self._end:
                    return False
                # The end is known and still ahead: from here on only the clock is waited for.
                threading.Event().wait(wait / SECOND)
        if self._end is not None and at >= self._end:
            return False
        self._apply(at)
        late = -wait > PATIENCE
        self._late += late
        # Behind the clock, the encoder sets the pace; on time, it never has to be waited for.
        begun = self._clock.now()
        self._made.make(drawn=not late, patience=max(0, -wait))
        if (step := self._watch.ticked(-wait, begun)) is not None:
            self._told(step)
        return True

    def _told(self, step: Step) -> None:
        log.log(
            logging.WARNING if step.rung > step.before else logging.INFO,
            "the machine %s: %s (%s)",
            "does not keep up" if step.rung > step.before else "keeps up again",
            step.rung.label if step.rung is not Rung.NONE else "nothing is given up",
            step.why,
        )
        if self._on_strain is not None:
            self._on_strain(step)

    def _apply(self, at: Nanos) -> None:
        cast = self._made.cast
        if self._unmute == self._made.ticks:
            cast.silence(False)
            self._unmute = None
        due = None
        with self._lock:
            while self._scenes and self._scenes[0][0] <= at:
                due = self._scenes.popleft()[1]
            if due is not None and due.paused and self._made.ticks and not cast.scene.paused and not self._fading:
                # Sound is let fade first, so that a recording without the pause is spliced in silence.
                self._fading = True
                self._scenes.appendleft((at + 1, due))
                due = None
        if self._fading and due is None:
            cast.silence(True)
        if due is None:
            return
        before = cast.scene.paused
        self._made.change(due)
        self._pause(before, due.paused, at)

    def _pause(self, before: bool, after: bool, at: Nanos) -> None:
        if self._fading or (after and not before):
            self._fading = False
            self._made.cast.silence(after)
        if before == after:
            return
        if after:
            self._unmute = None
        else:
            self._unmute = self._made.ticks + 1
        if self._made.video is not None:
            self._made.video.key(self._made.ticks)
        if self._on_pause is not None:
            self._on_pause(after, at)
