"""What it costs to keep tracks as they were sent: `python -m tests.benchmarks.tracks`.

Participants publish pre-encoded 360p30 VP8 and Opus over real WebRTC from a process of their own; the worker writes a
file a track (or a participant), and nothing else. CPU seconds of the worker for a second of media while everybody is
there, receiving and writing apart (start-up left out); the machine's load at that time is printed beside it, for on a
busy machine caches are cold and the figures higher. Receiving alone is measured by tests.benchmarks.receiving.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from egress.demo import clip as clips
from egress.demo.people import person
from egress.model.media import Codec, Size
from tests.recording import Recording, recording
from tests.world import World

BAR = 0.20
"""CPU seconds a second of the worker, 16 participants."""

_TICKS = os.sysconf("SC_CLK_TCK")


def by_thread(worker: int) -> tuple[float, float]:
    """CPU seconds a process has used so far: its event loop, and all its other threads."""
    used = {}
    for task in Path(f"/proc/{worker}/task").iterdir():
        try:
            fields = (task / "stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        used[int(task.name)] = (int(fields[11]) + int(fields[12])) / _TICKS
    loop = used.pop(worker)
    return loop, sum(used.values())


async def run(folder: Path, participants: int, seconds: float, per: str) -> dict[str, Any]:
    """One job; the worker's figures over its middle."""
    pipeline = f"name: bench\nsinks:\n  - kind: tracks\n    to: tracks/\n    per: {per}\n"
    world = World.everyone(participants, seconds + 8)

    async def everybody(job: Recording) -> dict[str, Any]:
        return await job.until(lambda e: e.get("type") == "alive" and e["participants"] == participants, 60)

    async with recording(folder, pipeline=pipeline) as job, world.perform(job.whip) as cast:
        await everybody(job)
        await asyncio.sleep(3)
        before, first = by_thread(job.worker.pid), job.events[-1]
        await asyncio.sleep(seconds)
        after, last = by_thread(job.worker.pid), job.events[-1]
        load = os.getloadavg()[0]
        await cast.finished()
        await job.stop()
    passed = last["elapsed"] - first["elapsed"]
    sinks = [event["sinks"][0] for event in (first, last)]
    return {
        "participants": participants,
        "per": per,
        "cpu": (last["cpu"] - first["cpu"]) / passed,
        "loop": (after[0] - before[0]) / seconds,
        "threads": (after[1] - before[1]) / seconds,
        "frames": (sinks[1]["frames"] - sinks[0]["frames"]) / passed,
        "megabits": (sinks[1]["bytes"] - sinks[0]["bytes"]) * 8e-6 / passed,
        "memory": last["memory"],
        "lost": last["network"]["lost"] + last["network"]["dropped"],
        "load": load,
    }


def main() -> int:
    """Measure, print a row a run and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--participants", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--per", choices=("track", "participant"), nargs="+", default=["track", "participant"])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    clips.prepare([(person(n), Size(640, 360), 30, Codec.VP8) for n in range(arguments.participants)])
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(arguments.runs):
            for per in arguments.per:
                folder = Path(name) / f"{number}-{per}"
                folder.mkdir()
                row = asyncio.run(run(folder, arguments.participants, arguments.seconds, per))
                rows.append(row)
                if not arguments.json:
                    print(_text(row), flush=True)
    if arguments.json:
        print(json.dumps(rows, indent=2))
    else:
        for per in arguments.per:
            median = statistics.median(row["cpu"] for row in rows if row["per"] == per)
            print(f"{arguments.participants} participants, a file a {per}: median {median:.3f} CPU s/s (bar {BAR})")
    return 0


def _text(row: dict[str, Any]) -> str:
    return (
        f"{row['participants']} participants, a file a {row['per']:11} {row['cpu']:.3f} CPU s/s "
        f"(receiving {row['loop']:.3f}, writing {row['threads']:.3f}), "
        f"{row['frames']:.0f} frames/s, {row['megabits']:.1f} Mbit/s, {row['memory'] >> 20} MiB, lost {row['lost']}, "
        f"load {row['load']:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
