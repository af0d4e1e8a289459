"""A job of `egress serve` from a command line: started, published into, watched over the service's death, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import av
import httpx
import psutil
import pytest

from tests.publisher import ClipTrack, Publisher, audio_clip, video_clip
from tests.rtmp_server import free_port

pytestmark = pytest.mark.beside

PATIENCE = 60.0
YAML = {"content-type": "application/yaml"}
SDP = {"content-type": "application/sdp"}

PIPELINE = """\
name: small
video: {size: 320x180, fps: 15, preset: ultrafast, bitrate: 300k, keyframe: 1s}
sinks:
  - {kind: mp4, to: "recordings/{room}.mp4"}
"""


async def run(environ: dict[str, str], *words: str) -> Process:
    """A command of ours."""
    command = (sys.executable, "-m", "egress.cli", *words)
    return await asyncio.create_subprocess_exec(*command, env=environ, stdout=PIPE, stderr=PIPE)


async def answered(environ: dict[str, str], *words: str) -> dict[str, Any]:
    """What a command says as JSON."""
    out, error = await (await run(environ, *words, "--json")).communicate()
    found: dict[str, Any] = json.loads(out)
    assert found, error
    return found


async def serving(environ: dict[str, str], listen: str, to: Path) -> Process:
    """`egress serve` that takes requests."""
    process = await run(environ, "serve", "--json", "--listen", listen, "--to", str(to))
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    return process


async def until(environ: dict[str, str], job: str, participants: int, elapsed: float) -> None:
    """Wait until a job has so many participants, and so many seconds."""
    end = time.monotonic() + PATIENCE
    while True:
        shown = await answered(environ, "jobs", "show", job)
        figures = shown["figures"] or {}
        if figures.get("participants") == participants and figures["elapsed"] >= elapsed:
            return
        assert time.monotonic() < end, shown


async def test_whoever_watches_a_job_sees_it_to_its_end_though_the_service_is_killed(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EGRESS_")}
    environ |= {"EGRESS_SPOOL": str(tmp_path / "spool"), "EGRESS_SERVER": f"http://{listen}", "EGRESS_CAPACITY": "16"}
    service = await serving(environ, listen, tmp_path / "out")
    running = [service]
    ada = Publisher([ClipTrack("audio", audio_clip()), ClipTrack("video", video_clip(size=(320, 180), rate=200_000))])
    try:
        async with httpx.AsyncClient(base_url=f"http://{listen}", timeout=PATIENCE, trust_env=False) as http:
            kept = await http.put("/api/v1/pipelines/small", content=PIPELINE, headers=YAML)
        assert kept.status_code == 201, kept.text
        job = (await answered(environ, "jobs", "start", "local:stage", "--pipeline", "small"))["id"]
        watch = await run(environ, "jobs", "watch", job)
        running.append(watch)
        # What happens before somebody watches is not told: it has to be there when Ada comes.
        assert watch.stderr is not None
        assert (await asyncio.wait_for(watch.stderr.readline(), PATIENCE)).strip() in (b"starting", b"running")
        async with asyncio.timeout(PATIENCE):
            while not (await answered(environ, "jobs", "show", job))["whip"]:
                pass
        offer = await ada.offer()
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as http:
            answer = await http.post(f"http://{listen}/whip/stage?name=Ada", content=offer, headers=SDP)
        assert answer.status_code == 201, answer.text
        await ada.accept(answer.text)
        await until(environ, job, 1, 2)
        service.kill()
        await service.wait()
        running[0] = service = await serving(environ, listen, tmp_path / "out")
        await until(environ, job, 1, 5)
        stopped = await run(environ, "jobs", "stop", job, "--reason", "enough", "--watch")
        seen = await asyncio.wait_for(stopped.communicate(), PATIENCE)
        out, told = (text.decode() for text in await asyncio.wait_for(watch.communicate(), PATIENCE))
        service.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(service.wait(), PATIENCE) == 0
    finally:
        await ada.close()
        for process in running:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        for lock in (tmp_path / "spool").glob("*/lock"):
            # Workers outlive whoever started them, failed tests too.
            with contextlib.suppress(psutil.Error):
                psutil.Process(int(lock.read_text().split()[0])).kill()
    assert (stopped.returncode, watch.returncode) == (0, 0), told
    assert "Ada joined" in told and "the job goes on meanwhile" in told
    assert "finished: enough" in out and b"finished: enough" in seen[0]
    (recording,) = (tmp_path / "out" / "recordings").glob("*.mp4")
    assert str(recording) in out
    with av.open(str(recording)) as container:
        assert container.duration is not None and container.duration > 4e6
