"""The programme: a clock that pulls one picture and one block of sound per tick and hands them to the encoders."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from egress.media.compositor import Compositor
from egress.media.encoder import AudioEncoder, VideoEncoder
from egress.media.mixer import Mixer
from egress.media.scene import Cast, Scene
from egress.model.clock import SessionClock
from egress.model.errors import EgressError, Fault
from egress.model.media import SECOND, Nanos, Packet, StreamInfo
from egress.model.pipeline import Pipeline

log = logging.getLogger(__name__)

PATIENCE: Nanos = SECOND // 4
"""How late a tick may be and still draw its picture: drawing is much faster than real time, so a short stall of the
machine is caught up with, not shown."""

SPEAKING_HOLD: Nanos = SECOND // 2
"""How long a speaker stays marked after falling silent: pauses between words are not the end of speech."""

AUDIO_ONLY_TICK = 50
"""Ticks per second of a programme without a picture: one Opus packet's worth of sound at a time."""


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
    ) -> None:
        """`on_error` is told, on any thread, what ends the programme; `on_warning`, on the tick's, what it survives."""
        self._clock = clock
        self._delay = pipeline.delay
        self._rate = pipeline.audio.rate
        self._on_error = on_error
        self._compositor: Compositor | None = None
        self._video: VideoEncoder | None = None
        self._fps = pipeline.video.fps if pipeline.video else None
        if pipeline.video is not None:
            self._compositor = Compositor(pipeline.video.size, clock.wall)
            self._video = VideoEncoder(pipeline.video, on_packet, on_error=on_error)
        self._mixer = Mixer(pipeline.audio.channels)
        self._audio = AudioEncoder(pipeline.audio, on_packet, on_error=on_error)
        self._lead = self._mixer.latency
        self._cast = Cast(on_warning)
        self._spoke: dict[str, Nanos] = {}
        self._scenes: deque[tuple[Nanos, Scene]] = deque()
        self._lock = threading.Lock()
        self._end: Nanos | None = None
        self._wake = threading.Event()
        self._ticks = 0
        self._late = 0
        self._error: str | None = None
        self._thread = threading.Thread(target=self._run, name="programme", daemon=True)

    @property
    def infos(self) -> tuple[StreamInfo, ...]:
        """The streams of the programme, known before the first tick."""
        video = (self._video.info,) if self._video else ()
        return (*video, self._audio.info)

    @property
    def stats(self) -> ProgrammeStats:
        """Counters; read from any thread."""
        return ProgrammeStats(
            ticks=self._ticks,
            late=self._late,
            repeated=self._video.repeated if self._video else 0,
            refused=self._video.refused if self._video else 0,
            limited=self._mixer.limited,
            broken=self._mixer.broken,
            left_out=self._cast.left_out,
            error=self._error,
        )

    def start(self) -> None:
        """Begin ticking at session time 0."""
        self._thread.start()

    def show(self, scene: Scene, at: Nanos) -> None:
        """From session time `at` on the programme is made of `scene`; calls come in order of `at`."""
        with self._lock:
            self._scenes.append((at, scene))

    def finish(self, at: Nanos) -> Nanos:
        """Tick up to session time `at`, flush the encoders, and return the programme's length; blocks meanwhile."""
        self._end = at
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._video:
            self._video.close(self._ticks)
        self._audio.offer(self._mixer.flush())
        self._audio.close()
        return self._time(self._ticks)

    def _time(self, tick: int) -> Nanos:
        if self._fps is None:
            return tick * SECOND // AUDIO_ONLY_TICK
        return tick * SECOND * self._fps.denominator // self._fps.numerator

    def _sample(self, tick: int) -> int:
        if self._fps is None:
            return tick * self._rate // AUDIO_ONLY_TICK
        return tick * self._rate * self._fps.denominator // self._fps.numerator

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
        at = self._time(self._ticks)
        period = self._time(self._ticks + 1) - at
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
        if self._compositor is not None and self._video is not None and not late:
            self._compositor.speaking(self._speakers(at))
            canvas = self._compositor.draw(lambda track: self._cast.picture(track, at, period // 2), at)
            # Behind the clock, the encoder sets the pace; on time, it never has to be waited for.
            self._video.offer(self._ticks, canvas, patience=max(0, -wait) / SECOND)
        self._sound(at)
        self._ticks += 1
        return True

    def _apply(self, at: Nanos) -> None:
        due = None
        with self._lock:
            while self._scenes and self._scenes[0][0] <= at:
                due = self._scenes.popleft()[1]
        if due is None:
            return
        self._cast.change(due)
        self._spoke = {tile.peer: self._spoke[tile.peer] for tile in due.tiles if tile.peer in self._spoke}
        if self._compositor is not None:
            self._compositor.arrange(due.tiles, due.style)

    def _speakers(self, at: Nanos) -> frozenset[str]:
        self._spoke |= dict.fromkeys(self._cast.speakers(), at)
        return frozenset(peer for peer, last in self._spoke.items() if at - last < SPEAKING_HOLD)

    def _sound(self, at: Nanos) -> None:
        count = self._sample(self._ticks + 1) - self._sample(self._ticks)
        mixed = self._mixer.mix(self._cast.blocks(at, count), count)
        # The limiter looks ahead, so its output lags its input: what it says before the first real sample is dropped.
        drop = min(self._lead, mixed.shape[1])
        self._lead -= drop
        if drop < mixed.shape[1]:
            self._audio.offer(mixed[:, drop:])
