"""What the origin reads out of a media playlist, and the delta updates it makes."""

from __future__ import annotations

import pytest

from egress.web.playlist import Playlist

HEAD = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:4
#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=24.0,HOLD-BACK=12.0,PART-HOLD-BACK=1.5
#EXT-X-PART-INF:PART-TARGET=0.5
"""


def live(first: int = 0, whole: int = 3, growing: int = 2, *, parts_of: int = 2, ended: bool = False) -> str:
    """A live playlist: `whole` segments from `first`, the last one with parts listed, then `growing` parts."""
    lines = [HEAD + f"#EXT-X-MEDIA-SEQUENCE:{first}", '#EXT-X-MAP:URI="video/init.mp4"']
    for msn in range(first, first + whole):
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{msn % 60:02d}.000Z")
        if msn == first + whole - 1:
            lines += [f'#EXT-X-PART:DURATION=0.5,URI="video/seg-{msn}.{n}.m4s"' for n in range(parts_of)]
        lines += ["#EXTINF:4.00000,", f"video/seg-{msn}.m4s"]
    msn = first + whole
    lines += [f'#EXT-X-PART:DURATION=0.5,URI="video/seg-{msn}.{n}.m4s"' for n in range(growing)]
    if ended:
        lines.append("#EXT-X-ENDLIST")
    else:
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="./video/seg-{msn}.{growing}.m4s"')
    return "\n".join(lines) + "\n"


def test_reads_how_far_it_reaches() -> None:
    playlist = Playlist.read(live(first=10, whole=3, growing=2))
    assert (playlist.last, playlist.target, playlist.part_target) == (12, 4, 0.5)
    assert playlist.parts == {12: 2, 13: 2}
    assert playlist.live and playlist.media


def test_hints_are_files_beside_the_playlist() -> None:
    assert Playlist.read(live()).hints == {"video/seg-3.2.m4s": 0}


@pytest.mark.parametrize(
    ("msn", "part", "there"),
    [
        (12, None, True),
        (13, None, False),
        (13, 1, True),
        (13, 2, False),
        (14, 0, False),
        (3, None, True),
        (3, 7, True),
        (12, 1, True),
    ],
)
def test_holds_what_is_listed_or_has_slid_out(msn: int, part: int | None, there: bool) -> None:
    assert Playlist.read(live(first=10)).holds(msn, part) is there


def test_a_part_past_the_end_means_the_next_segments_first() -> None:
    assert Playlist.read(live(first=10, growing=1)).holds(12, 2)
    assert not Playlist.read(live(first=10, growing=0)).holds(12, 2)


@pytest.mark.parametrize(
    ("msn", "part", "far"),
    [
        (14, None, False),
        (15, None, True),
        (13, 7, False),
        (13, 8, True),
        (14, 5, False),
        (14, 6, True),
        (2, 900, False),
    ],
)
def test_too_far_is_two_segments_or_the_advance_part_limit(msn: int, part: int | None, far: bool) -> None:
    assert Playlist.read(live(first=10)).too_far(msn, part) is far


def test_long_parts_allow_three_in_advance() -> None:
    text = live(first=0, whole=1, growing=0).replace("PART-TARGET=0.5", "PART-TARGET=1.0")
    assert not Playlist.read(text).too_far(1, 2)
    assert Playlist.read(text).too_far(1, 3)


def test_says_that_the_server_blocks_only_while_live() -> None:
    assert "CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL" in Playlist.read(live()).text(blocking=True)
    assert "CAN-BLOCK-RELOAD" not in Playlist.read(live()).text(blocking=False)
    assert "CAN-BLOCK-RELOAD" not in Playlist.read(live(ended=True)).text(blocking=True)


def test_leaves_everything_else_as_written() -> None:
    assert Playlist.read(live()).text(blocking=False) == live()


def test_delta_skips_what_lies_before_the_boundary() -> None:
    delta = Playlist.read(live(first=5, whole=20, growing=2)).delta(blocking=True)
    assert delta is not None
    # Six whole segments of 4 s reach back to the boundary of 24 s exactly.
    assert "#EXT-X-SKIP:SKIPPED-SEGMENTS=14" in delta
    assert "video/seg-18.m4s" not in delta and "video/seg-19.m4s" in delta
    assert "#EXT-X-VERSION:9" in delta
    assert "#EXT-X-MEDIA-SEQUENCE:5" in delta
    assert "EXT-X-MAP" not in delta
    assert delta.count("PROGRAM-DATE-TIME") == 6
    assert delta.index("#EXT-X-SKIP") < delta.index("#EXT-X-PROGRAM-DATE-TIME")
    assert delta.endswith(live(first=5, whole=20, growing=2)[-100:])


def test_delta_keeps_date_ranges() -> None:
    mark = '#EXT-X-DATERANGE:ID="join-1",START-DATE="2026-01-01T00:00:00.000Z"'
    text = live(whole=20).replace("#EXT-X-PROGRAM", f"{mark}\n#EXT-X-PROGRAM", 1)
    assert mark in str(Playlist.read(text).delta(blocking=False))


@pytest.mark.parametrize(
    "text",
    [
        live(whole=3),
        live(whole=20, ended=True),
        live(whole=20).replace("CAN-SKIP-UNTIL=24.0,", ""),
    ],
)
def test_no_delta_where_nothing_may_be_skipped(text: str) -> None:
    assert Playlist.read(text).delta(blocking=True) is None


@pytest.mark.parametrize(
    "text",
    ["", "garbage\x00", "#EXTM3U\n#EXT-X-TARGETDURATION:abc\n", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nvideo.m3u8\n"],
)
def test_what_is_not_a_media_playlist_is_never_waited_for(text: str) -> None:
    playlist = Playlist.read(text)
    assert not playlist.media and not playlist.live


def test_odd_durations_do_not_break_reading() -> None:
    for odd in ("nan", "inf", "-4", "soon"):
        assert Playlist.read(live(whole=20).replace("4.00000", odd)).delta(blocking=True) is None
