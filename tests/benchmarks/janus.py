"""Recording a VideoRoom of a real Janus, measured: how soon pictures come, what layers cost, churn, an outage.

    python -m tests.benchmarks.janus [first] [late] [nine] [churn] [outage]

Run it on a machine with nothing else to do: what the clock says decides here, and only here.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from egress.demo import clip as clips
from egress.demo.people import person
from egress.demo.picture import LOOP_SECONDS
from egress.model.media import SECOND, Codec, Size
from tests.janus_front import JanusFront
from tests.janus_server import JanusServer
from tests.janus_simulcast import TROUPE, layer
from tests.recording import Recording, recording
from tests.verdict import Report
from tests.watching import Watched, watch
from tests.world import Cast, World

ROOM = 1001


@asynccontextmanager
async def janus_and_front() -> AsyncIterator[tuple[Path, JanusServer, JanusFront]]:
    """A Janus with one room, and where to publish into it."""
    with tempfile.TemporaryDirectory() as name:
        async with JanusServer(Path(name)) as janus, JanusFront(janus) as front:
            yield Path(name), janus, front


async def seen(job: Recording, participants: int) -> Watched:
    """What the MP4 shows."""
    found = await asyncio.to_thread(watch, job.artifact("mp4"), participants=participants)
    assert found is not None
    return found


def in_plan(job: Recording, cast: Cast, seconds: float) -> float:
    """The plan's second of a time in the product."""
    return seconds + (job.origin - cast.zero) / SECOND


def gaps(job: Recording, cast: Cast, watched: Watched) -> None:
    """The longest time without a new picture of each participant, and when it was."""
    for who, sights in sorted(watched.sights.items()):
        new = [sights[0], *(two for one, two in pairwise(sights) if two.counter != one.counter)]
        times = [in_plan(job, cast, watched.time(sight.frame)) for sight in new]
        gap, since = max((two - one, one) for one, two in pairwise(times))
        print(f"participant {who}: {gap:.2f} s without pictures from second {since:.2f}")


async def first() -> None:
    """Everyone publishes already when the recorder joins: how soon is somebody shown, and everybody?"""
    for visit in range(3):
        async with janus_and_front() as (folder, janus, front):
            world = World.everyone(4, 9)
            async with world.perform(front.whip(ROOM)) as cast:
                await cast.until(3.2)
                async with recording(folder, room=janus.url(ROOM), pipeline="record-grid") as job:
                    await cast.finished()
                    await job.stop()
            watched = await seen(job, 4)
            shown = sorted(watched.time(sights[0].frame) for sights in watched.sights.values())
        print(f"run {visit}: seconds from joining to the first picture {shown[0]:.2f}, to everyone's {shown[-1]:.2f}")


async def late() -> None:
    """Publishers come one after another: how soon after publishing is each one's picture in the product?"""
    async with janus_and_front() as (folder, janus, front):
        world = World.everyone(5, 14)
        for who in range(1, 5):
            world = world.late(who, 2.3 * who + 0.2)
        async with recording(folder, room=janus.url(ROOM), pipeline="record-grid") as job:
            async with world.perform(front.whip(ROOM)) as cast:
                await cast.finished()
            await job.stop()
        watched = await seen(job, 5)
        published = {
            str(event["peer"]): float(str(event["at"])) for event in cast.events if event["type"] == "published"
        }
        for who in range(1, 5):
            shown = in_plan(job, cast, watched.time(watched.sights[who][0].frame))
            name = world.part(who).person.id
            print(f"{name}: in the product {shown - published[name]:.2f} s after the answer to its offer")


async def nine() -> None:
    """Nine cameras of 1280x720 in three layers on a canvas of 1280x720."""
    async with janus_and_front() as (folder, janus, front):
        size = Size(1280, 720)
        world = World.everyone(9, 30, size=size).unsure(0, 2)
        sent: dict[str, int] = {}
        async with recording(folder, room=janus.url(ROOM), pipeline="record-grid") as job:
            async with world.perform(front.whip(ROOM), troupe=TROUPE) as cast:
                for second in (3, 8, 15, 22, 29):
                    await cast.until(second)
                    for substream in await janus.substreams():
                        name = f"layer {substream} at second {second}"
                        sent[name] = sent.get(name, 0) + 1
                await cast.finished()
            await job.stop()
        report = await job.judge(job.artifact("mp4"), world, cast)
        gaps(job, cast, await seen(job, 9))
    alive = [event for event in job.events if event["type"] == "alive" and event["participants"] == 9]
    start, end = alive[len(alive) // 2], alive[-2]
    span = end["elapsed"] - start["elapsed"]
    print(report.table())
    rate = (end["network"]["bytes"] - start["network"]["bytes"]) / span / 9 / 1000
    cpu = (end["cpu"] - start["cpu"]) / span
    print(f"received: {rate:.0f} kB/s a publisher; worker: {cpu:.2f} CPU s/s, {end['repeated']} repeated pictures")
    for scale in (4, 2, 1):
        one = clips.video(person(0), layer(size, scale), 30, Codec.VP8)
        print(f"a layer of {one.size} has {sum(map(len, one.frames)) / LOOP_SECONDS / 1000:.0f} kB/s")
    print(f"Janus sent: {sent}")
    intake = end["intake"]
    print({name: intake[name] for name in ("frames", "decoded", "errors", "undecodable", "dropped", "late", "skipped")})
    network = end["network"]
    print({name: network[name] for name in ("layer_switches", "plis", "nacks", "lost", "recovered", "incomplete")})
    broken(report)


async def churn() -> None:
    """Three minutes in which five people come and go all the time."""
    seconds = 180
    async with janus_and_front() as (folder, janus, front):
        world = World.everyone(5, seconds)
        for who in world.participants:
            for visit in range(1, seconds // 4 - 1):
                world = world.away(who, 4 * visit + 0.5 + 0.6 * who, 4 * visit + 1.5 + 0.6 * who)
        async with recording(folder, room=janus.url(ROOM), pipeline="record-grid") as job:
            async with world.perform(front.whip(ROOM)) as cast:
                for second in range(15, seconds, 15):
                    await cast.until(second)
                    worker = job.worker
                    print(
                        f"{second:4} s: {worker.memory_info().rss / 1e6:.0f} MB, {worker.num_threads()} threads, "
                        f"{worker.num_fds()} files, {len(await janus.handles())} handles in Janus, "
                        f"{len(await janus.subscribers())} of a recorder",
                        flush=True,
                    )
                await cast.finished()
            await job.stop()
        joined = sum(event.get("event") == "joined" for event in job.events)
        left_over = await janus.sessions()
    print(f"{joined} joined; sessions in Janus afterwards: {len(left_over)}")
    print(f"warnings: {[event['message'] for event in job.events if event['type'] == 'warning']}")


async def outage() -> None:
    """Janus dies and is back after five seconds; publishers come back by themselves."""
    async with janus_and_front() as (folder, janus, front):
        world = World.everyone(2, 30).unsure(8.5, 22)
        async with recording(folder, room=janus.url(ROOM), pipeline="record-grid") as job:
            async with world.perform(front.whip(ROOM)) as cast:
                await cast.until(8.5)
                janus.kill()
                await cast.until(13.5)
                await janus.start()
                await cast.finished()
            await job.stop()
        report = await job.judge(job.artifact("mp4"), world, cast)
        watched = await seen(job, 2)
        gaps(job, cast, watched)
    print("published at", [float(str(event["at"])) for event in cast.events if event["type"] == "published"])
    print(report.table())
    broken(report)


def broken(report: Report) -> None:
    """Every bar of a release that does not hold."""
    for violation in report.violations():
        print(f"  BROKEN: {violation}")


PARTS: dict[str, Callable[[], Awaitable[None]]] = {one.__name__: one for one in (first, late, nine, churn, outage)}


async def run(names: list[str]) -> None:
    """Measure these parts."""
    for name in names:
        print(f"\n== {name}: {PARTS[name].__doc__}", flush=True)
        await PARTS[name]()


def main() -> int:
    """Measure every part asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"default: all of {', '.join(PARTS)}")
    names = parser.parse_args().parts or list(PARTS)
    if unknown := set(names) - set(PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    asyncio.run(run(names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
