"""Python's own share: sources of 32x32 pixels, so that next to no pixels are left to pay for.

    python -m tests.benchmarks.overhead [--runs 5] [--ticks 300] [--json FILE]

Each tick has a new picture of every source decoded, scaled, put where its tick finds it, painted, and the canvas
encoded, by the parts of a job and as fast as they go, on the threads they have in a job but for decoding, which is done
by the tick's own. A straight line through CPU microseconds over the number of tiles says what a tick and what a tile
costs. Then the mix: summing and limiting a block of 20 ms.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import av
import numpy as np

from egress.layouts.base import Tile, View
from egress.layouts.grid import grid
from egress.media.decoding import VideoDecoder
from egress.media.mixer import Mixer
from egress.media.production import Production
from egress.media.scaling import Scaler
from egress.media.scene import Scene
from egress.media.shelf import Picture, Shelf
from egress.model.checking import read
from egress.model.look import Fit, LayoutDoc
from egress.model.media import SECOND, Codec, EncodedFrame, Nanos, Size
from egress.model.room import Peer, PeerJoined, Room, Track, TrackPublished, TrackSource
from tests.benchmarks import harness

CANVAS = Size(72, 72)
SOURCE = Size(32, 32)
COUNTS = (1, 4, 9, 16)
PER_TICK, PER_TILE, PER_BLOCK = 100.0, 40.0, 50.0
"""Bars, microseconds."""

_PIPELINE = """name: overhead
video: {{size: {size}, fps: 30, preset: ultrafast, bitrate: 50k}}
sinks: [{{kind: mp4, to: a.mp4}}]
"""
"""The least bitrate there is: with that of a large picture, libx264 would write 12 kB of coefficients for each tick."""
_LOOP = 60


def encoded(seed: int, size: Size = SOURCE) -> list[EncodedFrame]:
    """A loop of H.264 pictures that move."""
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = size.width, size.height, "yuv420p"
    context.framerate, context.time_base = Fraction(30), Fraction(1, 30)
    context.gop_size = _LOOP
    context.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
    pixels = np.random.default_rng(seed).integers(60, 200, (size.height * 3 // 2, size.width)).astype(np.uint8)
    found = []
    for n in range(_LOOP):
        frame = av.VideoFrame.from_ndarray(np.roll(pixels, n, axis=1), "yuv420p")
        frame.pts = n
        found += [EncodedFrame(Codec.H264, bytes(packet), 0, 0, packet.is_keyframe) for packet in context.encode(frame)]
    return found


@dataclass
class Spending:
    """CPU microseconds of what the sources of a run do on the tick's thread."""

    decode: float = 0.0
    scale: float = 0.0


@dataclass
class Source:
    """A track that has a new picture for every tick."""

    frames: list[EncodedFrame]
    spending: Spending
    decoder: VideoDecoder = field(default_factory=VideoDecoder)
    scaler: Scaler = field(default_factory=Scaler)
    shelf: Shelf = field(default_factory=Shelf)
    taken: int = 0
    size: Size = SOURCE
    fit: Fit = "cover"

    def show(self, size: Size | None, fit: Fit) -> None:
        """Where its pictures go."""
        self.size, self.fit = size or self.size, fit

    def picture_at(self, at: Nanos, tolerance: Nanos) -> Picture | None:
        """Decode and scale the next one, and take it."""
        begin = time.thread_time_ns()
        frame = self.frames[self.taken % len(self.frames)]
        self.taken += 1
        (picture,) = self.decoder.decode(frame, at)
        decoded = time.thread_time_ns()
        scaled, source = self.scaler.scale(picture, self.size, self.fit, 0)
        self.shelf.put(Picture(scaled, at, source))
        end = time.thread_time_ns()
        self.spending.decode += (decoded - begin) / 1000
        self.spending.scale += (end - decoded) / 1000
        return self.shelf.pick(at, tolerance)


def tiles(count: int, canvas: Size) -> tuple[Tile, ...]:
    """A grid of this many peers."""
    room = Room("bench")
    for k in range(count):
        room = room.after(PeerJoined(Peer(f"p{k}", f"Participant {k}")))
        room = room.after(TrackPublished(Track(f"v{k}", f"p{k}", "video", TrackSource.CAMERA)))
    return tuple(grid(View(room), canvas, LayoutDoc(gap=0)))


def cpu(name: str) -> float:
    """CPU microseconds of the living threads of a name."""
    return sum(
        time.clock_gettime_ns(time.pthread_getcpuclockid(thread.ident)) / 1000
        for thread in threading.enumerate()
        if thread.name == name and thread.ident is not None
    )


def picture(count: int, ticks: int) -> dict[str, float]:
    """CPU microseconds a tick with so many tiles, by stage."""
    spending = Spending()
    sources = {f"v{k}": Source(encoded(k), spending) for k in range(count)}
    failed: list[Exception] = []
    made = Production(read(_PIPELINE.format(size=CANVAS), "overhead"), datetime.now(UTC), lambda _: None, failed.append)
    made.change(Scene(tiles(count, CANVAS), sources))
    for _ in range(30):
        made.make(patience=SECOND)
    spending.decode = spending.scale = 0.0
    # As a worker does before its job.
    gc.collect()
    gc.freeze()
    names = ("encode-video", "encode-audio", "loudness")
    before = {name: cpu(name) for name in names}
    begin = time.thread_time_ns()
    for _ in range(ticks):
        made.make(patience=SECOND)
    own = (time.thread_time_ns() - begin) / 1000
    while made.encoders()["video"]["waiting"]:
        time.sleep(0.001)
    others = {name: (cpu(name) - before[name]) / ticks for name in names}
    assert not failed, failed
    assert made.video is not None and made.video.main.repeated == 0, "pictures were lost"
    made.finish()
    gc.unfreeze()
    row = {
        "decode": spending.decode / ticks,
        "scale": spending.scale / ticks,
        "tick": (own - spending.decode - spending.scale) / ticks,
        "encode": others["encode-video"],
    }
    return {**row, "sum": sum(row.values()), "sound": others["encode-audio"] + others["loudness"]}


def mixes() -> dict[str, Callable[[], float]]:
    """Blocks of 20 ms of many sources: when nothing is too loud, and when all of it is. CPU microseconds a block."""

    def variant(count: int, level: float, calls: int = 300) -> Callable[[], float]:
        generator = np.random.default_rng(count)
        blocks = [(level * generator.uniform(-1, 1, (2, 960))).astype(np.float32) for _ in range(count)]
        mixer = Mixer(2)

        def mix() -> float:
            with harness.thread_time() as spent:
                for _ in range(calls):
                    mixer.mix(blocks, 960)
                return spent() / calls

        return mix

    loud = {"talking": 0.3, "limited": 1.0}
    return {
        f"{count} sources, {name}": variant(count, level if name == "limited" else level / count)
        for count in (1, 4, 16)
        for name, level in loud.items()
    }


def main() -> int:
    """Measure; exits with 1 when a bar is broken."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--ticks", type=int, default=300, help="of each run (default 300)")
    options = parser.parse_args()
    report = harness.Report("overhead", {"ticks": options.ticks, "runs": options.runs, "av": av.__version__})
    # Larger ones first and last in turn: what a machine does over minutes shall not look like a slope.
    order = random.Random(1).sample(COUNTS, len(COUNTS))
    pictures = harness.interleaved(
        {str(count): lambda count=count: picture(count, options.ticks) for count in order},  # type: ignore[misc]
        options.runs,
    )
    stages = ("decode", "scale", "tick", "encode", "sum", "sound")
    medians = {c: {s: statistics.median(row[s] for row in pictures[str(c)]) for s in stages} for c in COUNTS}
    report.table(
        "CPU us a tick, sources of 32x32 (sound: AAC and loudness on their threads, not in the sum)",
        ("tiles", *stages),
        [(count, *medians[count].values()) for count in COUNTS],
    )
    lines = {stage: harness.line([(count, medians[count][stage]) for count in COUNTS]) for stage in stages}
    report.table(
        "as a straight line: CPU us",
        ("stage", "a tick", "a tile"),
        [(stage, *lines[stage]) for stage in stages],
    )
    blocks = harness.interleaved(mixes(), 2 * options.runs)
    mixed = {name: statistics.median(values) for name, values in blocks.items()}
    report.table("mixing and limiting 20 ms: CPU us", ("sources", "a block"), [*mixed.items()])
    print()
    # A tick costs what the bar says in all: over a line's two figures one may pay for the other.
    for count in COUNTS:
        report.bar(f"{count} tiles, CPU us a tick", medians[count]["sum"], PER_TICK + count * PER_TILE)
    report.bar("a tick without tiles, CPU us", lines["sum"][0], PER_TICK)
    report.bar("a tile, CPU us", lines["sum"][1], PER_TILE)
    report.bar("mixing 16 sources talking, CPU us", mixed["16 sources, talking"], PER_BLOCK)
    return report.close(options.json)


if __name__ == "__main__":
    sys.exit(main())
