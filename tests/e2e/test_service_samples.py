"""The samples around `egress serve`: rooms recorded by themselves, a live channel, a schedule, containers, systemd."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import av
import httpx
import pytest
import websockets
import yaml

from egress.model.settings import NAMES
from tests.browser import PATIENCE, Tab, chromium
from tests.rtmp_server import free_port

pytestmark = pytest.mark.beside

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


class Told(BaseHTTPRequestHandler):
    """Takes what Janus posts."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.posts.append((self.headers.get("authorization", ""), json.loads(body)))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


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
        process.wait(60)


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


async def test_janus_of_the_containers_tells_egress_with_its_secret(tmp_path: Path) -> None:
    sample = SAMPLES / "docker-compose" / "janus"
    config = shutil.copytree(sample / "config", tmp_path / "config")
    transport, port = config / "janus.transport.websockets.jcfg", free_port()
    transport.write_text(transport.read_text().replace("8188", str(port)))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Told)
    posts: list[tuple[str, Any]] = []
    server.posts = posts  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    environ = {
        **os.environ,
        "EGRESS_HOOK": f"http://127.0.0.1:{server.server_port}/api/v1/hooks/janus",
        "EGRESS_HOOK_SECRET": "s3cret/+=",
        "JANUS_ADMIN_KEY": "key",
        "JANUS_CONFIG": str(config),
        "TMPDIR": str(tmp_path),
    }
    with (tmp_path / "log").open("wb") as log:
        janus = await asyncio.create_subprocess_exec(str(sample / "start"), env=environ, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(PATIENCE):
            while not (found := await told_of_a_join(port, posts)):
                assert janus.returncode is None, (tmp_path / "log").read_text(errors="replace")
                await asyncio.sleep(0.2)
    finally:
        if janus.returncode is None:
            janus.terminate()
        await janus.wait()
        server.shutdown()
        server.server_close()
    authorization, event = found
    assert base64.b64decode(authorization.removeprefix("Basic ")).decode() == "janus:s3cret/+="
    assert event["event"]["data"]["room"] == 1234


def test_secrets_that_janus_could_not_read_are_refused() -> None:
    environ = {**os.environ, "EGRESS_HOOK": "http://127.0.0.1", "EGRESS_HOOK_SECRET": 'a"b', "JANUS_ADMIN_KEY": "key"}
    start = SAMPLES / "docker-compose" / "janus" / "start"
    done = subprocess.run([str(start)], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "letters, digits" in done.stderr


async def told_of_a_join(port: int, posts: list[tuple[str, Any]]) -> tuple[str, dict[str, Any]] | None:
    """Join a room, and give what came of it once something did."""
    try:
        async with websockets.connect(f"ws://127.0.0.1:{port}", subprotocols=["janus-protocol"]) as line:

            async def ask(janus: str, **more: Any) -> dict[str, Any]:
                await line.send(json.dumps({"janus": janus, "transaction": "t", **more}))
                answer: dict[str, Any] = json.loads(await line.recv())
                return answer

            session = (await ask("create"))["data"]["id"]
            handle = (await ask("attach", session_id=session, plugin="janus.plugin.videoroom"))["data"]["id"]
            body = {"request": "join", "ptype": "publisher", "room": 1234, "display": "Ada"}
            await ask("message", session_id=session, handle_id=handle, body=body)
            for _ in range(20):
                for authorization, events in posts:
                    for event in events if isinstance(events, list) else [events]:
                        if event["event"].get("data", {}).get("event") == "joined":
                            return authorization, event
                await asyncio.sleep(0.1)
    except OSError:
        return None
    return None


def test_the_containers_are_described_as_they_are_built() -> None:
    folder = SAMPLES / "docker-compose"
    document = yaml.safe_load((folder / "docker-compose.yaml").read_text())
    known = {name.upper() for name in NAMES}
    for name, service in document["services"].items():
        assert service["network_mode"] == "host", "WebRTC agrees on UDP ports call by call"
        assert (folder / service["build"] / "Dockerfile").is_file(), name
        for volume in service.get("volumes", ()):
            where = volume.partition(":")[0]
            assert where.startswith("./") or where in document["volumes"]
    egress = document["services"]["egress"]
    assert {name.removeprefix("EGRESS_") for name in egress["environment"]} <= known
    image = (folder / egress["build"] / "Dockerfile").read_text()
    assert all(volume.partition(":")[2].partition(" ")[0] in image for volume in egress["volumes"])
    needed = set(re.findall(r"\$\{(\w+):\?", (folder / "docker-compose.yaml").read_text()))
    assert needed <= set(re.findall(r"^(\w+)=", (folder / ".env.example").read_text(), re.MULTILINE))


def test_the_unit_leaves_workers_alone_and_sets_what_there_is_to_set(tmp_path: Path) -> None:
    unit = (SAMPLES / "systemd" / "egress.service").read_text()
    assert "\nKillMode=process\n" in unit
    names = re.findall(r"^#? ?EGRESS_(\w+)=", (SAMPLES / "systemd" / "egress.env").read_text(), re.MULTILINE)
    assert names and {name.lower() for name in names} <= set(NAMES)
    if (tool := shutil.which("systemd-analyze")) is not None:
        # The program is not installed where the unit looks for it; all else is judged.
        there = tmp_path / "egress.service"
        there.write_text(unit.replace("/opt/egress/bin/egress", sys.executable))
        done = subprocess.run([tool, "verify", str(there)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and not done.stderr.strip(), done.stderr
