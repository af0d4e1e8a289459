"""Marks as sinks keep them: a log that survives the process, and the chapters and date ranges made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from egress.disk import write_whole
from egress.model.media import SECOND, Nanos
from egress.sinks.base import CAPTION, METADATA, PAUSE, RESUME, SPEAKER, Mark
from egress.sinks.playlist import DateRange
from egress.sinks.splice import moved, pauses

LIMIT = 2000
"""Marks one job keeps at a time; further ones are counted and left out: no crowd can grow a file without end."""

SPEAKERS = 400
"""Changes of the floor among them: a lively hour has about so many, and each is a line of every playlist."""

_FORGOTTEN = "forgotten"

_NO_CHAPTERS = (PAUSE, METADATA, CAPTION, SPEAKER)
_MERGE: Nanos = 10 * SECOND
_MERGE_ASKED: Nanos = SECOND
_ASKED = "mark"
"""The kind that somebody set on purpose, at a place of their own."""
_NAMED = 3
_VERBS = {"join": "joined", "leave": "left"}


@dataclass(frozen=True, slots=True)
class Chapter:
    """One stretch of a recording, session times."""

    start: Nanos
    end: Nanos
    title: str


class MarkLog:
    """The marks of one job, in a file of one JSON line each; one cut short by a crash is left out on loading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.marks: list[Mark] = []
        self.refused = 0
        self.forgotten = 0
        """How many there were before these."""
        self._lines = 0

    @classmethod
    def load(cls, path: Path) -> MarkLog:
        """The log a dead process left."""
        log = cls(path)
        if path.is_file():
            for line in path.read_text("utf-8").splitlines():
                log._lines += 1
                try:
                    row = json.loads(line)
                    if _FORGOTTEN in row:
                        log.forgotten = int(row[_FORGOTTEN])
                    else:
                        log.marks.append(Mark(**row))
                except (ValueError, TypeError):
                    continue
        return log

    def add(self, mark: Mark) -> bool:
        """Keep a mark; False when there are too many. Pauses are kept in any case: other times depend on them."""
        full = len(self.marks) >= LIMIT and mark.kind not in (PAUSE, RESUME)
        if full or (mark.kind == SPEAKER and sum(one.kind == SPEAKER for one in self.marks) >= SPEAKERS):
            self.refused += 1
            return False
        self.marks.append(mark)
        self._lines += 1
        if self._lines > 2 * LIMIT:
            self._compact()
            return True
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(mark))
        return True

    def forget(self, before: Nanos) -> None:
        """Let go of those at the beginning that were over before a session time; the others keep their numbers."""
        while self.marks and self.marks[0].at + self.marks[0].duration < before:
            del self.marks[0]
            self.forgotten += 1

    def _compact(self) -> None:
        """Write anew what is kept, so that no file grows without end."""
        lines = [json.dumps({_FORGOTTEN: self.forgotten}) + "\n", *map(_line, self.marks)]
        write_whole(self.path, "".join(lines).encode())
        self._lines = len(lines)


def chapters(marks: Sequence[Mark], length: Nanos) -> tuple[Chapter, ...]:
    """Chapters from 0 to `length` of a file without its pauses; () when there are none.

    Marks closer than 10 s to the chapter's first share it, but what an operator set begins one; a pause leaves one
    where recording went on.
    """
    cuts = pauses(marks)
    groups: list[tuple[Nanos, list[str]]] = []
    for mark in sorted(marks, key=lambda mark: mark.at):
        if mark.kind in _NO_CHAPTERS:
            continue
        at = moved(max(0, mark.at), cuts)
        if at >= length:
            break
        if groups and at - groups[-1][0] < _near(mark):
            groups[-1][1].append(_phrase(mark))
        else:
            if not groups and at >= _near(mark):
                groups.append((0, ["Start"]))
            groups.append((at, [_phrase(mark)]))
    if not groups:
        return ()
    groups[0] = (0, groups[0][1])
    ends = [start for start, _ in groups[1:]] + [length]
    return tuple(Chapter(start, end, _title(names)) for (start, names), end in zip(groups, ends, strict=True))


def date_ranges(marks: Sequence[Mark], first: int = 0) -> list[DateRange]:
    """Marks as HLS playlists show them; what was handed over for players' pages is percent-encoded (RFC 3986, as
    `encodeURIComponent` does), so that a quoted-string holds any text and a page reads it with one call. `first` is the
    number of the first one, for their ids."""
    return [_date_range(f"{mark.kind}-{number}", mark) for number, mark in enumerate(marks, first)]


def label(mark: Mark) -> str:
    """A mark in one line of printable text."""
    text = " ".join("".join(c if c.isprintable() else " " for c in mark.text).split())[:120]
    return text or mark.kind


def _line(mark: Mark) -> str:
    return json.dumps(asdict(mark)) + "\n"


def _date_range(id: str, mark: Mark) -> DateRange:
    if mark.kind == METADATA:
        return DateRange(id, mark.kind, mark.at, "", mark.duration, quote(mark.text, safe="!'()*"))
    if mark.kind == SPEAKER:
        return DateRange(id, mark.kind, mark.at, label(mark) if mark.text else "", until_next=True)
    return DateRange(id, mark.kind, mark.at, label(mark), mark.duration)


def _near(mark: Mark) -> Nanos:
    """How close to a chapter's beginning a mark is part of it."""
    return _MERGE_ASKED if mark.kind == _ASKED else _MERGE


def _phrase(mark: Mark) -> str:
    verb = _VERBS.get(mark.kind)
    return f"{label(mark)} {verb}" if verb and mark.text else label(mark)


def _title(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
