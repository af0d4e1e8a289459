"""A worker or its parent dies: nothing that was recorded more than a fragment ago is lost, and recovery finishes it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import av
import pytest

from egress.model.media import SECOND
from tests.recording import UNHURRIED, recording
from tests.world import World

FRAGMENT = 2.0
"""Seconds a crash may cost, by the pipeline."""


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


async def recover(spool: Path) -> tuple[int, str]:
    """What `egress recover` says about a spool."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "egress.cli", "recover", str(spool), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


@pytest.mark.parametrize("whole", [True, False], ids=["worker and parent", "worker"])
async def test_a_killed_recording_plays_at_once_and_is_made_whole(tmp_path, whole):
    world = World.everyone(2, 30)
    async with recording(tmp_path) as job, world.perform(job.whip) as cast:
        await cast.until(9)
        worker = job.worker
        if whole:
            job.process.kill()
        worker.kill()
        killed = (time.monotonic_ns() - job.origin) / SECOND
        if whole:
            (unrepaired,) = job.spool.glob("*/*-mp4/*.mp4")
            assert "mfra" not in boxes(unrepaired)
            assert killed - length(unrepaired) <= FRAGMENT + 0.5
            status, said = await recover(job.spool)
            assert status == 0, said
        else:
            assert await job.ended() == 1
        (mp4,) = job.out.glob("recordings/*.mp4")
        (playlist,) = job.out.rglob("video.m3u8")
        assert killed - length(mp4) <= FRAGMENT + 0.5
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


async def test_recovery_leaves_a_job_that_is_still_running_alone(tmp_path):
    async with recording(tmp_path, pipeline="record-grid") as job:
        status, said = await recover(job.spool)
        assert (status, "nothing to recover" in said) == (0, True)
        assert job.worker.is_running()
        await job.stop()


async def test_a_worker_that_hangs_is_killed_and_its_recording_saved(tmp_path):
    world = World.everyone(1, 60)
    async with recording(tmp_path, pipeline="record-grid") as job, world.perform(job.whip) as cast:
        await cast.until(5)
        os.kill(job.worker.pid, signal.SIGSTOP)
        assert await job.ended(90) == 1
    (mp4,) = job.out.glob("recordings/*.mp4")
    assert length(mp4) > 3
    assert "no sign of life" in (job.events[-1].get("reason") or "")
