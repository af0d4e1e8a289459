"""Synthetic products whose faults are known, to prove that the analyser finds them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from egress.demo.clip import RATE, beeps
from egress.demo.people import person
from egress.demo.picture import Artist, planes
from egress.layouts.arranging import tiles
from egress.layouts.base import Box, Tile, View
from egress.model.look import GridDoc, LayoutDoc
from egress.model.media import Size
from tests.watching import room_of


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with a product; times in seconds, participants by number.

    `video_late` and `audio_late` shift what one participant shows and says; `silent` and `hidden` are whole seconds
    (of the clock) without beep or picture; `frozen` is (from, until) in seconds for everyone's picture; `repeats`
    shows every n-th picture twice; `jump` moves all pictures after the 40th by so many ticks of 1/90000.
    """

    video_late: dict[int, float] = field(default_factory=dict)
    audio_late: dict[int, float] = field(default_factory=dict)
    silent: dict[int, tuple[int, ...]] = field(default_factory=dict)
    hidden: dict[int, tuple[int, ...]] = field(default_factory=dict)
    frozen: tuple[float, float] = (0.0, 0.0)
    repeats: int = 0
    jump: int = 0
    gain: float = 1.0
    order: tuple[int, ...] | None = None


def make(
    path: Path,
    participants: int,
    seconds: int,
    faults: Faults | None = None,
    *,
    canvas: Size = Size(640, 360),  # noqa: B008
    fps: int = 30,
    first_second: float = 0.3,
    doc: LayoutDoc | None = None,
    screens: int = 0,
) -> None:
    """Participants in a layout, default a grid, as the product of a faultless engine, but for `faults`.

    The product begins at `first_second` of the shared clock. The last `screens` participants are shared screens.
    """
    faults = faults or Faults()
    room = room_of(participants - screens, screens)
    shown = tiles(View(room), canvas, doc or GridDoc())
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        container.metadata["title"] = "synthetic"
        video: Any = container.add_stream("libx264", rate=fps)
        video.width, video.height, video.pix_fmt = canvas.width, canvas.height, "yuv420p"
        video.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "20", "x264-params": "scenecut=0"}
        video.codec_context.gop_size = 2 * fps
        video.codec_context.thread_count = 1
        video.codec_context.time_base = Fraction(1, 90_000)
        audio: Any = container.add_stream("aac", rate=RATE)
        audio.codec_context.layout = "stereo"
        _pictures(container, video, shown, seconds, faults, canvas, fps, first_second)
        _sound(container, audio, participants, seconds, faults, first_second)


def _pictures(
    container: Any,
    stream: Any,
    shown: tuple[Tile, ...],
    seconds: int,
    faults: Faults,
    canvas: Size,
    fps: int,
    begin: float,
) -> None:
    places = sorted(shown, key=lambda tile: (tile.screen, tile.peer))
    order = faults.order or tuple(range(len(shown)))
    cast = [(order[places.index(tile)], tile) for tile in shown]
    artists = {who: Artist(person(who), _scaled(tile), fps) for who, tile in cast}
    for number in range(seconds * fps):
        at = number / fps
        if faults.frozen[0] <= at < faults.frozen[1]:
            at = faults.frozen[0]
        if faults.repeats and number % faults.repeats == 0 and number:
            at -= 1 / fps
        frame = av.VideoFrame(canvas.width, canvas.height, "yuv420p")
        luma, blue, red = planes(frame)
        luma[:], blue[:], red[:] = 16, 128, 128
        for who, tile in cast:
            now = begin + at - faults.video_late.get(who, 0.0)
            if int(now + 0.5) in faults.hidden.get(who, ()):
                continue
            # The newest picture taken at or before this instant, as a tick shows it.
            index = int(np.floor(now * fps + 1e-6)) % artists[who].length
            drawn = planes(artists[who].draw(index))
            _paste(drawn, tile.box, (luma, blue, red))
        frame.pts = number * 90_000 // fps + (faults.jump if number > 40 else 0)
        frame.time_base = Fraction(1, 90_000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _scaled(tile: Tile) -> Size:
    """The size of a 16:9 picture that covers a tile, or is contained in it."""
    box = tile.box
    if tile.fit == "contain":
        return Size(int(min(box.width, box.height * 16 / 9)) & ~1, int(min(box.height, box.width * 9 / 16)) & ~1)
    return Size(_even(max(box.width, box.height * 16 / 9)), _even(max(box.height, box.width * 9 / 16)))


def _paste(drawn: tuple[Any, ...], box: Box, canvas: tuple[Any, ...]) -> None:
    """The middle of a picture in the middle of a box, black around it."""
    for plane, part, scale, black in zip(canvas, drawn, (1, 2, 2), (16, 128, 128), strict=True):
        into = plane[box.y // scale : (box.y + box.height) // scale, box.x // scale : (box.x + box.width) // scale]
        into[:] = black
        height, width = min(part.shape[0], into.shape[0]), min(part.shape[1], into.shape[1])
        top, left = (part.shape[0] - height) // 2, (part.shape[1] - width) // 2
        down, right = (into.shape[0] - height) // 2, (into.shape[1] - width) // 2
        into[down : down + height, right : right + width] = part[top : top + height, left : left + width]


def _even(length: float) -> int:
    return 2 * math.ceil(length / 2)


def _sound(container: Any, stream: Any, participants: int, seconds: int, faults: Faults, begin: float) -> None:
    mix = np.zeros(seconds * RATE, np.float32)
    for who in range(participants):
        voice = beeps(person(who).tone, seconds + 4)
        for second in faults.silent.get(who, ()):
            voice[second * RATE - 480 : second * RATE + RATE // 2] = 0
        start = round((begin - faults.audio_late.get(who, 0.0)) * RATE)
        mix += voice[start : start + len(mix)] if start >= 0 else np.roll(voice, -start)[: len(mix)]
    stereo = np.repeat(np.clip(mix * faults.gain, -1, 1)[None, :], 2, axis=0)
    for position in range(0, stereo.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(stereo[:, position : position + 1024]), "fltp", "stereo"
        )
        frame.sample_rate, frame.pts, frame.time_base = RATE, position, Fraction(1, RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
