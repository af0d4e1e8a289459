"""A whole job against a hand-made ffmpeg command, in one run: `python -m tests.benchmarks.whole_job`.

Ours receives the participants over real WebRTC and does all it ever does: jitter, decryption, sync, grid, labels,
mix, limiter, encode, MP4. The command reads the very same encoded pictures and sound from files and stacks, mixes and
encodes them with the same encoder, preset and bitrate; it receives nothing and syncs nothing. CPU seconds of each for
a second of media, whole process trees, start-up left out of ours and included in ffmpeg's.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av

from egress.demo import clip as clips
from egress.demo.people import person
from egress.layouts.grid import arrange
from egress.model.media import Codec, Size
from tests.recording import recording
from tests.world import World

SECONDS = 10
CANVAS = Size(1280, 720)


def write_clip(path: Path, index: int) -> None:
    """One participant's loop as a WebM file, as it is sent."""
    picture = clips.video(person(index), Size(640, 360), 30, Codec.VP8)
    with av.open(str(path), "w", format="webm") as container:
        video = container.add_mux_stream("vp8", rate=30, width=640, height=360)
        video.time_base = Fraction(1, 1000)
        audio = container.add_mux_stream("opus", rate=48000)
        audio.time_base = Fraction(1, 1000)
        packets = [
            *((video, frame, n * 1000 // 30, n in picture.keys) for n, frame in enumerate(picture.frames)),
            *((audio, data, n * 20, True) for n, data in enumerate(clips.audio(person(index)))),
        ]
        for stream, data, at, key in sorted(packets, key=lambda row: row[2]):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = at
            packet.is_keyframe = key
            container.mux(packet)


def by_ffmpeg(folder: Path, participants: int) -> float:
    """CPU seconds a second of the command."""
    words = ["ffmpeg", "-v", "error", "-y"]
    for index in range(participants):
        path = folder / f"{index}.webm"
        if not path.exists():
            write_clip(path, index)
        words += ["-i", str(path)]
    boxes = arrange(participants, CANVAS, gap=8, margin=0)
    scale = [f"[{n}:v]scale={box.width}:{box.height}:flags=bilinear[v{n}]" for n, box in enumerate(boxes)]
    places = "|".join(f"{box.x}_{box.y}" for box in boxes)
    inputs = "".join(f"[v{n}]" for n in range(participants))
    stack = f"{inputs}xstack=inputs={participants}:layout={places}:fill=black,pad={CANVAS.width}:{CANVAS.height}[v]"
    if participants == 1:
        stack = "[v0]null[v]"
    mix = "".join(f"[{n}:a]" for n in range(participants)) + f"amix=inputs={participants}:normalize=0[a]"
    words += ["-filter_complex", ";".join((*scale, stack, mix)), "-map", "[v]", "-map", "[a]", "-r", "30"]
    words += ["-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-b:v", "3M", "-maxrate", "3M"]
    words += ["-bufsize", "1500k", "-g", "60", "-sc_threshold", "0", "-c:a", "aac", "-b:a", "128k"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*words, "-t", str(SECONDS), str(folder / "stacked.mp4")], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / SECONDS


async def by_us(folder: Path, participants: int) -> float:
    """CPU seconds a second of our worker while everybody is there."""
    world = World.everyone(participants, SECONDS + 6)
    async with recording(folder, pipeline="record-grid") as job:
        async with world.perform(job.whip) as cast:
            await cast.finished()
        await job.stop()
    there = [event for event in job.events if event.get("type") == "alive" and event["participants"] == participants]
    first, last = there[2], there[-2]
    return float((last["cpu"] - first["cpu"]) / (last["elapsed"] - first["elapsed"]))


def main() -> int:
    """Measure both in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--participants", type=int, nargs="+", default=[4, 9])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for participants in arguments.participants:
            clips.prepare([(person(n), Size(640, 360), 30, Codec.VP8) for n in range(participants)])
            rows = []
            for run in range(arguments.runs):
                place = folder / f"{participants}-{run}"
                place.mkdir()
                rows.append((asyncio.run(by_us(place, participants)), by_ffmpeg(folder, participants)))
            ours, theirs = (statistics.median(column) for column in zip(*rows, strict=True))
            ratio = statistics.median(a / b for a, b in rows)
            print(
                f"{participants} participants: ours {ours:.2f}, ffmpeg {theirs:.2f} CPU s/s, ratio {ratio:.2f} "
                f"(least {min(a / b for a, b in rows):.2f}, most {max(a / b for a, b in rows):.2f})"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
