"""The sample `janus-recording` records a browser that publishes from the sample's own page."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

import av
import pytest

from tests.browser import PATIENCE, Tab, chromium
from tests.janus_browser import SAMPLE
from tests.rtmp_server import free_port

pytestmark = pytest.mark.beside


async def test_records_a_browser_until_it_is_interrupted(tmp_path: Path) -> None:
    config = shutil.copytree(SAMPLE / "janus", tmp_path / "janus")
    websockets = config / "janus.transport.websockets.jcfg"
    websockets.write_text(websockets.read_text().replace("8188", str(free_port())))
    words = ("--to", str(tmp_path / "out"), "--config", str(config), "--page", "0")
    async with asyncio.timeout(3 * PATIENCE), chromium() as browser:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(SAMPLE / "run.py"), *words),
            env={**os.environ, "EGRESS_SPOOL": str(tmp_path / "spool")},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            address = (await process.stdout.readline()).decode().removeprefix("publish from ").strip()
            tab = Tab(await browser.new_page(), "publisher")
            await tab.page.goto(f"{address}&name=Katherine&autostart=1")
            await tab.until("publishing", lambda told: told.get("state") == "publishing")
            while b"Katherine joined" not in (line := await process.stdout.readline()):
                assert line, "the recorder ended before anybody joined"
            # From there to a picture in the recording is not said anywhere.
            await asyncio.sleep(8)
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            output = (await process.communicate())[0].decode()
        assert process.returncode == 0, output
    location = re.search(r"^recorded (.+\.mp4)$", output, re.MULTILINE)
    assert location, output
    with av.open(location[1]) as container:
        assert {stream.type for stream in container.streams} == {"video", "audio"}
        pictures = [
            frame.reformat(64, 36, "rgb24").to_ndarray().mean(axis=(0, 1)) for frame in container.decode(video=0)
        ]
    # Chromium's fake camera is all green.
    green = [picture for picture in pictures if picture[1] > 2 * max(picture[0], picture[2])]
    assert len(green) >= 30, pictures[-1]
