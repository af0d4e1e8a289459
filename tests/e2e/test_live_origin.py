"""The origin over HTTP keeps every low-latency rule of the checker while a real sink writes, and afterwards."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

from egress.web.app import create_app
from egress.web.origin import Origin
from egress.web.server import WebServer
from tests.broadcast import Broadcast
from tests.hls_checker import examine
from tests.hls_live_rules import check_live


def ffmpeg_plays(url: str) -> None:
    """Have ffmpeg decode three seconds of picture and sound, and complain of nothing."""
    command = ["ffmpeg", "-v", "warning", "-xerror", "-i", url, "-t", "3", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    # A server may close a connection that a slow player left idle; the player opens another one.
    said = [line for line in done.stderr.splitlines() if "keepalive request failed" not in line]
    assert (done.returncode, said) == (0, [])


async def test_keeps_the_rules_live_and_afterwards(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    folder = tmp_path / "hls"
    origin = Origin(folder)
    ready = asyncio.Event()

    def announce(event: dict[str, object]) -> None:
        origin.announce(event)
        if event["rendition"] == "audio" and event["msn"] == 8:
            ready.set()

    # Long enough that delta updates have something to leave out.
    broadcast = Broadcast(folder, lambda event: loop.call_soon_threadsafe(announce, event), behind=18)
    app = create_app(origins={"talk": origin}, whip=lambda room: None)
    async with WebServer(app) as server:
        url = f"{server.url}/live/talk/index.m3u8"
        broadcast.start()
        try:
            async with asyncio.timeout(60):
                await ready.wait()
            live = await asyncio.to_thread(check_live, url)
            await asyncio.to_thread(ffmpeg_plays, url)
        finally:
            await asyncio.to_thread(broadcast.stop)
        assert live.tried >= {"B6.2.5b", "B6.2.5s", "B6.2.6", "A10.1"}
        assert live.broken == []
        after = await asyncio.to_thread(check_live, url)
        assert "B6.2.5e" in after.tried and after.broken == []
        assert (await asyncio.to_thread(examine, url)).broken == []
