"""Reading HLS for the checker: playlists into tags, CMAF files into boxes. Shares no code with what writes them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urljoin

import httpx

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)(?:,|$)')


@dataclass(frozen=True)
class Part:
    """An EXT-X-PART as listed; `range` is (offset, size) where it is one of its file."""

    uri: str
    duration: float
    independent: bool
    gap: bool
    range: tuple[int, int] | None = None


@dataclass
class Segment:
    """A segment as listed; `size` and `offset` when it is a byte range. `parts` may be all there is (no `uri` yet)."""

    uri: str = ""
    duration: float = 0.0
    text: str = ""
    msn: int = 0
    date: datetime | None = None
    map: str | None = None
    discontinuity: bool = False
    gap: bool = False
    size: int | None = None
    offset: int = 0
    parts: list[Part] = field(default_factory=list)


@dataclass
class Playlist:
    """A media playlist: `tags` in order, whole segments, and the one that grows."""

    url: str
    lines: list[str]
    tags: list[tuple[str, str]]
    segments: list[Segment]
    growing: Segment

    def values(self, tag: str) -> list[str]:
        """Every value of a tag."""
        return [value for name, value in self.tags if name == tag]

    def value(self, tag: str) -> str | None:
        """The first value of a tag."""
        return next(iter(self.values(tag)), None)

    def number(self, tag: str) -> float:
        """A tag's number, 0 when it has none."""
        try:
            return float(self.value(tag) or 0)
        except ValueError:
            return 0.0

    @property
    def ended(self) -> bool:
        return self.value("EXT-X-ENDLIST") is not None

    @property
    def duration(self) -> float:
        return sum(segment.duration for segment in self.segments)


@dataclass(frozen=True)
class Sample:
    """One sample of a fragment, times in ticks."""

    data: bytes
    duration: int
    offset: int
    sync: bool


@dataclass(frozen=True)
class Fragment:
    """A moof and its mdat; `problems` are broken structures found while reading it."""

    at: int
    sequence: int
    decode_time: int
    samples: tuple[Sample, ...]
    problems: tuple[str, ...]

    @property
    def duration(self) -> int:
        return sum(sample.duration for sample in self.samples)


@dataclass(frozen=True)
class Event:
    """An event message; times in seconds."""

    scheme: str
    at: float
    duration: float
    message: bytes


@dataclass(frozen=True)
class Init:
    """What an init segment declares."""

    timescale: int
    handler: str
    entry: str
    width: int
    height: int
    config: bytes
    edits: bool
    problems: tuple[str, ...]


class Fetcher:
    """Fetches by URL without following redirects; bodies of media are kept, playlists are asked for anew.

    A live presentation moves on while it is read: `overtaken` are media that a playlist listed when it was read, and
    neither were there nor listed any more when they were asked for.
    """

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.redirected: list[str] = []
        self.missing: list[str] = []
        self.overtaken: set[str] = set()
        self._kept: dict[tuple[str, str], bytes] = {}
        self._playlists: set[str] = set()

    def text(self, url: str) -> str:
        """A playlist; "" when it is not there."""
        body = self._get(url, {})
        if body is None:
            self.missing.append(url)
            return ""
        self._playlists.add(url)
        return body.decode("utf-8", "replace")

    def media(self, url: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """A media file, or `(offset, size)` of it."""
        wanted = {"Range": f"bytes={byte_range[0]}-{sum(byte_range) - 1}"} if byte_range else {}
        key = (url, wanted.get("Range", ""))
        if key not in self._kept:
            body = self._get(url, wanted)
            if body is None:
                (self.missing.append if self._listed(url) else self.overtaken.add)(url)
                body = b""
            # A server may answer a range with the whole file.
            if byte_range and len(body) > byte_range[1]:
                body = body[byte_range[0] : sum(byte_range)]
            self._kept[key] = body
        return self._kept[key]

    def _listed(self, url: str) -> bool:
        """Whether a playlist lists it still; one that does not move on always does."""
        for address in self._playlists:
            playlist = read_playlist(address, (self._get(address, {}) or b"").decode("utf-8", "replace"))
            known = (*playlist.segments, playlist.growing)
            if url in {uri for s in known for uri in (s.uri, s.map, *(part.uri for part in s.parts))}:
                return True
        return False

    def _get(self, url: str, headers: dict[str, str]) -> bytes | None:
        response = self.client.get(url, headers=headers)
        if response.is_redirect:
            self.redirected.append(url)
        if response.status_code not in (200, 206):
            return None
        return response.content


def attributes(value: str) -> dict[str, str]:
    """An attribute list, quotes removed."""
    return {name: text.strip('"') for name, text in _ATTRIBUTE.findall(value)}


def read_tags(text: str) -> list[tuple[str, str]]:
    """(tag, value) in order; a URI line has the tag ""."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("#EXT"):
            name, _, value = line[1:].partition(":")
            found.append((name, value))
        elif line.strip() and not line.startswith("#"):
            found.append(("", line.strip()))
    return found


def read_playlist(url: str, text: str) -> Playlist:
    """A media playlist, URIs made absolute."""
    tags = read_tags(text)
    playlist = Playlist(url, text.splitlines(), tags, [], Segment())
    playlist.growing.msn = msn = int(playlist.number("EXT-X-MEDIA-SEQUENCE"))
    current, map_uri = playlist.growing, None
    for name, value in tags:
        match name:
            case "EXTINF":
                current.text = value.partition(",")[0]
                current.duration = _number(current.text)
            case "EXT-X-MAP":
                map_uri = urljoin(url, attributes(value).get("URI", ""))
            case "EXT-X-PROGRAM-DATE-TIME":
                current.date = _date(value)
            case "EXT-X-DISCONTINUITY":
                current.discontinuity = True
            case "EXT-X-GAP":
                current.gap = True
            case "EXT-X-BYTERANGE":
                current.offset, current.size = _range(value) or (0, 0)
            case "EXT-X-PART":
                part = attributes(value)
                current.parts.append(
                    Part(
                        urljoin(url, part.get("URI", "")),
                        _number(part.get("DURATION", "")),
                        part.get("INDEPENDENT") == "YES",
                        part.get("GAP") == "YES",
                        _range(part.get("BYTERANGE")),
                    )
                )
            case "":
                current.uri, current.map = urljoin(url, value), map_uri
                playlist.segments.append(current)
                msn += 1
                current = playlist.growing = Segment(msn=msn)
    playlist.growing.map = map_uri
    return playlist


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[str, int, int]]:
    """(type, first byte of the payload, end) of each box; raises ValueError where sizes do not fit."""
    end = len(data) if end is None else end
    while start < end:
        if start + 8 > end:
            raise ValueError(f"{end - start} stray bytes at {start}")
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8 or start + size > end:
            raise ValueError(f"box {kind!r} at {start} claims {size} bytes")
        yield kind.decode("latin-1"), start + 8, start + size
        start += size


def find_box(data: bytes, path: str, start: int = 0, end: int | None = None) -> tuple[int, int] | None:
    """Payload of the first box at a path like `moov/trak/mdia`."""
    first, _, rest = path.partition("/")
    for kind, inside, until in boxes(data, start, end):
        if kind == first:
            return find_box(data, rest, inside, until) if rest else (inside, until)
    return None


def read_init(data: bytes) -> Init:
    """An init segment; raises ValueError when it is none."""
    problems: list[str] = []
    kinds = [kind for kind, _, _ in boxes(data)]
    if kinds[:1] != ["ftyp"] or kinds.count("moov") != 1:
        problems.append(f"boxes are {kinds}, not ftyp and one moov")
    moov = find_box(data, "moov")
    if moov is None:
        raise ValueError("no moov")
    tracks = sum(kind == "trak" for kind, _, _ in boxes(data, *moov))
    if tracks != 1:
        problems.append(f"{tracks} tracks in one rendition")
    if find_box(data, "moov/mvex/trex") is None:
        problems.append("no mvex/trex")
    places = {p: find_box(data, f"moov/trak/{p}") for p in ("mdia/mdhd", "mdia/hdlr", "mdia/minf/stbl/stsd", "edts")}
    mdhd, hdlr, stsd = places["mdia/mdhd"], places["mdia/hdlr"], places["mdia/minf/stbl/stsd"]
    if mdhd is None or hdlr is None or stsd is None:
        raise ValueError("no mdhd, hdlr or stsd")
    (timescale,) = struct.unpack_from(">I", data, mdhd[0] + (20 if data[mdhd[0]] else 12))
    entry, inside, until = next(boxes(data, stsd[0] + 8, stsd[1]))
    width, height = struct.unpack_from(">HH", data, inside + 24) if entry.startswith(("avc", "hvc")) else (0, 0)
    config = b""
    if entry.startswith("avc") and (place := find_box(data, "avcC", inside + 78, until)):
        config = data[place[0] : place[1]]
    handler = data[hdlr[0] + 8 : hdlr[0] + 12].decode("latin-1")
    return Init(timescale, handler, entry, width, height, config, places["edts"] is not None, tuple(problems))


def read_fragments(data: bytes) -> list[Fragment]:
    """The fragments of a media file; raises ValueError when its boxes do not fit."""
    found: list[Fragment] = []
    moof: tuple[int, int] | None = None
    for kind, inside, until in boxes(data):
        if kind == "moof":
            if moof is not None:
                raise ValueError("two moof boxes without mdat between")
            moof = (inside, until)
        elif kind == "mdat":
            if moof is None:
                raise ValueError("mdat without moof")
            found.append(_fragment(data, moof, inside, until))
            moof = None
        elif kind not in ("styp", "sidx", "prft", "emsg"):
            raise ValueError(f"unexpected box {kind}")
    if moof is not None:
        raise ValueError("moof without mdat")
    return found


def _fragment(data: bytes, moof: tuple[int, int], payload: int, end: int) -> Fragment:
    problems: list[str] = []
    places = {p: find_box(data, p, *moof) for p in ("mfhd", "traf/tfhd", "traf/tfdt", "traf/trun")}
    mfhd, tfhd, tfdt, trun = places.values()
    if mfhd is None or tfhd is None or tfdt is None or trun is None:
        raise ValueError("moof without mfhd, tfhd, tfdt or trun")
    at = moof[0] - 8
    (sequence,) = struct.unpack_from(">I", data, mfhd[0] + 4)
    (decode_time,) = struct.unpack_from(">Q" if data[tfdt[0]] else ">I", data, tfdt[0] + 4)
    flags = int.from_bytes(data[tfhd[0] + 1 : tfhd[0] + 4], "big")
    if not flags & 0x020000:
        problems.append("tfhd without default-base-is-moof")
    place, default = tfhd[0] + 8, {0x08: 0, 0x10: 0, 0x20: 0}
    place += 8 * bool(flags & 1) + 4 * bool(flags & 2)
    for bit in default:
        if flags & bit:
            (default[bit],) = struct.unpack_from(">I", data, place)
            place += 4
    flags = int.from_bytes(data[trun[0] + 1 : trun[0] + 4], "big")
    (count,) = struct.unpack_from(">I", data, trun[0] + 4)
    place = trun[0] + 8
    data_at, first_flags = payload, None
    if flags & 1:
        data_at = at + struct.unpack_from(">i", data, place)[0]
        place += 4
    if flags & 4:
        (first_flags,) = struct.unpack_from(">I", data, place)
        place += 4
    if data_at != payload:
        problems.append(f"trun points at byte {data_at}, mdat begins at {payload}")
    samples: list[Sample] = []
    for index in range(count):
        row = {0x100: default[0x08], 0x200: default[0x10], 0x400: default[0x20], 0x800: 0}
        for bit in row:
            if flags & bit:
                (row[bit],) = struct.unpack_from(">i" if bit == 0x800 and data[trun[0]] else ">I", data, place)
                place += 4
        if index == 0 and first_flags is not None:
            row[0x400] = first_flags
        body = data[data_at : data_at + row[0x200]]
        samples.append(Sample(body, row[0x100], row[0x800], not row[0x400] & 0x10000))
        data_at += row[0x200]
    if data_at != end:
        problems.append(f"samples end at byte {data_at}, mdat at {end}")
    if place != trun[1]:
        problems.append("trun is longer than its samples")
    return Fragment(at, sequence, decode_time, tuple(samples), tuple(problems))


def nal_types(sample: bytes) -> list[int]:
    """NAL unit types of a length-prefixed H.264 sample; raises ValueError when the lengths do not fit."""
    found: list[int] = []
    at = 0
    while at < len(sample):
        size = int.from_bytes(sample[at : at + 4], "big")
        if not size or at + 4 + size > len(sample):
            raise ValueError(f"a NAL unit claims {size} bytes")
        found.append(sample[at + 4] & 31)
        at += 4 + size
    return found


def read_events(data: bytes) -> list[Event]:
    """The event messages of a media file; raises ValueError when one cannot be read."""
    found = []
    for kind, inside, until in boxes(data):
        if kind != "emsg":
            continue
        if data[inside] != 1:
            raise ValueError("emsg of another version than 1")
        timescale, at, duration, _ = struct.unpack_from(">IQII", data, inside + 4)
        scheme, _, rest = data[inside + 24 : until].partition(b"\0")
        found.append(Event(scheme.decode(), at / timescale, duration / timescale, rest.partition(b"\0")[2]))
    return found


def read_text_tag(tag: bytes) -> str:
    """The user-defined text of an ID3v2.4 tag; raises ValueError when it is none."""
    if tag[:6] != b"ID3\4\0\0" or tag[10:14] != b"TXXX":
        raise ValueError(f"no ID3v2.4 tag with TXXX: {tag[:14]!r}")
    sizes = [sum(byte << shift for byte, shift in zip(tag[at : at + 4], (21, 14, 7, 0), strict=True)) for at in (6, 14)]
    if sizes != [len(tag) - 10, len(tag) - 20] or any(byte > 127 for at in (6, 14) for byte in tag[at : at + 4]):
        raise ValueError(f"sizes {sizes} of a tag of {len(tag)} bytes")
    return tag[21:].partition(b"\0")[2].removesuffix(b"\0").decode()


def _range(text: str | None) -> tuple[int, int] | None:
    """(offset, size) of a byte range."""
    if text is None:
        return None
    size, _, offset = text.partition("@")
    return int(offset or 0), int(size)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
