"""A whole job: N publishers over WebRTC, one worker, and MP4, HLS and RTMP at once, against its floor.

    python -m tests.benchmarks.room [--participants 9 16] [--seconds 20] [--runs 5] [--json FILE]

Publishers send pre-encoded 360p30 VP8 and Opus from a process of their own; the stream goes to a real nginx-rtmp. CPU
seconds a second of the worker by stage, and of the process that sends the stream, while everybody is there; ticks that
were repeated or late, frames that were left out, memory, and how old what is heard and seen is when its part of HLS is
on disk. The floor (tests.benchmarks.floor) decodes, scales and encodes the same clips, in the same run. What belongs to
neither is beside it: the command that started the job (WHIP, the origin), the publishers, nginx.
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

from egress.exertion import STAGES
from egress.model.media import SECOND, Codec, Size
from tests.benchmarks import clips, floor, harness
from tests.recording import Event, Recording, recording
from tests.rtmp_server import NginxRtmp
from tests.world import World

CANVAS = Size(1280, 720)
SETTLED = 4.0
"""Seconds after everybody is there until the clocks of all senders are known and the encoder has warmed up."""

RATIO, REPEATED, TICK, MEMORY = 1.35, 0.001, 15.0, 300.0
"""Bars at nine participants: against the floor; the share of ticks repeated; p99 of a tick in ms; MB."""

USABLE = 0.01
"""A job that repeats more of its ticks did not do what it is measured for."""

_SEGMENT, _PART = 4 * SECOND, SECOND // 2
"""Of the pipeline `live-hls`."""


@dataclass(frozen=True, slots=True)
class Span:
    """The middle of one job: what its worker used and did while everybody was there, each second."""

    stages: dict[str, float]
    worker: float
    senders: float
    command: float
    publishers: float
    fps: float
    repeated: float
    late: int
    refused: int
    dropped: int
    lost: int
    strained: float
    tick: float | None
    memory: float
    age: tuple[float, float]

    @property
    def cost(self) -> float:
        """CPU seconds a second of all that makes the outputs."""
        return self.worker + self.senders


async def run(
    participants: int, seconds: float, *, pipeline: str = "live-hls", camera: Size = clips.SIZE, rtmp: bool = True
) -> Span:
    """One job."""
    world = World.everyone(participants, seconds + SETTLED + 8, size=camera)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rtmp").mkdir()
        async with AsyncExitStack() as stack:
            words: list[str] = []
            if rtmp:
                server = stack.enter_context(NginxRtmp(folder / "rtmp"))
                words = ["--rtmp", server.url("key")]
            job = await stack.enter_async_context(recording(folder, *words, pipeline=pipeline))
            cast = await stack.enter_async_context(world.perform(job.whip))
            await job.until(lambda e: e.get("type") == "alive" and e["participants"] == participants, 60)
            await asyncio.sleep(SETTLED)
            first, before = latest(job), others(job, cast.process.pid)
            await asyncio.sleep(seconds)
            last, after = latest(job), others(job, cast.process.pid)
            assert bool(job.worker.children()) == rtmp, "nobody sends the stream"
            await job.stop()
    return span(first, last, before, after, seconds, job)


def latest(job: Recording) -> Event:
    """The newest figures."""
    return next(event for event in reversed(job.events) if event.get("type") == "alive")


def others(job: Recording, publishers: int) -> dict[str, float]:
    """CPU seconds so far of the processes beside the worker."""
    return {
        "senders": sum(harness.used(child.pid) for child in job.worker.children(recursive=True)),
        "command": harness.used(job.process.pid),
        "publishers": harness.used(publishers),
    }


def span(
    first: Event, last: Event, before: dict[str, float], after: dict[str, float], seconds: float, job: Recording
) -> Span:
    """What lies between two figures."""
    passed = last["elapsed"] - first["elapsed"]
    ticks = last["ticks"] - first["ticks"]

    def grown(*path: str) -> Any:
        a, b = first, last
        for name in path:
            a, b = a.get(name, 0), b.get(name, 0)
        return b - a

    alive = [event for event in job.events if event.get("type") == "alive"]
    return Span(
        stages={stage: grown("exertion", stage) / 1000 / passed for stage in STAGES},
        worker=grown("cpu") / passed,
        **{name: (after[name] - before[name]) / seconds for name in before},
        fps=ticks / passed,
        repeated=grown("repeated") / ticks if ticks else 0.0,
        late=grown("late"),
        refused=grown("refused"),
        dropped=sum(grown("intake", name) for name in ("dropped", "late", "skipped", "errors", "undecodable")),
        lost=grown("network", "lost"),
        strained=max((grown("degraded", name) for name in last.get("degraded", ())), default=0) / 1000 / passed,
        tick=p99 / 1000 if (p99 := last.get("tick", {}).get("p99")) else None,
        memory=max(event["memory"] for event in alive) / 1e6,
        age=ages(job, first["elapsed"], last["elapsed"]),
    )


def ages(job: Recording, begin: float, end: float) -> tuple[float, float]:
    """Median and 95th percentile of how old the newest picture of a part of HLS is when it is on disk, in seconds."""
    found = []
    for event, heard in zip(job.events, job.heard, strict=True):
        if event.get("type") == "hls" and event.get("rendition") == "video" and not event.get("ended"):
            until = event["msn"] * _SEGMENT + (event["part"] + 1) * _PART
            if begin * SECOND <= until <= end * SECOND:
                found.append((heard - job.origin - until) / SECOND)
    return (statistics.median(found), harness.percentile(found, 0.95)) if found else (0.0, 0.0)


def middle(spans: list[Span], value: str) -> float:
    """The median of one figure."""
    return statistics.median(getattr(span, value) for span in spans)


def main() -> int:
    """Measure; exits with 1 when a bar is broken."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--participants", type=int, nargs="+", default=[9, 16])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run, once everybody is there")
    options = parser.parse_args()
    report = harness.Report(
        "room", {"seconds": options.seconds, "runs": options.runs, "canvas": str(CANVAS), "codec": "vp8"}
    )
    for participants in options.participants:
        files = clips.participants(participants, Codec.VP8)
        floors, spans = [], []
        for _ in range(options.runs):
            spans.append(asyncio.run(run(participants, options.seconds)))
            floors.append(floor.measure(files, CANVAS, "superfast", "zerolatency"))
        judge(report, participants, spans, floors)
    return report.close(options.json)


def judge(report: harness.Report, participants: int, spans: list[Span], floors: list[dict[str, float]]) -> None:
    """Tables and bars of one number of participants."""
    mid = {part: statistics.median(row[part] for row in floors) for part in (*floor.PARTS, "floor")}
    stages = {stage: statistics.median(span.stages[stage] for span in spans) for stage in STAGES}
    least = {"decode": mid["decode"] + mid["scale"], "encode": mid["encode"], "mix": mid["sound"]}
    rows: list[tuple[Any, ...]] = [(stage, stages[stage], least.get(stage)) for stage in STAGES]
    rows += [
        ("worker", middle(spans, "worker"), mid["floor"]),
        ("sender of the stream", middle(spans, "senders"), None),
        ("worker and sender", middle(spans, "cost"), mid["floor"]),
        ("beside it: the command (WHIP, origin)", middle(spans, "command"), None),
        ("beside it: the publishers", middle(spans, "publishers"), None),
    ]
    report.table(f"{participants} participants: CPU s/s", ("stage", "ours", "floor"), rows)
    ticks = [span.tick for span in spans if span.tick is not None]
    tick = statistics.median(ticks) if ticks else None
    report.table(
        f"{participants} participants: what came of it (medians of {len(spans)} runs)",
        ("figure", "value"),
        [
            ("pictures a second", f"{middle(spans, 'fps'):.2f}"),
            ("repeated, % of ticks", 100 * middle(spans, "repeated")),
            ("late ticks", middle(spans, "late")),
            ("pictures refused by the encoder", middle(spans, "refused")),
            ("frames dropped, late, skipped, broken", middle(spans, "dropped")),
            ("packets lost", middle(spans, "lost")),
            ("of the time something was given up to keep up, %", 100 * middle(spans, "strained")),
            ("a tick, p99, ms", tick),
            ("memory of the worker, MB", middle(spans, "memory")),
            ("age of a part on disk, p50, s", statistics.median(span.age[0] for span in spans)),
            ("age of a part on disk, p95, s", statistics.median(span.age[1] for span in spans)),
            ("load of the machine", os.getloadavg()[0]),
        ],
    )
    ratio = harness.ratio([span.cost for span in spans], [row["floor"] for row in floors])
    repeated = middle(spans, "repeated")
    if repeated > USABLE or middle(spans, "strained"):
        print("the machine did not keep up, so what it cost says nothing", flush=True)
    elif participants == 9:
        report.bar("9 participants, against the floor", ratio, RATIO)
        report.bar("9 participants, memory MB", middle(spans, "memory"), MEMORY)
        if tick is not None:
            report.bar("9 participants, a tick, p99 ms", tick, TICK)
    report.bar(f"{participants} participants, share of ticks repeated", repeated, REPEATED)
    report.facts[f"ratio_{participants}"] = ratio


if __name__ == "__main__":
    sys.exit(main())
