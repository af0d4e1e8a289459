"""One video track made into pictures: encoded frames wait until they are due, and are decoded just in time."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import av

from egress.media.decoding import CLOCK_RATE, MOST_PIXELS, VideoDecoder
from egress.media.reading import CLOSE_WITHIN, Reader
from egress.media.relief import Relief
from egress.media.scaling import Matrix, Scaler
from egress.media.shelf import Picture, Shelf
from egress.media.strain import Rung
from egress.media.timeline import TrackTimeline
from egress.model.clock import SessionClock
from egress.model.look import Fit
from egress.model.media import MILLISECOND, SECOND, EncodedFrame, MediaSource, Nanos, Size

log = logging.getLogger(__name__)

LEAD: Nanos = 150 * MILLISECOND
"""Decoding begins this long before a picture's tick: four ticks at 30 fps, against a busy machine."""
BURST: Nanos = 66 * MILLISECOND
"""Once awake, a decoder goes on with what is due so much later: to wake for each costs a fifth of decoding it."""
LINGER: Nanos = 200 * MILLISECOND
"""Frames of a hidden track are dropped this long after they were due: among them may be the keyframe with which the
track comes back on stage, and to ask for another would take longer."""
BACKLOG: Nanos = 3 * SECOND
BACKLOG_FRAMES = 600
BACKLOG_BYTES = 32_000_000
HOPELESS: Nanos = 500 * MILLISECOND
"""A decoder this late does not catch up frame by frame: it goes on at the newest keyframe that is due."""
STARVED: Nanos = 100 * MILLISECOND
"""However late everything is, a picture is shown this often."""
HOLD: Nanos = 5 * SECOND
"""How long the last good picture of a broken stream stays."""
ASK_AGAIN: Nanos = 250 * MILLISECOND
STUBBORN = 3
"""So many frames that give no picture, a new decoder for each, are more than an accident."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A frame, `taken` when; its session time, once that follows no timeline; `shown`: may become a picture."""

    frame: EncodedFrame
    at: Nanos | None
    shown: bool
    taken: Nanos


class VideoIntake:
    """Reads one video track and has the picture of every tick ready in its tile's size.

    A task on `loop` reads; a thread of our own decodes and scales; `picture_at` is called by the tick's thread. The
    encoded queue is bounded by time (delay + 3 s), count and bytes; when full it goes on at its newest keyframe.
    """

    def __init__(
        self,
        source: MediaSource,
        timeline: TrackTimeline,
        clock: SessionClock,
        *,
        delay: Nanos,
        loop: asyncio.AbstractEventLoop,
        matrix: Matrix | None = None,
        on_warning: Callable[[str], None] = log.warning,
    ) -> None:
        """`delay` is how long after session time t the tick of t runs; `matrix` is for senders that tag wrongly;
        `on_warning` is told, on the loop's thread, what stays broken."""
        self._on_warning = on_warning
        self._source = source
        self._timeline = timeline
        self._clock = clock
        self._delay = delay
        self._loop = loop
        self._decoder = VideoDecoder()
        self._matrix = matrix
        self._scaler = Scaler(matrix)
        self._failures = 0
        self._told = False
        self._given_up: Nanos | None = None
        self._change = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._shelf = Shelf()
        self._tile: Size | None = None
        self._fit: Fit = "cover"
        self._hidden = False
        self._resize = False
        self._closing = False
        self._newest: tuple[av.VideoFrame, Nanos, int] | None = None
        self._lost_frames = False
        self._asked: Nanos = -SECOND
        self._filled: Nanos = 0
        self._frames = 0
        self._dropped = 0
        self._late = 0
        self._skips = 0
        self._relief = Relief()
        self._reader = Reader(source, self._take, self._give_up)
        self._thread = threading.Thread(target=self._work, name=f"intake-{timeline.kind}", daemon=True)

    @property
    def ended(self) -> bool:
        """Whether the source has ended."""
        return self._reader.ended

    @property
    def overdue(self) -> int:
        """Pictures that had come in time and were decoded too late; read from any thread."""
        return self._relief.overdue

    def start(self) -> None:
        """Begin to read and decode; called once, on the loop's thread."""
        self._reader.start(self._loop)
        self._thread.start()

    def show(self, size: Size | None, fit: Fit) -> None:
        """Make pictures for a tile of this even size from now on; None: not shown, so nothing is decoded at all."""
        with self._change:
            if size is None:
                self._hidden = True
                self._newest = None
                self._shelf.clear()
            else:
                new = (size, fit) != (self._tile, self._fit)
                self._resize = self._newest is not None and (self._resize or new)
                self._hidden = False
                self._tile, self._fit = size, fit
            self._change.notify()

    def relieve(self, rung: Rung, after: Nanos) -> None:
        """Make pictures for less, as this rung says; a keyframe that takes is asked for `after` so long."""
        self._relief.give(rung, self._clock.now() + after)

    def picture_at(self, at: Nanos, tolerance: Nanos) -> Picture | None:
        """The picture of the tick at session time `at`; `tolerance` is half a tick. None: nothing fit to be seen."""
        with self._change:
            if self._hidden:
                return None
            picture = self._shelf.pick(at, tolerance)
            broken = self._decoder.broken_since if self._given_up is None else self._given_up
        if picture is None or (broken is not None and at + self._delay - max(broken, picture.at + self._delay) > HOLD):
            return None
        return picture

    async def close(self) -> None:
        """Stop reading and decoding; returns when task and thread have ended, or are left behind, which is told."""
        await self._reader.close()
        with self._change:
            self._closing = True
            self._change.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, CLOSE_WITHIN)
        if self._thread.is_alive():
            self._on_warning(f"its decoder did not end within {CLOSE_WITHIN:g} s and is left behind")
        self._timeline.close()
        with self._change:
            self._queue.clear()
            self._shelf.clear()
            self._newest = None

    def stats(self) -> Mapping[str, int]:
        """Counters (frames, errors, dropped by overload or while hidden, late, thinned, ...), queue, timeline_*."""
        numbers = {
            "frames": self._frames,
            "decoded": self._decoder.decoded,
            "errors": self._decoder.errors + self._reader.errors,
            "oversized": self._decoder.oversized,
            "undecodable": self._decoder.undecodable,
            "dropped": self._dropped,
            "keyframe_skips": self._skips,
            "late": self._late,
            "overdue": self._relief.overdue,
            "thinned": self._relief.thinned,
            "skipped": self._shelf.skipped,
            "waiting": len(self._queue),
            "waiting_bytes": self._bytes,
        }
        return numbers | {f"timeline_{name}": value for name, value in self._timeline.stats().items()}

    def _take(self, frame: EncodedFrame) -> None:
        """Queue one frame; those before a break in the timeline keep the times of the line they were sent under."""
        with self._change:
            before = self._timeline.line if self._timeline.ready else None
            epoch = self._timeline.epoch
            plausible = self._timeline.observe(frame)
            if before is not None and self._timeline.epoch != epoch:
                self._queue = deque(
                    w if w.at is not None else replace(w, at=self._session(before.at(w.frame.rtp))) for w in self._queue
                )
            self._frames += 1
            was_empty = not self._queue
            at, now = None if plausible else self._session(frame.arrived), self._clock.now()
            self._queue.append(_Waiting(frame, at, plausible, now))
            self._bytes += len(frame.data)
            if self._overfull():
                self._drop(self._newest_key(len(self._queue)) or len(self._queue))
            if was_empty:
                self._change.notify()

    def _give_up(self, message: str) -> None:
        """Nothing follows: the last picture must not stay for ever."""
        with self._change:
            self._given_up = self._clock.now()
        self._on_warning(message)

    def _overfull(self) -> bool:
        span = self._queue[-1].frame.arrived - self._queue[0].frame.arrived
        return span > self._delay + BACKLOG or len(self._queue) > BACKLOG_FRAMES or self._bytes > BACKLOG_BYTES

    def _newest_key(self, among: int) -> int:
        """Where the newest keyframe among the first frames lies; 0 when there is none to skip to."""
        return next((index for index in range(among - 1, 0, -1) if self._queue[index].frame.key), 0)

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self._bytes -= len(self._queue.popleft().frame.data)
        self._dropped += count
        self._skips += 1
        self._lost_frames = True

    def _session(self, monotonic: Nanos) -> Nanos:
        return monotonic - self._clock.origin

    def _at(self, waiting: _Waiting) -> Nanos:
        return waiting.at if waiting.at is not None else self._session(self._timeline.at(waiting.frame.rtp))

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                try:
                    if isinstance(job, _Waiting):
                        self._decode(job)
                    else:
                        self._render(*job, resized=True)
                except Exception as error:
                    self._begin_anew(error)
        except Exception as error:
            log.exception("a video track can no longer be decoded")
            with self._change:
                self._decoder.lose(self._clock.now())
            self._tell(f"it can no longer be decoded: {type(error).__name__}: {error}")
        finally:
            self._decoder.close()
            self._scaler = Scaler(self._matrix)

    def _begin_anew(self, error: Exception) -> None:
        """Go on with a decoder and a scaler that know nothing of what one frame did to those before them."""
        if not self._failures:
            log.error("a frame of a video track could not be made into a picture", exc_info=error)
        now = self._clock.now()
        self._scaler = Scaler(self._matrix)
        with self._change:
            self._decoder.renew(now)
        self._ask_for_keyframe(now)
        self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, why: str) -> None:
        self._failures += 1
        if self._failures >= STUBBORN:
            self._tell(f"its pictures cannot be shown: {why}")

    def _tell(self, message: str) -> None:
        if not self._told:
            self._told = True
            self._on_loop(self._on_warning, message)

    def _next(self) -> _Waiting | tuple[av.VideoFrame, Nanos, int] | None:
        """Wait for something to do: a frame that is due soon, or the newest picture in a new size. None: closing."""
        awake = BURST
        with self._change:
            while not self._closing:
                if self._resize and self._newest is not None:
                    self._resize = False
                    return self._newest
                if not self._queue:
                    self._change.wait()
                    continue
                lead = LEAD + awake if not self._hidden else -LINGER
                early = self._at(self._queue[0]) + self._delay - lead - self._clock.now()
                if early > 0:
                    if not awake:
                        self._change.wait(early / SECOND)
                    awake = 0
                    continue
                if early < -lead - HOPELESS and (key := self._newest_key(self._due())):
                    self._drop(key)
                waiting = self._queue.popleft()
                self._bytes -= len(waiting.frame.data)
                return waiting
            return None

    def _due(self) -> int:
        """How many waiting frames are due already."""
        now = self._clock.now() - self._delay
        return next((index for index, waiting in enumerate(self._queue) if self._at(waiting) > now), len(self._queue))

    def _decode(self, waiting: _Waiting) -> None:
        frame, now = waiting.frame, self._clock.now()
        if self._hidden:
            self._dropped += 1
            self._decoder.lose(now)
            return
        if self._lost_frames:
            self._lost_frames = False
            self._decoder.lose(now)
        if self._relief.apply(self._decoder, now):
            self._ask_for_keyframe(now)
        oversized, lost_keys = self._decoder.oversized, self._decoder.lost_keys
        pictures = self._decoder.decode(frame, now)
        if self._decoder.oversized > oversized:
            self._tell(f"its pictures are refused: they have more than {MOST_PIXELS} pixels")
        elif self._decoder.lost_keys > lost_keys:
            self._fail("its keyframes are broken")
        if self._decoder.wants_keyframe:
            self._ask_for_keyframe(now)
        if not pictures or not waiting.shown:
            return
        picture = pictures[-1]
        at = self._at(waiting)
        if picture.pts is not None:
            at += (picture.pts - frame.rtp) * SECOND // CLOCK_RATE
        if at + self._delay < now:
            self._late += 1
            self._relief.late(at + self._delay - waiting.taken)
            with self._change:
                superseded = self._due() > 0
            if superseded and now - self._filled < STARVED:
                return
        self._filled = now
        if not self._relief.thins(at):
            self._render(picture, at, frame.rotation, resized=False)

    def _render(self, picture: av.VideoFrame, at: Nanos, rotation: int, *, resized: bool) -> None:
        with self._change:
            tile, fit = self._tile, self._fit
        frame, source = self._scaler.scale(picture, tile, fit, rotation)
        self._failures = 0
        with self._change:
            if self._hidden:
                return
            if resized:
                self._shelf.replace_newest(Picture(frame, at, source))
            else:
                self._shelf.put(Picture(frame, at, source))
                self._newest = (picture, at, rotation)
            self._resize = self._resize or (tile, fit) != (self._tile, self._fit)

    def _ask_for_keyframe(self, now: Nanos) -> None:
        if now - self._asked < ASK_AGAIN:
            return
        self._asked = now
        self._on_loop(self._source.request_keyframe)

    def _on_loop(self, call: Callable[..., None], *arguments: str) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            log.debug("the loop has ended before a track's intake")
