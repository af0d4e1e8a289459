"""The bars of a release, measured on whole jobs: sync, evenness, bitrate, cost. Prints tables; exit 1 when one breaks.

    python -m tests.benchmarks.bars [--participants 1 4 9] [--seconds 30] [--loss 0.01]

Run it on a machine with nothing else to do: what the clock says decides here, and only here.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from tests.lossy_whip import lossy
from tests.recording import Recording, recording
from tests.relay import Link
from tests.rtmp_server import NginxRtmp
from tests.verdict import Bars
from tests.world import World


async def measure(participants: int, seconds: int, loss: float) -> int:
    """One job to MP4, HLS and RTMP at once; the number of broken bars."""
    world = World.everyone(participants, seconds)
    freeze = 0.1 if loss <= 0.01 else 0.5
    heard = {} if loss <= 0.01 else {"offset_p95": None, "spread_p95": None, "cadence_p95": None}
    bars = Bars(bitrate=3_000_000, freeze=freeze, damaged=None if loss else 0, **heard)
    broken = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rtmp").mkdir()
        with NginxRtmp(folder / "rtmp") as server:
            async with AsyncExitStack() as stack:
                job = await stack.enter_async_context(recording(folder, "--rtmp", server.url("key")))
                whip = job.whip
                if loss:
                    whip = await stack.enter_async_context(
                        lossy(whip, lambda _: (Link(loss=loss, delay=0.02), Link(loss=loss, delay=0.02)))
                    )
                cast = await stack.enter_async_context(world.perform(whip))
                await cast.finished()
                await job.stop()
        print(f"\n== {participants} participants, {seconds} s, {loss:.0%} loss")
        for product in (job.artifact("mp4"), job.artifact("hls"), *server.recordings("key")):
            report = await job.judge(product, world, cast)
            print(report.table())
            for violation in report.violations(bars):
                broken += 1
                print(f"  BROKEN: {violation}")
        cost(job)
    return broken


def cost(job: Recording) -> None:
    """What the worker used while everybody was there."""
    alive = [event for event in job.events if event.get("type") == "alive"]
    first, last = alive[len(alive) // 3], alive[-1]
    span = last["elapsed"] - first["elapsed"]
    print(
        f"worker: {(last['cpu'] - first['cpu']) / span:.2f} CPU s/s, "
        f"{max(event['memory'] for event in alive) / 1e6:.0f} MB, "
        f"{last['late']} late ticks, {last['repeated']} repeated pictures of {last['ticks']}"
    )


def main() -> int:
    """Measure every number of participants asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--participants", type=int, nargs="+", default=[1, 4, 9])
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--loss", type=float, default=0.0)
    arguments = parser.parse_args()
    broken = 0
    for participants in arguments.participants:
        broken += asyncio.run(measure(participants, arguments.seconds, arguments.loss))
    print(f"\n{broken} bars broken")
    return min(broken, 1)


if __name__ == "__main__":
    sys.exit(main())
