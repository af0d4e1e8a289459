"""HLS playlists (draft-pantos-hls-rfc8216bis) rendered from frozen values. Pure: no files, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import ceil
from typing import Literal

from egress.model.media import SECOND, Nanos

PlaylistType = Literal["sliding", "event", "vod"]


@dataclass(frozen=True, slots=True)
class Part:
    """A partial segment; `independent`: it can be decoded without what came before.

    `offset` makes it a byte range of `uri`, of `size` bytes.
    """

    uri: str
    duration: Nanos
    independent: bool
    gap: bool = False
    size: int = 0
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A media segment from session time `start`; `size` is its bytes.

    `offset` makes it a byte range of `uri`. `map` names its init segment where that changes,
    which is after a discontinuity. `gap`: its media was lost and players shall not fetch it.
    """

    uri: str
    start: Nanos
    duration: Nanos
    size: int
    parts: tuple[Part, ...] = ()
    offset: int | None = None
    discontinuity: bool = False
    gap: bool = False
    map: str | None = None

    @property
    def end(self) -> Nanos:
        """Session time just after it."""
        return self.start + self.duration


@dataclass(frozen=True, slots=True)
class DateRange:
    """Something that happened at an instant of session time, or holds for a while; `payload` is for players' pages.

    With `until_next` it holds until the next of its kind.
    """

    id: str
    kind: str
    at: Nanos
    text: str
    duration: Nanos = 0
    payload: str = ""
    until_next: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """How far another rendition's playlist reaches."""

    uri: str
    msn: int
    part: int | None


@dataclass(frozen=True, slots=True)
class Head:
    """What stays the same in one media playlist for as long as it lives.

    `map` is "" for media without an init segment. `started` is the wall-clock time of session time 0. `part_target`
    None: no partial segments. `reload`: players come back for more, so the playlist says how far from its end they
    should stay.
    """

    type: PlaylistType
    target: int
    started: datetime
    map: str
    part_target: Nanos | None = None
    reload: bool = True
    iframes: bool = False


@dataclass(frozen=True, slots=True)
class Tail:
    """What follows the last whole segment: parts so far, the hint at the next one, how far the others are.

    `hint_start` is the byte at which the next part begins, in a file that grows.
    """

    growing: str = ""
    hint: str | None = None
    reports: tuple[Report, ...] = ()
    ended: bool = False
    hint_start: int | None = None


def media_playlist(
    head: Head,
    body: Iterable[str],
    tail: Tail,
    *,
    sequence: int,
    discontinuities: int = 0,
    ranges: Sequence[DateRange] = (),
    gaps: bool = False,
) -> str:
    """A media playlist; `body` is each listed segment's text, `sequence` the first one's number.

    `discontinuities` counts those that have slid out, `gaps` says whether any listed segment or part is one.
    """
    version = 8 if gaps else 5 if head.iframes else 6 if head.map else 3
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{version}"]
    lines.append(f"#EXT-X-TARGETDURATION:{head.target}")
    if head.reload:
        control = f"CAN-SKIP-UNTIL={6 * head.target:.1f},HOLD-BACK={3 * head.target:.1f}"
        if head.part_target is not None:
            control += f",PART-HOLD-BACK={ceil(3 * head.part_target / 1_000_000) / 1000:.3f}"
        lines.append(f"#EXT-X-SERVER-CONTROL:{control}")
    if head.part_target is not None:
        lines.append(f"#EXT-X-PART-INF:PART-TARGET={seconds(head.part_target)}")
    if head.type != "sliding":
        lines.append(f"#EXT-X-PLAYLIST-TYPE:{head.type.upper()}")
    lines.append(f"#EXT-X-MEDIA-SEQUENCE:{sequence}")
    lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}")
    lines.append("#EXT-X-I-FRAMES-ONLY" if head.iframes else "#EXT-X-INDEPENDENT-SEGMENTS")
    if head.map:
        lines.append(f'#EXT-X-MAP:URI="{head.map}"')
    text = "\n".join(lines) + "\n" + _date_ranges(tuple(ranges), head.started) + "".join(body) + tail.growing
    if tail.hint is not None:
        begins = "" if tail.hint_start is None else f",BYTERANGE-START={tail.hint_start}"
        text += f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{tail.hint}"{begins}\n'
    for report in tail.reports:
        last = "" if report.part is None else f",LAST-PART={report.part}"
        text += f'#EXT-X-RENDITION-REPORT:URI="{report.uri}",LAST-MSN={report.msn}{last}\n'
    return text + ("#EXT-X-ENDLIST\n" if tail.ended else "")


def segment_text(segment: Segment, started: datetime, *, parts: bool) -> str:
    """A whole segment's lines, its partial segments with it or not."""
    text = opening_text(segment.start, started, discontinuity=segment.discontinuity, map=segment.map)
    if parts:
        text += "".join(part_text(part) for part in segment.parts)
    if segment.gap:
        text += "#EXT-X-GAP\n"
    text += f"#EXTINF:{seconds(segment.duration)},\n"
    if segment.offset is not None:
        text += f"#EXT-X-BYTERANGE:{segment.size}@{segment.offset}\n"
    return text + segment.uri + "\n"


def opening_text(start: Nanos, started: datetime, *, discontinuity: bool = False, map: str | None = None) -> str:
    """What stands before the parts of a segment, whether it is whole or still grows."""
    text = "#EXT-X-DISCONTINUITY\n" if discontinuity else ""
    if map is not None:
        text += f'#EXT-X-MAP:URI="{map}"\n'
    return f"{text}#EXT-X-PROGRAM-DATE-TIME:{date(start, started)}\n"


def part_text(part: Part) -> str:
    """A partial segment's line."""
    independent = ",INDEPENDENT=YES" if part.independent else ""
    gap = ",GAP=YES" if part.gap else ""
    within = "" if part.offset is None else f',BYTERANGE="{part.size}@{part.offset}"'
    return f'#EXT-X-PART:DURATION={seconds(part.duration)},URI="{part.uri}"{within}{independent}{gap}\n'


def seconds(nanos: Nanos) -> str:
    """A duration as playlists carry it: microseconds, so that sums stay within a frame for days."""
    micros = (nanos + 500) // 1000
    return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"


def date(at: Nanos, started: datetime) -> str:
    """Session time as a date with milliseconds, UTC."""
    moment = started.astimezone(UTC) + timedelta(microseconds=(at + 500) // 1000)
    moment += timedelta(microseconds=500)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def quoted(text: str, limit: int = 200) -> str:
    """Text as a quoted-string may hold it: no double quote, no line break, no control character."""
    return "".join("'" if c == '"' else c if c.isprintable() else " " for c in text)[:limit]


class Meter:
    """Measures the peak and average rate of one rendition as RFC 8216 defines them.

    The peak is the largest rate of any run of segments that lasts between 0.5 and 1.5 target durations.
    """

    def __init__(self, target: int) -> None:
        self._least = target * SECOND // 2
        self._most = target * SECOND * 3 // 2
        self._run: list[tuple[Nanos, int]] = []
        self._peak = 0
        self._duration: Nanos = 0
        self._size = 0

    def add(self, segment: Segment) -> None:
        """Take the next segment's duration and size into account; a gap has neither."""
        if segment.gap:
            return
        self._duration += segment.duration
        self._size += segment.size
        self._run.append((segment.duration, segment.size))
        duration, size, first = 0, 0, len(self._run)
        for index in range(len(self._run) - 1, -1, -1):
            duration += self._run[index][0]
            size += self._run[index][1]
            if duration > self._most:
                break
            first = index
            if duration >= self._least:
                self._peak = max(self._peak, _rate(size, duration))
        del self._run[:first]

    @property
    def average(self) -> int:
        """Bits per second over everything."""
        return _rate(self._size, self._duration)

    @property
    def peak(self) -> int:
        """Bits per second of the worst run."""
        return max(self._peak, self.average)


def _rate(size: int, duration: Nanos) -> int:
    return -(-size * 8 * SECOND // duration) if duration else 0


@lru_cache(maxsize=16)
def _date_ranges(ranges: tuple[DateRange, ...], started: datetime) -> str:
    """All of them; remembered, for a playlist is written several times a second and these change when someone moves."""
    return "".join(_date_range(date_range, started) + "\n" for date_range in ranges)


def _date_range(date_range: DateRange, started: datetime) -> str:
    kind = quoted(date_range.kind, 60)
    told = f'X-PAYLOAD="{date_range.payload}"' if date_range.payload else f'X-TEXT="{quoted(date_range.text)}"'
    # A range that ends with the next of its class says no duration (RFC 8216bis, 4.4.5.1).
    lasts = "END-ON-NEXT=YES" if date_range.until_next else f"DURATION={date_range.duration / SECOND:.3f}"
    return (
        f'#EXT-X-DATERANGE:ID="{quoted(date_range.id, 60)}",CLASS="egress.{kind}",'
        f'START-DATE="{date(date_range.at, started)}",{lasts},{told}'
    )
