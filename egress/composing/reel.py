"""One recorded video track as the programme takes it: decoded ahead of the tick, on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import av

from egress.composing.film import Film
from egress.composing.footage import Clip
from egress.media.scaling import Scaler
from egress.media.shelf import HYSTERESIS, Picture, Shelf
from egress.model.look import Fit
from egress.model.media import SECOND, Nanos, Size

log = logging.getLogger(__name__)

MOST, LEAST = 5, 3
"""Pictures decoded ahead of the tick: as many as fit..."""
ROOM = 6_000_000
"""...into so many bytes, before and after scaling, but never fewer than the least."""
LINGER: Nanos = SECOND // 2
"""How long the last picture before a break in the file stays, before the placeholder takes its place."""

_NEVER: Nanos = -(1 << 62)
_EVER: Nanos = 1 << 62


@dataclass(frozen=True, slots=True)
class Take(Picture):
    """A picture in the size of its tile, and what it was made of: another size may be wanted when its tick comes."""

    raw: av.VideoFrame
    turn: int
    tile: Size
    fit: Fit


class Reel:
    """The pictures of one track, whatever files they lie in; nothing is decoded while no tile shows it.

    A thread decodes and scales, a bounded number of pictures ahead; `picture_at` waits for it, so that what is shown
    depends on no clock. Files that cannot be read are told once, and leave the track without a picture.
    """

    def __init__(self, name: str, clips: Sequence[Clip], on_warning: Callable[[str], None]) -> None:
        """`on_warning` is told, on the reel's thread, what is wrong with a file."""
        self._clips = clips
        self._on_warning = on_warning
        self._change = threading.Condition()
        self._shelf = Shelf()
        self._tile: Size | None = None
        self._fit: Fit = "cover"
        self._wanted: Nanos | None = None
        self._limit: Nanos = _NEVER
        self._reached: Nanos = _NEVER
        self._room = LEAST
        self._over = False
        self._closing = False
        self._lost: Nanos | None = None
        self._told: set[str] = set()
        self._scaler = Scaler()
        self._rescaler = Scaler()
        self._thread = threading.Thread(target=self._work, name=f"reel-{name}", daemon=True)
        self._thread.start()

    def show(self, size: Size | None, fit: Fit) -> None:
        """Make pictures for a tile of this even size from now on; None: not shown, so nothing is decoded at all."""
        with self._change:
            if size is None and self._tile is not None:
                self._shelf.clear()
                self._wanted, self._limit, self._reached = None, _NEVER, _NEVER
            self._tile, self._fit = size, fit

    def picture_at(self, at: Nanos, tolerance: Nanos) -> Picture | None:
        """The picture of the tick at session time `at`, which is waited for; `tolerance` is half a tick."""
        with self._change:
            if self._tile is None:
                return None
            self._wanted, self._limit = at, at + tolerance + HYSTERESIS
            if self._reached <= self._limit or len(self._shelf) <= self._room // 2:
                self._change.notify_all()
            while not (self._reached > self._limit or self._over):
                self._change.wait()
            picture = self._shelf.pick(at, tolerance)
            lost = self._lost
            if picture is None or (lost is not None and picture.at < lost <= at):
                return None
            return self._fitting(picture)

    def close(self) -> None:
        """Stop decoding; returns when the thread has ended."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join()
        self._shelf.clear()

    def _fitting(self, picture: Picture) -> Picture:
        """A picture that was made ahead for another tile, in the size of the one there is."""
        tile, fit = self._tile, self._fit
        if tile is None or not isinstance(picture, Take) or (picture.tile, picture.fit) == (tile, fit):
            return picture
        self._shelf.current = anew = _take(self._rescaler, picture.raw, picture.at, picture.turn, tile, fit)
        return anew

    def _work(self) -> None:
        try:
            for clip, following in zip_longest(self._clips, self._clips[1:]):
                if not self._play(clip, following.start if following else _EVER):
                    return
        except Exception as error:
            log.exception("a video track cannot be shown")
            self._break(self._clips[0], f"its picture cannot be shown: {type(error).__name__}: {error}")
        finally:
            with self._change:
                self._over = True
                self._change.notify_all()

    def _play(self, clip: Clip, until: Nanos) -> bool:
        """Show a clip to its end, unless what is wanted lies in the one that begins at `until`; False when the reel is
        closed."""
        film: Film | None = None
        broken = turn = 0
        last = clip.start
        try:
            while (wanted := self._due()) is not None:
                fresh, at = wanted
                if at >= until:
                    return True
                if film is None:
                    film = Film(clip)
                    fresh = True
                if fresh:
                    film.leap(clip.sync.file(min(max(at, clip.start), clip.end)))
                shot = film.next()
                if film.broken > broken:
                    broken = film.broken
                    self._break(clip, f"{clip.path.name} is damaged; its picture goes on where it can")
                if shot is None:
                    if short := clip.cut_short(last):
                        self._break(clip, f"{short}; it has no picture from there on")
                    return True
                raw, file = shot
                last = at = clip.sync.session(file)
                if at >= clip.end:
                    return True
                if clip.turns is None:
                    turn = -raw.rotation % 360 if raw.key_frame else turn
                else:
                    turn = clip.turn(file)
                self._put(raw, at, turn)
        except (av.FFmpegError, OSError) as error:
            self._break(clip, f"{clip.path.name} cannot be read on: {getattr(error, 'strerror', None) or error}")
            return True
        finally:
            if film is not None:
                film.close()
        return False

    def _due(self) -> tuple[bool, Nanos] | None:
        """Wait until another picture is wanted: whether that is after a time without any, and of which session time or
        later. None when the reel is closed."""
        with self._change:
            while not self._closing:
                full = len(self._shelf) >= self._room and self._reached > self._limit
                if self._wanted is not None and not full:
                    return self._reached == _NEVER, self._wanted
                self._change.wait()
            return None

    def _put(self, raw: av.VideoFrame, at: Nanos, turn: int) -> None:
        with self._change:
            tile, fit, wanted = self._tile, self._fit, self._wanted
        if tile is None or wanted is None:
            return
        take = _take(self._scaler, raw, at, turn, tile, fit)
        with self._change:
            if self._tile is None:
                return
            self._shelf.put(take)
            self._reached = at
            self._room = max(LEAST, min(MOST, ROOM // (_bytes(raw) + _bytes(take.frame))))
            if at > self._limit:
                self._change.notify_all()

    def _break(self, clip: Clip, message: str) -> None:
        with self._change:
            self._lost = max(self._reached, clip.start) + LINGER
        if message not in self._told:
            self._told.add(message)
            self._on_warning(message)


def _take(scaler: Scaler, raw: av.VideoFrame, at: Nanos, turn: int, tile: Size, fit: Fit) -> Take:
    frame, source = scaler.scale(raw, tile, fit, turn)
    return Take(frame, at, source, raw, turn, tile, fit)


def _bytes(frame: av.VideoFrame) -> int:
    return frame.width * frame.height * 3 // 2
