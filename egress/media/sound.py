"""One audio track made into sound: pulled block by block, held in step with its sender's clock."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Callable, Mapping

import numpy as np

from egress.media.activity import VoiceActivity
from egress.media.opus import LOOKAHEAD, RATE, duration
from egress.media.packetqueue import SoundPacket
from egress.media.reading import Reader
from egress.media.resample import HALF, stretch
from egress.media.samples import Samples
from egress.media.timeline import TrackTimeline
from egress.media.voice import Voice
from egress.model.clock import SessionClock
from egress.model.errors import Fault
from egress.model.media import SECOND, Codec, EncodedFrame, MediaSource, Nanos

log = logging.getLogger(__name__)

BACKLOG: Nanos = 2 * SECOND
BEGIN_AT = 96
"""An error of 2 ms begins a correction..."""
DONE_AT = 12
"""...which ends at a quarter of one; between corrections sound is copied sample by sample."""
LIMIT = 0.005
"""Corrections change speed by 0.5 % at most, a twelfth of a semitone."""
HARD = 1_920
"""An error over 40 ms is not drift: it is corrected at once where it is quiet, or else by a crossfade soon."""
PATIENCE = RATE // 2
FADE = 240
REPEAT = 5_760
"""Going back over more than 120 ms would be heard twice; silence takes its place."""
ALIGN = 240
QUIET = 0.001


class AudioIntake:
    """Reads one Opus track and gives the sound of every tick: float32 at 48 kHz, one channel until it sends two.

    A task on `loop` reads packets; `pull` is called by one thread (the mixer's), for blocks that adjoin, and decodes
    there. At most delay + 2 s of packets wait; beyond that the oldest are lost, counted.
    """

    def __init__(
        self,
        source: MediaSource,
        timeline: TrackTimeline,
        clock: SessionClock,
        *,
        delay: Nanos,
        loop: asyncio.AbstractEventLoop,
        on_warning: Callable[[str], None] = log.warning,
    ) -> None:
        """`delay` is how long after session time t the tick of t runs; `on_warning` is told, on the loop's thread, what
        stays broken."""
        self._timeline = timeline
        self._clock = clock
        self._loop = loop
        self._voice = Voice((delay + BACKLOG) * RATE // SECOND)
        self._reader = Reader(source, self._take, on_warning)
        self._activity = VoiceActivity()
        self._lock = threading.Lock()
        self._shift = 0
        self._fresh = True
        self._garbage = 0
        self._cursor: int | None = None
        self._correcting = False
        self._off_for = 0
        self._heard: Samples | None = None
        self._gain = 0.0
        self._muted = False
        self._jumps = 0
        self._corrected = 0

    @property
    def ended(self) -> bool:
        """Whether the source has ended."""
        return self._reader.ended

    @property
    def speaking(self) -> bool:
        """Whether somebody is speaking; noise, hum and keyboards are not."""
        return self._activity.speaking

    @property
    def silent(self) -> bool:
        """Whether what was pulled last ended in silence, so that the intake may be dropped without a click."""
        return self._gain == 0.0

    def start(self) -> None:
        """Begin to read; called once, on the loop's thread."""
        self._reader.start(self._loop)

    def mute(self, muted: bool) -> None:
        """Fall silent, or be heard again, softly within the next block pulled; before dropping it, mute and pull."""
        self._muted = muted

    def pull(self, at: Nanos, samples: int) -> Samples | None:
        """Sound (channels, samples) of the session times from `at` on; None is silence. Blocks must adjoin."""
        with self._lock:
            if not self._timeline.ready:
                return None
            position = self._timeline.rtp_at(self._clock.origin + at) + self._shift
        wanted = round(position) + LOOKAHEAD
        if self._muted and self._gain == 0.0:
            self._voice.pass_over(wanted)
            self._cursor = wanted + samples
            self._measure(None, samples)
            return None
        block = self._block(wanted, samples)
        if block is None:
            self._cursor = wanted + samples
            self._measure(None, samples)
            if self._muted:
                self._gain = 0.0
            return None
        self._ramp(block)
        self._measure(block, samples)
        return block

    async def close(self) -> None:
        """Stop reading; returns when the task has ended."""
        await self._reader.close()
        self._timeline.close()

    def stats(self) -> Mapping[str, int]:
        """Counters; concealed and corrected count samples, the others packets or times."""
        voice = self._voice
        numbers = {
            "packets": voice.packets,
            "dropped": voice.waiting.dropped,
            "late": voice.waiting.late,
            "garbage": self._garbage + voice.broken,
            "errors": self._reader.errors,
            "losses": voice.losses,
            "starved": voice.starved,
            "recovered": voice.recovered,
            "concealed": voice.concealed,
            "corrected": self._corrected,
            "jumps": self._jumps,
            "waiting": len(voice.waiting),
        }
        return numbers | {f"timeline_{name}": value for name, value in self._timeline.stats().items()}

    def _take(self, frame: EncodedFrame) -> None:
        """Queue one packet at its place in the track's own count, which runs on through breaks in the timeline."""
        if frame.codec is not Codec.OPUS:
            raise Fault(f"sound in {frame.codec} cannot be decoded; only Opus can")
        samples = duration(frame.data)
        if not samples:
            self._garbage += 1
            return
        with self._lock:
            before = self._timeline.line if self._timeline.ready else None
            epoch = self._timeline.epoch
            plausible = self._timeline.observe(frame)
            if self._timeline.epoch != epoch:
                self._fresh = True
                if before is not None:
                    ahead = before.rtp_at(frame.arrived) - self._timeline.rtp_at(frame.arrived)
                    self._shift += round(ahead)
            if not plausible:
                return
            place = frame.rtp + self._shift
        self._voice.put(SoundPacket(place, samples, frame.data, frame.gap, self._fresh))
        self._fresh = False

    def _block(self, wanted: int, samples: int) -> Samples | None:
        """A copy of what the next block is made of; None where nothing is heard."""
        cursor = self._cursor if self._cursor is not None else wanted
        error = wanted - cursor
        self._off_for = self._off_for + samples if abs(error) > HARD else 0
        if self._off_for and (self._quiet or abs(error) > 2 * HARD or self._off_for > PATIENCE):
            return self._jump(cursor, wanted, samples)
        length = samples + self._correction(error, samples)
        self._voice.fill(cursor + length + HALF, cursor)
        self._cursor = cursor + length
        tape = self._voice.tape
        if length == samples:
            return None if tape.silent(cursor, samples) else tape.read(cursor, samples)
        self._corrected += abs(length - samples)
        begin, reach = cursor - HALF, length + 2 * HALF
        return None if tape.silent(begin, reach) else stretch(tape.read(begin, reach), samples)

    def _correction(self, error: int, samples: int) -> int:
        """How many samples of the track to take more than the block is long: whole ones, so that a copy can follow."""
        self._correcting = abs(error) >= (DONE_AT if self._correcting else BEGIN_AT)
        if not self._correcting:
            return 0
        most = max(1, int(samples * LIMIT))
        step = round(error * samples / RATE) or int(math.copysign(1, error))
        return max(-most, min(most, step))

    def _jump(self, cursor: int, wanted: int, samples: int) -> Samples:
        """Go on elsewhere in the track, by a crossfade between the places that look most alike."""
        self._jumps += 1
        self._off_for = 0
        voice, tape = self._voice, self._voice.tape
        fade = min(FADE, samples)
        voice.fill(cursor + 2 * FADE, cursor)
        old = tape.read(cursor, 2 * FADE)
        target = wanted
        if cursor - wanted > REPEAT or wanted - ALIGN < tape.start:
            tape.forget()
            voice.start_softly()
        elif not self._quiet:
            voice.fill(wanted + ALIGN + 2 * FADE, cursor)
            target += _likeness(old, tape.read(wanted - ALIGN, 2 * (ALIGN + FADE))) - ALIGN
        voice.fill(target + samples + HALF, target)
        block = tape.read(target, samples)
        rise = np.linspace(0.0, 1.0, fade, dtype=np.float32)
        block[:, :fade] = block[:, :fade] * rise + old[:, :fade] * (1.0 - rise)
        self._cursor = target + samples
        return block

    def _ramp(self, block: Samples) -> None:
        """Join or leave softly."""
        goal = 0.0 if self._muted else 1.0
        if self._gain == goal:
            return
        count = min(FADE, block.shape[1])
        block[:, :count] *= np.linspace(self._gain, goal, count, dtype=np.float32)
        block[:, count:] *= goal
        self._gain = goal

    def _measure(self, block: Samples | None, samples: int) -> None:
        self._heard = block
        self._activity.hear(block, samples)

    @property
    def _quiet(self) -> bool:
        """Whether the last block was: it is seldom asked for."""
        heard = self._heard
        return heard is None or bool(np.vdot(heard, heard) < QUIET**2 * heard.size)


def _likeness(sound: Samples, region: Samples) -> int:
    """Where in a region a piece of sound fits best."""
    piece, whole = sound.sum(axis=0), region.sum(axis=0)
    match = np.correlate(whole, piece, "valid")
    power = np.convolve(whole**2, np.ones(piece.size, np.float32), "valid")
    return int(np.argmax(match / np.sqrt(power + 1e-9)))
