"""A job on a machine that is taken away from it gives quality up in order, stalls never, and takes it back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from egress.media.planes import Plane, planes
from egress.model.media import Size
from tests.flashes import served
from tests.hls_checker import examine
from tests.recording import Event, recording
from tests.world import World

PATIENCE = 60.0
FPS = 15
LADDER = ("loop_filter", "small_tiles", "preset", "frame_rate")

PIPELINE = """
name: strained
video: {size: 640x360, fps: "15", bitrate: 400k, preset: veryfast, keyframe: 1s}
layout: {kind: grid}
sinks:
  - {kind: mp4, to: job.mp4}
  - {kind: hls, to: hls, part: 400ms, segment: 2s}
"""


@asynccontextmanager
async def throttled(process: psutil.Process) -> AsyncIterator[None]:
    """A sixth of the time for all of a process's threads, as a container with a small CPU quota has it.

    The kernel's quotas need rights that a test has not; stopped and let go on, threads see the same: nothing of the
    machine for 300 ms of each 360, so most ticks begin late however fast it is.
    """
    over = threading.Event()

    def run() -> None:
        with suppress(psutil.NoSuchProcess):
            try:
                while not over.is_set():
                    process.suspend()
                    over.wait(0.3)
                    process.resume()
                    over.wait(0.06)
            finally:
                process.resume()

    thread = threading.Thread(target=run, name="throttle")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def overload(level: Callable[[int, int], bool]) -> Callable[[Event], bool]:
    """An event that says so of the level and the one before."""
    return lambda event: event.get("type") == "overload" and level(event["level"], event["was"])


def longest_still(pictures: list[Plane]) -> int:
    """The most pictures in a row in which nothing moves, other than what an encoder mends of one that stands."""
    longest = still = 0
    for before, after in pairwise(pictures):
        moved = np.abs(after.astype(np.int16) - before).max() > 60
        still = 0 if moved else still + 1
        longest = max(longest, still)
    return longest


def seen(ffmpeg: Path, film: Path) -> tuple[str, list[Fraction], list[int], list[Plane]]:
    """What ffmpeg complains of; the time of every picture, which are keyframes, and their brightness."""
    command = [str(ffmpeg), "-v", "error", "-xerror", "-i", str(film), "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        base = stream.time_base
        frames = list(container.decode(stream))
    assert base is not None
    times = [frame.pts * base for frame in frames if frame.pts is not None]
    keys = [n for n, frame in enumerate(frames) if frame.key_frame]
    return done.stderr + "!" * (done.returncode != 0), times, keys, [planes(frame)[0] for frame in frames]


@pytest.mark.beside
async def test_quality_goes_in_order_and_comes_back_and_every_picture_is_there(
    tmp_path: Path, component: Callable[[str], Path]
) -> None:
    world = World.everyone(6, 4 * PATIENCE, size=Size(320, 180), fps=15)
    async with recording(tmp_path, pipeline=PIPELINE) as job, world.perform(job.whip):
        await job.until(lambda e: e.get("type") == "alive" and e["participants"] == 6, PATIENCE)
        async with throttled(job.worker):
            await job.until(overload(lambda level, was: level == len(LADDER)), PATIENCE)
            swapped = await job.until(
                lambda e: e.get("type") == "alive" and e["encoders"]["video"]["swaps"] > 0, PATIENCE
            )
        await job.until(overload(lambda level, was: level < was), 2 * PATIENCE)
        assert swapped["encoders"]["video"]["unlike"] == 0
        assert await job.stop() == 0
    steps = [event for event in job.events if event.get("type") == "overload"]
    for before, step in pairwise([{"level": 0, "at": -1.0}, *steps]):
        assert step["was"] == before["level"] != step["level"] and step["at"] > before["at"]
        assert step["degraded"] == list(LADDER[: step["level"]]) and step["why"]

    film = job.artifact("mp4")
    manifest = json.loads(film.with_suffix(".manifest.json").read_text())
    spent = [manifest["degraded"][step] for step in LADDER]
    assert spent == sorted(spent, reverse=True) and spent[-1] > 0
    figures = manifest["figures"]
    assert figures["repeated"] >= figures["halved"] > 0

    complaints, times, keys, pictures = await asyncio.to_thread(seen, component("ffmpeg"), film)
    assert complaints == ""
    assert times == [Fraction(n, FPS) for n in range(figures["ticks"])]
    assert keys == list(range(0, len(times), FPS))
    # Before that the room filled: an empty one stands still.
    assert longest_still(pictures[round(steps[0]["at"] * FPS) :]) <= 2 * FPS
    with served(job.artifact("hls").parent) as address:
        assert [str(found) for found in examine(f"{address}/index.m3u8").broken] == []
