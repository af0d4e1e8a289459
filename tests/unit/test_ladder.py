"""The ladder: the same pictures in every size, keyframes at the same ones, and rules about what sizes there may be."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from egress.media.ladder import Ladder
from egress.model import checking
from egress.model.media import Packet, Size
from egress.model.pipeline import RungDoc, Video

DOC = Video(
    size=Size(320, 180),
    fps=Fraction(30),
    bitrate=400_000,
    keyframe="1s",  # type: ignore[arg-type]
    preset="ultrafast",
    ladder=(RungDoc(size=Size(160, 90), bitrate=150_000), RungDoc(size=Size(96, 54), bitrate=60_000)),
)


def canvas(n: int) -> av.VideoFrame:
    """Left half dark, right half as bright as the picture's number says."""
    frame = av.VideoFrame(320, 180, "yuv420p")
    luma = np.full((180, frame.planes[0].line_size), 32, np.uint8)
    luma[:, 160:] = 60 + n % 120
    frame.planes[0].update(luma.tobytes())
    for plane in frame.planes[1:]:
        plane.update(bytes([128]) * plane.buffer_size)
    return frame


def encoded(count: int, keys: tuple[int, ...] = ()) -> tuple[Ladder, dict[str, list[Packet]]]:
    packets: dict[str, list[Packet]] = defaultdict(list)
    ladder = Ladder(DOC, lambda packet: packets[packet.stream].append(packet))
    frame = canvas(0)
    for n in range(count):
        if n in keys:
            ladder.key(n)
        for mine, theirs in zip(frame.planes, canvas(n).planes, strict=True):
            mine.update(bytes(theirs))
        ladder.offer(n, frame, patience=5)
    ladder.close(count)
    return ladder, packets


def test_every_size_has_the_same_pictures_and_keyframes() -> None:
    ladder, packets = encoded(75, keys=(41,))
    assert [(info.id, info.rung, str(info.size)) for info in ladder.infos] == [
        ("video", 0, "320x180"),
        ("video-1", 1, "160x90"),
        ("video-2", 2, "96x54"),
    ]
    for stream in ("video", "video-1", "video-2"):
        assert [packet.pts for packet in packets[stream]] == list(range(75)), stream
        assert [packet.pts for packet in packets[stream] if packet.key] == [0, 30, 41, 60], stream


def test_every_size_shows_what_was_drawn() -> None:
    ladder, packets = encoded(20)
    for info in ladder.infos:
        decoder = av.CodecContext.create("h264", "r")
        decoder.extradata = info.extradata
        frames = [f for packet in packets[info.id] for f in decoder.decode(av.Packet(packet.data))] + decoder.decode(
            None
        )
        assert len(frames) == 20 and info.size == Size(frames[0].width, frames[0].height)
        picture = frames[-1].to_ndarray(format="gray").astype(int)
        width = picture.shape[1]
        assert abs(picture[:, : width // 3].mean() - picture[:, width * 2 // 3 :].mean()) > 15


def test_the_counters_tell_the_sizes_apart() -> None:
    ladder, _ = encoded(10)
    assert {name: stats["packets"] for name, stats in ladder.stats().items()} == dict.fromkeys(
        ("video", "video-1", "video-2"), 10
    )


HLS = {"kind": "hls", "to": "live/"}


def problems(*rungs: dict[str, Any], sinks: tuple[dict[str, Any], ...] = (HLS,)) -> dict[str, str]:
    video = {"size": "1280x720", "bitrate": "3M", "ladder": list(rungs)}
    _, found = checking.examine({"name": "p", "video": video, "sinks": list(sinks)})
    return {problem.path: problem.message for problem in found}


def test_usual_ladders_are_fine() -> None:
    sizes = (("854x480", "1200k"), ("640x360", "700k"), ("426x240", "300k"))
    assert problems(*({"size": size, "bitrate": bitrate} for size, bitrate in sizes)) == {}


@pytest.mark.parametrize(
    ("rungs", "field", "words"),
    [
        ([("1280x720", "1M")], "video.ladder[0].size", "not smaller than 1280x720 of video"),
        ([("640x360", "1M"), ("854x480", "500k")], "video.ladder[1].size", "of video.ladder[0]"),
        ([("853x480", "1M")], "video.ladder[0].size", "use 854x480"),
        ([("640x480", "1M")], "video.ladder[0].size", "another shape than 1280x720; use 854x480"),
        ([("80x44", "1M")], "video.ladder[0].size", "too small"),
        ([("640x360", "3M")], "video.ladder[0].bitrate", "less than 3M"),
        ([("640x360", "1M"), ("320x180", "1M")], "video.ladder[1].bitrate", "less than 1M"),
        ([("640x360", "10k")], "video.ladder[0].bitrate", "50k"),
    ],
)
def test_what_is_wrong_with_a_ladder_is_named(rungs: list[tuple[str, str]], field: str, words: str) -> None:
    found = problems(*({"size": size, "bitrate": bitrate} for size, bitrate in rungs))
    assert list(found) == [field] and words in found[field]


def test_a_ladder_nobody_offers_is_refused() -> None:
    found = problems({"size": "640x360", "bitrate": "1M"}, sinks=({"kind": "mp4", "to": "a.mp4"},))
    assert list(found) == ["video.ladder"] and "hls" in found["video.ladder"]
