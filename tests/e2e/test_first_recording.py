"""The sample `first-recording` records its own participants, and a browser."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.browser import PATIENCE, chromium, publish

pytestmark = pytest.mark.beside

SCRIPT = Path(__file__).parents[2] / "samples" / "first-recording" / "run.py"


@asynccontextmanager
async def running(to: Path, *more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The sample, asked to end by Ctrl-C should the test not have waited for its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), "--to", str(to), "--listen", "127.0.0.1:0", *more),
        env={**os.environ, "EGRESS_SPOOL": str(to / "spool")},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            await process.communicate()


def judge(output: str, least: float) -> None:
    location = re.search(r"^recorded (.+\.mp4)$", output, re.MULTILINE)
    assert location, output
    with av.open(location[1]) as container:
        assert {stream.type for stream in container.streams} == {"video", "audio"}
        pictures = [frame.pts for frame in container.decode(video=0)]
    assert len(pictures) >= least * 30
    assert {two - one for one, two in pairwise(pictures)} == {pictures[1] - pictures[0]}


async def test_records_its_participants(tmp_path: Path) -> None:
    async with asyncio.timeout(3 * PATIENCE), running(tmp_path, "--seconds", "10") as process:
        output = (await process.communicate())[0].decode()
        assert process.returncode == 0
    assert "Ada joined" in output and "Grace joined" in output
    judge(output, 9.8)


async def test_records_a_browser_until_it_is_interrupted(tmp_path: Path) -> None:
    async with asyncio.timeout(3 * PATIENCE), chromium() as browser, running(tmp_path, "--browser") as process:
        assert process.stdout is not None
        address = (await process.stdout.readline()).decode().removeprefix("publish from ").strip()
        tab = await publish(browser, address, name="Katherine", test=True)
        await tab.until("publishing", lambda told: told.get("frames", 0) > 60)
        process.send_signal(signal.SIGINT)
        output = (await process.communicate())[0].decode()
        assert process.returncode == 0
    assert "Katherine joined" in output
    judge(output, 2)
