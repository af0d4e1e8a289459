"""How many rooms one machine holds: jobs of four participants at 720p30 to MP4, one more at a time.

    python -m tests.benchmarks.scale [--participants 4] [--most 8] [--seconds 20] [--json FILE]

Each room has a worker and a process of publishers (360p30 VP8 and Opus) of its own, all on this machine; what the
publishers take is told apart. It goes on until some room repeats more than 0.1 % of its ticks, or gives something up to
keep up. Then one room alone with 1, 2, 4, 9, 16 and 25 participants: what each costs as a room grows.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import clips, harness, room
from tests.benchmarks.room import Span
from tests.recording import recording
from tests.world import World

MOST = 0.001
"""The share of ticks repeated that no room may pass."""

GROWTH = (1, 2, 4, 9, 16, 25)


@dataclass(frozen=True, slots=True)
class Held:
    """Some rooms at once: each worker's figures, and what all publishers took."""

    spans: list[Span]

    @property
    def worst(self) -> float:
        """The largest share of ticks repeated in a room."""
        return max(span.repeated for span in self.spans)

    def total(self, value: str) -> float:
        """A figure of all rooms together."""
        return float(sum(getattr(span, value) for span in self.spans))


async def run(rooms: int, participants: int, seconds: float, pipeline: str = "record-grid") -> Held:
    """So many rooms at once."""
    world = World.everyone(participants, seconds + room.SETTLED + 12 + 2 * rooms)
    with tempfile.TemporaryDirectory() as name:
        async with AsyncExitStack() as stack:
            jobs = []
            for number in range(rooms):
                folder = Path(name) / str(number)
                folder.mkdir()
                job = await stack.enter_async_context(recording(folder, pipeline=pipeline))
                jobs.append((job, await stack.enter_async_context(world.perform(job.whip))))
            for job, _ in jobs:
                await job.until(lambda e: e.get("type") == "alive" and e["participants"] == participants, 60)
            await asyncio.sleep(room.SETTLED)
            before = [(room.latest(job), room.others(job, cast.process.pid)) for job, cast in jobs]
            await asyncio.sleep(seconds)
            after = [(room.latest(job), room.others(job, cast.process.pid)) for job, cast in jobs]
            await asyncio.gather(*(job.stop() for job, _ in jobs))
            spans = [
                room.span(first, last, then, now, seconds, job)
                for (first, then), (last, now), (job, _) in zip(before, after, jobs, strict=True)
            ]
    return Held(spans)


def main() -> int:
    """Measure."""
    parser = harness.arguments(__doc__, runs=1)
    parser.add_argument("--participants", type=int, default=4)
    parser.add_argument("--most", type=int, default=10, help="rooms at most")
    parser.add_argument("--growth", type=int, nargs="*", default=[*GROWTH], help="participants of one room alone")
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    report = harness.Report("scale", {"seconds": options.seconds, "participants": options.participants})
    clips.participants(max(options.participants, *options.growth, 1))
    rows: list[tuple[Any, ...]] = []
    fit = 0
    for rooms in range(1, options.most + 1):
        held = asyncio.run(run(rooms, options.participants, options.seconds))
        rows.append(
            (
                rooms,
                held.total("worker"),
                held.total("worker") / rooms,
                held.total("publishers"),
                f"{100 * held.worst:.2f}",
                100 * max(span.strained for span in held.spans),
                max(span.memory for span in held.spans),
                os.getloadavg()[0],
            )
        )
        if held.worst > MOST or held.total("strained"):
            break
        fit = rooms
    report.table(
        f"rooms of {options.participants} participants, 720p30 to MP4, {len(os.sched_getaffinity(0))} cores",
        ("rooms", "workers, CPU s/s", "a room", "publishers", "worst, % repeated", "% strained", "most MB", "load"),
        rows,
    )
    print(f"{fit} rooms hold")
    report.facts["rooms"] = fit
    grown: list[tuple[Any, ...]] = []
    for participants in options.growth:
        spans = [asyncio.run(run(1, participants, options.seconds)).spans[0] for _ in range(options.runs)]
        stages = {stage: statistics.median(span.stages[stage] for span in spans) for stage in room.STAGES}
        grown.append(
            (participants, room.middle(spans, "worker"), *stages.values(), 100 * room.middle(spans, "repeated"))
        )
    if grown:
        report.table(
            "one room, 720p30 to MP4: CPU s/s of its worker",
            ("participants", "worker", *room.STAGES, "% repeated"),
            grown,
        )
        if len(grown) > 1:
            begin, each = harness.line([(row[0], row[1]) for row in grown])
            print(f"a straight line: {begin:.3f} and {each:.4f} a participant")
            report.facts["line"] = [begin, each]
    return report.close(options.json)


if __name__ == "__main__":
    sys.exit(main())
