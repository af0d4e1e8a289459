"""How soon a job that the API was asked for records: a local room whose publisher is at the door, and a room of Janus.

    python -m tests.benchmarks.start [--runs N]

`answered`: the API has answered; `begins`: the first instant of the recording; `media`: somebody's first track is in
it; all in seconds since the request was sent. Prints medians and the worst; exit 1 when the median of `media` is above
1.5.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from tests.janus_front import JanusFront
from tests.janus_server import JanusServer
from tests.publisher import ClipTrack, Publisher, audio_clip, video_clip

BAR = 1.5
"""Seconds from the request to media in the recording."""

PATIENCE = 60.0
ROOM = 1001
PIPELINE = {"name": "start", "sinks": [{"kind": "mp4", "to": "{job}.mp4"}]}
COLUMNS = ("answered", "begins", "media")

Row = tuple[float, float, float]


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A service of its own process, as a client of its API."""
    environment = {**os.environ, "EGRESS_SPOOL": str(folder / "spool"), "EGRESS_CAPACITY": "16"}
    words = ("serve", "--json", "--listen", "127.0.0.1:0", "--to", str(folder / "out"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "egress.cli", *words), env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = json.loads(await process.stdout.readline())["url"]
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False) as http:
            yield http
    finally:
        process.send_signal(2)
        await process.wait()


@contextlib.asynccontextmanager
async def published(http: httpx.AsyncClient, whip: str) -> AsyncIterator[None]:
    """Somebody in a room for as long as it lasts, who knocks until it opens."""
    publisher = Publisher([ClipTrack("audio", audio_clip()), ClipTrack("video", video_clip())])
    try:
        offer = await publisher.offer()
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await http.post(
                    f"{whip}?name=Ada&peer=ada", content=offer, headers={"Content-Type": "application/sdp"}
                )
                if answer.status_code == 201:
                    break
                await asyncio.sleep(0.02)
        await publisher.accept(answer.text)
        yield
    finally:
        await publisher.close()


async def begun(http: httpx.AsyncClient, room: str) -> tuple[float, float, str]:
    """A job that was asked for: when (wall clock), how long the answer took, and its id."""
    at, began = time.time(), time.monotonic()
    answer = await http.post("/api/v1/jobs", json={"room": room, "pipeline": PIPELINE})
    answer.raise_for_status()
    return at, time.monotonic() - began, answer.json()["id"]


async def ended(http: httpx.AsyncClient, folder: Path, asked: tuple[float, float, str]) -> Row:
    """Stop a job once two seconds have been recorded, and read off its manifest what came when."""
    at, answered, id_ = asked
    async with asyncio.timeout(PATIENCE):
        while ((await _job(http, id_))["figures"] or {}).get("ticks", 0) < 60:
            await asyncio.sleep(0.1)
        (await http.post(f"/api/v1/jobs/{id_}/stop", json={})).raise_for_status()
        while (await _job(http, id_))["state"] != "finished":
            await asyncio.sleep(0.1)
    manifest = json.loads((folder / "out" / f"{id_}.manifest.json").read_text("utf-8"))
    begins = datetime.fromisoformat(manifest["started"]).timestamp() - at
    return answered, begins, begins + min(track["published"] for track in manifest["tracks"])


async def _job(http: httpx.AsyncClient, id_: str) -> dict[str, Any]:
    answer = await http.get(f"/api/v1/jobs/{id_}")
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


async def local(folder: Path, runs: int) -> list[Row]:
    """Jobs of rooms of their own, at whose door somebody waits."""
    rows = []
    async with serving(folder) as http:
        for number in range(runs):
            asked = await begun(http, f"local:start-{number}")
            async with published(http, f"{http.base_url}/whip/start-{number}"):
                rows.append(await ended(http, folder, asked))
    return rows


async def janus(folder: Path, runs: int) -> list[Row]:
    """Jobs of a room of Janus in which somebody is already."""
    async with (
        JanusServer(folder) as server,
        JanusFront(server) as front,
        serving(folder) as http,
        published(http, front.whip(ROOM)),
    ):
        return [await ended(http, folder, await begun(http, server.url(ROOM))) for _ in range(runs)]


def main() -> int:
    """Run it; 1 when a median is above the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    late = 0
    for name, measured in (("local", local), ("janus", janus)):
        with tempfile.TemporaryDirectory() as folder:
            rows = asyncio.run(measured(Path(folder), runs))
        for column, figures in zip(COLUMNS, zip(*rows, strict=True), strict=True):
            print(f"{name:6} {column:9} median {statistics.median(figures):.2f} s, worst {max(figures):.2f} s")
        late += statistics.median(row[-1] for row in rows) > BAR
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {runs} runs")
    return min(late, 1)


if __name__ == "__main__":
    sys.exit(main())
