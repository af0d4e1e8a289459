"""The ledger of a `tracks` sink: what is in each file and what aligns them, kept as it happens, so that a crash costs
none of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from egress import __version__
from egress.disk import write_json
from egress.model.errors import DestinationError
from egress.model.media import MILLISECOND, SECOND, Nanos
from egress.model.passing import Anchor
from egress.model.room import Track
from egress.model.trackfiles import TRACKS_FILE, FileRow, Losses, PeerRow, StreamRow, Stretch, TrackFiles, Turn

SETTLED: Nanos = 15 * SECOND
"""By then a track's time is known about as well as it will be: reports have come, and a quiet moment of the network."""

_APART: Nanos = 60 * SECOND
_STRAIGHT: Nanos = MILLISECOND // 2
"""Points of the mapping are kept where it bends by more than this, and once a minute."""

_RATES = {"audio": 48_000, "video": 90_000}
_MOST = 500
"""Mute spans, gaps and turns kept of one track in one file; more are left out."""


@dataclass(slots=True)
class Held:
    """One track in one file; spans are session times, `turns` and those of `points` file times, all in ns.

    `points` are (file time, RTP count, best session time, reports it rests on).
    """

    track: str
    kind: Literal["audio", "video"]
    source: str
    codec: str
    size: str = ""
    frames: int = 0
    lost: int = 0
    undecodable: int = 0
    paused: int = 0
    points: list[tuple[Nanos, int, Nanos, int]] = field(default_factory=list)
    muted: list[list[Nanos | None]] = field(default_factory=list)
    gaps: list[list[Nanos | None]] = field(default_factory=list)
    turns: list[tuple[Nanos, int]] = field(default_factory=list)
    fresh: list[tuple[Nanos, int, Nanos, int]] = field(default_factory=list)
    """Points that the journal does not hold yet."""

    @classmethod
    def of(cls, track: Track, codec: str, size: str) -> Held:
        """An empty one."""
        return cls(track.id, track.kind, str(track.source), codec, size)

    def anchor(self, anchor: Anchor, at: Nanos) -> None:
        """Note where a file time belongs."""
        point = at, anchor.rtp, anchor.best, anchor.reports
        self.fresh.append(point)
        self._keep(point)

    def row(self) -> dict[str, Any]:
        """What the journal is to hold; of points those it does not yet."""
        fresh, self.fresh = self.fresh, []
        return {name: getattr(self, name) for name in self.__slots__} | {"points": [], "fresh": fresh}

    def after(self, earlier: Held | None) -> Held:
        """The track as this row of the journal and those before it have it."""
        self.points = earlier.points if earlier is not None else []
        for at, rtp, best, reports in self.fresh:
            self._keep((at, rtp, best, reports))
        self.fresh = []
        return self

    def _keep(self, point: tuple[Nanos, int, Nanos, int]) -> None:
        self.points.append(point)
        if len(self.points) > 2 and _needless(*self.points[-3:]):
            del self.points[-2]

    def span(self, spans: list[list[Nanos | None]], at: Nanos, *, begins: bool) -> None:
        """A stretch begins or ends."""
        if begins and (not spans or spans[-1][1] is not None) and len(spans) < _MOST:
            spans.append([at, None])
        elif not begins and spans and spans[-1][1] is None:
            spans[-1][1] = at

    def turn(self, at: Nanos, degrees: int) -> None:
        """From a file time on pictures are to be turned."""
        if len(self.turns) < _MOST:
            self.turns.append((at, degrees))

    def sync(self, start: Nanos) -> tuple[tuple[Nanos, Nanos], ...]:
        """(file time, session time): what was known only later counts from the beginning."""
        if not self.points:
            return ((0, start),)
        first = self.points[0][0]
        known = next((p for p in self.points if p[3] and p[0] - first >= SETTLED), None)
        known = known or next((p for p in reversed(self.points) if p[3]), self.points[-1])
        rate = _RATES[self.kind]
        placed = [
            (at, known[2] + (rtp - known[1]) * SECOND // rate if at < known[0] else best)
            for at, rtp, best, _ in self.points
        ]
        return tuple(_thinned(placed))


@dataclass(slots=True)
class Entry:
    """One file: `start` is the session time of its file time 0; `end` is None while it is being written."""

    name: str
    peer: str
    display: str
    role: str
    start: Nanos
    held: dict[str, Held]
    end: Nanos | None = None
    latest: Nanos = 0
    recovered: bool = False


class Ledger:
    """The files of one attempt, in a journal of JSON lines: the last one of a file counts, but for the points of its
    mapping, which each adds to. A line cut short by a crash is left out."""

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        """`head` is what the document says beside its files."""
        self.head = head
        self.files: dict[str, Entry] = {}
        self._path = path

    @classmethod
    def load(cls, path: Path) -> Ledger | None:
        """What a dead process left; None when it had not begun."""
        ledger: Ledger | None = None
        try:
            lines = path.read_text("utf-8").splitlines()
        except OSError:
            return None
        for line in lines:
            try:
                row = json.loads(line)
                if ledger is None:
                    ledger = cls(path, row["head"])
                else:
                    before = ledger.files[row["name"]].held if row["name"] in ledger.files else {}
                    held = {one["track"]: Held(**one).after(before.get(one["track"])) for one in row.pop("held")}
                    ledger.files[row["name"]] = Entry(held=held, **row)
            except (ValueError, KeyError, TypeError):
                continue
        return ledger

    def begin(self) -> None:
        """Begin the journal; raises DestinationError."""
        self._write({"head": self.head})

    def note(self, entry: Entry) -> None:
        """Keep what is known of a file by now; raises DestinationError."""
        self.files[entry.name] = entry
        row = {name: getattr(entry, name) for name in entry.__slots__}
        self._write(row | {"held": [held.row() for held in entry.held.values()]})

    def document(self, folder: Path) -> TrackFiles:
        """`tracks.json`, of the files that are in a folder."""
        there = [entry for entry in self.files.values() if (folder / entry.name).is_file()]
        rows = tuple(_row(entry, (folder / entry.name).stat().st_size) for entry in there)
        return TrackFiles(egress=__version__, files=rows, **self.head)

    def publish(self, folder: Path) -> TrackFiles:
        """Write `tracks.json` into a folder; raises DestinationError."""
        made = self.document(folder)
        try:
            write_json(folder / TRACKS_FILE, made.model_dump(mode="json", by_alias=True))
        except OSError as error:
            raise DestinationError(f"{folder / TRACKS_FILE} cannot be written: {error.strerror or error}") from error
        return made

    def _write(self, row: dict[str, Any]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise DestinationError(f"{self._path} cannot be written: {error.strerror or error}") from error


def _needless(
    a: tuple[Nanos, int, Nanos, int], b: tuple[Nanos, int, Nanos, int], c: tuple[Nanos, int, Nanos, int]
) -> bool:
    """Whether the point between two says nothing they do not, neither of places nor of when they were known."""
    if c[0] - a[0] > _APART or bool(a[3]) != bool(c[3]) or c[0] - a[0] <= 0:
        return False
    straight = a[2] + (c[2] - a[2]) * (b[0] - a[0]) // (c[0] - a[0])
    return abs(straight - b[2]) <= _STRAIGHT


def _thinned(points: Sequence[tuple[Nanos, Nanos]]) -> list[tuple[Nanos, Nanos]]:
    """The same mapping with fewer points; session time never goes back."""
    kept: list[tuple[Nanos, Nanos]] = []
    for point in points:
        if kept and (point[0] <= kept[-1][0] or point[1] <= kept[-1][1]):
            continue
        if len(kept) > 1:
            (f0, s0), (f1, s1) = kept[-2:]
            straight = s0 + (point[1] - s0) * (f1 - f0) // (point[0] - f0)
            if abs(straight - s1) <= _STRAIGHT and point[0] - f0 <= _APART:
                kept.pop()
        kept.append(point)
    return kept


def _row(entry: Entry, size: int) -> FileRow:
    end = entry.end if entry.end is not None else entry.start + entry.latest
    return FileRow(
        name=entry.name,
        peer=PeerRow(id=entry.peer, name=entry.display, role=entry.role),
        bytes=size,
        start=_seconds(entry.start),
        end=_seconds(max(entry.start, end)),
        recovered=entry.recovered,
        streams=tuple(_stream(held, entry.start) for held in entry.held.values()),
    )


def _stream(held: Held, start: Nanos) -> StreamRow:
    row = {"track": held.track, "kind": held.kind, "source": held.source, "codec": held.codec}
    return StreamRow(
        **row,
        size=held.size or None,
        frames=held.frames,
        sync=tuple((_seconds(at), _seconds(best)) for at, best in held.sync(start)),
        muted=_spans(held.muted),
        gaps=_spans(held.gaps),
        lost=Losses(gaps=held.lost, undecodable=held.undecodable, paused=held.paused),
        turns=tuple(Turn(at=_seconds(at), degrees=degrees) for at, degrees in held.turns),
    )


def _spans(spans: Sequence[Sequence[Nanos | None]]) -> tuple[Stretch, ...]:
    return tuple(Stretch(since=_seconds(a or 0), to=None if b is None else _seconds(b)) for a, b in spans)


def _seconds(time: Nanos) -> float:
    return round(time / SECOND, 6)
