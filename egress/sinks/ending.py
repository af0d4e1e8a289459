"""How an HLS presentation ends: final playlists, by the process that made it or one that finds it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from egress.model.job import Artifact
from egress.model.media import SECOND, Nanos, StreamInfo
from egress.sinks.base import Mark
from egress.sinks.cmaf import Fragment, Track, read_fragments
from egress.sinks.listing import Listing, key_segments
from egress.sinks.marks import MarkLog, date_ranges
from egress.sinks.playlist import Segment, Tail
from egress.sinks.presentation import IFRAMES, INDEX, Presentation, iframes_name, rendition_name, write_file

_SEGMENT = re.compile(r"seg-(\d+)\.m4s")


def end(presentation: Presentation, listings: Mapping[str, Listing], marks: Sequence[Mark]) -> Sequence[Artifact]:
    """Write every playlist for the last time, the multivariant one with what was measured; raises DestinationError."""
    ranges = date_ranges(marks)
    ended = {name: listing for name, listing in listings.items() if listing.segments}
    for name, listing in ended.items():
        write_file(presentation.to / f"{name}.m3u8", listing.text(ranges, Tail(ended=True)).encode())
    meters = {name: listing.measured() for name, listing in ended.items()}
    write_file(presentation.to / INDEX, presentation.index(meters, ended=True).encode())
    media = [listing for name, listing in ended.items() if not name.startswith(IFRAMES)]
    duration = max(listing.segments[-1].end - listing.segments[0].start for listing in media)
    size = sum(segment.size for listing in media for segment in listing.segments)
    details = {"segments": len(media[0].segments), "bandwidth": presentation.peak(meters)}
    return (Artifact("hls", str(presentation.to / INDEX), size, duration, details=details),)


def salvage(presentation: Presentation, log: MarkLog) -> Sequence[Artifact]:
    """End what a dead process left, from the files alone; parts of an unfinished segment are made one."""
    listings: dict[str, Listing] = {}
    for info in presentation.streams:
        listings |= _Salvaged(presentation, info).listings()
    if not any(listing.segments for listing in listings.values()):
        return ()
    return (*end(presentation, listings, log.marks),)


class _Salvaged:
    """One rendition's folder, read back."""

    def __init__(self, presentation: Presentation, info: StreamInfo) -> None:
        self._presentation = presentation
        self._info = info
        self._track = Track.of(info)
        self._name = rendition_name(info)
        self._folder = presentation.to / self._name

    def listings(self) -> dict[str, Listing]:
        """The rendition's listing, and for a picture that of its keyframes."""
        for left in self._folder.glob("*.tmp"):
            left.unlink()
        numbers = sorted(int(match[1]) for path in self._names() if (match := _SEGMENT.fullmatch(path)))
        following = numbers[-1] + 1 if numbers else 0
        if self._join_parts(following):
            numbers.append(following)
        first = numbers[0] if numbers else 0
        listing = Listing(self._presentation, self._name, sequence=first)
        keys = Listing(self._presentation, iframes_name(self._info))
        for number in range(first, numbers[-1] + 1 if numbers else 0):
            self._read(number, listing, keys)
        found: dict[str, Listing] = {self._name: listing}
        if self._info.kind == "video":
            found[keys.name] = keys
        return found

    def _names(self) -> Iterable[str]:
        return [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []

    def _join_parts(self, number: int) -> bool:
        """Make the parts of an unfinished segment a whole one; the first part that is missing or cut ends it."""
        whole: list[bytes] = []
        while (path := self._folder / f"seg-{number}.{len(whole)}.m4s").is_file():
            with path.open("rb") as file:
                if sum(fragment.size for fragment in read_fragments(file)) != path.stat().st_size:
                    break
            whole.append(path.read_bytes())
        if whole:
            write_file(self._folder / f"seg-{number}.m4s", b"".join(whole))
        return bool(whole)

    def _read(self, number: int, listing: Listing, keys: Listing) -> None:
        path = self._folder / f"seg-{number}.m4s"
        uri = f"{self._name}/{path.name}"
        fragments: list[Fragment] = []
        if path.is_file():
            with path.open("rb") as file:
                fragments = list(read_fragments(file))
        if not fragments:
            # Numbers are implied by position: what is missing must be said to be.
            start = listing.segments[-1].end if listing.segments else 0
            length = round(self._presentation.segment * SECOND)
            for missing in (listing, keys):
                missing.add(Segment(uri, start, length, 0, gap=True))
            return
        start, until = self._nanos(fragments[0].decode_time), self._nanos(fragments[-1].end)
        listing.add(Segment(uri, start, until - start, path.stat().st_size))
        places = [(self._nanos(f.decode_time), f.at, f.head + f.first) for f in fragments if f.key]
        for segment in key_segments(uri, places, until):
            keys.add(segment)

    def _nanos(self, ticks: int) -> Nanos:
        # A picture is shown `shift` after it is decoded, so its decode time already is session time.
        shift = 0 if self._info.kind == "video" else round(self._presentation.shift * self._track.timescale)
        return round((ticks - shift) * SECOND / self._track.timescale)
