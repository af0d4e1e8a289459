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
_LISTED = re.compile(r"seg-(\d+)\.m4s$", re.M)
_SEQUENCE = re.compile(r"^#EXT-X-MEDIA-SEQUENCE:(\d+)$", re.M)


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


def salvage(presentation: Presentation, *, level: bool = False) -> dict[str, Salvaged]:
    """Read every rendition back, by its name: parts of an unfinished segment are made one, what is missing is listed
    as a gap, which lies where others have that segment. `level`: each is to reach as far as the one that came furthest.

    What had slid out of the playlists is not listed again, for their numbers never fall (RFC 8216, 6.2.2).
    """
    remains = [_Remains(presentation, info) for info in presentation.streams]
    spans: dict[int, Segment] = {}
    for one in remains:
        spans = one.segments | spans
    first = 0
    if presentation.window is not None:
        listed = max(_sequence(presentation.to / f"{one.name}.m3u8") for one in remains)
        first = max(min(spans, default=0), min(listed, max(spans, default=0)))
    ends = [max(spans if level else one.segments, default=-1) + 1 for one in remains]
    return {one.name: one.listed(range(first, end), spans) for one, end in zip(remains, ends, strict=True)}


def strays(presentation: Presentation, listing: Listing) -> Sequence[Path]:
    """Files of a rendition that no playlist names: they had slid out, but not been deleted."""
    named = {segment.uri for segment in listing.segments}
    named |= {part.uri for segment in listing.segments for part in segment.parts}
    folder = presentation.to / listing.name
    return [path for path in folder.glob("seg-*") if f"{listing.name}/{path.name}" not in named]


class _Remains:
    """The segments of one rendition that are there, by their numbers, and the places of their keyframes."""

    def __init__(self, presentation: Presentation, info: StreamInfo) -> None:
        self.name = rendition_name(info)
        self.segments: dict[int, Segment] = {}
        self._presentation = presentation
        self._info = info
        self._keys: dict[int, Sequence[tuple[Nanos, int, int]]] = {}
        folder = presentation.to / self.name
        for left in folder.glob("*.tmp"):
            left.unlink()
        files: _Files = _Growing(folder) if presentation.single_file else _Separate(folder)
        self._whole = files.whole
        clock = _Clock(presentation, info)
        for number in sorted(files.numbers):
            if (found := files.segment(number)) is not None:
                start, until = clock.at(found.fragments[0].decode_time), clock.at(found.fragments[-1].end)
                self.segments[number] = Segment(
                    f"{self.name}/{found.path.name}",
                    start,
                    until - start,
                    found.size,
                    tuple(clock.parts(self.name, found)),
                    offset=found.offset,
                )
                self._keys[number] = [
                    (clock.at(f.decode_time), f.at - (found.offset or 0), f.head + f.first)
                    for f in found.fragments
                    if f.key
                ]

    def listed(self, numbers: range, spans: Mapping[int, Segment]) -> Salvaged:
        """The listing of these segments; `spans` are those of any rendition."""
        presentation, first = self._presentation, numbers.start
        before = sum(join < first for join in presentation.joins)
        listing = Listing(presentation, self.name, sequence=first, discontinuities=before)
        name = iframes_name(self._info)
        path = presentation.to / f"{name}.m3u8"
        keys = Listing(presentation, name, sequence=_sequence(path, first), discontinuities=before, first=first)
        for number in numbers:
            joins = number in presentation.joins
            # Numbers are implied by position: what is missing must be said to be.
            segment = self.segments.get(number) or self._gap(number, listing.end, spans)
            if joins:
                segment = replace(segment, discontinuity=True, map=presentation.map(self.name, number))
            listing.add(segment)
            for key in (segment,) if segment.gap else key_segments(segment, self._keys[number]):
                keys.add(key)
        return Salvaged(listing, keys if self._info.kind == "video" else None, self._whole)

    def _gap(self, number: int, end: Nanos, spans: Mapping[int, Segment]) -> Segment:
        """What stands for a missing segment after the one that ends at `end`: it lasts to the next, or as in others."""
        presentation, other, following = self._presentation, spans.get(number), self.segments.get(number + 1)
        start = other.start if other and number in presentation.joins else end
        until = other.end if other else start + round(presentation.segment * SECOND)
        if following is not None and number + 1 not in presentation.joins:
            until = following.start
        # To whole seconds no segment may round to more than the target.
        lasts = min(max(0, until - start), presentation.target * SECOND + SECOND // 3)
        file = GROWING if presentation.single_file else segment_file(number)
        return Segment(f"{self.name}/{file}", start, lasts, 0, gap=True)


def _sequence(path: Path, first: int = 0) -> int:
    """The number of the first entry of a playlist on disk, of those that are of segment `first` or later; 0 if there is
    none."""
    try:
        text = path.read_text("utf-8")
    except OSError:
        return 0
    sequence = _SEQUENCE.search(text)
    slid = sum(int(number) < first for number in _LISTED.findall(text))
    return (int(sequence[1]) if sequence else 0) + slid


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
