"""What starts jobs without anybody asking `egress serve`: a room of a real Janus, a publisher, and the clock."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.janus_client import client
from tests.janus_server import JanusRoom, JanusServer
from tests.publisher import ClipTrack, Publisher, audio_clip, video_clip

pytestmark = pytest.mark.beside

PATIENCE = 60.0
SECRET = "hooks-are-for-janus"


class Served:
    """A running `egress serve`."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self.http = http

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of the API, which has to be one of success."""
        answer = await self.http.request(method, f"/api/v1{path}", json=body)
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    async def jobs(self, query: str = "") -> list[dict[str, Any]]:
        """All jobs, the latest first."""
        found: list[dict[str, Any]] = (await self.ask("GET", f"/jobs{query}"))["items"]
        return found

    async def until(self, what: str, found: Callable[[], Awaitable[Any]]) -> Any:
        """What `found` gives once it gives something."""
        end = time.monotonic() + PATIENCE
        while not (result := await found()):
            assert time.monotonic() < end, f"{what} did not come; jobs: {await self.jobs()}"
            await asyncio.sleep(0.1)
        return result

    async def running(self, count: int) -> list[dict[str, Any]]:
        """So many jobs, once all are running."""

        async def found() -> list[dict[str, Any]]:
            jobs = await self.jobs("?state=running")
            return jobs if len(jobs) == count else []

        jobs: list[dict[str, Any]] = await self.until(f"{count} running jobs", found)
        return jobs


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    environment = {
        **os.environ,
        "EGRESS_SPOOL": str(folder / "spool"),
        "EGRESS_HOOK_SECRET": SECRET,
        "EGRESS_CAPACITY": "16",
    }
    words = ("serve", "--json", "--listen", "127.0.0.1:0", "--to", str(folder / "out"))
    with (folder / "serve.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "egress.cli", *words), env=environment, stdout=asyncio.subprocess.PIPE, stderr=log
        )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        assert line, (folder / "serve.log").read_text()
        url = json.loads(line)["url"]
        async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
            yield Served(url, http)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0, (folder / "serve.log").read_text()


@contextlib.asynccontextmanager
async def publishing() -> AsyncIterator[Publisher]:
    """Somebody with a camera and a microphone."""
    publisher = Publisher([ClipTrack("audio", audio_clip()), ClipTrack("video", video_clip())])
    try:
        yield publisher
    finally:
        await publisher.close()


async def test_a_room_of_janus_that_somebody_joins_is_recorded(tmp_path: Path) -> None:
    async with served(tmp_path) as serve:
        hook = (f"{serve.url}/api/v1/hooks/janus/meetings", SECRET)
        async with JanusServer(tmp_path, rooms=[JanusRoom(1001)], events=hook) as janus:
            template = {
                "name": "meetings",
                "server": f"janus+{janus.ws}/{{room}}",
                "pipelines": ["record-grid"],
                "start": "role:host",
                "role_names": {"host": ["Ada"]},
                "stop": {"empty_for": "0s"},
            }
            await serve.ask("PUT", "/templates/meetings", template)
            await janus.create(JanusRoom(77))
            async with client(janus) as ada, publishing() as camera:
                await ada.join(1001, "Bob")
                handle, _ = await ada.join(77, "Ada")
                (job,) = await serve.running(1)
                assert (job["room"], job["template"]) == (janus.url(77), "meetings")
                assert job["trigger"].startswith("janus:")
                offer = {"type": "offer", "sdp": await camera.offer()}
                answer = await ada.message(handle, offer, request="publish")
                await camera.accept(answer["jsep"]["sdp"])
                # Who joins later finds the job there; another room has one of its own.
                await ada.join(77, "Bob")
                await ada.join(1001, "Ada")
                jobs = await serve.running(2)
                assert sorted(one["room_name"] for one in jobs) == ["1001", "77"]

                async def recorded() -> bool:
                    figures = (await serve.ask("GET", f"/jobs/{job['id']}"))["figures"] or {}
                    return bool(figures.get("participants") and figures["elapsed"] > 3)

                await serve.until("a recording with Ada", recorded)
                for one in jobs:
                    await serve.ask("POST", f"/jobs/{one['id']}/stop", {})

                async def over() -> bool:
                    return all(one["ended"] for one in await serve.jobs())

                await serve.until("the end", over)
            ends = {one["room_name"]: one["state"] for one in await serve.jobs()}
            assert ends.keys() == {"77", "1001"} and ends["77"] == "finished"
            made = (await serve.ask("GET", f"/jobs/{job['id']}/artifacts"))["items"]
            assert [one["kind"] for one in made if one["duration"] > 2 and one["size"] > 10_000], made


async def test_publishers_who_come_to_a_studio_open_it_once_and_it_is_live(tmp_path: Path) -> None:
    async with served(tmp_path) as serve:
        sdp = {"content-type": "application/sdp"}
        async with publishing() as one, publishing() as other:
            refused = await serve.http.post("/whip/elsewhere", content=await one.offer(), headers=sdp)
            assert refused.status_code == 404 and "template" in refused.text

            async def publish(publisher: Publisher) -> None:
                answer = await serve.http.post("/whip/studio", content=await publisher.offer(), headers=sdp)
                assert answer.status_code == 201, answer.text
                await publisher.accept(answer.text)

            await asyncio.gather(publish(one), publish(other))

            async def playlist() -> bool:
                return (await serve.http.get("/live/studio/index.m3u8")).status_code == 200

            await serve.until("the live stream", playlist)
            (job,) = await serve.jobs()
            assert (job["room"], job["template"], job["pipeline"]) == ("local:studio", "studio", "live-hls")
            assert job["trigger"].startswith("whip:")


async def test_the_clock_starts_a_job_that_ends_as_planned(tmp_path: Path) -> None:
    async with served(tmp_path) as serve:
        at = datetime.now(UTC) + timedelta(seconds=12)
        schedule = {
            "name": "soon",
            "when": {"at": at.isoformat()},
            "duration": "6s",
            "job": {"room": "local:soon", "pipeline": "record-grid"},
        }
        made = await serve.ask("POST", "/schedules", schedule)

        async def over() -> Any:
            jobs = await serve.jobs()
            return [one for one in jobs if one["ended"]]

        (job,) = await serve.until("its end", over)
        assert job["schedule"] == made["id"], job
        assert datetime.fromisoformat(job["created"]) >= at
        (time_,) = (await serve.ask("GET", f"/schedules/{made['id']}/occurrences"))["items"]
        assert (time_["state"], time_["job"]) == ("started", job["id"])
