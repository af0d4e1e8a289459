"""What it costs to keep tracks as they were sent: `python -m tests.benchmarks.tracks`.

Participants publish pre-encoded 360p30 VP8 and Opus over real WebRTC from a process of their own; the worker writes a
file a track (or a participant), and nothing else. CPU seconds of the worker for a second of media while everybody is
there, receiving and writing apart (start-up left out); the machine's load at that time is printed beside it, for on a
busy machine caches are cold and the figures higher. Receiving alone is measured by tests.benchmarks.receiving.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from egress.demo import clip as clips
from egress.demo.people import person
from egress.model.media import Codec, Size
from tests.benchmarks import harness
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
    """Measure; exits with 1 when the bar is broken."""
    parser = harness.arguments(__doc__, runs=3)
    parser.add_argument("--participants", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--per", choices=("track", "participant"), nargs="+", default=["track", "participant"])
    options = parser.parse_args()
    report = harness.Report("tracks", {"seconds": options.seconds, "runs": options.runs})
    clips.prepare([(person(n), Size(640, 360), 30, Codec.VP8) for n in range(options.participants)])

    def variant(per: str) -> Callable[[], dict[str, Any]]:
        def measured() -> dict[str, Any]:
            with tempfile.TemporaryDirectory() as name:
                return asyncio.run(run(Path(name), options.participants, options.seconds, per))

        return measured

    given = harness.interleaved({per: variant(per) for per in options.per}, options.runs)
    figures = ("cpu", "loop", "threads", "frames", "megabits", "memory", "lost", "load")
    medians = {
        per: {name: statistics.median(row[name] for row in rows) for name in figures} for per, rows in given.items()
    }
    report.table(
        f"{options.participants} participants kept as sent: CPU s/s",
        ("a file a", "worker", "receiving", "writing", "frames/s", "Mbit/s", "MB", "lost", "load"),
        [
            (per, *(value / 1e6 if name == "memory" else value for name, value in row.items()))
            for per, row in medians.items()
        ],
    )
    for per, row in medians.items():
        report.bar(f"{options.participants} participants, a file a {per}, CPU s/s", row["cpu"], BAR)
    return report.close(options.json)


if __name__ == "__main__":
    sys.exit(main())
