"""Playlists for a store name whole segments only, and say which files those are."""

from __future__ import annotations

from egress.model.media import SECOND
from egress.sinks.plainlist import PlainList

LIVE = """#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:PART-HOLD-BACK=1.5
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MAP:URI="video/init.mp4"
#EXT-X-DATERANGE:ID="a",START-DATE="2026-03-29T00:59:58.250Z"
#EXTINF:2.000000,
video/seg-0.m4s
#EXT-X-PART:DURATION=0.5,URI="video/seg-1.0.m4s",INDEPENDENT=YES
#EXT-X-GAP
#EXTINF:1.500000,
video/seg-1.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="video/init-2.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-03-29T01:00:02.250Z
#EXT-X-PART:DURATION=0.5,URI="video/seg-2.0.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="video/seg-2.1.m4s"
#EXT-X-RENDITION-REPORT:URI="audio.m3u8",LAST-MSN=2,LAST-PART=0
"""


def test_parts_and_what_belongs_to_a_segment_that_is_not_whole_are_left_out():
    assert PlainList.of("video.m3u8", LIVE).text.splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:9",
        "#EXT-X-TARGETDURATION:2",
        '#EXT-X-MAP:URI="video/init.mp4"',
        '#EXT-X-DATERANGE:ID="a",START-DATE="2026-03-29T00:59:58.250Z"',
        "#EXTINF:2.000000,",
        "video/seg-0.m4s",
        "#EXT-X-GAP",
        "#EXTINF:1.500000,",
        "video/seg-1.m4s",
    ]


def test_the_files_a_playlist_needs_are_those_it_names_but_for_gaps():
    found = PlainList.of("video.m3u8", LIVE)
    assert found.files == {"video/init.mp4", "video/seg-0.m4s"}
    assert (found.length, found.ended) == (3.5 * SECOND, False)
    whole = PlainList.of("sub/video.m3u8", LIVE + "#EXTINF:2.0,\nvideo/seg-2.m4s\n#EXT-X-ENDLIST\n")
    assert whole.files == {f"sub/video/{name}" for name in ("init.mp4", "init-2.mp4", "seg-0.m4s", "seg-2.m4s")}
    assert whole.ended
    order = [line for line in whole.text.splitlines() if line.startswith("#EXT-X-DISC") or "init-2" in line]
    assert order == ["#EXT-X-DISCONTINUITY", '#EXT-X-MAP:URI="video/init-2.mp4"']


def test_byte_ranges_name_their_file_and_stay():
    text = "#EXTM3U\n#EXT-X-I-FRAMES-ONLY\n#EXTINF:2.0,\n#EXT-X-BYTERANGE:10@5\nvideo/seg-0.m4s\n"
    found = PlainList.of("iframes.m3u8", text)
    assert found.files == {"video/seg-0.m4s"} and found.text == text


def test_a_multivariant_playlist_names_playlists_and_no_files():
    text = (
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="M",URI="audio.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nvideo.m3u8\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="iframes.m3u8"\n'
    )
    found = PlainList.of("index.m3u8", text)
    assert found.playlists == {"audio.m3u8", "video.m3u8", "iframes.m3u8"}
    assert (found.files, found.text) == (frozenset(), text)
