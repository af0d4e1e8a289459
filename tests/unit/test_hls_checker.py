"""The HLS checker finds what is broken, and names the rule."""

from __future__ import annotations

import re
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from egress.model.media import SECOND
from egress.model.outputs import HlsDoc
from egress.sinks.base import Mark
from egress.sinks.hls import HlsSink
from tests.flashes import context, programme, served
from tests.hls_checker import check, main
from tests.hls_findings import RULES, Findings
from tests.hls_live_rules import check_live

Break = Callable[[Path], None]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A live and an ended presentation that break no rule."""
    made: dict[str, Path] = {}
    for name in ("live", "ended"):
        root = tmp_path_factory.mktemp(name)
        sink = HlsSink(HlsDoc(kind="hls", to="x", segment="2s"), context(root / "spool", root / "hls"))
        show = programme(6.7)
        sink.open(show.streams)
        sink.mark(Mark(SECOND, "join", "Ada"))
        for packet in show.packets:
            sink.write(packet)
        if name == "ended":
            sink.close()
        made[name] = root / "hls"
    return made


def swap(name: str, pattern: str, replacement: str, count: int = 1) -> Break:
    """Change a playlist's text."""

    def change(folder: Path) -> None:
        path = folder / name
        text, changed = re.subn(pattern, replacement, path.read_text(), count=count, flags=re.MULTILINE)
        assert changed, f"{pattern} does not stand in {name}"
        path.write_text(text)

    return change


def patch(name: str, find: bytes, offset: int, data: bytes, which: int = 0) -> Break:
    """Change bytes at `offset` from the occurrence number `which` of `find`."""

    def change(folder: Path) -> None:
        path = folder / name
        body = bytearray(path.read_bytes())
        at = -1
        for _ in range(which + 1):
            at = body.index(find, at + 1)
        body[at + offset : at + offset + len(data)] = data
        path.write_bytes(bytes(body))

    return change


def rename(name: str, to: str) -> Break:
    """Take a file away, or put it in another's place."""

    def change(folder: Path) -> None:
        shutil.move(folder / name, folder / to)

    return change


def _no_idr(folder: Path) -> None:
    for path in (folder / "video").glob("seg-1*.m4s"):
        data = path.read_bytes()
        at = data.index(b"mdat") + 4
        while at + 5 <= len(data):
            (size,) = struct.unpack_from(">I", data, at)
            if data[at + 4] & 31 == 5:
                path.write_bytes(data[: at + 4] + b"\x41" + data[at + 5 :])
                break
            at += 4 + size


BROKEN: list[tuple[str, str, Break]] = [
    ("live", "B4.1", swap("video.m3u8", r"\A#EXTM3U\n", "")),
    (
        "live",
        "B4.1",
        swap("video.m3u8", r"^#EXT-X-TARGETDURATION:2$", "#EXT-X-TARGETDURATION:2\n#EXT-X-TARGETDURATION:2"),
    ),
    ("live", "B4.2", swap("video.m3u8", "VERSION:6", "VERSION:9")),
    ("live", "B4.2", swap("audio.m3u8", "VERSION:6", "VERSION:3")),
    ("live", "B4.2", swap("index.m3u8", "VERSION:6", "VERSION:12")),
    ("live", "B4.3", swap("index.m3u8", 'GROUP-ID="audio",', "")),
    ("live", "B4.3", swap("video.m3u8", 'ID="join-0",', "")),
    ("live", "A1.10", patch("video/init.mp4", b"avc1", 0, b"avc3", 0)),
    ("ended", "A1.26", swap("index.m3u8", r"AVERAGE-BANDWIDTH=\d+", "AVERAGE-BANDWIDTH=1")),
    ("ended", "A1.27", swap("index.m3u8", r":BANDWIDTH=\d+", ":BANDWIDTH=9999999")),
    ("live", "A1.28", swap("index.m3u8", r"AVERAGE-BANDWIDTH=\d+", "AVERAGE-BANDWIDTH=1")),
    ("live", "A1.29", swap("index.m3u8", r":BANDWIDTH=\d+", ":BANDWIDTH=1")),
    ("live", "A2.3", swap("index.m3u8", "mp4a.40.2", "ac-3")),
    ("live", "A4.4", swap("index.m3u8", 'LANGUAGE="und",', "")),
    ("live", "A6.1", swap("index.m3u8", r"^#EXT-X-I-FRAME-STREAM-INF.*\n", "")),
    ("live", "A6.8", swap("iframes.m3u8", r"^#EXT-X-I-FRAMES-ONLY\n", "")),
    ("live", "A6.10", swap("iframes.m3u8", r"BYTERANGE:(\d+)@0", r"BYTERANGE:\1@100")),
    ("live", "A6.10", swap("iframes.m3u8", r"BYTERANGE:\d+@0", "BYTERANGE:99@0")),
    ("live", "A6.11", swap("iframes.m3u8", "DURATION:2", "DURATION:3")),
    ("live", "A7.3", patch("audio/seg-1.m4s", b"tfdt", 15, b"\x07")),
    ("live", "A7.4", _no_idr),
    ("live", "A7.7", swap("video.m3u8", r"EXTINF:2\.000000", "EXTINF:2.600000")),
    ("live", "A8.1", swap("video.m3u8", r"EXTINF:2\.000000", "EXTINF:2.000")),
    ("live", "A8.1", swap("video.m3u8", r"EXTINF:2\.000000", "EXTINF:1.960000")),
    ("live", "A8.2", swap("audio.m3u8", "TARGETDURATION:2", "TARGETDURATION:3")),
    ("ended", "A8.2", swap("audio.m3u8", r"^#EXT-X-PROGRAM.*\n#EXTINF.*\naudio/seg-3.m4s\n", "")),
    ("live", "A8.4", swap("audio.m3u8", r"^#EXT-X-PROGRAM-DATE-TIME.*\n", "")),
    ("live", "A8.6", swap("video.m3u8", "TYPE:EVENT", "TYPE:VOD")),
    ("live", "A8.6", swap("video.m3u8", "SEQUENCE:0", "SEQUENCE:5")),
    ("live", "A8.11", swap("video.m3u8", "SEQUENCE:0", "SEQUENCE:5")),
    ("live", "A8.15", swap("video.m3u8", "^#EXT-X-PROGRAM", "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM")),
    ("live", "A8.16", swap("video.m3u8", r"^#EXT-X-DISCONTINUITY-SEQUENCE:0\n", "#EXT-X-DISCONTINUITY\n")),
    ("live", "A8.20", swap("audio.m3u8", r"^#EXT-X-MAP.*\n", "")),
    ("live", "A9.1", swap("index.m3u8", "avc1.", "avc1.42")),
    ("live", "A9.2", swap("index.m3u8", "RESOLUTION=96x54", "RESOLUTION=1280x720")),
    ("live", "A9.11", swap("audio.m3u8", r"^#EXT-X-INDEPENDENT-SEGMENTS\n", "")),
    ("live", "A9.14", swap("index.m3u8", r"AVERAGE-BANDWIDTH=\d+,", "")),
    ("live", "A9.15", swap("index.m3u8", r"FRAME-RATE=30.000", "FRAME-RATE=25.000")),
    ("live", "A14.2", swap("video.m3u8", r"^#EXT-X-PART-INF.*\n", "")),
    ("live", "A14.3", swap("video.m3u8", r"PART-HOLD-BACK=1.536", "PART-HOLD-BACK=1.1")),
    ("live", "B4.4.3.8", swap("video.m3u8", r",HOLD-BACK=6.0", ",HOLD-BACK=4.0")),
    ("live", "B4.4.4.9", swap("video.m3u8", r"PART-TARGET=0.512000", "PART-TARGET=0.400000")),
    ("live", "B4.4.4.9", swap("video.m3u8", r"PART-TARGET=0.512000", "PART-TARGET=0.700000")),
    ("live", "B4.4.4.9i", swap("video.m3u8", r",INDEPENDENT=YES", "")),
    ("live", "B4.4.5.3", swap("video.m3u8", r"^(#EXT-X-PRELOAD-HINT.*\n)", r"\1\1")),
    ("live", "B4.4.5.3", swap("video.m3u8", r'(HINT:TYPE=PART,URI=)".*"', r'\1"video/seg-3.0.m4s"')),
    ("live", "B4.4.5.4", swap("video.m3u8", r"^#EXT-X-RENDITION-REPORT.*\n", "")),
    ("live", "B4.4.5.4", swap("video.m3u8", r"LAST-MSN=\d+", "LAST-MSN=9")),
    ("live", "B6.2.1t", swap("video.m3u8", r"EXTINF:2\.000000", "EXTINF:2.500000")),
    ("live", "B6.2.1d", swap("video.m3u8", r"01:00:00\.250Z", "01:00:00.750Z")),
    ("live", "B6.2.1r", rename("video/seg-1.m4s", "video/gone")),
    ("live", "B6.2.1r", rename("audio/init.mp4", "audio/gone")),
    ("live", "B6.2.2p", swap("video.m3u8", r"^#EXT-X-PART:.*seg-2.*\n", "", count=0)),
    ("live", "B6.2.4", swap("audio.m3u8", "HOLD-BACK=6.0", "HOLD-BACK=7.0")),
    ("live", "B6.2.4", swap("audio.m3u8", "Ada", "Eve")),
    ("live", "B6.2.4t", swap("audio.m3u8", r"(\d\d)\.2\d\dZ", r"\1.900Z", count=0)),
    ("live", "C.boxes", patch("video/seg-0.m4s", b"moof", 0, b"mooo")),
    ("live", "C.boxes", patch("video/init.mp4", b"trex", 0, b"xxxx")),
    ("live", "C.boxes", patch("audio/seg-0.m4s", b"mdat", -4, b"\0\0\0\x10")),
    ("live", "C.trun", patch("video/seg-0.m4s", b"trun", 12, b"\0\0\0\x01")),
    ("live", "C.sequence", patch("video/seg-1.m4s", b"mfhd", 8, b"\0\0\0\0")),
    ("live", "C.nal", patch("video/seg-0.m4s", b"mdat", 4, b"\x0f")),
    ("live", "C.cfr", patch("video/seg-0.m4s", b"tfhd", 12, b"\0\0\0\x07")),
    ("live", "C.parts", rename("video/seg-2.1.m4s", "video/seg-2.0.m4s")),
]


@pytest.mark.parametrize("state", ["live", "ended"])
def test_a_sound_presentation_breaks_no_rule(good: dict[str, Path], state: str) -> None:
    with served(good[state]) as address:
        assert [str(violation) for violation in check(f"{address}/index.m3u8") if not violation.should] == []


@pytest.mark.parametrize(("state", "rule", "harm"), BROKEN, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_broken_is_found(good: dict[str, Path], tmp_path: Path, state: str, rule: str, harm: Break) -> None:
    folder = tmp_path / "hls"
    shutil.copytree(good[state], folder)
    harm(folder)
    with served(folder) as address:
        assert rule in {violation.rule for violation in check(f"{address}/index.m3u8")}


def test_a_plain_web_server_is_no_low_latency_origin(good: dict[str, Path]) -> None:
    with served(good["live"]) as address:
        found = check_live(f"{address}/index.m3u8", patience=0.0)
    broken = {violation.rule for violation in found.broken}
    assert {"B6.2.5b", "B6.2.5m", "B6.2.5f", "A10.1"} <= broken


def test_a_media_playlist_is_refused_as_a_start(good: dict[str, Path]) -> None:
    with served(good["ended"]) as address:
        (violation,) = check(f"{address}/video.m3u8")
    assert "give the multivariant one" in str(violation)


def test_the_command_says_what_is_broken(
    good: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "hls"
    shutil.copytree(good["ended"], folder)
    with served(folder) as address:
        assert main([f"{address}/index.m3u8"]) == 0
        assert "0 broken" in capsys.readouterr().out
        swap("index.m3u8", "LANGUAGE", "LINGO")(folder)
        assert main([f"{address}/index.m3u8"]) == 1
    assert "A4.4 EXT-X-MEDIA: no LANGUAGE" in capsys.readouterr().out


def test_there_are_about_sixty_rules_and_none_is_made_up_on_the_way() -> None:
    assert len(RULES) >= 60
    with pytest.raises(AssertionError):
        Findings().expect("A0.0", "here", False, "no such rule")


@pytest.fixture
def ladder(tmp_path: Path) -> Path:
    """An ended presentation of one picture in two sizes, which are the same here."""
    sink = HlsSink(
        HlsDoc(kind="hls", to="x", segment="2s", audio_only=True), context(tmp_path / "spool", tmp_path / "hls")
    )
    show = programme(6.7)
    smaller = replace(show.streams[0], id="video-1", rung=1)
    sink.open((*show.streams, smaller))
    for packet in show.packets:
        sink.write(packet)
        if packet.stream == "video":
            sink.write(replace(packet, stream="video-1"))
    sink.close()
    return tmp_path / "hls"


def test_a_ladder_breaks_no_rule(ladder: Path) -> None:
    with served(ladder) as url:
        assert not check(f"{url}/index.m3u8")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (swap("video-1.m3u8", r"seg-1\.m4s", "seg-2.m4s"), "A7.4v"),
        (swap("video-1.m3u8", r"#EXTINF:2\.000000", "#EXTINF:1.900000"), "A7.4v"),
        (patch("video-1/init.mp4", b"avc1", 28, struct.pack(">H", 200)), "A1.33"),
    ],
)
def test_sizes_that_do_not_go_together_are_found(ladder: Path, change: Break, rule: str) -> None:
    change(ladder)
    with served(ladder) as url:
        assert rule in {violation.rule for violation in check(f"{url}/index.m3u8")}
