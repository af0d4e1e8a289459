"""One track of an HLS presentation: cuts packets into parts and segments, and keeps the list of what is there."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from egress.model.errors import DestinationError, Fault
from egress.model.media import SECOND, Codec, Nanos, Packet, StreamInfo
from egress.sinks.avc import length_prefixed
from egress.sinks.base import Mark
from egress.sinks.cmaf import Sample, Track, fragment, init_segment
from egress.sinks.emsg import event_box
from egress.sinks.listing import TRAILING, Listing, key_segments
from egress.sinks.mediafiles import PARTS, GrowingFile, MediaFiles, Patience, SeparateFiles
from egress.sinks.playlist import DateRange, Part, Report, Segment, Tail, opening_text, part_text
from egress.sinks.presentation import Presentation, iframes_name, rendition_name, write_file
from egress.sinks.salvage import Salvaged, strays


class Rendition:
    """Writes one track's parts and segments and knows its live playlist.

    What cannot be written is a gap; only when that goes on does it raise the error.
    """

    def __init__(self, presentation: Presentation, info: StreamInfo) -> None:
        self.name = rendition_name(info)
        self.track = Track.of(info)
        self.info = info
        self.listing = Listing(presentation, self.name)
        self.keys: Listing | None = Listing(presentation, iframes_name(info)) if info.kind == "video" else None
        self.bytes = 0
        self.gaps = 0
        self._nanos_each = (info.time_base * SECOND).as_integer_ratio()
        self._presentation = presentation
        kind = GrowingFile if presentation.single_file else SeparateFiles
        self._files: MediaFiles = kind(presentation, self.name)
        self._patience = Patience(TRAILING * presentation.target * SECOND)
        self._base = 0
        self._fragments = 0
        self._events: list[Mark] = []
        self._event = 0
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

    @property
    def segment_start(self) -> Nanos:
        """When the segment began that grows."""
        return self._nanos(self._segment_start)

    @property
    def parts(self) -> Sequence[Part]:
        """Those of the segment that grows."""
        return self._parts

    def begin(self, presentation: Presentation, earlier: Salvaged | None = None) -> None:
        """Write the init segment, and go on after what an earlier attempt left; raises DestinationError."""
        self._presentation = presentation
        if earlier is not None:
            self.listing, self.keys = earlier.listing, earlier.keys
            self._msn = self._base = earlier.following
            self.bytes = sum(segment.size for segment in earlier.listing.segments)
            stay = presentation.offset + sum(segment.duration for segment in earlier.listing.segments)
            self._due.extend((stay, path) for path in strays(presentation, earlier.listing))
            if presentation.single_file:
                self._files = GrowingFile(presentation, self.name, size=earlier.whole)
        write_file(presentation.to / presentation.map(self.name, self._msn), init_segment(self.track))

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

    def hear(self, mark: Mark) -> None:
        """Carry timed metadata in the part in which it falls, or the next where that is written already."""
        self._events.append(mark)

    def shed(self) -> None:
        """Forget packets not yet in a part."""
        self._samples.clear()

    def text(self, ranges: Sequence[DateRange], reports: tuple[Report, ...]) -> str:
        """The live playlist now."""
        growing = self.opening() + self._growing if self._parts else ""
        hint = self._files.next_part(self._msn, len(self._parts))
        return self.listing.text(ranges, Tail(growing=growing, hint=hint.uri, hint_start=hint.offset, reports=reports))

    def opening(self, *, with_map: bool = True) -> str:
        """What stands in a playlist before the parts of the segment that grows."""
        joins = self._joins
        map = self._presentation.map(self.name, self._msn) if joins and with_map else None
        return opening_text(self.segment_start, self._presentation.started, discontinuity=joins, map=map)

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
        for part in self.listing.without_old_parts(now - self.segment_start):
            self._let_go(part, now + trailing)
        for segment, stay in self.listing.slide():
            self._let_go(segment, now + stay)
        if self.keys is not None and self.listing.segments:
            self.keys.slide_to(self.listing.segments[0].start)

    def sweep(self, *, ended: bool = False) -> None:
        """Delete the files that no player can want any more; once ended, everything but what was listed last."""
        now = self.end
        kept: deque[tuple[Nanos, Path]] = deque()
        for due, path in self._due:
            if ended or due <= now:
                path.unlink(missing_ok=True)
            else:
                kept.append((due, path))
        self._due = kept

    @property
    def _joins(self) -> bool:
        """Whether the segment that grows is the first of a later attempt."""
        return self._msn in self._presentation.joins

    def _let_go(self, media: Part | Segment, due: Nanos) -> None:
        if (path := self._files.owned(media)) is not None:
            self._due.append((due, path))

    def _cut(self) -> int:
        """Where the next part ends: the packet boundary nearest to the presentation's grid, in counts."""
        grid = self._presentation
        at = (self._msn - self._base) * grid.segment + min(self._cuts * grid.part, grid.segment)
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

    def _nanos(self, count: int) -> Nanos:
        # As round(count * time_base * SECOND), in integers: fractions cost more than all else a part is made of.
        numerator, denominator = self._nanos_each
        return self._presentation.offset + (2 * count * numerator + denominator) // (2 * denominator)

    def _write_part(self) -> bool:
        if not self._samples:
            return False
        self._fragments += 1
        ticks = self._presentation.ticks(self.track.timescale)
        number = len(self._parts)
        start, end = self._nanos(self._part_start), self._nanos(self._position)
        events = self._event_boxes(start, end)
        decode_time = (self._part_start - self._lead) * self.track.scale + ticks
        media = fragment(self._msn * PARTS + number + 1, decode_time, self._samples)
        data = events + media
        first = self._samples[0]
        part = Part("", end - start, first.key or self.info.kind == "audio", size=len(data))
        part = self._placed(part, data, end)
        if self.keys is not None and first.key:
            head = len(media) - sum(len(sample.data) for sample in self._samples)
            self._part_keys.append((start, sum(map(len, self._bytes)) + len(events), head + len(first.data)))
        self._parts.append(part)
        self._growing += part_text(part)
        self._bytes.append(data)
        self.bytes += len(data)
        self._samples.clear()
        self._part_start = self._position
        return True

    def _placed(self, part: Part, data: bytes, at: Nanos) -> Part:
        """A part with where its bytes lie; one that cannot be written is a gap."""
        number = len(self._parts)
        try:
            place = self._files.add_part(self._msn, number, data)
        except DestinationError as error:
            self._patience.failed(error, at)
            return replace(part, uri=self._files.next_part(self._msn, number).uri, gap=True)
        return replace(part, uri=place.uri, offset=place.offset)

    def _event_boxes(self, start: Nanos, end: Nanos) -> bytes:
        """Timed metadata up to the end of a part."""
        timescale, boxes = self.track.timescale, b""
        shift = round(self._presentation.shift * timescale)
        for mark in [mark for mark in self._events if mark.at + self._presentation.offset < end]:
            self._events.remove(mark)
            self._event += 1
            at = max(start, mark.at + self._presentation.offset)
            ticks = [round(time * timescale / SECOND) for time in (at, mark.duration)]
            boxes += event_box(self._base * PARTS + self._event, timescale, ticks[0] + shift, ticks[1], mark.text)
        return boxes

    def _write_segment(self) -> None:
        start, end = self.segment_start, self._nanos(self._part_start)
        data = b"".join(self._bytes)
        place, lost = self._files.missing(self._msn), not data
        if data:
            try:
                place = self._files.add_segment(self._msn, data, self._parts)
                self._patience.well()
            except DestinationError as error:
                self._patience.failed(error, end)
                lost = True
                self.gaps += 1
        joins = self._joins
        segment = Segment(
            place.uri,
            start,
            end - start,
            0 if lost else len(data),
            () if lost else tuple(self._parts),
            offset=None if lost else place.offset,
            discontinuity=joins,
            gap=lost,
            map=self._presentation.map(self.name, self._msn) if joins else None,
        )
        self.listing.add(segment)
        if self.keys is not None:
            for key in (segment,) if lost else key_segments(segment, self._part_keys):
                self.keys.add(key)
        self._msn += 1
        self._cuts = 1
        self._segment_start = self._part_start
        self._parts, self._growing = [], ""
        self._bytes, self._part_keys = [], []
