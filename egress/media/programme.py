"""The programme: a clock that pulls one picture and one block of sound per tick and hands them to the encoders."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from egress.media.compositor import Compositor
from egress.media.encoder import AudioEncoder, VideoEncoder
from egress.media.intake import Picture
from egress.media.layout import Fit, Tile
from egress.media.mixer import Mixer
from egress.media.samples import Samples
from egress.model.clock import SessionClock
from egress.model.errors import EgressError
from egress.model.media import SECOND, Nanos, Packet, Size, StreamInfo
from egress.model.pipeline import Pipeline

PATIENCE: Nanos = SECOND // 4
"""How late a tick may be and still draw its picture: drawing is much faster than real time, so a short stall of the
machine is caught up with, not shown."""

SPEAKING_HOLD: Nanos = SECOND // 2
"""How long a speaker stays marked after falling silent: pauses between words are not the end of speech."""

AUDIO_ONLY_TICK = 50
"""Ticks per second of a programme without a picture: one Opus packet's worth of sound at a time."""


class PictureSource(Protocol):
    """What a tile shows."""

    def show(self, size: Size | None, fit: Fit) -> None: ...

    def picture_at(self, at: Nanos, tolerance: Nanos) -> Picture | None: ...


class SoundSource(Protocol):
    """What is heard of one track."""

    @property
    def speaking(self) -> bool: ...

    @property
    def silent(self) -> bool: ...

    def mute(self, muted: bool) -> None: ...

    def pull(self, at: Nanos, samples: int) -> Samples | None: ...


@dataclass(frozen=True, slots=True)
class Scene:
    """What the programme is made of from one session time on: tiles, and the intakes of the tracks by track id."""

    tiles: tuple[Tile, ...] = ()
    pictures: Mapping[str, PictureSource] = field(default_factory=lambda: MappingProxyType({}))
    sounds: Mapping[str, SoundSource] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class ProgrammeStats:
    """Counters since the programme began; `late` ticks repeated the picture before them."""

    ticks: int
    late: int
    repeated: int


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
    ) -> None:
        self._clock = clock
        self._delay = pipeline.delay
        self._rate = pipeline.audio.rate
        self._on_error = on_error
        self._compositor: Compositor | None = None
        self._video: VideoEncoder | None = None
        self._fps = pipeline.video.fps if pipeline.video else None
        if pipeline.video is not None:
            self._compositor = Compositor(pipeline.video.size, pipeline.layout)
            self._video = VideoEncoder(pipeline.video, on_packet, on_error=on_error)
        self._mixer = Mixer(pipeline.audio.channels)
        self._audio = AudioEncoder(pipeline.audio, on_packet, on_error=on_error)
        self._lead = self._mixer.latency
        self._scene = Scene()
        self._spoke: dict[str, Nanos] = {}
        self._fading: list[SoundSource] = []
        self._scenes: deque[tuple[Nanos, Scene]] = deque()
        self._lock = threading.Lock()
        self._end: Nanos | None = None
        self._wake = threading.Event()
        self._ticks = 0
        self._late = 0
        self._thread = threading.Thread(target=self._run, name="programme", daemon=True)

    @property
    def infos(self) -> tuple[StreamInfo, ...]:
        """The streams of the programme, known before the first tick."""
        video = (self._video.info,) if self._video else ()
        return (*video, self._audio.info)

    @property
    def stats(self) -> ProgrammeStats:
        """Counters; read from any thread."""
        return ProgrammeStats(self._ticks, self._late, self._video.repeated if self._video else 0)

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
            canvas = self._compositor.draw(lambda track: self._picture(track, at, period // 2))
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
        for gone in set(self._scene.sounds) - set(due.sounds):
            # Cut off in mid-wave, sound clicks: it is pulled on until it has faded.
            self._scene.sounds[gone].mute(True)
            self._fading.append(self._scene.sounds[gone])
        self._scene = due
        self._spoke = {tile.peer: self._spoke[tile.peer] for tile in due.tiles if tile.peer in self._spoke}
        shown = {tile.track: tile for tile in due.tiles}
        for track, source in due.pictures.items():
            tile = shown.get(track)
            source.show(None if tile is None else tile.box.size, "cover" if tile is None else tile.fit)
        if self._compositor is not None:
            self._compositor.arrange(due.tiles)

    def _picture(self, track: str, at: Nanos, tolerance: Nanos) -> Picture | None:
        source = self._scene.pictures.get(track)
        return None if source is None else source.picture_at(at, tolerance)

    def _speakers(self, at: Nanos) -> frozenset[str]:
        for tile in self._scene.tiles:
            sound = None if tile.audio is None else self._scene.sounds.get(tile.audio)
            if sound is not None and sound.speaking:
                self._spoke[tile.peer] = at
        return frozenset(peer for peer, last in self._spoke.items() if at - last < SPEAKING_HOLD)

    def _sound(self, at: Nanos) -> None:
        count = self._sample(self._ticks + 1) - self._sample(self._ticks)
        sources = (*self._scene.sounds.values(), *self._fading)
        blocks = [block for source in sources if (block := source.pull(at, count)) is not None]
        self._fading = [source for source in self._fading if not source.silent]
        mixed = self._mixer.mix(blocks, count)
        # The limiter looks ahead, so its output lags its input: what it says before the first real sample is dropped.
        drop = min(self._lead, mixed.shape[1])
        self._lead -= drop
        if drop < mixed.shape[1]:
            self._audio.offer(mixed[:, drop:])
