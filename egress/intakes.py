"""The media of a job: one intake for each track that is taken in, or a reader for one that is only passed on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType

from egress.media.intake import VideoIntake
from egress.media.reading import Reader
from egress.media.scene import PictureSource, SoundSource
from egress.media.sound import AudioIntake
from egress.media.timeline import PeerClock, TrackTimeline
from egress.model.clock import SessionClock
from egress.model.media import SECOND, EncodedFrame, MediaSource, Nanos
from egress.model.room import Peer, Room, Track
from egress.passage import Passage, Tapped
from egress.rooms.base import RoomSession

log = logging.getLogger(__name__)

CLOCK_RATE: Mapping[str, int] = MappingProxyType({"video": 90_000, "audio": 48_000})

GAUGES = ("timeline_", "waiting")
"""Figures of one intake that are no counts: of all intakes, the worst is told."""

CLOSE_WITHIN = 15.0
"""Seconds that all intakes together have to end; each has shorter limits of its own, for what it waits for."""

LINGER: Nanos = SECOND // 4
"""How long an intake outlives its last scene, so that the tick never pulls from a closed one."""


class Intakes:
    """Takes in the tracks it is told to; all methods are called on the loop."""

    def __init__(
        self,
        clock: SessionClock,
        visit: RoomSession,
        *,
        delay: Nanos,
        on_warning: Callable[[str], None] = log.warning,
        passage: Passage | None = None,
    ) -> None:
        """`on_warning` is told whose media stays broken; `passage` takes the frames of what is passed on."""
        self._passage = passage
        self._readers: dict[str, _Passed] = {}
        self._clock = clock
        self._visit = visit
        self._delay = delay
        self._on_warning = on_warning
        self._peer_clocks: dict[str, PeerClock] = {}
        self._videos: dict[str, VideoIntake] = {}
        self._sounds: dict[str, AudioIntake] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._totals: dict[str, int] = {}

    @property
    def pictures(self) -> Mapping[str, PictureSource]:
        """What there is to be seen, by track."""
        return MappingProxyType({**self._videos})

    @property
    def sounds(self) -> Mapping[str, SoundSource]:
        """What there is to be heard, by track."""
        return MappingProxyType({**self._sounds})

    def follow(self, room: Room, wanted: Iterable[Track], passed: Iterable[Track] = ()) -> None:
        """Take in exactly these tracks of the room from now on; each peer's share one clock while it is there.

        Those of `passed` are passed on as well: from the same reading where they are wanted too. What was wanted once
        stays taken in for as long as it is passed on.
        """
        tracks, onward = {track.id: track for track in wanted}, {track.id: track for track in passed}
        for track_id in (*self._videos, *self._sounds):
            if track_id not in tracks and track_id not in onward:
                self._drop(track_id)
        for track_id in (*self._readers,):
            if track_id in tracks or track_id not in onward:
                self._drop(track_id)
        self._peer_clocks = {peer: self._peer_clocks.get(peer) or PeerClock() for peer in room.peers}
        for track in (onward | tracks).values():
            if not any(track.id in there for there in (self._videos, self._sounds, self._readers)):
                self._take_in(track, room.peers[track.peer], made=track.id in tracks, passed=track.id in onward)

    async def close(self) -> None:
        """End every intake; what does not end within CLOSE_WITHIN is left behind, which is told."""
        self._closing.set()
        for track_id in (*self._videos, *self._sounds, *self._readers):
            self._drop(track_id)
        if not self._leaving:
            return
        _, hung = await asyncio.wait(self._leaving, timeout=CLOSE_WITHIN)
        for task in hung:
            task.cancel()
            self._on_warning(f"{task.get_name()}: it did not end within {CLOSE_WITHIN:g} s and is left behind")

    def stats(self) -> dict[str, int]:
        """Sums of all intakes' counters since the job began, and the worst of what is not a count."""
        totals = dict(self._totals)
        for video in self._videos.values():
            _add(totals, video.stats())
        for sound in self._sounds.values():
            _add(totals, sound.stats())
        for reader in self._readers.values():
            _add(totals, reader.stats())
        if self._passage is not None:
            _add(totals, self._passage.stats())
        return totals

    def _take_in(self, track: Track, peer: Peer, *, made: bool, passed: bool) -> None:
        try:
            source: MediaSource = self._visit.source(track.id)
        except KeyError:
            # Replaced or ended since the room said it was published: the room will say so next.
            return
        timeline = self._peer_clocks[track.peer].track(track.kind, CLOCK_RATE[track.kind])
        loop = asyncio.get_running_loop()

        def warn(message: str) -> None:
            self._on_warning(f"{track.source} of {peer.name}: {message}")

        passage = self._passage if passed else None
        if passage is not None:
            passage.begin(track, peer, source, timeline)
            tap = partial(passage.pass_on, track.id)
            if not made:
                self._readers[track.id] = _Passed(source, timeline, tap, warn)
                self._readers[track.id].start(loop)
                return
            source = Tapped(source, tap)
        if track.kind == "audio":
            sound = AudioIntake(source, timeline, self._clock, delay=self._delay, loop=loop, on_warning=warn)
            self._sounds[track.id] = sound
            sound.start()
        else:
            video = VideoIntake(source, timeline, self._clock, delay=self._delay, loop=loop, on_warning=warn)
            self._videos[track.id] = video
            video.start()

    def _drop(self, track_id: str) -> None:
        if self._passage is not None:
            self._passage.end(track_id)
        intake: _Intake | None = self._videos.pop(track_id, None) or self._sounds.pop(track_id, None)
        if intake is None and (intake := self._readers.pop(track_id, None)) is not None:
            intake.stop()
        if intake is None:
            return
        task = asyncio.create_task(self._end(intake), name=f"end of track {track_id}")
        self._leaving.add(task)
        task.add_done_callback(self._ended)

    async def _end(self, intake: _Intake) -> None:
        if not isinstance(intake, _Passed):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), (self._delay + LINGER) / SECOND)
        await intake.close()
        _add(self._totals, intake.stats())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._leaving.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s failed", task.get_name(), exc_info=error)
            self._on_warning(f"{task.get_name()} failed: {type(error).__name__}: {error}")


class _Passed:
    """A track that is passed on and nothing else: read, put into time, and never decoded."""

    def __init__(
        self,
        source: MediaSource,
        timeline: TrackTimeline,
        tap: Callable[[EncodedFrame], None],
        on_warning: Callable[[str], None],
    ) -> None:
        self._timeline = timeline
        self._tap = tap
        self._frames = 0
        self._reader = Reader(source, self._take, on_warning)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read."""
        self._reader.start(loop)

    def stop(self) -> None:
        """Read no further: another may await the track's next frame from now on."""
        self._reader.stop()

    async def close(self) -> None:
        """Stop reading; returns when the task has ended."""
        await self._reader.close()
        self._timeline.close()

    def stats(self) -> Mapping[str, int]:
        """Counters, and those of its timeline."""
        numbers = {"frames": self._frames, "errors": self._reader.errors}
        return numbers | {f"timeline_{name}": value for name, value in self._timeline.stats().items()}

    def _take(self, frame: EncodedFrame) -> None:
        self._frames += 1
        self._timeline.observe(frame)
        self._tap(frame)


_Intake = VideoIntake | AudioIntake | _Passed


def _add(totals: dict[str, int], more: Mapping[str, int]) -> None:
    for name, value in more.items():
        if name.startswith(GAUGES):
            totals[name] = max(totals.get(name, 0), value, key=abs)
        else:
            totals[name] = totals.get(name, 0) + value
