"""The HLS checker finds what is broken in captions, timed metadata, byte ranges, gaps and joined attempts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from egress.model.media import SECOND
from egress.model.outputs import CaptionsDoc, HlsDoc
from egress.sinks.base import CAPTION, METADATA, Mark
from egress.sinks.hls import HlsSink
from tests.flashes import STARTED, context, feed, programme, served
from tests.hls_checker import check
from tests.unit.test_hls_checker import Break, patch, swap

DOC = HlsDoc(kind="hls", to="x", segment="2s", captions=(CaptionsDoc(),), id3=True)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two attempts with captions and timed metadata, in files of their own and in one a rendition; ended."""
    made: dict[str, Path] = {}
    for name in ("files", "one file"):
        root = tmp_path_factory.mktemp("hls")
        doc = DOC.model_copy(update={"single_file": name == "one file"})
        told = context(root / "spool", root / "hls")
        sink = HlsSink(doc, told)
        sink.open(programme(4.6).streams)
        sink.mark(Mark(SECOND, CAPTION, "across the border", 2 * SECOND))
        sink.mark(Mark(SECOND, METADATA, "{}", SECOND))
        for packet in programme(4.6).packets:
            sink.write(packet)
        again = HlsSink(doc, replace(told, attempt=2, started=STARTED + timedelta(seconds=9)))
        feed(again, programme(3.5))
        again.close()
        made[name] = root / "hls"
    return made


def test_a_sound_presentation_breaks_no_rule(good: dict[str, Path]) -> None:
    for folder in good.values():
        with served(folder) as address:
            assert [str(violation) for violation in check(f"{address}/index.m3u8") if not violation.should] == []


BROKEN: list[tuple[str, str, Break]] = [
    ("files", "A5.3", swap("captions-en/seg-1.vtt", "^X-TIMESTAMP-MAP.*\n", "")),
    ("files", "A5.3", swap("captions-en/seg-1.vtt", "MPEGTS:0", "MPEGTS:900000")),
    ("files", "A5.3", swap("captions-en/seg-0.vtt", "WEBVTT", "SUBRIP")),
    ("files", "A5.5", swap("captions-en.m3u8", r"EXTINF:2\.000000", "EXTINF:1.900000")),
    ("files", "A5.5", swap("captions-en.m3u8", r"^#EXTINF:[0-9.]+,\ncaptions-en/seg-4.vtt\n", "")),
    ("files", "A5.5b", swap("captions-en/seg-1.vtt", r"across", "along")),
    ("files", "A8.13", swap("video.m3u8", r"^#EXT-X-DISCONTINUITY\n", "")),
    ("files", "A8.15", swap("captions-en.m3u8", r"^#EXT-X-DISCONTINUITY\n", "")),
    ("files", "A8.15", swap("audio.m3u8", "DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:1")),
    ("files", "A8.15", swap("iframes.m3u8", "DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:1")),
    ("files", "B4.4.5.1", swap("video.m3u8", r'X-PAYLOAD="[^"]*"', 'X-PAYLOAD="{}"')),
    ("files", "B4.4.5.1", swap("video.m3u8", r"DURATION=1.000,X", "DURATION=soon,X")),
    ("files", "B4.4.5.1", swap("video.m3u8", r"DURATION=1.000,X", "END-ON-NEXT=YES,DURATION=1.000,X")),
    ("files", "B4.4.5.1", swap("video.m3u8", r'CLASS="egress.metadata",', "")),
    ("files", "C.emsg", patch("video/seg-0.m4s", b"TXXX", 0, b"TALB")),
    ("files", "C.emsg", patch("video/seg-0.m4s", b"https://aomedia", -12, b"\x01")),
    ("files", "B6.2.1g", swap("video.m3u8", r"^#EXTINF", '#EXT-X-PART:DURATION=1,URI="x"\n#EXT-X-GAP\n#EXTINF')),
    ("one file", "B4.4.4.2", swap("audio.m3u8", r"BYTERANGE:\d+@", "BYTERANGE:99999999@")),
    ("one file", "C.boxes", swap("audio.m3u8", r"@0$", "@40")),
    (
        "one file",
        "A7.3",
        swap(
            "video.m3u8",
            r"BYTERANGE:(\d+)@0\n((?:.*\n)*?)#EXT-X-BYTERANGE:\d+@\d+",
            r"BYTERANGE:\1@0\n\2#EXT-X-BYTERANGE:\1@0",
        ),
    ),
]


@pytest.mark.parametrize(("which", "rule", "harm"), BROKEN, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_broken_is_found(good: dict[str, Path], tmp_path: Path, which: str, rule: str, harm: Break) -> None:
    folder = tmp_path / "hls"
    shutil.copytree(good[which], folder)
    harm(folder)
    with served(folder) as address:
        assert rule in {violation.rule for violation in check(f"{address}/index.m3u8")}
