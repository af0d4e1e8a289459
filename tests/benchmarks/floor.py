"""What no composer of N clips can do without: decoding, scaling and encoding them, measured in libav itself.

    python -m tests.benchmarks.floor --canvas 1280x720 --preset superfast --tune zerolatency CLIP...

One process does it all once, and counts each part by itself: decoding on one thread a clip, scaling with one kept
context a clip, encoding with the settings of a job (egress.media.encoder), AAC. Copying tiles onto the canvas, mixing,
containers and the start of the process are done too, and not counted. Prints one JSON object: CPU seconds a second.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import ThreadType
from av.video.reformatter import Interpolation, VideoReformatter

from egress.layouts.geometry import arrange
from egress.media.planes import black, planes
from egress.media.scaling import fitted
from egress.model.media import Size
from egress.model.units import size as parse_size

PARTS = ("decode", "scale", "encode", "sound")
"""What the floor is the sum of."""

KEYINT = 60


def measure(
    files: list[Path], canvas: Size, preset: str, tune: str = "none", bitrate: int = 3_000_000, gap: int = 8
) -> dict[str, float]:
    """The floor of these clips on this canvas, from a process of its own."""
    words = ["--canvas", str(canvas), "--preset", preset, "--tune", tune, "--bitrate", str(bitrate), "--gap", str(gap)]
    command = [sys.executable, "-m", "tests.benchmarks.floor", *words, *map(str, files)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


class Clock:
    """Adds up this thread's CPU time by what it went to."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys((*PARTS, "rest"), 0)
        self._last = time.thread_time_ns()

    def mark(self, part: str) -> None:
        """What was used since the last mark went to this part."""
        now = time.thread_time_ns()
        self.spent[part] += now - self._last
        self._last = now


def pictures(path: Path) -> Iterator[av.VideoFrame]:
    """A clip's pictures, decoded on this thread when they are asked for."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        yield from container.decode(stream)


def sounds(path: Path) -> list[av.AudioFrame]:
    """A clip's sound, decoded."""
    with av.open(str(path)) as container:
        return list(container.decode(audio=0))


def encoder(container: Any, canvas: Size, options: argparse.Namespace) -> Any:
    """A stream of libx264 as a job opens it."""
    stream = container.add_stream("libx264", rate=30)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = canvas.width, canvas.height, "yuv420p"
    context.gop_size = KEYINT
    stream.bit_rate = options.bitrate
    if options.tune == "zerolatency":
        context.thread_type, context.thread_count = ThreadType.SLICE, max(1, min(2, canvas.height // 360))
    else:
        context.thread_type, context.thread_count = ThreadType.FRAME, 3
    context.options = {
        "preset": options.preset,
        "maxrate": str(options.bitrate),
        "bufsize": str(options.bitrate // 2),
        "x264-params": f"keyint={KEYINT}:min-keyint={KEYINT}:scenecut=0",
        **({"tune": options.tune} if options.tune != "none" else {}),
    }
    return stream


def main() -> int:
    """Measure one floor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--canvas", type=parse_size, required=True)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--tune", default="none")
    parser.add_argument("--bitrate", type=int, default=3_000_000)
    parser.add_argument("--gap", type=int, default=8)
    parser.add_argument("clips", type=Path, nargs="+")
    options = parser.parse_args()
    canvas = options.canvas
    boxes = arrange(len(options.clips), canvas, gap=options.gap, margin=0)
    frame = black(canvas)
    regions = [
        [
            plane[box.y // n : (box.y + box.height) // n, box.x // n : (box.x + box.width) // n]
            for plane, n in zip(planes(frame), (1, 2, 2), strict=True)
        ]
        for box in boxes
    ]
    scalers = [VideoReformatter() for _ in boxes]
    container = av.open(io.BytesIO(), "w", format="mp4")
    video = encoder(container, canvas, options)
    audio = container.add_stream("aac", rate=48000)
    audio.bit_rate = 128_000
    container.start_encoding()
    whole, clock = time.process_time_ns(), Clock()
    count = 0
    for together in zip(*map(pictures, options.clips), strict=False):
        clock.mark("decode")
        for k, picture in enumerate(together):
            size = fitted(Size(picture.width, picture.height), boxes[k].size, "cover")
            scaled = scalers[k].reformat(
                picture,
                size.width,
                size.height,
                "yuv420p",
                None,
                None,
                Interpolation.BILINEAR,
                None,
                None,
                None,
                None,
                1,
            )
            clock.mark("scale")
            for target, source in zip(regions[k], planes(scaled), strict=True):
                height, width = target.shape
                target[...] = source[:height, :width]
            clock.mark("rest")
        frame.pts, frame.time_base = count, Fraction(1, 30)
        packets = video.encode(frame)
        clock.mark("encode")
        for packet in packets:
            container.mux(packet)
        count += 1
        clock.mark("rest")
    video.encode(None)
    clock.mark("encode")
    # Threads of x264 are all of this process that did not run on this thread.
    clock.spent["encode"] += time.process_time_ns() - whole - sum(clock.spent.values())
    mixed = np.zeros((2, count * 1600), np.float32)
    clock.mark("rest")
    for path in options.clips:
        decoded = sounds(path)
        clock.mark("sound")
        if decoded[0].format.name == "fltp" and decoded[0].layout.name == "stereo":
            joined = np.concatenate([part.to_ndarray() for part in decoded], axis=1)[:, : mixed.shape[1]]
            mixed[:, : joined.shape[1]] += joined
        clock.mark("rest")
    for at in range(0, mixed.shape[1] - 1023, 1024):
        block = av.AudioFrame.from_ndarray(np.ascontiguousarray(mixed[:, at : at + 1024]), "fltp", "stereo")
        block.sample_rate, block.pts, block.time_base = 48000, at, Fraction(1, 48000)
        clock.mark("rest")
        audio.encode(block)
        clock.mark("sound")
    seconds = count / 30
    found = {part: clock.spent[part] / seconds / 1e9 for part in PARTS}
    print(json.dumps({**found, "floor": sum(found.values()), "seconds": seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
