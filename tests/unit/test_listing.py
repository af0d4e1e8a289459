"""Listings grow, slide and forget parts as live playlists must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from egress.model.media import SECOND
from egress.model.outputs import HlsDoc
from egress.sinks.listing import Listing, key_segments
from egress.sinks.playlist import DateRange, Part, Segment, Tail
from egress.sinks.presentation import Presentation
from tests.flashes import STARTED, programme


def _listing(window: int | None) -> Listing:
    doc = HlsDoc(kind="hls", to="x", window=f"{window or 1}s", playlist="sliding" if window else "event")
    return Listing(Presentation.of(doc, Path("/x"), STARTED, programme(2).streams), "video")


def _segment(number: int) -> Segment:
    parts = tuple(Part(f"seg-{number}.{p}.m4s", SECOND // 2, p == 0) for p in range(8))
    return Segment(f"seg-{number}.m4s", number * 4 * SECOND, 4 * SECOND, 1000, parts)


def _fill(listing: Listing, count: int) -> None:
    for number in range(count):
        listing.add(_segment(number))


def test_parts_are_listed_for_three_target_durations() -> None:
    listing = _listing(None)
    _fill(listing, 5)
    gone = listing.without_old_parts(0)
    assert [part.uri for part in gone] == [f"seg-{n}.{p}.m4s" for n in (0, 1) for p in range(8)]
    assert listing.text([], Tail()).count("#EXT-X-PART:") == 24
    assert not listing.without_old_parts(0)


def test_a_window_slides_and_never_below_six_segments() -> None:
    listing = _listing(40)
    _fill(listing, 15)
    gone = listing.slide()
    assert [segment.uri for segment, _ in gone] == [f"seg-{n}.m4s" for n in range(5)]
    assert gone[0][1] == (4 + 60) * SECOND
    assert listing.sequence == 5
    assert "#EXT-X-MEDIA-SEQUENCE:5\n" in listing.text([], Tail())
    short = _listing(4)
    _fill(short, 15)
    short.slide()
    assert len(short.segments) == 6


def test_an_event_keeps_everything() -> None:
    listing = _listing(None)
    _fill(listing, 50)
    assert listing.slide() == []
    assert len(listing.segments) == 50


def test_discontinuities_that_slide_out_are_counted() -> None:
    listing = _listing(4)
    for number in range(12):
        listing.add(replace(_segment(number), discontinuity=number in (2, 9)))
    listing.slide()
    text = listing.text([], Tail())
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:1\n" in text
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1


def test_date_ranges_leave_with_the_media_they_belong_to() -> None:
    listing = _listing(4)
    _fill(listing, 12)
    listing.slide()
    ranges = [DateRange(f"join-{n}", "join", n * SECOND, "") for n in (3, 23, 24, 40)]
    text = listing.text(ranges, Tail())
    assert [f"join-{n}" in text for n in (3, 23, 24, 40)] == [False, False, True, True]


def test_keyframes_last_until_the_next_one_and_the_end_of_the_file() -> None:
    made = key_segments(_segment(1), [(4 * SECOND, 0, 500), (6 * SECOND, 9000, 600)])
    assert [(s.offset, s.size, s.start // SECOND, s.duration // SECOND) for s in made] == [
        (0, 500, 4, 2),
        (9000, 600, 6, 2),
    ]
