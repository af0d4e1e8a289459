"""The passage of tracks to sinks that write them as they were sent: each frame with its session time."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from operator import itemgetter

from egress.media.reading import deliver
from egress.media.timeline import EARLY, LATE, Line, TrackTimeline
from egress.model.clock import SessionClock
from egress.model.media import MILLISECOND, SECOND, EncodedFrame, MediaSource, Nanos
from egress.model.passing import Anchor, Passed, PassedItem, TrackFrame, TrackHushed, TrackLeft, TrackTaken
from egress.model.room import Peer, Track

log = logging.getLogger(__name__)

EVERY = 0.25
"""Seconds between hand-overs: to wake another thread for every frame would cost more than to write it."""

MARGIN: Nanos = 100 * MILLISECOND
"""Frames are handed on this long after the tick of their time was due, so that marks of that tick come before them."""

ANCHOR_EVERY: Nanos = SECOND

MOST_BYTES = 8 << 20
"""When more than this waits, it is handed on at once, however fresh it is."""


@dataclass(slots=True)
class _Way:
    """One track on its way."""

    source: MediaSource
    timeline: TrackTimeline
    video: bool
    waiting: deque[EncodedFrame] = field(default_factory=deque)
    settled: list[TrackFrame] = field(default_factory=list)
    """Frames from before a break in time: they keep what they were given by the line they were sent under."""
    line: Line | None = None
    epoch: int = 0
    anchored: Nanos = -ANCHOR_EVERY


class Passage:
    """Hands on frames in order of arrival, in batches, `hold` after they came; all methods are called on the loop.

    They wait that long so that their time is known better, and a pause can still cut them. What waits is bounded by
    time and by bytes; what is handed on is for its taker to bound.
    """

    def __init__(self, clock: SessionClock, hand_on: Callable[[Passed], None], *, hold: Nanos) -> None:
        self._clock = clock
        self._hand_on = hand_on
        self._hold = hold + MARGIN
        self._ways: dict[str, _Way] = {}
        self._bytes = 0
        self._frames = 0
        self._timer: asyncio.TimerHandle | None = None

    def __contains__(self, track: str) -> bool:
        return track in self._ways

    def begin(self, track: Track, peer: Peer, source: MediaSource, timeline: TrackTimeline) -> None:
        """Pass on a track from now on, beginning at a keyframe; `pass_on` is to be called for each of its frames."""
        self._ways[track.id] = _Way(source, timeline, track.kind == "video")
        now, loop = self._clock.now(), asyncio.get_running_loop()

        def refresh() -> None:
            try:
                loop.call_soon_threadsafe(source.request_keyframe)
            except RuntimeError:
                log.debug("the loop has ended before the sinks of its tracks")

        self._tell(TrackTaken(track, peer, now, refresh), *([TrackHushed(track.id, True, now)] if track.muted else ()))
        source.request_keyframe()
        if self._timer is None:
            self._timer = loop.call_later(EVERY, self._beat)

    def pass_on(self, track: str, frame: EncodedFrame) -> None:
        """One frame that the track's timeline has observed; of a track that has left it is ignored."""
        way = self._ways.get(track)
        if way is None or not way.timeline.ready:
            return
        if way.timeline.epoch != way.epoch:
            self._settle(track, way)
            way.epoch = way.timeline.epoch
        way.line = way.timeline.line
        way.waiting.append(frame)
        self._frames += 1
        self._bytes += len(frame.data)
        if self._bytes > MOST_BYTES:
            self._flush(None)

    def mute(self, track: str, muted: bool) -> None:
        """A track was muted, or is heard or seen again."""
        if track in self._ways:
            self._tell(TrackHushed(track, muted, self._clock.now()))

    def end(self, track: str) -> None:
        """Hand on what waits of a track; nothing of it follows."""
        way = self._ways.pop(track, None)
        if way is None:
            return
        items: list[PassedItem] = list(self._taken(track, way, None))
        self._tell(*items, TrackLeft(track, self._clock.now(), dict(way.source.stats())))

    def refresh(self) -> None:
        """Ask every picture for a keyframe: what came before cannot be gone on from."""
        for way in self._ways.values():
            if way.video:
                way.source.request_keyframe()

    def close(self, until: Nanos | None = None) -> None:
        """Hand on all that waits, of frames those from before a session time, and end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._flush(None, until)
        for track in tuple(self._ways):
            self.end(track)

    def stats(self) -> Mapping[str, int]:
        """Frames handed on, and what waits."""
        return {"passed": self._frames, "waiting_to_pass": sum(len(way.waiting) for way in self._ways.values())}

    def _beat(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(EVERY, self._beat)
        self._flush(self._clock.now() - self._hold)

    def _flush(self, before: Nanos | None, until: Nanos | None = None) -> None:
        """Hand on what came before a session time, or all; `until` leaves out what was captured then or later."""
        frames: list[tuple[Nanos, TrackFrame]] = []
        anchors: list[PassedItem] = []
        for track, way in self._ways.items():
            taken = self._taken(track, way, before)
            if until is not None:
                taken = [one for one in taken if one.at < until]
            # A frame that was sent again in parts came after the next one, but stands before it.
            frames += zip(accumulate((one.frame.arrived for one in taken), max), taken, strict=True)
            if taken and taken[-1].frame.arrived - way.anchored >= ANCHOR_EVERY and taken[-1].epoch == way.epoch:
                way.anchored = taken[-1].frame.arrived
                anchors.append(self._anchor(way, taken[-1]))
        # Files hold sound and picture of one moment side by side.
        frames.sort(key=itemgetter(0))
        self._tell(*(one for _, one in frames), *anchors)

    def _taken(self, track: str, way: _Way, before: Nanos | None) -> list[TrackFrame]:
        taken, way.settled = way.settled, []
        waiting, origin = way.waiting, self._clock.origin
        if not waiting:
            return taken
        line, epoch = way.timeline.line, way.epoch
        limit = None if before is None else origin + before
        while waiting and (limit is None or waiting[0].arrived <= limit):
            taken.append(self._timed(track, waiting.popleft(), line, epoch))
        return taken

    def _settle(self, track: str, way: _Way) -> None:
        if way.line is not None:
            while way.waiting:
                way.settled.append(self._timed(track, way.waiting.popleft(), way.line, way.epoch))

    def _timed(self, track: str, frame: EncodedFrame, line: Line, epoch: int) -> TrackFrame:
        self._bytes -= len(frame.data)
        at = line.at(frame.rtp)
        if not -EARLY <= frame.arrived - at <= LATE:
            # It claims a time it cannot have.
            at = frame.arrived
        return TrackFrame(track, frame, at - self._clock.origin, epoch)

    def _anchor(self, way: _Way, last: TrackFrame) -> Anchor:
        best = way.timeline.best(last.frame.rtp) - self._clock.origin
        reports = way.timeline.stats()["reports"]
        return Anchor(last.track, last.frame.rtp, last.at, best, last.epoch, reports)

    def _tell(self, *items: PassedItem) -> None:
        if items:
            self._hand_on(Passed(items))


class Tapped:
    """A source whose frames are passed on once its taker has observed them, which it has when it asks for the next."""

    def __init__(self, source: MediaSource, tap: Callable[[EncodedFrame], None]) -> None:
        self._source = source
        self._tap = tap
        self._last: EncodedFrame | None = None

    async def recv(self) -> EncodedFrame:
        """The next frame; raises EndOfTrack."""
        if self._last is not None:
            last, self._last = self._last, None
            self._tap(last)
        self._last = await self._source.recv()
        return self._last

    async def deliver(self, take: Callable[[EncodedFrame], None]) -> None:
        """Call `take` for each frame, and pass it on then; raises EndOfTrack."""

        def both(frame: EncodedFrame) -> None:
            try:
                take(frame)
            finally:
                self._tap(frame)

        await deliver(self._source, both)

    def request_keyframe(self) -> None:
        """Ask the sender for a keyframe."""
        self._source.request_keyframe()

    def stats(self) -> Mapping[str, int]:
        """The source's."""
        return self._source.stats()
