"""The sound of one clip: read, decoded and held to session time, block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.stream import Discard

from egress.composing.footage import Clip
from egress.media.opus import RATE, duration
from egress.media.packetqueue import SoundPacket
from egress.media.resample import HALF, stretch
from egress.media.samples import Samples
from egress.media.tape import Tape
from egress.media.voice import RAMP, Voice
from egress.model.media import MILLISECOND, SECOND, Nanos

BEGIN_AT, DONE_AT = 48, 6
"""An error of 1 ms begins a correction, which ends at an eighth of one; between corrections sound is copied."""
LIMIT = 0.005
"""Corrections change speed by 0.5 % at most, a twelfth of a semitone."""
HARD = 1_920
"""An error over 40 ms is no drift: sound goes on elsewhere."""
FADE = 240

LOOSE = 240
"""File times may be off by 5 ms, as where they are whole milliseconds; more is sound that is missing."""
STEP = 120
"""What is missing is so many samples, or a multiple: the shortest Opus packet."""
STEADY = 50
"""Over so many packets is their place averaged: a second, of most."""
LOSS = 9_600
"""Longer stretches without sound, over 200 ms, are silence and not packets that were lost."""

_AHEAD: Nanos = 60 * MILLISECOND
_BURST: Nanos = SECOND // 4
"""So much more is read and decoded whenever something is: what that takes lies in the processor's cache then."""
_ROLL: Nanos = SECOND // 5
"""Reading begins this long before what is asked for: an Opus decoder needs 80 ms to be right (RFC 7845 4.6)."""


def open_sound(clip: Clip, at: Nanos) -> SoundFile:
    """The sound of a clip from a session time on; raises av.FFmpegError or OSError when it cannot be read."""
    container = av.open(str(clip.path))
    stream = container.streams.audio[clip.stream]
    # What libav's own decoder cannot do is to conceal what was lost, or to find it in the packet that follows.
    opus = stream.codec_context.name in ("opus", "libopus") and stream.codec_context.channels <= 2
    return OpusFile(clip, container, stream, at) if opus else OtherFile(clip, container, stream, at)


class Counting:
    """Where packets stand in the track's own count of samples, and where that count stands in session time.

    Clocks of senders differ a little, and file times are coarse: the count runs on from packet to packet, and how far
    it is off session time is averaged.
    """

    def __init__(self) -> None:
        self.next: int | None = None
        """Where the next packet stands if nothing is missing before it."""
        self.off = 0.0
        """How much later session time is than the count, in samples."""
        self._seen = 0

    def take(self, at: float, samples: int) -> tuple[int, int]:
        """The place of a packet at a session time in samples, and how many are missing before it (< 0: too many)."""
        missing = 0
        if self.next is None:
            self.next = round(at)
        error = at - self.next - self.off
        if abs(error) > LOOSE:
            missing = round(error / STEP) * STEP
        else:
            self._seen = min(STEADY, self._seen + 1)
            self.off += error / self._seen
        place = self.next + missing
        self.next = place + samples
        return place, missing


class SoundFile(ABC):
    """One stream of sound; used on one thread. Blocks that are pulled adjoin."""

    def __init__(self, clip: Clip, container: Any, stream: Any, at: Nanos) -> None:
        self.over = False
        """Whether all of it was read; what is pulled from `end` on is silent."""
        self.end: Nanos = clip.end
        self._clip = clip
        self._container = container
        self._base = stream.time_base
        self._scale = (SECOND * self._base.numerator, self._base.denominator)
        self._count = Counting()
        self._from = max(at, clip.start)
        self._read_to: Nanos = -(1 << 62)
        self._broken: Exception | None = None
        self._cursor: int | None = None
        self._correcting = False
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        if (begin := clip.sync.file(self._from) - _ROLL) > 0:
            container.seek(int(begin / SECOND / self._base), stream=stream)
        self._packets = container.demux(stream)

    def pull(self, at: Nanos, samples: int) -> Samples | None:
        """Sound (2, samples) of the session times from `at` on; None is silence.

        Raises av.FFmpegError or OSError when the file cannot be read on.
        """
        self._read(at + samples * SECOND // RATE + _AHEAD)
        if self._count.next is None:
            return None
        wanted = round(at * RATE / SECOND - self._count.off)
        cursor = self._cursor if self._cursor is not None else wanted
        error = wanted - cursor
        if abs(error) > HARD:
            block = self._jump(cursor, wanted, samples)
        else:
            block = self._run(cursor, samples, samples + self._correction(error, samples))
        if block.any():
            return block
        self._cursor = None
        return None

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    @property
    @abstractmethod
    def tape(self) -> Tape:
        """What is decoded."""

    @abstractmethod
    def _take(self, packet: Any) -> None:
        """Place what a packet holds; the last one is empty."""

    def _fill(self, until: int, reader: int) -> None:  # noqa: B027
        """Have everything before a place on the tape."""

    def _at(self, pts: int) -> Nanos:
        """The session time of a packet."""
        return self._clip.sync.session(pts * self._scale[0] // self._scale[1])

    def _placed(self, at: Nanos, samples: int) -> tuple[int, int]:
        self._read_to = at
        return self._count.take(at * RATE / SECOND, samples)

    def _read(self, until: Nanos) -> None:
        if self._read_to >= until:
            return
        if self._broken is not None:
            raise self._broken
        try:
            self._read_on(until + _BURST)
        except (av.FFmpegError, OSError) as error:
            # What could be read is heard first.
            if self._read_to < until:
                raise
            self._broken = error

    def _read_on(self, until: Nanos) -> None:
        while not self.over and self._read_to < until:
            packet = next(self._packets, None)
            if packet is None:
                self._finish()
            elif packet.pts is None:
                if not packet.size:
                    self._take(packet)
            elif (at := self._at(packet.pts)) >= self._clip.end:
                self._finish()
            elif at >= self._from - _ROLL:
                self._take(packet)

    def _finish(self) -> None:
        self.over = True
        if self._count.next is not None:
            self.end = min(self.end, round((self._count.next + self._count.off) * SECOND / RATE))

    def _run(self, cursor: int, samples: int, length: int) -> Samples:
        self._fill(cursor + length + HALF, cursor)
        self._cursor = cursor + length
        if length == samples:
            return self.tape.read(cursor, samples)
        return stretch(self.tape.read(cursor - HALF, length + 2 * HALF), samples)

    def _correction(self, error: int, samples: int) -> int:
        """How many samples to take more than the block is long."""
        self._correcting = abs(error) >= (DONE_AT if self._correcting else BEGIN_AT)
        if not self._correcting:
            return 0
        most = max(1, int(samples * LIMIT))
        return max(-most, min(most, error))

    def _jump(self, cursor: int, wanted: int, samples: int) -> Samples:
        """Go on elsewhere, by a short crossfade."""
        fade = min(FADE, samples)
        old = self.tape.read(cursor, fade)
        block = self._run(wanted, samples, samples)
        rise = np.linspace(0.0, 1.0, fade, dtype=np.float32)
        block[:, :fade] = block[:, :fade] * rise + old * (1.0 - rise)
        return block


class OpusFile(SoundFile):
    """Opus as it was sent: what was lost on the way is concealed as in a live job."""

    def __init__(self, clip: Clip, container: Any, stream: Any, at: Nanos) -> None:
        super().__init__(clip, container, stream, at)
        self._voice = Voice(RATE)
        self._fresh = True

    @property
    def tape(self) -> Tape:
        """What is decoded."""
        return self._voice.tape

    def _take(self, packet: Any) -> None:
        data = bytes(packet)
        samples = duration(data)
        if not samples or packet.pts is None:
            return
        place, missing = self._placed(self._at(packet.pts), samples)
        self._voice.put(SoundPacket(place, samples, data, 0 < missing <= LOSS, self._fresh))
        self._fresh = False

    def _fill(self, until: int, reader: int) -> None:
        end = self._count.next
        if not self.over or end is None or until <= end:
            self._voice.fill(until, reader)
            return
        # Nothing was lost at the end of a file: to go on from it would be to make something up.
        done = self.tape.end is not None and self.tape.end >= end
        self._voice.fill(end, reader)
        if not done:
            self.tape.fade_out(reader, RAMP)


class OtherFile(SoundFile):
    """Sound in any codec, decoded and resampled by libav."""

    def __init__(self, clip: Clip, container: Any, stream: Any, at: Nanos) -> None:
        super().__init__(clip, container, stream, at)
        self._tape = Tape()
        self._resampler: AudioResampler | None = None

    @property
    def tape(self) -> Tape:
        """What is decoded."""
        return self._tape

    def _take(self, packet: Any) -> None:
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            return
        for frame in frames:
            if self._resampler is None and not _ready(frame):
                self._resampler = AudioResampler("fltp", "stereo", RATE)
            if self._resampler is not None:
                self._resample(frame)
            elif frame.pts is not None:
                self._lay(frame, self._at(frame.pts))
        if not packet.size and self._resampler is not None:
            self._resample(None)

    def _resample(self, frame: av.AudioFrame | None) -> None:
        assert self._resampler is not None
        for made in self._resampler.resample(frame):
            if made.pts is not None and (base := made.time_base) is not None:
                self._lay(made, self._clip.sync.session(made.pts * SECOND * base.numerator // base.denominator))

    def _lay(self, frame: av.AudioFrame, at: Nanos) -> None:
        count = frame.samples
        if not count:
            return
        sound = np.stack([np.frombuffer(memoryview(plane), np.float32, count) for plane in frame.planes])
        place, _ = self._placed(at, count)
        tape = self._tape
        if tape.end is not None and place < tape.end:
            sound = sound[:, tape.end - place :]
        elif tape.end is None or place > tape.end:
            tape.fade_out(place - RAMP, RAMP)
            tape.skip_to(place)
            sound[:, :RAMP] *= np.linspace(0.0, 1.0, RAMP, dtype=np.float32)[: sound.shape[1]]
        tape.append(sound)


def _ready(frame: av.AudioFrame) -> bool:
    """Whether it is what the tape holds."""
    return frame.sample_rate == RATE and frame.format.name == "fltp" and frame.layout.name == "stereo"
