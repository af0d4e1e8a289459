"""What a dead process left of one rendition of an HLS presentation, read back from its files alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from egress.model.media import SECOND, Nanos, StreamInfo
from egress.sinks.cmaf import Fragment, Track, read_fragments
from egress.sinks.listing import Listing, key_segments
from egress.sinks.mediafiles import GROWING, PARTS, part_file, segment_file
from egress.sinks.playlist import Part, Segment
from egress.sinks.presentation import Presentation, iframes_name, rendition_name, write_file

_SEGMENT = re.compile(r"seg-(\d+)\.m4s")


@dataclass(frozen=True, slots=True)
class Salvaged:
    """A rendition's listing, for a picture that of its keyframes; `whole` is what of a single file is whole."""

    listing: Listing
    keys: Listing | None
    whole: int = 0

    @property
    def following(self) -> int:
        """The number of the segment after the last."""
        return self.listing.sequence + len(self.listing.segments)

    def reach(self, lead: Listing, longest: Nanos) -> None:
        """List gaps as far as another rendition has come; none lasts more than `longest`."""
        for number in range(self.following, lead.sequence + len(lead.segments)):
            lasts = lead.segments[number - lead.sequence].end - self.listing.end
            uri = f"{self.listing.name}/{segment_file(number)}"
            gap = Segment(uri, self.listing.end, min(max(0, lasts), longest), 0, gap=True)
            for listing in (self.listing, self.keys):
                if listing is not None:
                    listing.add(gap)


def salvage(presentation: Presentation, info: StreamInfo) -> Salvaged:
    """Read one rendition back; parts of an unfinished segment are made one, what is missing is listed as a gap."""
    folder = presentation.to / rendition_name(info)
    for left in folder.glob("*.tmp"):
        left.unlink()
    files: _Files = _Growing(folder) if presentation.single_file else _Separate(folder)
    numbers = sorted(files.numbers)
    first = numbers[0] if numbers else 0
    before = sum(join < first for join in presentation.joins)
    name = rendition_name(info)
    listing = Listing(presentation, name, sequence=first, discontinuities=before)
    keys = Listing(presentation, iframes_name(info), first=first, discontinuities=before)
    clock = _Clock(presentation, info)
    for number in range(first, numbers[-1] + 1 if numbers else 0):
        joins = number in presentation.joins
        found = files.segment(number)
        uri = f"{name}/{found.path.name if found else segment_file(number)}"
        segment = Segment(uri, 0, 0, 0, discontinuity=joins, map=presentation.map(name, number) if joins else None)
        if found is None:
            # Numbers are implied by position: what is missing must be said to be.
            length = round(presentation.segment * SECOND)
            segment = replace(segment, start=listing.end, duration=length, gap=True)
            listing.add(segment)
            keys.add(segment)
            continue
        start, until = clock.at(found.fragments[0].decode_time), clock.at(found.fragments[-1].end)
        segment = replace(
            segment,
            start=start,
            duration=until - start,
            size=found.size,
            offset=found.offset,
            parts=tuple(clock.parts(name, found)),
        )
        listing.add(segment)
        places = [
            (clock.at(f.decode_time), f.at - (found.offset or 0), f.head + f.first) for f in found.fragments if f.key
        ]
        for key in key_segments(segment, places):
            keys.add(key)
    return Salvaged(listing, keys if info.kind == "video" else None, files.whole)


@dataclass(frozen=True, slots=True)
class _Found:
    """One segment on disk: its fragments, the files of its parts where those are still there."""

    path: Path
    fragments: Sequence[Fragment]
    size: int
    offset: int | None = None
    parts: Sequence[str] = ()


class _Clock:
    """Times of one track's fragments."""

    def __init__(self, presentation: Presentation, info: StreamInfo) -> None:
        self._timescale = Track.of(info).timescale
        self._sound = info.kind == "audio"
        # A picture is shown `shift` after it is decoded, so its decode time already is session time.
        self._shift = round(presentation.shift * self._timescale) if self._sound else 0

    def at(self, ticks: int) -> Nanos:
        return round((ticks - self._shift) * SECOND / self._timescale)

    def parts(self, name: str, found: _Found) -> Iterator[Part]:
        """The parts of a segment: each is one fragment."""
        for fragment, file in zip(found.fragments, found.parts, strict=False):
            duration = self.at(fragment.end) - self.at(fragment.decode_time)
            offset = fragment.at - fragment.lead if found.offset is not None else None
            size = fragment.lead + fragment.size
            yield Part(f"{name}/{file}", duration, fragment.key or self._sound, size=size, offset=offset)


class _Separate:
    """A folder with a file for each segment and part."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.whole = 0
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        self.numbers = {int(match[1]) for name in names if (match := _SEGMENT.fullmatch(name))}
        following = max(self.numbers, default=-1) + 1
        if self._join_parts(following):
            self.numbers.add(following)

    def segment(self, number: int) -> _Found | None:
        path = self._folder / segment_file(number)
        if not path.is_file():
            return None
        with path.open("rb") as file:
            fragments = list(read_fragments(file))
        if not fragments:
            return None
        parts = [part_file(number, part) for part in range(len(fragments))]
        there = all((self._folder / part).is_file() for part in parts)
        return _Found(path, fragments, path.stat().st_size, parts=parts if there else ())

    def _join_parts(self, number: int) -> bool:
        """Make the parts of an unfinished segment a whole one; the first part that is missing or cut ends it."""
        whole: list[bytes] = []
        while (path := self._folder / part_file(number, len(whole))).is_file():
            with path.open("rb") as file:
                if sum(fragment.lead + fragment.size for fragment in read_fragments(file)) != path.stat().st_size:
                    break
            whole.append(path.read_bytes())
        if whole:
            write_file(self._folder / segment_file(number), b"".join(whole))
        return bool(whole)


class _Growing:
    """One file, whose fragments say by their numbers which segment they belong to."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / GROWING
        self._segments: dict[int, list[Fragment]] = {}
        self.whole = 0
        if not self._path.is_file():
            self.numbers: set[int] = set()
            return
        with self._path.open("rb") as file:
            for fragment in read_fragments(file):
                number, part = divmod(fragment.number - 1, PARTS)
                held = self._segments.setdefault(number, [])
                if part == 0:
                    # A part had been lost, and the whole segment was written again.
                    held.clear()
                held.append(fragment)
                self.whole = fragment.at + fragment.size
        if self._path.stat().st_size > self.whole:
            os.truncate(self._path, self.whole)
        self.numbers = set(self._segments)

    def segment(self, number: int) -> _Found | None:
        fragments = self._segments.get(number)
        if not fragments:
            return None
        start = fragments[0].at - fragments[0].lead
        size = fragments[-1].at + fragments[-1].size - start
        if size != sum(fragment.lead + fragment.size for fragment in fragments):
            return None
        return _Found(self._path, fragments, size, start, [GROWING] * len(fragments))


_Files = _Separate | _Growing


def listings(found: Mapping[str, Salvaged]) -> dict[str, Listing]:
    """Every listing, by its name."""
    made = {name: one.listing for name, one in found.items()}
    return made | {one.keys.name: one.keys for one in found.values() if one.keys is not None}
