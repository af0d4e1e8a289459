"""Rules of captions: WebVTT in step with the picture, all of the programme, every cue where it is shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from tests.hls_findings import Findings
from tests.hls_media_rules import Rendition
from tests.hls_reading import Fetcher, Segment

_MAP = re.compile(r"^X-TIMESTAMP-MAP=MPEGTS:(\d+),LOCAL:([\d:.]+)$", re.M)
_CUE = re.compile(r"^([\d:.]+) --> ([\d:.]+)\n((?:.+\n?)+)", re.M)

Cue = tuple[float, float, str]
"""Media time of its start and end, in seconds, and its words."""


def check_captions(found: Findings, fetcher: Fetcher, captions: Rendition, lead: Rendition | None) -> None:
    """Hold one language against the picture, whose media are read already."""
    cues: dict[int, list[Cue]] = {}
    for segment in (*captions.playlist.segments, captions.playlist.growing):
        place = f"{captions.name} #{segment.msn}"
        bodies = {part.uri: fetcher.media(part.uri) for part in segment.parts}
        parts = [data for uri, data in bodies.items() if uri not in fetcher.overtaken]
        for number, data in enumerate(parts):
            _read(found, data, f"{place}.{number}")
        if not segment.uri:
            continue
        data = fetcher.media(segment.uri)
        if segment.uri in fetcher.overtaken:
            continue
        captions.sizes[segment.msn] = len(data)
        cues[segment.msn] = _read(found, data, place)
        if parts:
            held = {cue for part in parts for cue in _read(found, part, place)}
            found.expect("A5.5b", place, held <= set(cues[segment.msn]), "a part has cues its segment has not")
    if lead is not None:
        _in_step(found, captions, lead, cues)


def _in_step(found: Findings, captions: Rendition, lead: Rendition, cues: dict[int, list[Cue]]) -> None:
    pictures = {segment.msn: segment for segment in lead.playlist.segments}
    first, last = captions.playlist.segments[:1], captions.playlist.segments[-1:]
    if pictures and captions.playlist.ended:
        whole = bool(first) and (first[0].msn, last[0].msn) == (min(pictures), max(pictures))
        found.expect("A5.5", captions.name, whole, "captions do not cover the picture")
    places: dict[int, tuple[float, float]] = {}
    for segment in captions.playlist.segments:
        other = pictures.get(segment.msn)
        if other is None or segment.msn not in cues:
            continue
        place = f"{captions.name} #{segment.msn}"
        same = abs(other.duration - segment.duration) < 0.002
        found.expect("A5.5", place, same, f"lasts {segment.duration}, the picture {other.duration}")
        start = lead.start(other)
        if start is None:
            continue
        places[segment.msn] = (start, start + lead.length(other))
        for begin, end, words in cues[segment.msn]:
            shown = begin < places[segment.msn][1] + 0.002 and end > start - 0.002
            found.expect(
                "A5.3", place, shown, f"{words!r} is shown at {begin:.3f} s, the segment begins at {start:.3f}"
            )
    _borders(found, captions, captions.playlist.segments, cues, places)


def _borders(
    found: Findings,
    captions: Rendition,
    segments: Sequence[Segment],
    cues: dict[int, list[Cue]],
    places: dict[int, tuple[float, float]],
) -> None:
    for one, two in pairwise(segments):
        if not {one.msn, two.msn} <= places.keys():
            continue
        for cue in cues[one.msn]:
            if cue[1] > places[two.msn][0] + 0.002:
                where = f"{captions.name} #{two.msn}"
                found.expect("A5.5b", where, cue in cues[two.msn], f"{cue[2]!r} lasts into it and is not there")


def _read(found: Findings, data: bytes, place: str) -> list[Cue]:
    text = data.decode("utf-8", "replace")
    tie = _MAP.search(text)
    found.expect("A5.3", place, text.startswith("WEBVTT\n") and tie is not None, f"begins with {text[:60]!r}")
    if tie is None:
        return []
    shift = int(tie[1]) / 90_000 - _time(tie[2])
    made = [(_time(start) + shift, _time(end) + shift, words.strip()) for start, end, words in _CUE.findall(text)]
    return [(round(start, 3), round(end, 3), words) for start, end, words in made]


def _time(text: str) -> float:
    total = 0.0
    for field in text.split(":"):
        total = total * 60 + float(field)
    return total
