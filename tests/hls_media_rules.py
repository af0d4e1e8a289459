"""Rules of one rendition: its playlist's tags, and the media it lists."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from tests.hls_findings import Findings
from tests.hls_reading import (
    Fetcher,
    Fragment,
    Init,
    Playlist,
    Segment,
    attributes,
    nal_types,
    read_events,
    read_fragments,
    read_init,
    read_text_tag,
)

_ONCE = (
    "EXT-X-VERSION",
    "EXT-X-TARGETDURATION",
    "EXT-X-MEDIA-SEQUENCE",
    "EXT-X-DISCONTINUITY-SEQUENCE",
    "EXT-X-PLAYLIST-TYPE",
    "EXT-X-SERVER-CONTROL",
    "EXT-X-PART-INF",
    "EXT-X-ENDLIST",
)
_IDR = 5
_PERCENT = re.compile(r"(?:[A-Za-z0-9_.!~*'()-]|%[0-9A-F]{2})*")


@dataclass
class Rendition:
    """One media playlist and all its media, read."""

    name: str
    playlist: Playlist
    init: Init | None = None
    fragments: dict[int, list[Fragment]] = field(default_factory=dict)
    """By media sequence number."""
    sizes: dict[int, int] = field(default_factory=dict)
    captions: bool = False

    @property
    def target(self) -> float:
        return self.playlist.number("EXT-X-TARGETDURATION")

    @property
    def video(self) -> bool:
        return self.init is not None and self.init.handler == "vide"

    def start(self, segment: Segment) -> float | None:
        """The first presentation time of a segment, in seconds."""
        fragments = self.fragments.get(segment.msn)
        if not fragments or self.init is None:
            return None
        first = fragments[0].samples[0]
        return (fragments[0].decode_time + first.offset) / self.init.timescale

    def length(self, segment: Segment) -> float:
        """What the media of a segment last, in seconds."""
        timescale = self.init.timescale if self.init else 1
        return sum(fragment.duration for fragment in self.fragments.get(segment.msn, ())) / timescale

    @property
    def frame(self) -> float:
        """The length of one frame or packet, in seconds."""
        for fragments in self.fragments.values():
            if self.init and fragments and fragments[0].samples:
                return fragments[0].samples[0].duration / self.init.timescale
        return 0.04


def check_tags(found: Findings, rendition: Rendition) -> None:
    """Rules a media playlist keeps or breaks by its text alone."""
    playlist, where, target = rendition.playlist, rendition.name, rendition.target
    found.expect("B4.1", where, playlist.lines[:1] == ["#EXTM3U"], "does not begin with #EXTM3U")
    for tag in _ONCE:
        found.expect("B4.1", where, len(playlist.values(tag)) <= 1, f"{tag} stands {len(playlist.values(tag))} times")
    found.expect("B4.3", where, target >= 1, "no EXT-X-TARGETDURATION")
    iframes = playlist.value("EXT-X-I-FRAMES-ONLY") is not None
    needed = 5 if iframes else 6 if playlist.value("EXT-X-MAP") else 3
    gaps = any(s.gap or any(p.gap for p in s.parts) for s in (*playlist.segments, playlist.growing))
    needed = 8 if gaps else needed
    needed = 9 if playlist.value("EXT-X-SKIP") else needed
    version = int(playlist.number("EXT-X-VERSION"))
    found.expect("B4.2", where, version == needed, f"is {version}, the tags need {needed}")
    if not rendition.captions:
        found.expect("A8.20", where, playlist.value("EXT-X-MAP") is not None, "no EXT-X-MAP")
    if not iframes:
        independent = playlist.value("EXT-X-INDEPENDENT-SEGMENTS") is not None
        found.expect("A9.11", where, independent, "not said to be independent")
    kind, slid = playlist.value("EXT-X-PLAYLIST-TYPE"), playlist.number("EXT-X-MEDIA-SEQUENCE") > 0
    found.expect("A8.6", where, kind in (None, "VOD", "EVENT"), f"type is {kind}")
    found.expect("A8.6", where, not (slid and kind), f"has slid, and says {kind}")
    found.expect("A8.6", where, kind != "VOD" or playlist.ended, "VOD without EXT-X-ENDLIST")
    tags = {name for name, _ in playlist.tags}
    needs_sequence = slid or "EXT-X-DISCONTINUITY" in tags
    found.expect("A8.16", where, not needs_sequence or "EXT-X-DISCONTINUITY-SEQUENCE" in tags, "no sequence")
    if slid and not playlist.ended:
        found.expect("A8.11", where, len(playlist.segments) >= 6, f"{len(playlist.segments)} segments")
        found.expect("A8.12", where, playlist.duration >= 900, f"{playlist.duration:.0f} s", should=True)
        found.expect("B6.2.2", where, playlist.duration >= 3 * target, f"{playlist.duration:.1f} s")
    for segment in playlist.segments:
        place = f"{where} #{segment.msn}"
        found.expect("B6.2.1t", place, int(segment.duration + 0.5) <= target, f"{segment.text} > {target:.0f}")
        found.expect("A7.7", place, segment.duration <= target + 0.5, f"{segment.text} s")
        decimals = len(segment.text.partition(".")[2])
        found.expect("A8.1", place, decimals >= 5, f"EXTINF {segment.text} has {decimals} decimals")
        if not playlist.ended:
            found.expect("A8.4", place, segment.date is not None, "no date")
    for one, two in pairwise(playlist.segments):
        if one.date and two.date and not two.discontinuity:
            apart = (two.date - one.date).total_seconds()
            message = f"dates are {apart:.3f} s apart, EXTINF says {one.text}"
            found.expect("B6.2.1d", f"{where} #{two.msn}", abs(apart - one.duration) <= 0.002, message)
    ids = [attributes(value).get("ID") for value in playlist.values("EXT-X-DATERANGE")]
    found.expect("B4.3", where, None not in ids and len(set(ids)) == len(ids), "date ranges without an ID of their own")
    for value in playlist.values("EXT-X-DATERANGE"):
        told = attributes(value)
        found.expect("B4.3", where, "START-DATE" in told, f"date range {value} has no START-DATE")
        lasts = re.fullmatch(r"\d+(\.\d+)?", told.get("DURATION", "0")) is not None
        found.expect("B4.4.5.1", where, lasts, f"date range lasts {told.get('DURATION')}")
        open_ended = told.get("END-ON-NEXT")
        alone = open_ended is None or (open_ended == "YES" and not {"DURATION", "END-DATE"} & set(told))
        found.expect("B4.4.5.1", where, alone, f"date range {value} ends on the next one and otherwise as well")
        named = all(re.fullmatch(r"X-[A-Z0-9-]+", name) for name in told if name.startswith("X-")) and "CLASS" in told
        found.expect("B4.4.5.1", where, named, f"date range {value} without CLASS, or with odd attributes")
        ok = _PERCENT.fullmatch(told.get("X-PAYLOAD", "")) is not None
        found.expect("B4.4.5.1", where, ok, f"payload {told.get('X-PAYLOAD')} is not percent-encoded")
    _low_latency(found, rendition)


def _low_latency(found: Findings, rendition: Rendition) -> None:
    playlist, where, target = rendition.playlist, rendition.name, rendition.target
    control = attributes(playlist.value("EXT-X-SERVER-CONTROL") or "")
    if "HOLD-BACK" in control:
        found.expect("B4.4.3.8", where, float(control["HOLD-BACK"]) >= 3 * target, f"HOLD-BACK {control['HOLD-BACK']}")
    if "CAN-SKIP-UNTIL" in control:
        skip = float(control["CAN-SKIP-UNTIL"])
        found.expect("B4.4.3.8", where, skip >= 6 * target, f"CAN-SKIP-UNTIL {skip}")
    hints = [attributes(value) for value in playlist.values("EXT-X-PRELOAD-HINT")]
    types = [hint.get("TYPE") for hint in hints]
    found.expect("B4.4.5.3", where, len(types) == len(set(types)), f"hints are {types}")
    found.expect("B4.4.5.3", where, not (playlist.ended and hints), "an ended playlist hints")
    known = [part for segment in (*playlist.segments, playlist.growing) for part in segment.parts]
    for hint in hints:
        start = int(hint.get("BYTERANGE-START", 0))
        same = [part for part in known if not part.gap and part.uri.endswith(hint.get("URI", "?"))]
        listed = any(part.range is None or sum(part.range) > start for part in same)
        found.expect("B4.4.5.3", where, not listed, f"hints at {hint.get('URI')}, which is listed")
    if not known:
        return
    part_target = float(attributes(playlist.value("EXT-X-PART-INF") or "").get("PART-TARGET", 0))
    found.expect("A14.2", where, part_target > 0, "parts without a PART-TARGET")
    back = float(control.get("PART-HOLD-BACK", 0))
    found.expect("A14.3", where, back >= 3 * part_target > 0, f"PART-HOLD-BACK {back}, PART-TARGET {part_target}")
    for segment in (*playlist.segments, playlist.growing):
        for number, part in enumerate(segment.parts):
            place = f"{where} #{segment.msn}.{number}"
            last = segment.uri != "" and number == len(segment.parts) - 1
            found.expect("B4.4.4.9", place, part.duration <= part_target + 1e-6, f"{part.duration} > {part_target}")
            short = part.duration < 0.85 * part_target and not (part.independent or part.gap or last)
            found.expect("B4.4.4.9", place, not short, f"{part.duration} is under 85 % of {part_target}")
    behind = sum(part.duration for part in playlist.growing.parts)
    for segment in reversed(playlist.segments):
        if not playlist.ended and not segment.gap:
            place, listed = f"{where} #{segment.msn}", bool(segment.parts)
            found.expect(
                "B6.2.2p", place, listed or behind >= 3 * target - 0.1, f"no parts, {behind:.1f} s from the end"
            )
            found.expect(
                "B6.2.2p", place, not listed or behind <= 4 * target + 0.1, f"parts, {behind:.1f} s from the end"
            )
        behind += segment.duration


def check_media(found: Findings, fetcher: Fetcher, rendition: Rendition) -> None:
    """Fetch everything a playlist lists, and hold the bytes against it."""
    playlist, where = rendition.playlist, rendition.name
    address = next((s.map for s in (*playlist.segments, playlist.growing) if s.map), None)
    try:
        rendition.init = read_init(fetcher.media(address or playlist.url))
    except (ValueError, IndexError, StopIteration) as error:
        found.expect("C.boxes", where, False, f"init segment: {error}")
        return
    found.expect("C.boxes", where, not rendition.init.problems, "; ".join(rendition.init.problems))
    found.expect("C.edits", where, not rendition.init.edits, "the init segment holds an edit list")
    _maps(found, fetcher, rendition)
    following: int | None = None
    sequence = 0
    for segment in (*playlist.segments, playlist.growing):
        place = f"{where} #{segment.msn}"
        if segment.gap:
            found.expect("B6.2.1g", place, not segment.parts, "a gap with parts")
            following = None
            continue
        data = _bytes(found, fetcher, segment, place)
        if not data:
            following = None
            continue
        try:
            fragments = read_fragments(data)
        except (ValueError, IndexError) as error:
            found.expect("C.boxes", place, False, str(error))
            continue
        found.expect("C.boxes", place, bool(fragments), "holds no fragment")
        rendition.fragments[segment.msn], rendition.sizes[segment.msn] = fragments, len(data)
        _events(found, rendition, segment, data, place)
        for fragment in fragments:
            found.expect("C.trun", place, not fragment.problems, "; ".join(fragment.problems))
            found.expect("C.sequence", place, fragment.sequence > sequence, f"{fragment.sequence} after {sequence}")
            sequence = fragment.sequence
            if following is not None and not segment.discontinuity:
                message = f"decode time {fragment.decode_time}, {following} expected"
                found.expect("A7.3", place, fragment.decode_time == following, message)
            following = fragment.decode_time + fragment.duration
        if segment.uri:
            real = rendition.length(segment)
            found.expect("A8.1", place, abs(real - segment.duration) < 0.001, f"lasts {real}, EXTINF {segment.text}")
    whole = [s for s in playlist.segments if s.msn in rendition.fragments]
    drift = abs(sum(s.duration for s in whole) - sum(rendition.length(s) for s in whole))
    found.expect("A8.1", where, drift < rendition.frame, f"EXTINF sums {drift} s off")
    if rendition.video:
        _picture(found, rendition)


def _maps(found: Findings, fetcher: Fetcher, rendition: Rendition) -> None:
    """Every attempt has an init segment of its own, for the same track."""
    segments = (*rendition.playlist.segments, rendition.playlist.growing)
    for one, two in pairwise(segments):
        place = f"{rendition.name} #{two.msn}"
        found.expect("A8.13", place, one.map == two.map or two.discontinuity, "another EXT-X-MAP, no discontinuity")
    for address in {segment.map for segment in segments if segment.map}:
        try:
            init, first = read_init(fetcher.media(address)), rendition.init
        except (ValueError, IndexError, StopIteration) as error:
            found.expect("C.boxes", rendition.name, False, f"init segment {address}: {error}")
            continue
        same = first is not None and (init.timescale, init.handler) == (first.timescale, first.handler)
        found.expect("C.boxes", rendition.name, same, f"{address} is of another track")


def _bytes(found: Findings, fetcher: Fetcher, segment: Segment, place: str) -> bytes:
    parts = [_fetched(found, fetcher, part.uri, part.range, place) for part in segment.parts if not part.gap]
    overtaken = not fetcher.overtaken.isdisjoint(part.uri for part in segment.parts)
    if not segment.uri:
        return b"" if overtaken else b"".join(parts)
    within = None if segment.size is None else (segment.offset, segment.size)
    data = _fetched(found, fetcher, segment.uri, within, place)
    overtaken = overtaken or segment.uri in fetcher.overtaken
    if segment.parts and not overtaken and not any(part.gap for part in segment.parts):
        found.expect("C.parts", place, b"".join(parts) == data, f"{sum(map(len, parts))} bytes in parts, {len(data)}")
    return data


def _fetched(found: Findings, fetcher: Fetcher, uri: str, within: tuple[int, int] | None, place: str) -> bytes:
    data = fetcher.media(uri, within)
    if within is not None and uri not in fetcher.overtaken:
        found.expect("B4.4.4.2", place, len(data) == within[1], f"{len(data)} bytes of {within[1]} at {within[0]}")
    return data


def _events(found: Findings, rendition: Rendition, segment: Segment, data: bytes, place: str) -> None:
    try:
        events = read_events(data)
        texts = [read_text_tag(event.message) for event in events]
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        found.expect("C.emsg", place, False, str(error))
        return
    start = rendition.start(segment) or 0.0
    for event, text in zip(events, texts, strict=True):
        known = event.scheme == "https://aomedia.org/emsg/ID3" and bool(text)
        found.expect("C.emsg", place, known, f"{event.scheme}: {text!r}")
        inside = start - 0.001 <= event.at < start + rendition.length(segment) + 0.001
        found.expect("C.emsg", place, inside, f"an event at {event.at:.3f} s in a segment from {start:.3f} s")


def _picture(found: Findings, rendition: Rendition) -> None:
    durations: set[int] = set()
    keys: list[float] = []
    timescale = rendition.init.timescale if rendition.init else 1
    for segment in (*rendition.playlist.segments, rendition.playlist.growing):
        place = f"{rendition.name} #{segment.msn}"
        for number, fragment in enumerate(rendition.fragments.get(segment.msn, ())):
            at = fragment.decode_time
            for index, sample in enumerate(fragment.samples):
                durations.add(sample.duration)
                try:
                    kinds = nal_types(sample.data)
                except ValueError as error:
                    found.expect("C.nal", place, False, str(error))
                    continue
                found.expect("C.nal", place, bool(kinds) and (_IDR in kinds) == sample.sync, f"{kinds}, {sample.sync=}")
                found.expect("A1.10", place, not {7, 8} & set(kinds), "parameter sets in a sample")
                if number == index == 0:
                    found.expect("A7.4", place, _IDR in kinds, f"begins with NAL units {kinds}")
                if index == 0 and number < len(segment.parts):
                    said = segment.parts[number].independent
                    found.expect("B4.4.4.9i", f"{place}.{number}", said == (_IDR in kinds), f"INDEPENDENT is {said}")
                if _IDR in kinds:
                    keys.append(at / timescale)
                at += sample.duration
    found.expect("C.cfr", rendition.name, len(durations) <= 1, f"frames last {sorted(durations)} ticks")
    longest = max((two - one for one, two in pairwise(keys)), default=0.0)
    found.expect("A1.13", rendition.name, longest <= 2.001, f"{longest:.3f} s without an IDR", should=True)
