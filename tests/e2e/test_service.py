"""`egress serve` with real workers and publishers: jobs outlive whatever happens to it, and no recording is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import httpx
import psutil
import pytest

from tests.publisher import ClipTrack, Publisher, audio_clip, video_clip

pytestmark = pytest.mark.beside

PATIENCE = 60.0

PIPELINE = {
    "name": "small",
    "video": {"size": "320x180", "fps": 15, "preset": "ultrafast", "bitrate": "300k", "keyframe": "1s"},
    "sinks": [{"kind": "mp4", "to": "recordings/{room}.mp4", "fragment": "1s"}],
}
"""Three at a time are no burden."""

Job = dict[str, Any]


@dataclass
class Served:
    """A running `egress serve` and a client of its API."""

    process: asyncio.subprocess.Process
    http: httpx.AsyncClient
    folder: Path

    async def start(self, room: str, **more: Any) -> Job:
        """A job that has just begun."""
        answer = await self.http.post("/api/v1/jobs", json={"room": f"local:{room}", "pipeline": PIPELINE, **more})
        assert answer.status_code == 201, answer.text
        job: Job = answer.json()
        return job

    async def job(self, id_: str) -> Job:
        """A job as it is now."""
        answer = await self.http.get(f"/api/v1/jobs/{id_}")
        assert answer.status_code == 200, answer.text
        job: Job = answer.json()
        return job

    async def until(self, id_: str, state: str, **figures: float) -> Job:
        """A job once it is in a state, with at least these figures."""
        async with asyncio.timeout(PATIENCE):
            while True:
                job = await self.job(id_)
                told = job["figures"] or {}
                if job["state"] == state and all(told.get(name, 0) >= least for name, least in figures.items()):
                    return job
                await asyncio.sleep(0.05)

    async def stop(self, id_: str) -> Job:
        """A job that was stopped, once it is over."""
        assert (await self.http.post(f"/api/v1/jobs/{id_}/stop", json={"reason": "enough"})).is_success
        return await self.until(id_, "finished")

    def worker(self, id_: str) -> psutil.Process:
        """The worker that holds a job."""
        return psutil.Process(int((self.folder / "spool" / id_ / "lock").read_text().split()[0]))

    async def killed(self) -> None:
        """kill -9."""
        self.process.kill()
        await self.process.wait()

    async def ended(self, number: int) -> int:
        """Its exit status after a signal."""
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), PATIENCE)


@contextlib.asynccontextmanager
async def serve(folder: Path, **settings: str) -> AsyncIterator[Served]:
    """A service over a folder; whatever happens, it and its workers are gone afterwards."""
    given = {"EGRESS_SPOOL": str(folder / "spool"), "EGRESS_CAPACITY": "16"}
    environment = {**os.environ, **given, **{f"EGRESS_{name.upper()}": value for name, value in settings.items()}}
    words = ("serve", "--json", "--listen", "127.0.0.1:0", "--to", str(folder / "out"))
    with (folder / "serve.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "egress.cli", *words), env=environment, stdout=asyncio.subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    assert line, (folder / "serve.log").read_text()
    try:
        async with httpx.AsyncClient(base_url=json.loads(line)["url"], timeout=30, trust_env=False) as http:
            yield Served(process, http, folder)
    except BaseException:
        for lock in (folder / "spool").glob("*/lock"):
            with contextlib.suppress(psutil.Error):
                psutil.Process(int(lock.read_text().split()[0])).kill()
        raise
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def published(served: Served, room: str) -> AsyncIterator[None]:
    """Somebody with a camera and a microphone is in a room."""
    clip = video_clip(size=(320, 180), rate=200_000)
    publisher = Publisher([ClipTrack("audio", audio_clip()), ClipTrack("video", clip)])
    try:
        answer = await served.http.post(
            f"/whip/{room}?name=Ada", content=await publisher.offer(), headers={"content-type": "application/sdp"}
        )
        assert answer.status_code == 201, answer.text
        await publisher.accept(answer.text)
        yield
    finally:
        await publisher.close()


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended, even if nobody has taken note of it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def length(path: Path) -> float:
    """Seconds of pictures in a file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
        return float((max(times) - min(times)) * stream.time_base)


async def test_a_job_goes_from_a_request_to_a_recording_and_what_may_be_seen_of_it(tmp_path):
    async with serve(tmp_path) as served:
        job = await served.start("stage")
        assert job["state"] in ("starting", "running") and job["attempts"] == 1
        running = await served.until(job["id"], "running")
        assert (running["whip"], running["links"]["publish"]) == ("/whip/stage", "/publish/stage")
        async with published(served, "stage"):
            await served.until(job["id"], "running", participants=1, elapsed=6)
            picture = await served.http.get(f"/api/v1/jobs/{job['id']}/thumbnail")
            assert (picture.status_code, picture.content[:2]) == (200, b"\xff\xd8")
            over = await served.stop(job["id"])
        assert (over["reason"], over["blame"]) == ("enough", None)
        (artifact,) = (await served.http.get(f"/api/v1/jobs/{job['id']}/artifacts")).json()["items"]
        assert abs(length(Path(artifact["location"])) - over["duration"]) < 1
        picture = await served.http.get(f"/api/v1/jobs/{job['id']}/thumbnail")
        assert picture.content[:2] == b"\xff\xd8"
        assert not (tmp_path / "spool" / job["id"]).exists()
        assert await served.ended(signal.SIGINT) == 0


async def test_no_recording_is_lost_when_the_service_and_a_worker_are_killed(tmp_path):
    async with serve(tmp_path) as served:
        ids = [(await served.start(room))["id"] for room in ("one", "two", "three")]
        for id_ in ids:
            await served.until(id_, "running")
        async with contextlib.AsyncExitStack() as rooms:
            for room in ("one", "two", "three"):
                await rooms.enter_async_context(published(served, room))
            for id_ in ids:
                await served.until(id_, "running", participants=1, elapsed=4)
            workers = [served.worker(id_) for id_ in ids]
            await served.killed()
            workers[2].kill()
            recorded = time.monotonic()
            async with serve(tmp_path) as again:
                for id_ in ids:
                    await again.until(id_, "running", elapsed=6)
                assert [again.worker(id_).pid for id_ in ids[:2]] == [worker.pid for worker in workers[:2]]
                assert again.worker(ids[2]).pid != workers[2].pid
                away = time.monotonic() - recorded
                over = [await again.stop(id_) for id_ in ids]
                assert [job["attempts"] for job in over] == [1, 1, 2]
                for job in over:
                    (artifact,) = (await again.http.get(f"/api/v1/jobs/{job['id']}/artifacts")).json()["items"]
                    lost = job["duration"] - length(Path(artifact["location"]))
                    # What the third one misses is the time without a worker, and its last fragment.
                    assert lost < (1 if job["attempts"] == 1 else away + 1.5), (job["room"], lost)
                    events = (await again.http.get(f"/api/v1/jobs/{job['id']}/events?limit=200")).json()["items"]
                    types = [event["type"] for event in events]
                    assert types.count("room.joined") == 1, "nothing is told twice, and nothing is left out"
                    assert types.count("job.finished") == 1
                assert await again.ended(signal.SIGINT) == 0


async def test_a_service_and_all_its_workers_killed_go_on_where_they_were(tmp_path):
    async with serve(tmp_path) as served:
        id_ = (await served.start("stage"))["id"]
        await served.until(id_, "running")
        async with published(served, "stage"):
            await served.until(id_, "running", participants=1, elapsed=4)
            await served.killed()
            served.worker(id_).kill()
    async with serve(tmp_path) as again:
        await again.until(id_, "running", elapsed=6)
        over = await again.stop(id_)
        assert over["attempts"] == 2
        (artifact,) = (await again.http.get(f"/api/v1/jobs/{id_}/artifacts")).json()["items"]
        # What was recorded before, less its last fragment, and what came after.
        assert length(Path(artifact["location"])) > 3
        assert await again.ended(signal.SIGINT) == 0


async def test_sigterm_waits_for_jobs_and_leaves_those_that_last_to_the_next_service(tmp_path):
    async with serve(tmp_path) as served:
        short = await served.start("short", duration="15s")
        await served.until(short["id"], "running")
        served.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            while (refused := await served.http.get("/readyz")).status_code != 503:
                await asyncio.sleep(0.05)
        refused = await served.http.post("/api/v1/jobs", json={"room": "local:late", "pipeline": PIPELINE})
        assert (refused.status_code, refused.json()["code"]) == (503, "draining")
        assert await asyncio.wait_for(served.process.wait(), PATIENCE) == 0
    async with serve(tmp_path, drain="500ms") as served:
        assert (await served.job(short["id"]))["state"] == "aborted"
        lasting = (await served.start("lasting"))["id"]
        await served.until(lasting, "running")
        worker = served.worker(lasting)
        assert await served.ended(signal.SIGTERM) == 0
        assert worker.is_running()
    async with serve(tmp_path) as served:
        assert (await served.job(lasting))["state"] == "running"
        assert await served.ended(signal.SIGINT) == 0
        assert gone(worker)
    async with serve(tmp_path) as served:
        job = await served.job(lasting)
        assert (job["state"], "the service was stopped" in job["reason"], job["attempts"]) == ("aborted", True, 1)
