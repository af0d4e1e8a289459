"""One track of an HLS presentation: cuts packets into parts and segments, and keeps the list of what is there."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

from egress.model.errors import DestinationError, Fault
from egress.model.media import SECOND, Codec, Nanos, Packet, StreamInfo
from egress.sinks.avc import length_prefixed
from egress.sinks.cmaf import Sample, Track, fragment, init_segment
from egress.sinks.listing import TRAILING, Listing, key_segments
from egress.sinks.playlist import DateRange, Part, Report, Segment, Tail, opening_text, part_text
from egress.sinks.presentation import INIT, Presentation, iframes_name, rendition_name, write_file


class Rendition:
    """Writes one track's parts and segments as files and knows its live playlist.

    Parts are files of their own, not ranges of the growing segment: a whole file can be renamed into place, so that
    whoever asks for a part gets all of it or nothing. The segment holds the same bytes once more.
    """

    def __init__(self, presentation: Presentation, info: StreamInfo) -> None:
        self.name = rendition_name(info)
        self.track = Track.of(info)
        self.info = info
        self.listing = Listing(presentation, self.name)
        self.keys: Listing | None = Listing(presentation, iframes_name(info)) if info.kind == "video" else None
        self.bytes = 0
        self.gaps = 0
        self._presentation = presentation
        self._folder = presentation.to / self.name
        self._fragments = 0
        self._samples: list[Sample] = []
        self._first: Packet | None = None
        self._lead = 0
        self._position = 0
        self._part_start = 0
        self._segment_start = 0
        self._msn = 0
        self._cuts = 1
        self._parts: list[Part] = []
        self._growing = ""
        self._bytes: list[bytes] = []
        self._part_keys: list[tuple[int, int, int]] = []
        self._next_cut = 0
        self._due: deque[tuple[Nanos, Path]] = deque()

    @property
    def msn(self) -> int:
        """The number of the segment that grows."""
        return self._msn

    @property
    def end(self) -> Nanos:
        """Session time up to which parts have been written."""
        return self._nanos(self._part_start)

    def begin(self, presentation: Presentation) -> None:
        """Write the init segment; raises DestinationError."""
        self._presentation = presentation
        write_file(self._folder / INIT, init_segment(self.track))

    def add(self, packet: Packet) -> bool:
        """Take the next packet in decode order; True when a part was written. Raises DestinationError."""
        video = self.info.kind == "video"
        if self._first is None:
            if packet.pts < 0 or (video and not packet.key):
                # Priming: dropped, so that no player needs an edit list to put the sound in its place.
                return False
            self._first, self._lead = packet, packet.pts - packet.dts
            self._next_cut = self._cut()
        start = packet.dts + self._lead
        written = False
        if start != self._position:
            if start < self._position:
                raise Fault(f"{self.name} goes back from {self._position} to {start}")
            if video and not packet.key:
                # What follows lost pictures cannot be decoded before the next keyframe.
                return False
            written = self._leap(start)
        if video and not packet.key and not self._samples and not self._parts:
            raise DestinationError(
                f"segment {self._msn} does not begin with a keyframe: make `segment` a multiple of `keyframe`"
            )
        data = length_prefixed(packet.data) if self.info.codec is Codec.H264 else packet.data
        scale = self.track.scale
        self._samples.append(Sample(data, packet.duration * scale, (packet.pts - packet.dts) * scale, packet.key))
        self._position = start + packet.duration
        while self._position >= self._next_cut:
            self._write_part()
            self._advance()
            written = True
        return written

    def finish(self) -> bool:
        """Write what is left as a last part and segment; True when there was any. Raises DestinationError."""
        written = self._write_part()
        if self._parts:
            self._write_segment()
        return written

    def shed(self) -> None:
        """Forget packets not yet in a part."""
        self._samples.clear()

    def text(self, ranges: Sequence[DateRange], others: Sequence[Rendition]) -> str:
        """The live playlist now."""
        reports = tuple(Report(f"{other.name}.m3u8", *other.last) for other in others if other.last[0] >= 0)
        growing = ""
        if self._parts:
            growing = opening_text(self._nanos(self._segment_start), self._presentation.started) + self._growing
        hint = f"{self.name}/{self._part_name()}"
        return self.listing.text(ranges, Tail(growing=growing, hint=hint, reports=reports))

    @property
    def last(self) -> tuple[int, int | None]:
        """Segment and part number of the newest part; (-1, None) before the first."""
        if self._parts:
            return self._msn, len(self._parts) - 1
        if not self.listing.segments:
            return -1, None
        parts = len(self.listing.segments[-1].parts)
        return self._msn - 1, parts - 1 if parts else None

    @property
    def pending(self) -> Nanos:
        """How much media waits for its part to be cut."""
        return self._nanos(self._position) - self._nanos(self._part_start)

    def list_anew(self) -> None:
        """Take from the listings what no longer belongs there; its files go later, when nobody can want them."""
        now = self.end
        trailing = (TRAILING + 1) * self._presentation.target * SECOND
        for part in self.listing.without_old_parts(now):
            self._due.append((now + trailing, self._presentation.to / part.uri))
        for segment, stay in self.listing.slide():
            self._due.append((now + stay, self._presentation.to / segment.uri))
        if self.keys is not None and self.listing.segments:
            self.keys.slide_to(self.listing.segments[0].start)

    def sweep(self, *, ended: bool = False) -> None:
        """Delete the files that no player can want any more; once ended, everything but what was listed last."""
        kept: deque[tuple[Nanos, Path]] = deque()
        for due, path in self._due:
            if ended or due <= self.end:
                path.unlink(missing_ok=True)
            else:
                kept.append((due, path))
        self._due = kept

    def _cut(self) -> int:
        """Where the next part ends: the packet boundary nearest to the presentation's grid, in counts."""
        grid = self._presentation
        at = self._msn * grid.segment + min(self._cuts * grid.part, grid.segment)
        if self._first is None:
            return 0
        step, origin = self._first.duration, self._first.pts
        return origin + round((at / self.info.time_base - origin) / step) * step

    def _advance(self) -> None:
        """Go on to the next cut of the grid."""
        if self._cuts * self._presentation.part >= self._presentation.segment:
            self._write_segment()
        else:
            self._cuts += 1
        self._next_cut = self._cut()

    def _leap(self, start: int) -> bool:
        """Packets are missing before `start`: end the part that was growing; whole segments missing become gaps."""
        self.gaps += self._fragments > 0
        written = self._write_part()
        while start >= self._next_cut:
            self._part_start = self._next_cut
            self._advance()
        self._position = self._part_start = start
        if not self._parts:
            self._segment_start = start
        return written

    def _part_name(self) -> str:
        return f"seg-{self._msn}.{len(self._parts)}.m4s"

    def _nanos(self, count: int) -> Nanos:
        return round(count * self.info.time_base * SECOND)

    def _write_part(self) -> bool:
        if not self._samples:
            return False
        self._fragments += 1
        shift = round(self._presentation.shift * self.track.timescale)
        decode_time = (self._part_start - self._lead) * self.track.scale + shift
        data = fragment(self._fragments, decode_time, self._samples)
        name = self._part_name()
        write_file(self._folder / name, data)
        first = self._samples[0]
        start, end = self._nanos(self._part_start), self._nanos(self._position)
        independent = first.key or self.info.kind == "audio"
        part = Part(f"{self.name}/{name}", end - start, independent)
        if self.keys is not None and first.key:
            head = len(data) - sum(len(sample.data) for sample in self._samples)
            self._part_keys.append((start, sum(map(len, self._bytes)), head + len(first.data)))
        self._parts.append(part)
        self._growing += part_text(part)
        self._bytes.append(data)
        self.bytes += len(data)
        self._samples.clear()
        self._part_start = self._position
        return True

    def _write_segment(self) -> None:
        name = f"seg-{self._msn}.m4s"
        data = b"".join(self._bytes)
        uri = f"{self.name}/{name}"
        start, end = self._nanos(self._segment_start), self._nanos(self._part_start)
        if data:
            write_file(self._folder / name, data)
        segment = Segment(uri, start, end - start, len(data), tuple(self._parts), gap=not data)
        self.listing.add(segment)
        if self.keys is not None:
            for key in key_segments(uri, self._part_keys, end) if data else (segment,):
                self.keys.add(key)
        self._msn += 1
        self._cuts = 1
        self._segment_start = self._part_start
        self._parts, self._growing = [], ""
        self._bytes, self._part_keys = [], []
