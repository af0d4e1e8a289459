"""Later attempts and recovery list what is there as it was listed, in all renditions alike."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from egress.model.media import SECOND
from egress.model.outputs import CaptionsDoc
from egress.sinks.base import Sink
from egress.sinks.hls import HlsSink
from tests.flashes import programme
from tests.unit.test_hls import Hls
from tests.unit.test_hls_resumed import attempt

SLIDING = {"playlist": "sliding", "window": 8 * SECOND, "captions": (CaptionsDoc(),)}
NAMES = ("video", "audio", "iframes", "captions-en")


def test_no_number_ever_falls_over_attempts_and_recovery(tmp_path: Path) -> None:
    hls = Hls(tmp_path, **SLIDING)
    show = programme(26.3, fps=Fraction(10), keyframe=10)
    seen: dict[str, list[tuple[int, ...]]] = {name: [(0, 0)] for name in NAMES}

    def look() -> None:
        for name in NAMES:
            if (hls.folder / f"{name}.m3u8").exists():
                found = re.findall(r"^#EXT-X-(?:MEDIA|DISCONTINUITY)-SEQUENCE:(\d+)$", hls.text(name), re.M)
                seen[name].append(tuple(map(int, found)))

    for sink in (hls.sink, attempt(hls, 2, 30.0, **SLIDING)):
        sink.open(show.streams)
        for number, packet in enumerate(show.packets):
            sink.write(packet)
            if number % 20 == 0:
                look()
    assert hls.broken() == []
    HlsSink.recover(hls.spool, str(hls.folder))
    look()
    for name, numbers in seen.items():
        assert numbers == sorted(numbers), name
        assert numbers[-1][1] == 1, name
    assert len({numbers[-1] for name, numbers in seen.items() if name != "iframes"}) == 1
    assert hls.broken() == []
    assert {name for name in hls.files("captions-en") if name.count(".") == 1} == {
        line.partition("/")[2] for line in hls.text("captions-en").splitlines() if line.startswith("captions-en/")
    }


def test_an_attempt_of_which_one_rendition_has_nothing_counts_in_all(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.feed(programme(4))
    _pictures_alone(attempt(hls, 2, 7.0), 20)
    third = attempt(hls, 3, 14.0)
    third.open(programme(4).streams)
    for packet in programme(4).packets:
        third.write(packet)
    assert hls.broken() == []
    lost = re.search(
        r"#EXT-X-DISCONTINUITY\n.*init-2.mp4.*\n.*TIME:(.*)\n#EXT-X-GAP\n.*\naudio/seg-2", hls.text("audio")
    )
    assert lost is not None and lost[1] in hls.text("video")
    HlsSink.recover(hls.spool, str(hls.folder))
    assert hls.broken() == []


def test_a_gap_lasts_as_long_as_what_is_missing(tmp_path: Path) -> None:
    hls = Hls(tmp_path)
    hls.feed(programme(7.5))
    before = re.findall("#EXTINF.*|.*TIME:.*", hls.text("audio"))
    (hls.folder / "audio" / "seg-1.m4s").unlink()
    HlsSink.recover(hls.spool, str(hls.folder))
    assert "#EXT-X-GAP" in hls.text("audio")
    assert re.findall("#EXTINF.*|.*TIME:.*", hls.text("audio"))[: len(before) - 1] == before[:-1]


def _pictures_alone(sink: Sink, last: int) -> None:
    """Write the first part of the picture, and too little sound for one."""
    show = programme(4)
    sink.open(show.streams)
    for packet in show.packets:
        if packet.pts <= (last if packet.stream == "video" else 5000):
            sink.write(packet)
