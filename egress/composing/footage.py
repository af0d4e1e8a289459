"""What is composed: the files of every track, where they stand in session time, and what happened in the room."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from egress.model.media import SECOND, Nanos
from egress.model.room import RoomEvent

Happening = tuple[Nanos, RoomEvent]
"""Something that happened in the room, and the session time it did."""

_SHORT = 1.0
"""Seconds a file may end early: pictures may be that far apart."""


@dataclass(frozen=True, slots=True)
class Sync:
    """Where file times of one stream stand in session time: straight between points, at rate 1 outside them.

    `points` are (file time, session time) in ns; both rise from each to the next.
    """

    points: tuple[tuple[Nanos, Nanos], ...]

    def session(self, file: Nanos) -> Nanos:
        """The session time of a file time."""
        return _along(self.points, file, 0)

    def file(self, session: Nanos) -> Nanos:
        """The file time of a session time."""
        return _along(self.points, session, 1)

    def moved(self, by: Nanos) -> Sync:
        """The same with session times that much later."""
        return Sync(tuple((file, session + by) for file, session in self.points))


def _along(points: tuple[tuple[Nanos, Nanos], ...], at: Nanos, side: Literal[0, 1]) -> Nanos:
    other = 1 - side
    place = bisect_right(points, at, key=lambda point: point[side])
    if place in (0, len(points)):
        near = points[0] if place == 0 else points[-1]
        return near[other] + at - near[side]
    before, after = points[place - 1], points[place]
    span = after[side] - before[side]
    return before[other] + (at - before[side]) * (after[other] - before[other]) // span


@dataclass(frozen=True, slots=True)
class Clip:
    """One stream of one file, and the stretch of session time it is used for.

    `stream` counts the streams of its kind in the file. `turns` say from which file time on pictures are to be turned,
    clockwise; None: as the file says. `lasting`: it goes on to its end, unless the file is damaged.
    """

    path: Path
    kind: Literal["audio", "video"]
    stream: int
    sync: Sync
    start: Nanos
    end: Nanos
    turns: tuple[tuple[Nanos, int], ...] | None = ()
    lasting: bool = False

    def cut_short(self, at: Nanos) -> str:
        """What is wrong when nothing follows after a session time; "" when nothing is."""
        missing = (self.end - at) / SECOND
        return f"{self.path.name} ends {missing:.1f} s early" if self.lasting and missing > _SHORT else ""

    def turn(self, file: Nanos) -> int:
        """How many degrees clockwise a picture at a file time is to be turned."""
        return next((degrees for at, degrees in reversed(self.turns or ()) if at <= file), 0)


@dataclass(frozen=True, slots=True)
class Footage:
    """A whole recording: session time 0 is `started`, and it lasts `length`.

    `happenings` are in order of time; `clips` are those of each track by its id, in order of time. `left_out` names
    files that lay beside the footage and are no part of it.
    """

    title: str
    room: str
    started: datetime
    length: Nanos
    happenings: tuple[Happening, ...]
    clips: Mapping[str, tuple[Clip, ...]]
    left_out: tuple[str, ...] = ()

    def without(self, cuts: Sequence[tuple[Nanos, Nanos]]) -> Footage:
        """The same with stretches of session time cut out; a first one that begins at 0 moves `started` along."""
        kept = _kept(cuts, self.length)
        if kept == ((0, self.length),):
            return self

        def placed(at: Nanos) -> Nanos:
            return sum(max(0, min(at, end) - begin) for begin, end in kept)

        clips = {track: _cut(found, kept) for track, found in self.clips.items()}
        begin = kept[0][0] if kept else 0
        return replace(
            self,
            started=self.started + timedelta(microseconds=begin // 1000),
            length=placed(self.length),
            happenings=tuple((placed(at), event) for at, event in self.happenings),
            clips=MappingProxyType({track: found for track, found in clips.items() if found}),
        )


def _kept(cuts: Sequence[tuple[Nanos, Nanos]], length: Nanos) -> tuple[tuple[Nanos, Nanos], ...]:
    """What is left of 0 to `length`."""
    kept: list[tuple[Nanos, Nanos]] = []
    at: Nanos = 0
    for begin, end in sorted(cuts):
        if begin > at:
            kept.append((at, min(begin, length)))
        at = max(at, end)
    if at < length:
        kept.append((at, length))
    return tuple((begin, end) for begin, end in kept if begin < end)


def _cut(clips: Sequence[Clip], kept: Sequence[tuple[Nanos, Nanos]]) -> tuple[Clip, ...]:
    found: list[Clip] = []
    for clip in clips:
        gone = 0
        before: Nanos = 0
        for begin, end in kept:
            gone += begin - before
            before = end
            start, stop = max(begin, clip.start), min(end, clip.end)
            if start < stop:
                found.append(replace(clip, start=start - gone, end=stop - gone, sync=clip.sync.moved(-gone)))
    return tuple(found)
