"""A worker or its parent dies: what was recorded a fragment ago is kept, and the job goes on or is finished."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import av
import psutil
import pytest

from egress.model.media import SECOND
from tests.recording import UNHURRIED, Event, Recording, recording
from tests.world import World

pytestmark = pytest.mark.beside

FRAGMENT = 2.0
"""Seconds a crash may cost, by the pipeline."""

BEHIND = 1.0
"""Seconds the file of a job that keeps up is behind its programme: those its sink rests and its encoder looks ahead."""


def length(path: Path) -> float:
    """Seconds of the pictures a player gets out of a file, and its sound agrees."""
    ends = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.pts is not None and packet.dts is not None:
                ends[packet.stream.type] = float((packet.pts + (packet.duration or 0)) * packet.time_base)
    assert abs(ends["video"] - ends["audio"]) < FRAGMENT
    return ends["video"]


def boxes(path: Path) -> list[str]:
    """The names of a file's outermost boxes."""
    data, names, at = path.read_bytes(), [], 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        names.append(data[at + 4 : at + 8].decode("latin-1"))
        at += int.from_bytes(data[at + 8 : at + 16]) if size == 1 else (size or len(data))
    return names


def paces(path: Path) -> set[float]:
    """The differences between times of successive pictures."""
    with av.open(str(path)) as container:
        times = sorted(packet.pts * packet.time_base for packet in container.demux(video=0) if packet.pts is not None)
    return {float(after - before) for before, after in pairwise(times)}


class Told(Protocol):
    """A job that is followed by its events."""

    events: list[Event]

    async def until(self, wanted: Callable[[Event], bool], seconds: float = 60) -> Event: ...


async def written(job: Told) -> float:
    """Seconds of media in the MP4 of the worker that lives, by what the job says next, and it says so just now.

    Whoever kills it then knows what the crash has cost by media, however slow the machine was at making them. A file
    that is far behind, while the job does not say that it was held up, is waited for in vain.
    """
    before = elapsed([row for row in job.events if row["type"] == "alive"])

    def keeps_up(row: Event) -> bool:
        if row["type"] != "alive" or row["elapsed"] <= before:
            return False
        busy = row["late"] or row["repeated"] or row["refused"] or any(row["degraded"].values())
        return bool(busy or row["ticks"] / 30 - seconds(row) <= BEHIND)

    return seconds(await job.until(keeps_up))


def seconds(alive: Event) -> float:
    """Of media in the MP4."""
    (mp4,) = [row for row in alive["sinks"] if "mp4" in row["sink"]]
    return float(mp4["seconds"])


def freeze(job: Recording) -> psutil.Process:
    """Stop the parent in its tracks, so that it sees nothing of what becomes of its worker; the worker."""
    worker = job.worker
    job.process.send_signal(signal.SIGSTOP)
    return worker


async def kill(*processes: psutil.Process) -> None:
    """kill -9, and wait until they hold nothing any more; who should have inherited them may never look."""
    for process in processes:
        process.kill()
    async with asyncio.timeout(60):
        while not all(map(gone, processes)):
            await asyncio.sleep(0.02)


def gone(process: psutil.Process) -> bool:
    """Whether a process runs no more."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def elapsed(rows: Sequence[Event]) -> float:
    """The job time of the last of them."""
    return float(rows[-1]["elapsed"]) if rows else 0.0


async def recover(spool: Path) -> tuple[int, str]:
    """What `egress recover` says about a spool."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "egress.cli", "recover", str(spool), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_recording_killed_with_its_parent_plays_at_once_and_is_made_whole(tmp_path):
    world = World.everyone(2, 30)
    async with recording(tmp_path) as job, world.perform(job.whip) as cast:
        await cast.until(9)
        there = await written(job)
        await kill(freeze(job), psutil.Process(job.process.pid))
        killed = (time.monotonic_ns() - job.origin) / SECOND
        (unrepaired,) = job.spool.glob("*/*-mp4/*.mp4")
        assert "mfra" not in boxes(unrepaired)
        assert there - FRAGMENT <= length(unrepaired) <= killed
        status, said = await recover(job.spool)
        assert status == 0, said
        (mp4,) = job.out.glob("recordings/*.mp4")
        (playlist,) = job.out.rglob("video.m3u8")
        assert there - FRAGMENT <= length(mp4) <= killed
        assert boxes(mp4)[:2] == ["ftyp", "moov"] and "moof" not in boxes(mp4)
        with av.open(str(mp4)) as container:
            container.seek(4 * av.time_base)
            first = next(container.decode(video=0))
            assert first.pts is not None and abs(float(first.pts * first.time_base) - 4) <= 2
        assert playlist.read_text().rstrip().endswith("#EXT-X-ENDLIST")
        assert not any(job.spool.iterdir())
        for product in (mp4, playlist.with_name("index.m3u8")):
            report = await job.judge(product, world, cast)
            assert not report.violations(UNHURRIED), report.table()


async def test_a_job_goes_on_by_itself_when_its_worker_is_killed_and_makes_one_file(tmp_path):
    async with recording(tmp_path, "--control", pipeline="record-grid") as job:
        async with World.everyone(2, 30).perform(job.whip) as cast:
            await cast.until(2)
            assert (await job.say(command="title", text="Still here"))["ok"]
            await cast.until(8)
            worker = job.worker
            # What it has done until now is all it will have done.
            worker.suspend()
            killed = time.monotonic_ns()
            worker.kill()
        ready = await job.until(lambda event: event["type"] == "ready" and event["attempt"] == 2)
        assert ready["origin"] > killed
        second = World.everyone(2, 10).unsure(-30, 0)
        async with second.perform(job.whip) as cast:
            await cast.until(8)
            assert await job.stop() == 0
            (mp4,) = job.out.glob("recordings/*.mp4")
            lost = (killed - job.origin) / SECOND - (join := job.ending["artifacts"][0]["joins"][0])
            told = [row for row in job.events if row["type"] == "alive" and row["attempt"] == 1][-1]
            assert lost >= 0 and told["sinks"][0]["seconds"] - join <= FRAGMENT
            # Seen from the second worker the file began before it, with what the first one had recorded.
            began = {**ready, "origin": ready["origin"] - round(join * SECOND)}
            said = [began, *(event for event in job.events if event["type"] in ("alive", "overload"))]
            report = await Recording(job.process, job.out, job.spool, said).judge(mp4, second, cast)
            # The second worker counts its keyframes from where it began.
            assert not report.violations(replace(UNHURRIED, keyframe=None)), report.table()
        assert boxes(mp4) == ["ftyp", "free", "mdat", "moov"], "like one that nothing happened to"
        whole = (ready["origin"] - killed) / SECOND + lost + length(mp4)
        assert abs(whole - job.ending["duration"]) < 0.3
        assert paces(mp4) == {1 / 30}
        assert not any(job.spool.iterdir())
        manifest = json.loads(mp4.with_suffix(".manifest.json").read_text())
        assert [(row["number"], row["why"]) for row in manifest["attempts"]] == [
            (1, "signal SIGKILL"),
            (2, "stopped by SIGINT"),
        ]
        (gap,) = manifest["gaps"]
        (restart,) = [event for event in job.events if event["type"] == "restart"]
        assert gap["reason"] == "signal SIGKILL" and restart["after"] == 0, "the next one is begun at once"
        # From the first worker's last sign of life to the second one's beginning, however long that takes here.
        assert told["elapsed"] - 1 <= gap["from"] <= (killed - job.origin) / SECOND
        assert abs(gap["to"] - (ready["origin"] - job.origin) / SECOND) < 0.1
        visits = Counter(row["name"] for row in manifest["peers"])
        assert set(visits) == {"Ada", "Grace"} and min(visits.values()) >= 2, "who was there with either worker"
        assert (manifest["state"], "2 attempts" in manifest["reason"]) == ("finished", True)
        answers = [event["command"] for event in job.events if event["type"] == "control"]
        assert answers == ["title", "stop"], "what the second worker is told again nobody has to hear of"


async def test_every_attempt_that_is_killed_leaves_its_media_and_recovery_joins_them(tmp_path):
    async with recording(tmp_path, pipeline="record-grid") as job:
        kills, starts, there = [], [], []
        for attempt in (1, 2):
            ready = await job.until(lambda event, n=attempt: event["type"] == "ready" and event["attempt"] == n)
            starts.append(ready["origin"])
            async with World.everyone(1, 20).perform(job.whip) as cast:
                await cast.until(4)
                there.append(await written(job))
                if attempt == 1:
                    job.worker.kill()
                else:
                    await kill(freeze(job), psutil.Process(job.process.pid))
                kills.append(time.monotonic_ns())
        status, said = await recover(job.spool)
        assert status == 0, said
        (mp4,) = job.out.glob("recordings/*.mp4")
        recorded = sum((kill - start) / SECOND for kill, start in zip(kills, starts, strict=True))
        assert sum(there) - 2 * FRAGMENT <= length(mp4) <= recorded
        manifest = json.loads(mp4.with_suffix(".manifest.json").read_text())
        assert (manifest["state"], len(manifest["attempts"]), len(manifest["gaps"])) == ("failed", 2, 1)
        assert not any(job.spool.iterdir())


async def test_recovery_leaves_a_job_that_is_still_running_alone(tmp_path):
    async with recording(tmp_path, pipeline="record-grid") as job:
        status, said = await recover(job.spool)
        assert (status, "nothing to recover" in said) == (0, True)
        assert job.worker.is_running()
        await job.stop()


async def test_a_worker_that_hangs_is_killed_and_another_one_goes_on(tmp_path):
    world = World.everyone(1, 60)
    async with recording(tmp_path, pipeline="record-grid") as job, world.perform(job.whip) as cast:
        await cast.until(5)
        there = await written(job)
        os.kill(job.worker.pid, signal.SIGSTOP)
        restart = await job.until_type("restart", 120)
        assert "no sign of life" in restart["reason"]
        await job.until(lambda event: event["type"] == "alive" and event["attempt"] == 2)
        assert await job.stop() == 0
    (mp4,) = job.out.glob("recordings/*.mp4")
    assert length(mp4) > max(there, 4) - FRAGMENT
