"""A media playlist as the origin sees it: how far it reaches, what it hints at, and its delta update. No I/O."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')
_CONTROL = "#EXT-X-SERVER-CONTROL:"
_SEGMENT_TAGS = (
    "#EXTINF:",
    "#EXT-X-BYTERANGE:",
    "#EXT-X-KEY:",
    "#EXT-X-MAP:",
    "#EXT-X-PROGRAM-DATE-TIME:",
    "#EXT-X-BITRATE:",
    "#EXT-X-PART:",
)
_SEGMENT_FLAGS = ("#EXT-X-DISCONTINUITY", "#EXT-X-GAP")
_DATE_RANGE = "#EXT-X-DATERANGE:"
_REPORT = "#EXT-X-RENDITION-REPORT:"
_SKIP_VERSION, _SKIP_RANGES_VERSION = 9, 10

Reached = Mapping[str, tuple[int, int]]
"""The newest segment and part of playlists, by their URI."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Date ranges a delta update leaves out (`_HLS_skip=v2`): lines listed for longer than the skip boundary, and the
    ids of those that have been taken off the playlist since."""

    lines: frozenset[str]
    removed: tuple[str, ...]


class DateRanges:
    """How long the date ranges of one playlist have been listed; `now` is in seconds of one clock.

    What was there when it was first looked at counts as listed since then, so that none is left out too early.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._removed: dict[str, float] = {}

    def skip(self, playlist: Playlist, now: float) -> Skip:
        """What a delta update of this version, which follows those seen before, may leave out."""
        listed = [line for line in playlist.lines if line.startswith(_DATE_RANGE)]
        before, self._since = self._since, {line: self._since.get(line, now) for line in listed}
        ids = {_attributes(line).get("ID", "") for line in listed}
        gone = (_attributes(line).get("ID", "") for line in before if line not in self._since)
        self._removed |= dict.fromkeys((id for id in gone if id not in ids), now)
        boundary = now - (playlist.skip_until or math.inf)
        self._removed = {id: at for id, at in self._removed.items() if at > boundary and id not in ids}
        old = frozenset(line for line, since in self._since.items() if since <= boundary)
        return Skip(old, tuple(self._removed))


@dataclass(frozen=True, slots=True)
class Playlist:
    """One version of one playlist.

    `last` is the media sequence number of the last whole segment (one below EXT-X-MEDIA-SEQUENCE when there is none
    yet); `parts` counts the listed parts per media sequence number, including the segment still growing. `hints` are
    preload-hinted files, relative to the playlist's folder, and the byte each hint begins at. Times are in
    seconds as the playlist writes them.
    """

    lines: tuple[str, ...]
    media: bool
    live: bool
    last: int
    target: int
    part_target: float | None
    skip_until: float | None
    parts: Mapping[int, int] = field(default_factory=dict)
    hints: Mapping[str, int] = field(default_factory=dict)
    segments: tuple[tuple[int, float], ...] = ()
    """Of each segment: the index of the line after it, and its duration."""

    @classmethod
    def read(cls, text: str) -> Playlist:
        """Read a playlist; a multivariant playlist has `media` False and nothing to wait for."""
        lines = tuple(text.splitlines())
        target, sequence, ended = 0, 0, False
        part_target: float | None = None
        skip_until: float | None = None
        duration, growing = 0.0, 0
        segments: list[tuple[int, float]] = []
        parts: dict[int, int] = {}
        hints: dict[str, int] = {}
        for index, line in enumerate(lines):
            if not line.startswith("#"):
                if line.strip():
                    if growing:
                        parts[sequence + len(segments)] = growing
                    segments.append((index + 1, duration))
                    duration, growing = 0.0, 0
            elif line.startswith("#EXTINF:"):
                duration = _seconds(line[8:].partition(",")[0])
            elif line.startswith("#EXT-X-PART:"):
                growing += 1
            elif line.startswith("#EXT-X-TARGETDURATION:"):
                target = _count(line)
            elif line.startswith("#EXT-X-MEDIA-SEQUENCE:"):
                sequence = _count(line)
            elif line.startswith("#EXT-X-PART-INF:"):
                part_target = _seconds(_attributes(line).get("PART-TARGET", "0")) or None
            elif line.startswith(_CONTROL):
                skip_until = _seconds(_attributes(line).get("CAN-SKIP-UNTIL", "0")) or None
            elif line.startswith("#EXT-X-PRELOAD-HINT:"):
                told = _attributes(line)
                hints[posixpath.normpath(told.get("URI", ""))] = max(0, _whole(told.get("BYTERANGE-START", "0")))
            elif line.startswith("#EXT-X-ENDLIST"):
                ended = True
        if growing:
            parts[sequence + len(segments)] = growing
        media = target > 0
        return cls(
            lines=lines,
            media=media,
            live=media and not ended,
            last=sequence + len(segments) - 1,
            target=target,
            part_target=part_target,
            skip_until=skip_until,
            parts=parts,
            hints=hints,
            segments=tuple(segments),
        )

    def holds(self, msn: int, part: int | None) -> bool:
        """Whether segment `msn` (or its part, counted from 0) is listed, or was and has slid out.

        A part beyond the last one of a whole segment means the first part of the segment after it.
        """
        if msn > self.last:
            return part is not None and msn == self.last + 1 and part < self.parts.get(msn, 0)
        if part is not None and part >= self.parts.get(msn, part + 1):
            return self.holds(msn + 1, 0)
        return True

    def too_far(self, msn: int, part: int | None) -> bool:
        """Whether a client asks for more than two segments, or more parts than the advance limit, ahead."""
        if msn > self.last + 2:
            return True
        if part is None or msn <= self.last:
            return False
        limit = math.ceil(3 / self.part_target) if self.part_target and self.part_target < 1 else 3
        return part >= self.parts.get(msn, 0) + limit

    def text(self, *, blocking: bool) -> str:
        """The playlist as served; `blocking` says that this server answers blocking reloads."""
        return _joined(self._advertised(self.lines, blocking))

    def delta(self, *, blocking: bool, skip: Skip | None = None) -> str | None:
        """The delta update that leaves out everything before the skip boundary; None when nothing can be skipped.

        With `skip` date ranges are left out as well.
        """
        skipped = self._skippable()
        if not skipped:
            return None
        boundary = self.segments[skipped - 1][0]
        head = [line for line in self.lines[:boundary] if not _of_segment(line)]
        version, tag = _SKIP_VERSION, f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"
        if skip is not None:
            head = [line for line in head if line not in skip.lines]
            version, tag = _SKIP_RANGES_VERSION, f'{tag},RECENTLY-REMOVED-DATERANGES="{chr(9).join(skip.removed)}"'
        for index, line in enumerate(head):
            if line.startswith("#EXT-X-VERSION:") and _count(line) < version:
                head[index] = f"#EXT-X-VERSION:{version}"
        head.append(tag)
        return _joined(self._advertised((*head, *self.lines[boundary:]), blocking))

    @property
    def reports(self) -> Reached:
        """How far the other renditions reach, as it says itself."""
        found = (_attributes(line) for line in self.lines if line.startswith(_REPORT))
        return {told.get("URI", ""): (_whole(told.get("LAST-MSN")), _whole(told.get("LAST-PART"))) for told in found}

    def reporting(self, reached: Reached) -> Playlist:
        """The same, saying how far the other renditions reach where that is further than it says itself."""
        newer = {uri: at for uri, told in self.reports.items() if (at := reached.get(uri, told)) > told}
        if not newer:
            return self
        lines = []
        for line in self.lines:
            uri = _attributes(line).get("URI", "") if line.startswith(_REPORT) else ""
            if uri in newer:
                msn, part = newer[uri]
                line = f'{_REPORT}URI="{uri}",LAST-MSN={msn},LAST-PART={part}'
            lines.append(line)
        return replace(self, lines=tuple(lines))

    def _skippable(self) -> int:
        if not self.live or self.skip_until is None:
            return 0
        # Measured from the last whole segment, so that at least the promised time stays listed.
        ahead = 0.0
        for index in range(len(self.segments) - 1, -1, -1):
            if ahead >= self.skip_until:
                return index + 1
            ahead += self.segments[index][1]
        return 0

    def _advertised(self, lines: tuple[str, ...], blocking: bool) -> Iterator[str]:
        for line in lines:
            if blocking and self.live and line.startswith(_CONTROL) and "CAN-BLOCK-RELOAD" not in line:
                ranges = ",CAN-SKIP-DATERANGES=YES" if self.skip_until else ""
                yield f"{_CONTROL}CAN-BLOCK-RELOAD=YES,{line[len(_CONTROL) :]}{ranges}"
            else:
                yield line


def _joined(lines: Iterator[str]) -> str:
    return "\n".join(lines) + "\n"


def _of_segment(line: str) -> bool:
    return not line.startswith("#") or line.startswith(_SEGMENT_TAGS) or line.rstrip() in _SEGMENT_FLAGS


def _attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}


def _count(line: str) -> int:
    text = line.partition(":")[2].strip()
    return int(text) if text.isdecimal() else 0


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else -1


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0
