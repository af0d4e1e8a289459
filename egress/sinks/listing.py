"""The segments one playlist lists: grows at its end, slides at its start, and has its text ready at any time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from egress.model.media import SECOND, Nanos
from egress.sinks.playlist import DateRange, Meter, Part, Segment, Tail, media_playlist, segment_text
from egress.sinks.presentation import Presentation

TRAILING = 3
"""Target durations for which parts stay listed behind the live edge, and for which their files stay after that."""

_LEAST_SEGMENTS = 6


class Listing:
    """The segments one playlist lists, each with its text ready; `segments` and `texts` go together."""

    def __init__(
        self, presentation: Presentation, name: str, *, sequence: int = 0, discontinuities: int = 0, first: int = 0
    ) -> None:
        """`sequence` is the number of the first segment it will list, `discontinuities` how many lie before that;
        `first` is the segment of the picture which that is in, for keyframes, which have numbers of their own."""
        self.name = name
        self.sequence = sequence
        self.changed = False
        self.segments: deque[Segment] = deque()
        self.meter = Meter(presentation.target)
        self._presentation = presentation
        self._texts: deque[str] = deque()
        self._plain = 0
        self._length: Nanos = 0
        self._recent: Nanos = 0
        """What the segments last whose parts are listed."""
        self.discontinuities = discontinuities
        self._map = presentation.head(name, first=first or sequence).map
        self._gaps = 0
        self._most = 0
        if presentation.window is not None:
            # In segments, not seconds: those of sound are not all equally long, yet all renditions must agree.
            least = max(presentation.window, TRAILING * presentation.target * SECOND)
            self._most = max(_LEAST_SEGMENTS, ceil(least / (presentation.segment * SECOND)))

    @property
    def end(self) -> Nanos:
        """When the last segment ends; 0 before the first."""
        return self.segments[-1].end if self.segments else 0

    def add(self, segment: Segment) -> None:
        """List one more whole segment."""
        self.changed = True
        self.segments.append(segment)
        self._texts.append(segment_text(segment, self._presentation.started, parts=True))
        self._length += segment.duration
        self._recent += segment.duration
        self._gaps += _gaps(segment)
        self.meter.add(segment)

    def without_old_parts(self, growing: Nanos) -> Sequence[Part]:
        """Stop listing the parts of segments more than 3 target durations from the end, which is `growing` after the
        last segment; says which those were. Counted in media, for between attempts there may be hours without any."""
        gone: list[Part] = []
        limit = TRAILING * self._presentation.target * SECOND
        while self._plain < len(self.segments):
            segment = self.segments[self._plain]
            if self._recent - segment.duration + growing < limit:
                break
            gone += segment.parts
            self._gaps += segment.gap - _gaps(segment)
            self._recent -= segment.duration
            self.segments[self._plain] = replace(segment, parts=())
            self._texts[self._plain] = segment_text(self.segments[self._plain], self._presentation.started, parts=False)
            self._plain += 1
        return gone

    def slide(self) -> Sequence[tuple[Segment, Nanos]]:
        """Let go of segments beyond the window; says which, and how long each must stay on disk after that."""
        gone: list[tuple[Segment, Nanos]] = []
        while self._most and len(self.segments) > self._most:
            stay = self.segments[0].duration + self._length
            gone.append((self._drop_first(), stay))
        return gone

    def slide_to(self, start: Nanos) -> None:
        """Let go of everything before a session time."""
        while self.segments and self.segments[0].start < start:
            self._drop_first()

    def measured(self) -> Meter:
        """The rates of what is listed now."""
        meter = Meter(self._presentation.target)
        for segment in self.segments:
            meter.add(segment)
        return meter

    def text(self, ranges: Sequence[DateRange], tail: Tail) -> str:
        """The playlist now."""
        started = self._presentation.started
        if self.segments:
            ranges = [lasting for lasting in ranges if lasting.at + lasting.duration >= self.segments[0].start]
        return media_playlist(
            replace(self._presentation.head(self.name, ended=tail.ended), map=self._map),
            (segment_text(s, started, parts=False) for s in self.segments) if tail.ended else self._texts,
            tail,
            sequence=self.sequence,
            discontinuities=self.discontinuities,
            ranges=ranges,
            gaps=any(s.gap for s in self.segments) if tail.ended else self._gaps > 0 or "GAP=YES" in tail.growing,
        )

    def _drop_first(self) -> Segment:
        segment = self.segments.popleft()
        self._texts.popleft()
        self._length -= segment.duration
        self._recent -= 0 if self._plain else segment.duration
        self._plain = max(0, self._plain - 1)
        self.discontinuities += segment.discontinuity
        self._map = segment.map or self._map
        self._gaps -= _gaps(segment)
        self.sequence += 1
        return segment


def _gaps(segment: Segment) -> bool:
    """Whether a segment's lines say of anything that it is a gap."""
    return segment.gap or any(part.gap for part in segment.parts)


def key_segments(whole: Segment, keys: Sequence[tuple[Nanos, int, int]]) -> Sequence[Segment]:
    """Keyframes of one segment as byte ranges, each lasting to the next; `keys` are (start, offset, size)."""
    ends = [start for start, _, _ in keys[1:]] + [whole.end] * bool(keys)
    made = [
        Segment(whole.uri, start, until - start, size, offset=(whole.offset or 0) + offset)
        for (start, offset, size), until in zip(keys, ends, strict=True)
    ]
    return [replace(made[0], discontinuity=whole.discontinuity, map=whole.map), *made[1:]] if made else made
