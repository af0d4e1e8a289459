"""Playlists are rendered as the rules want them, from values alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise

import m3u8
import pytest

from egress.model.media import SECOND
from egress.sinks.multivariant import Variant, multivariant
from egress.sinks.playlist import (
    DateRange,
    Head,
    Meter,
    Part,
    Report,
    Segment,
    Tail,
    date,
    media_playlist,
    part_text,
    quoted,
    seconds,
    segment_text,
)

STARTED = datetime(2026, 3, 29, 0, 59, 58, 250_000, tzinfo=UTC)
PARTS = tuple(Part(f"video/seg-7.{n}.m4s", SECOND // 2, n == 0) for n in range(8))
SEGMENT = Segment("video/seg-7.m4s", 28 * SECOND, 4 * SECOND, 1_000_000, PARTS)
LIVE = Head("sliding", 4, STARTED, "video/init.mp4", part_target=SECOND // 2)


def test_a_live_playlist_reads_back_in_another_parser() -> None:
    body = [segment_text(SEGMENT, STARTED, parts=True)]
    tail = Tail(part_text(PARTS[0]), "video/seg-8.1.m4s", (Report("audio.m3u8", 8, 0),))
    ranges = [DateRange("join-0", "join", 29 * SECOND, "Ada joined")]
    read = m3u8.loads(media_playlist(LIVE, body, tail, sequence=7, discontinuities=2, ranges=ranges))
    assert (read.target_duration, read.media_sequence, read.discontinuity_sequence) == (4, 7, 2)
    assert read.server_control.hold_back == 12
    assert read.server_control.part_hold_back == 1.5
    assert read.server_control.can_skip_until == 24
    assert read.server_control.can_block_reload is None
    assert read.part_inf.part_target == 0.5
    assert [part.uri for part in read.segments[0].parts] == [part.uri for part in PARTS]
    assert read.segments[0].program_date_time == STARTED + timedelta(seconds=28)
    assert read.segments[0].init_section.uri == "video/init.mp4"
    assert (read.preload_hint.uri, read.rendition_reports[0].last_msn) == ("video/seg-8.1.m4s", 8)
    assert read.playlist_type is None
    assert not read.is_endlist


def test_an_ended_playlist_promises_nothing_more() -> None:
    head = Head("vod", 4, STARTED, "video/init.mp4", reload=False)
    body = [segment_text(SEGMENT, STARTED, parts=False)]
    text = media_playlist(head, body, Tail(ended=True), sequence=0)
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert "#EXT-X-PLAYLIST-TYPE:VOD\n" in text
    assert not any(tag in text for tag in ("PART", "SERVER-CONTROL", "PRELOAD", "REPORT"))


def test_discontinuities_gaps_and_byte_ranges_have_their_tags() -> None:
    lost = Segment("video/seg-8.m4s", 32 * SECOND, 4 * SECOND, 0, gap=True)
    again = Segment("v2/seg-9.m4s", 36 * SECOND, 4 * SECOND, 9, discontinuity=True, map="v2/init.mp4")
    assert "#EXT-X-GAP\n" in segment_text(lost, STARTED, parts=False)
    assert segment_text(again, STARTED, parts=False).startswith('#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="v2/init.mp4"\n')
    key = Segment("video/seg-7.m4s", 28 * SECOND, 2 * SECOND, 4321, offset=96)
    assert "#EXT-X-BYTERANGE:4321@96\nvideo/seg-7.m4s\n" in segment_text(key, STARTED, parts=False)
    assert part_text(Part("p", SECOND, False, gap=True)) == '#EXT-X-PART:DURATION=1.000000,URI="p",GAP=YES\n'
    text = media_playlist(LIVE, [segment_text(lost, STARTED, parts=False)], Tail(), sequence=8, gaps=True)
    assert "#EXT-X-VERSION:8\n" in text


def test_durations_telescope_over_a_day() -> None:
    frame = Fraction(1001, 30000)
    ends = [round(n * 120 * frame * SECOND) for n in range(21_600)]
    written = sum(Fraction(seconds(two - one)) for one, two in pairwise(ends))
    assert abs(written - 21_599 * 120 * frame) < frame


def test_dates_are_utc_with_rounded_milliseconds() -> None:
    assert date(0, STARTED) == "2026-03-29T00:59:58.250Z"
    assert date(1_749_500_000, STARTED) == "2026-03-29T01:00:00.000Z"
    assert date(0, STARTED.astimezone(timezone(timedelta(hours=2)))) == "2026-03-29T00:59:58.250Z"


def test_nothing_a_participant_calls_himself_breaks_a_playlist() -> None:
    name = 'Ada" ,X="1\r\n#EXT-X-ENDLIST\n\u2028\x00'
    text = media_playlist(LIVE, [], Tail(), sequence=0, ranges=[DateRange(name, name, 0, name)])
    assert text.count("#EXT-X-ENDLIST") == text.count("' ,X='1  #EXT-X-ENDLIST")
    assert all(line.startswith("#EXT") for line in text.splitlines())
    assert len(quoted("x" * 999)) == 200


def test_a_multivariant_playlist_has_all_required_attributes() -> None:
    variant = Variant("video.m3u8", 3_500_000, 3_000_000, ("avc1.64001f", "mp4a.40.2"), "1280x720", 29.97, "audio.m3u8")
    iframes = Variant("iframes.m3u8", 200_000, 100_000, ("avc1.64001f",), "1280x720")
    read = m3u8.loads(multivariant([variant], [iframes]))
    info = read.playlists[0].stream_info
    assert (info.bandwidth, info.average_bandwidth, info.codecs) == (3_500_000, 3_000_000, "avc1.64001f,mp4a.40.2")
    assert (info.resolution, info.frame_rate, info.video_range) == ((1280, 720), 29.97, "SDR")
    assert read.media[0].uri == "audio.m3u8"
    assert (read.media[0].language, read.media[0].channels) == ("und", "2")
    assert read.iframe_playlists[0].uri == "iframes.m3u8"
    assert read.is_independent_segments


def test_sound_alone_is_a_variant_of_its_own() -> None:
    text = multivariant([Variant("audio.m3u8", 130_000, 128_000, ("mp4a.40.2",))])
    assert "RESOLUTION" not in text
    assert "EXT-X-MEDIA" not in text


@pytest.mark.parametrize(
    ("rows", "peak", "average"),
    [
        ([(4, 4000), (4, 8000), (4, 4000)], 16_000, 10_667),
        ([(4, 4000), (4, 4000), (1, 50_000)], 86_400, 51_556),
        ([(1, 1000)], 8_000, 8_000),
        ([(1, 1000)] * 3 + [(1, 2000)] * 3, 16_000, 12_000),
        ([], 0, 0),
    ],
    ids=["whole segments", "a short last one counts with the one before", "one short one", "runs", "none"],
)
def test_the_peak_is_that_of_runs_between_half_and_one_and_a_half_targets(
    rows: list[tuple[int, int]], peak: int, average: int
) -> None:
    meter = Meter(4)
    for duration, size in rows:
        meter.add(Segment("s", 0, duration * SECOND, size))
    assert (meter.peak, meter.average) == (peak, average)
