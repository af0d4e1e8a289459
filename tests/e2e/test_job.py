"""Whole jobs on real media: published over WebRTC, recorded, and the products looked at and listened to."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import av
import pytest

from egress.model.media import Codec, Size
from tests.manifests import checked
from tests.recording import UNHURRIED, Recording, recording
from tests.world import World


async def run(tmp_path: Path, world: World, pipeline: str = "live-hls", *words: str):
    """One world played into one job; gives the job and the cast."""
    async with recording(tmp_path, *words, pipeline=pipeline) as job:
        async with world.perform(job.whip) as cast:
            assert await cast.finished() == 0
        assert await job.stop() == 0, job.ending
    return job, cast


def manifest_of(job: Recording) -> dict[str, Any]:
    """The manifest beside the HLS."""
    found: dict[str, Any] = json.loads((job.artifact("hls").parent / "manifest.json").read_text())
    return checked(found)


@pytest.mark.parametrize("participants", [1, 4])
async def test_everyone_is_seen_and_heard_in_step_in_every_product(tmp_path, participants):
    world = World.everyone(participants, 12)
    job, cast = await run(tmp_path, world)
    for kind in ("mp4", "hls"):
        report = await job.judge(job.artifact(kind), world, cast)
        assert not report.violations(UNHURRIED), report.table()
    manifest = manifest_of(job)
    assert len({row["name"] for row in manifest["peers"]}) == participants
    assert manifest["figures"]["intake"]["errors"] == 0 or report.held_up
    assert not any(job.spool.iterdir())


async def test_h264_senders_are_recorded_like_vp8_senders(tmp_path):
    world = World.everyone(2, 8, codecs=(Codec.H264,))
    job, cast = await run(tmp_path, world, "record-grid")
    report = await job.judge(job.artifact("mp4"), world, cast)
    assert not report.violations(UNHURRIED), report.table()


async def test_coming_muting_and_leaving_show_where_they_happened(tmp_path):
    world = (
        World.everyone(4, 16).late(1, 4.5).mutes(2, "video", 6.5, 9.5).mutes(2, "audio", 10.5, 12.5).away(3, 5.5, 10.5)
    )
    job, cast = await run(tmp_path, world, "record-grid")
    report = await job.judge(job.artifact("mp4"), world, cast)
    assert not report.violations(UNHURRIED), report.table()


async def test_a_size_change_in_mid_track_is_followed(tmp_path):
    world = World.everyone(2, 10).resizes(1, 4.5, Size(427, 241))
    job, cast = await run(tmp_path, world, "record-grid")
    report = await job.judge(job.artifact("mp4"), world, cast)
    assert not report.violations(UNHURRIED), report.table()


async def test_the_only_publisher_may_go_and_come_back(tmp_path):
    world = World.everyone(1, 14).drops(0, 4.5, 9.5)
    job, cast = await run(tmp_path, world, "record-grid")
    report = await job.judge(job.artifact("mp4"), world, cast)
    assert not report.violations(UNHURRIED), report.table()


async def test_only_selected_roles_are_seen_and_heard(tmp_path):
    document = "name: hosts\nselect: {roles: [host]}\nsinks:\n  - {kind: mp4, to: hosts.mp4}\n"
    world = World.everyone(3, 8).selects("host")
    job, cast = await run(tmp_path, world, document)
    report = await job.judge(job.artifact("mp4"), world, cast)
    assert not report.violations(UNHURRIED), report.table()


@pytest.mark.beside
async def test_a_job_nobody_publishes_to_is_aborted_with_the_reason(tmp_path):
    async with recording(tmp_path, "--seconds", "2") as job:
        assert await job.ended() == 1
    assert job.ending["state"] == "aborted"
    assert "nobody ever published" in job.ending["reason"]


@pytest.mark.beside
async def test_an_empty_room_ends_the_job(tmp_path):
    document = "name: short\nvideo: {keyframe: 500ms}\nstop: {empty_for: 12s}\nsinks:\n  - {kind: mp4, to: a.mp4}\n"
    world = World.everyone(1, 4)
    # An empty room is one nobody has come to as well, and on a busy machine that takes seconds.
    async with recording(tmp_path, pipeline=document) as job:
        async with world.perform(job.whip) as cast:
            assert await cast.finished() == 0
        assert await job.ended() == 0
    assert job.ending["reason"] == "the room is empty"
    (mp4,) = [row for row in job.ending["artifacts"] if row["kind"] == "mp4"]
    # Cut at the first keyframe after the last one left: without the seconds nobody was there.
    assert mp4["duration"] < job.ending["duration"] - 8
    with av.open(mp4["location"]) as container:
        assert abs((container.duration or 0) / av.time_base - mp4["duration"]) < 0.1


@pytest.mark.beside
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_job_cleanly(tmp_path, number):
    world = World.everyone(1, 4)
    async with recording(tmp_path, pipeline="record-grid") as job, world.perform(job.whip) as cast:
        await job.until(lambda event: event["type"] == "room" and event["event"] == "published")
        await cast.until(3)
        assert await job.stop(number) == 0
    assert job.ending["state"] == "finished"
    assert job.artifact("mp4").is_file()


@pytest.mark.beside
async def test_the_worker_ends_its_job_when_its_parent_dies(tmp_path):
    async with recording(tmp_path, pipeline="record-grid") as job:
        worker = job.worker
        await asyncio.sleep(1)
        job.process.kill()
        await asyncio.to_thread(worker.wait, 120)
    assert list(job.out.rglob("*.mp4"))
    assert not any(job.spool.iterdir())
