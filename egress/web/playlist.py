"""A media playlist as the origin sees it: how far it reaches, what it hints at, and its delta update. No I/O."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

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
_SKIP_VERSION = 9


@dataclass(frozen=True, slots=True)
class Playlist:
    """One version of one playlist.

    `last` is the media sequence number of the last whole segment (one below EXT-X-MEDIA-SEQUENCE when there is none
    yet); `parts` counts the listed parts per media sequence number, including the segment still growing. `hints` are
    preload-hinted files, relative to the playlist's folder. Times are in seconds as the playlist writes them.
    """

    lines: tuple[str, ...]
    media: bool
    live: bool
    last: int
    target: int
    part_target: float | None
    skip_until: float | None
    parts: Mapping[int, int] = field(default_factory=dict)
    hints: frozenset[str] = frozenset()
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
        hints: set[str] = set()
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
                hints.add(posixpath.normpath(_attributes(line).get("URI", "")))
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
            hints=frozenset(hints),
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

    def delta(self, *, blocking: bool) -> str | None:
        """The delta update that leaves out everything before the skip boundary; None when nothing can be skipped."""
        skipped = self._skippable()
        if not skipped:
            return None
        boundary = self.segments[skipped - 1][0]
        head = [line for line in self.lines[:boundary] if not _of_segment(line)]
        for index, line in enumerate(head):
            if line.startswith("#EXT-X-VERSION:") and _count(line) < _SKIP_VERSION:
                head[index] = f"#EXT-X-VERSION:{_SKIP_VERSION}"
        head.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
        return _joined(self._advertised((*head, *self.lines[boundary:]), blocking))

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
                yield f"{_CONTROL}CAN-BLOCK-RELOAD=YES,{line[len(_CONTROL) :]}"
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


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0
