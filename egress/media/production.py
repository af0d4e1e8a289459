"""What one tick makes: a picture and a block of sound, of the scene that is on, handed to the encoders."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime

import numpy as np

from egress.media.compositor import Compositor
from egress.media.encoder import AudioEncoder
from egress.media.floor import Floor
from egress.media.ladder import Ladder
from egress.media.loudness import Loudness, LoudnessMeter
from egress.media.mixer import Mixer
from egress.media.samples import Samples
from egress.media.scene import Cast, Scene
from egress.media.speech import Speech
from egress.media.strain import SMALL, STAGGER, Relievable, Rung
from egress.model.errors import EgressError
from egress.model.media import SECOND, Nanos, Packet, StreamInfo
from egress.model.pipeline import Pipeline

log = logging.getLogger(__name__)

AUDIO_ONLY_TICK = 50
"""Ticks per second of a programme without a picture: one Opus packet's worth of sound at a time."""


class Production:
    """Makes ticks one after another, whenever it is told to: it knows session time, and no clock.

    Output times are counts: picture n shows session time n/fps, sample k sounds at session time k/rate. Whoever drives
    it decides when a tick is made, and whether there is time for its picture. Used on one thread, but for counters.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        wall: datetime,
        on_packet: Callable[[Packet], None],
        on_error: Callable[[EgressError], None],
        on_warning: Callable[[str], None] = log.warning,
        on_floor: Callable[[Floor], None] | None = None,
        sounds_at_once: int = 1,
    ) -> None:
        """`wall` is the time of session time 0; `on_error` is told, on any thread, which encoder failed.

        `sounds_at_once`: of how many ticks sound is handed over together, so that fewer wake its threads.
        """
        self.ticks = 0
        """Made so far: the number of the next one."""
        self.mixed: Nanos = 0
        """CPU time that the sound of all ticks took on the thread that makes them."""
        self.cast = Cast(on_warning)
        self.compositor: Compositor | None = None
        self.video: Ladder | None = None
        self.mixer = Mixer(pipeline.audio.channels)
        self._fps = pipeline.video.fps if pipeline.video else None
        self._rate = pipeline.audio.rate
        if pipeline.video is not None:
            self.compositor = Compositor(pipeline.video.size, wall)
            self.video = Ladder(pipeline.video, on_packet, on_error=on_error)
        self._audio = AudioEncoder(pipeline.audio, on_packet, on_error=on_error)
        self._meter = LoudnessMeter(pipeline.audio.rate, pipeline.audio.channels)
        self.rung = Rung.NONE
        """What is given up for the machine to keep up."""
        self.halved = 0
        """Ticks whose picture was a repeat because `rung` says so."""
        self._relieved: set[str] = set()
        self._area = pipeline.video.size.width * pipeline.video.size.height if pipeline.video else 0
        self._lead = self.mixer.latency
        self._at_once = sounds_at_once
        self._held: list[Samples] = []
        self._speech = Speech()
        self._on_floor = on_floor

    @property
    def infos(self) -> tuple[StreamInfo, ...]:
        """The streams, known before the first tick."""
        video = self.video.infos if self.video else ()
        return (*video, self._audio.info)

    @property
    def loudness(self) -> Loudness:
        """Of the sound so far; read from any thread."""
        return self._meter.value

    def encoders(self) -> Mapping[str, Mapping[str, int]]:
        """Counters of every encoder, by stream; called from any thread."""
        return {**(self.video.stats() if self.video else {}), self._audio.id: self._audio.stats()}

    def time(self, tick: int) -> Nanos:
        """The session time of a tick."""
        if self._fps is None:
            return tick * SECOND // AUDIO_ONLY_TICK
        return tick * SECOND * self._fps.denominator // self._fps.numerator

    def change(self, scene: Scene) -> None:
        """Have the next tick, and those after it, be made of this scene."""
        before = self.cast.scene
        self.cast.change(scene)
        if self.compositor is not None and (scene.tiles != before.tiles or scene.style is not before.style):
            self.compositor.arrange(scene.tiles, scene.style)
        if self.rung or self._relieved:
            self._relieve_tiles()

    def relieve(self, rung: Rung) -> None:
        """Give up what this rung says from the next tick on; what takes a keyframe, from the next one."""
        self.rung = rung
        if self.video is not None:
            self.video.hasten(rung >= Rung.PRESET)
        self._relieve_tiles()

    def small(self) -> frozenset[str]:
        """The tracks shown in small tiles, which can be made for less."""
        scene = self.cast.scene
        return frozenset(
            tile.track
            for tile in scene.tiles
            if tile.track is not None
            and SMALL * tile.box.size.width * tile.box.size.height <= self._area
            and isinstance(scene.pictures.get(tile.track), Relievable)
        )

    def make(self, *, drawn: bool = True, patience: Nanos = 0) -> None:
        """Make the next tick. Its sound is always made; a picture not drawn is a repeat of the one before it.

        `patience`: how long the video encoder may be waited for when it has no room.
        """
        at = self.time(self.ticks)
        speakers = self._speakers(at)
        if drawn and self.rung >= Rung.FRAME_RATE and self.ticks % 2:
            drawn = False
            self.halved += 1
        if self.compositor is not None and self.video is not None and drawn:
            tolerance = (self.time(self.ticks + 1) - at) // 2
            if self.cast.scene.style.card is not None:
                self.cast.idle(at, tolerance)
            self.compositor.speaking(speakers)
            canvas = self.compositor.draw(lambda track: self.cast.picture(track, at, tolerance), at)
            self.video.offer(self.ticks, canvas, patience=patience / SECOND)
        begun = time.thread_time_ns()
        self._sound(at)
        self.mixed += time.thread_time_ns() - begun
        self.ticks += 1

    def finish(self) -> None:
        """End the streams with the tick made last, and wait for their last packets."""
        if self.video:
            self.video.close(self.ticks)
        self._held.append(self.mixer.flush())
        self._sounds()
        self._audio.close()
        self._meter.close()

    def _relieve_tiles(self) -> None:
        small = self.small()
        wanted = small if self.rung else frozenset[str]()
        for number, track in enumerate(sorted(wanted | self._relieved)):
            source = self.cast.scene.pictures.get(track)
            if isinstance(source, Relievable):
                source.relieve(self.rung if track in wanted else Rung.NONE, number * STAGGER)
        self._relieved = set(wanted)

    def _sample(self, tick: int) -> int:
        if self._fps is None:
            return tick * self._rate // AUDIO_ONLY_TICK
        return tick * self._rate * self._fps.denominator // self._fps.numerator

    def _speakers(self, at: Nanos) -> frozenset[str]:
        changed = self._speech.hear(at, self.cast.speakers(), self.cast.scene.peers)
        if changed and self._on_floor is not None:
            self._on_floor(self._speech.floor)
        return self._speech.marked(at)

    def _sound(self, at: Nanos) -> None:
        count = self._sample(self.ticks + 1) - self._sample(self.ticks)
        mixed = self.mixer.mix(self.cast.blocks(at, count), count)
        # The limiter looks ahead, so its output lags its input: what it says before the first real sample is dropped.
        drop = min(self._lead, mixed.shape[1])
        self._lead -= drop
        if drop < mixed.shape[1]:
            self._held.append(mixed[:, drop:])
            if len(self._held) >= self._at_once:
                self._sounds()

    def _sounds(self) -> None:
        held, self._held = self._held, []
        sound = held[0] if len(held) == 1 else np.concatenate(held, axis=1)
        self._audio.offer(sound)
        self._meter.offer(sound)
