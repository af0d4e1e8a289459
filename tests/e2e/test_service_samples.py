"""The samples around `egress serve`: rooms recorded by themselves, a live channel, a schedule, containers, systemd."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
import httpx
import pytest

from tests.browser import PATIENCE, Tab, chromium
from tests.rtmp_server import free_port

SAMPLES = Path(__file__).parents[2] / "samples"


@asynccontextmanager
async def running(sample: str, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A sample's script, asked to end by Ctrl-C should the test not have waited for its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SAMPLES / sample / "run.py"), *words),
        env={name: value for name, value in os.environ.items() if not name.startswith("EGRESS_")},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.communicate()


async def line_with(process: asyncio.subprocess.Process, words: str) -> str:
    """The next line that holds these words."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while line := (await process.stdout.readline()).decode():
            if words in line:
                return line
    raise AssertionError(f"it ended without saying {words!r}")


def recorded(output: str) -> av.container.InputContainer:
    location = re.search(r"^recorded (.+\.mp4)$", output, re.MULTILINE)
    assert location, output
    return av.open(location[1])


async def test_rooms_of_janus_are_recorded_when_somebody_comes(tmp_path: Path) -> None:
    config = shutil.copytree(SAMPLES / "auto-record" / "janus", tmp_path / "janus")
    for name, port in (("janus.transport.websockets", "8188"), ("janus.eventhandler.sampleevh", "8080")):
        file = config / f"{name}.jcfg"
        file.write_text(file.read_text().replace(port, str(free_port())))
    words = ("--to", str(tmp_path / "out"), "--config", str(config), "--page", "0")
    async with asyncio.timeout(3 * PATIENCE), chromium() as browser, running("auto-record", *words) as process:
        page = (await line_with(process, "publish from")).removeprefix("publish from ").strip()
        await line_with(process, "dashboard at")
        tab = Tab(await browser.new_page(), "publisher")
        await tab.page.goto(f"{page}&name=Katherine&autostart=1")
        await line_with(process, "running: janus+ws://")
        await line_with(process, "Katherine joined")
        await tab.until("publishing", lambda told: told.get("state") == "publishing")
        await asyncio.sleep(3)
        process.send_signal(signal.SIGINT)
        output = (await process.communicate())[0].decode()
        assert process.returncode == 0, output
    with recorded(output) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 45


async def test_a_channel_is_on_air_while_somebody_presents(tmp_path: Path) -> None:
    words = ("--to", str(tmp_path / "out"), "--listen", "127.0.0.1:0", "--seconds", "3")
    async with asyncio.timeout(3 * PATIENCE), running("live-channel", *words) as process:
        output = (await process.communicate())[0].decode()
        assert process.returncode == 0, output
    assert "on air" in output
    with recorded(output) as container:
        assert container.duration is not None and container.duration > 3e6


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """The address of a running `egress serve`."""
    command = ("serve", "--json", "--listen", "127.0.0.1:0", "--to", str(tmp_path / "out"))
    process = subprocess.Popen(
        [sys.executable, "-m", "egress.cli", *command, "--spool", str(tmp_path / "spool")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def test_a_schedule_of_a_name_is_kept_once(service: str) -> None:
    command = [sys.executable, str(SAMPLES / "nightly-schedule" / "run.py"), "--server", service]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert len(re.findall(r"02:30 CES?T$", done.stdout, re.MULTILINE)) >= 4, done.stdout
    (kept,) = httpx.get(f"{service}/api/v1/schedules").json()["items"]
    assert kept["version"] == 2
    unreachable = subprocess.run([*command[:2], "--server", "http://127.0.0.1:9"], capture_output=True, text=True)
    assert unreachable.returncode == 1 and "egress serve" in unreachable.stderr
