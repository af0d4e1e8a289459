"""One language of captions of an HLS presentation: WebVTT in step with the segments and parts of the picture."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from egress.model.media import SECOND, Nanos
from egress.sinks.base import Mark
from egress.sinks.listing import TRAILING, Listing
from egress.sinks.playlist import DateRange, Part, Report, Segment, Tail, part_text
from egress.sinks.presentation import Presentation, captions_name, write_file
from egress.sinks.rendition import Rendition
from egress.sinks.salvage import strays
from egress.sinks.webvtt import Cue, segment

MOST = 100_000
"""Captions one job keeps, over all languages: three days of speech. Further ones are counted and left out."""


class CueLog:
    """The captions of one job, in a file of one JSON line each; one cut short by a crash is left out on loading."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        self.refused = 0

    def load(self) -> dict[str, list[Cue]]:
        """What is there, by the name of its track."""
        found: dict[str, list[Cue]] = {}
        if self._path.is_file():
            for line in self._path.read_text("utf-8").splitlines():
                try:
                    row = json.loads(line)
                    found.setdefault(row.pop("track"), []).append(Cue(**row))
                except (ValueError, TypeError, KeyError, AttributeError):
                    continue
        self._count = sum(map(len, found.values()))
        return found

    def add(self, track: str, cue: Cue) -> bool:
        """Keep a caption; False when there are too many."""
        if self._count >= MOST:
            self.refused += 1
            return False
        self._count += 1
        # What cannot be noted is shown all the same; recovery alone would miss it.
        with suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"track": track, **asdict(cue)}) + "\n")
        return True


class Captions:
    """Writes one language's segments and parts, which end where those of the picture do, and knows its live playlist.

    A caption belongs to every part and segment in which it is shown. One that comes after the part it should have
    begun in begins with the next.
    """

    def __init__(self, presentation: Presentation, language: str, log: CueLog) -> None:
        self.name = captions_name(language)
        self.language = language
        self.listing = Listing(presentation, self.name)
        self.end: Nanos = 0
        self._presentation = presentation
        self._log = log
        self._cues: list[Cue] = []
        self._msn = 0
        self._opening = ""
        self._parts: list[Part] = []
        self._due: deque[tuple[Nanos, Path]] = deque()

    def begin(self, presentation: Presentation, listing: Listing | None = None) -> None:
        """Start with session time 0 of this attempt, after what an earlier one listed."""
        self._presentation = presentation
        if listing is not None:
            self.listing = listing
            self._msn = listing.sequence + len(listing.segments)
            stay = presentation.offset + sum(segment.duration for segment in listing.segments)
            self._due.extend((stay, path) for path in strays(presentation, listing))
            # What was said just before the death may still be shown.
            self._cues = [cue for cue in self._log.load().get(self.name, ()) if cue.end > presentation.offset]
        self.end = presentation.offset

    def hear(self, mark: Mark) -> None:
        """Take a caption, at the session time of this attempt."""
        start = max(mark.at + self._presentation.offset, self.end)
        cue = Cue(start, start + max(mark.duration, SECOND // 10), mark.text)
        if self._log.add(self.name, cue):
            self._cues.append(cue)

    def follow(self, lead: Rendition) -> bool:
        """Go as far as the picture (or the sound alone) has gone; True when anything was written."""
        before = (self._msn, len(self._parts))
        while self._msn < lead.msn:
            whole = lead.listing.segments[self._msn - lead.listing.sequence]
            self._grow(whole.start, whole.parts)
            self._close(whole)
        self._grow(lead.segment_start, lead.parts)
        self._opening = lead.opening(with_map=False)
        return before != (self._msn, len(self._parts))

    def text(self, ranges: Sequence[DateRange], reports: Sequence[Report]) -> str:
        """The live playlist now."""
        growing = self._opening + "".join(map(part_text, self._parts)) if self._parts else ""
        hint = f"{self.name}/{self._file(len(self._parts))}"
        return self.listing.text(ranges, Tail(growing=growing, hint=hint, reports=tuple(reports)))

    @property
    def last(self) -> tuple[int, int | None]:
        """Segment and part number of the newest part; (-1, None) before the first."""
        if self._parts:
            return self._msn, len(self._parts) - 1
        if not self.listing.segments:
            return -1, None
        return self._msn - 1, len(self.listing.segments[-1].parts) - 1 if self.listing.segments[-1].parts else None

    def list_anew(self, *, ended: bool = False) -> None:
        """Take from the listing what no longer belongs there, and delete files nobody can want any more; once ended,
        everything but what was listed last."""
        for part in self.listing.without_old_parts(sum(part.duration for part in self._parts)):
            stay = (TRAILING + 1) * self._presentation.target * SECOND
            self._due.append((self.end + stay, self._presentation.to / part.uri))
        for gone, stay in self.listing.slide():
            self._due.append((self.end + stay, self._presentation.to / gone.uri))
        for due, path in tuple(self._due):
            if ended or due <= self.end:
                self._due.remove((due, path))
                path.unlink(missing_ok=True)

    def _grow(self, start: Nanos, parts: Sequence[Part]) -> None:
        if parts and not self._parts:
            self.end = max(start, self.end)
        for part in parts[len(self._parts) :]:
            uri = f"{self.name}/{self._file(len(self._parts))}"
            until = self.end + part.duration
            write_file(self._presentation.to / uri, self._segment(self.end, until))
            self._parts.append(Part(uri, part.duration, independent=True))
            self.end = until

    def _close(self, whole: Segment) -> None:
        uri = f"{self.name}/{self._file()}"
        data = self._segment(whole.start, whole.end)
        write_file(self._presentation.to / uri, data)
        joined = whole.discontinuity
        self.listing.add(Segment(uri, whole.start, whole.duration, len(data), tuple(self._parts), discontinuity=joined))
        self._cues = [cue for cue in self._cues if cue.end > whole.end]
        self._parts = []
        self._msn += 1
        self.end = whole.end

    def _segment(self, start: Nanos, end: Nanos) -> bytes:
        return segment(self._cues, start, end, self._presentation.shift)

    def _file(self, part: int | None = None) -> str:
        return captions_file(self._msn, part)


def captions_file(msn: int, part: int | None = None) -> str:
    """The file of one segment of captions, or of a part of it."""
    return f"seg-{msn}.vtt" if part is None else f"seg-{msn}.{part}.vtt"


def restored(presentation: Presentation, language: str, cues: Sequence[Cue], lead: Listing) -> Listing:
    """The captions beside the picture a dead process left: segments that are missing are made of what was kept, and the
    last one, which may have reached further than the picture that is whole."""
    name = captions_name(language)
    listing = Listing(presentation, name, sequence=lead.sequence, discontinuities=lead.discontinuities)
    (presentation.to / name).mkdir(parents=True, exist_ok=True)
    for number, whole in enumerate(lead.segments, lead.sequence):
        path = presentation.to / name / captions_file(number)
        if whole is lead.segments[-1] or not path.is_file():
            write_file(path, segment(cues, whole.start, whole.end, presentation.shift))
        kept = [path.with_name(captions_file(number, part)) for part in range(len(whole.parts))]
        parts = [
            Part(f"{name}/{file.name}", part.duration, independent=True)
            for file, part in zip(kept, whole.parts, strict=True)
        ]
        listing.add(
            Segment(
                f"{name}/{path.name}",
                whole.start,
                whole.duration,
                path.stat().st_size,
                tuple(parts) if all(file.is_file() for file in kept) else (),
                discontinuity=whole.discontinuity,
            )
        )
    return listing
