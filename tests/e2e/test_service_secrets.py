"""No secret of a service is where it does not belong: answers, events, logs, files, processes, the database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

pytestmark = pytest.mark.beside

CANARY = "kanarie"
EGRESS = [sys.executable, "-m", "egress.cli"]


def canary(name: str) -> str:
    """A secret that is found again, and is long enough for any use."""
    return f"{CANARY}-{name}-0123456789abcdef0123456789abcdef"


SETTINGS = {
    "EGRESS_WHIP_TOKEN": canary("whip"),
    "EGRESS_TOKEN_SECRET": canary("token"),
    "EGRESS_PLAYBACK_SECRET": canary("playback"),
    "EGRESS_HOOK_SECRET": canary("hook"),
    "EGRESS_S3_SECRET_KEY": canary("s3"),
    "EGRESS_S3_ACCESS_KEY": "access",
    "EGRESS_JANUS_PIN": canary("pin"),
    "EGRESS_SECRET_KEY": canary("seal"),
}
"""All but what a process is itself started with: the service's own environment holds its settings, nobody else's."""

PIPELINE = {
    "name": "with-keys",
    "video": {"size": "320x180", "bitrate": "200k", "preset": "ultrafast"},
    "sinks": [
        {"kind": "mp4", "to": "a.mp4"},
        {"kind": "rtmp", "to": f"rtmp://127.0.0.1:9/app/{canary('inline')}"},
    ],
}
JOB = {
    "room": "local:standup",
    "pipeline": PIPELINE,
    "destinations": [
        {"to": f"rtmp://127.0.0.1:9/live/{canary('key')}?auth={canary('query')}", "name": "dead"},
        {"to": f"srt://127.0.0.1:9?passphrase={canary('phrase')}&streamid={canary('stream')}", "name": "silent"},
    ],
    "room_options": {"pin": canary("option")},
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str], Path]]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EGRESS_")}
    environ |= {**SETTINGS, "EGRESS_SPOOL": str(tmp_path / "spool"), "EGRESS_LOG_LEVEL": "DEBUG"}
    command = [*EGRESS, "serve", "--to", str(tmp_path / "out"), "--listen", "127.0.0.1:0", "--json"]
    with (tmp_path / "serve.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environ, text=True)
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process, tmp_path
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def test_secrets_stay_where_they_belong(service: tuple[str, subprocess.Popen[str], Path]) -> None:
    url, process, folder = service
    admin = subprocess.run(
        [*EGRESS, "keys", "add", "root", "--scope", "admin"],
        capture_output=True, text=True, check=True,
        env={**os.environ, "EGRESS_SPOOL": str(folder / "spool"), "EGRESS_SECRET_KEY": SETTINGS["EGRESS_SECRET_KEY"]},
    ).stdout.strip()  # fmt: skip
    said: list[str] = []
    with httpx.Client(base_url=f"{url}/api/v1/", headers={"Authorization": f"Bearer {admin}"}, timeout=60) as api:

        def ask(method: str, path: str, body: Any = None) -> Any:
            answer = api.request(method, path, json=body)
            said.append(f"{method} {path}: {answer.text}")
            return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text

        assert ask("PUT", "pipelines/with-keys", PIPELINE)["name"] == "with-keys"
        template = {"name": "t", "pipelines": ["with-keys"], "destinations": JOB["destinations"]}
        ask("PUT", "templates/t", {**template, "room_options": {"pin": canary("template")}})
        when = {"cron": "0 0 1 1 *"}
        schedule = ask("POST", "schedules", {"name": "s", "when": when, "job": JOB})
        hook = ask("POST", "webhooks", {"url": f"http://hooks.invalid/hook?k={canary('hookquery')}"})
        secrets = [admin, hook.pop("secret")]
        said.pop()
        job = ask("POST", "jobs", JOB)["id"]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            shown = ask("GET", f"jobs/{job}")
            if shown["state"] == "running" and any(d.get("reason") for d in shown["destinations"]):
                break
            time.sleep(0.3)
        assert shown["state"] == "running", shown
        ask("POST", f"jobs/{job}/destinations", {"to": f"rtmp://127.0.0.1:9/x/{canary('added')}", "name": "more"})
        ask("POST", f"jobs/{job}/destinations", {"to": f"nonsense://{canary('wrong')}"})
        processes = seen(process.pid, folder)
        with api.stream("GET", f"jobs/{job}/events?since=0", headers={"Accept": "text/event-stream"}) as stream:
            for number, line in enumerate(stream.iter_lines()):
                said.append(line)
                if number > 60:
                    break
        ask("POST", f"jobs/{job}/stop")
        while ask("GET", f"jobs/{job}")["state"] not in ("finished", "failed", "aborted"):
            time.sleep(0.3)
        for path in (
            "jobs", f"jobs/{job}/events?limit=200", f"jobs/{job}/artifacts", f"jobs/{job}/log", "artifacts",
            "pipelines", "pipelines/with-keys", "templates", "templates/t", "schedules",
            f"schedules/{schedule['id']}", "webhooks",
            f"webhooks/{hook['id']}", f"webhooks/{hook['id']}/deliveries", "keys", "server",
        ):  # fmt: skip
            ask("GET", path)
        said.append(httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {admin}"}).text)
        said.append(httpx.get(f"{url}/openapi.json").text)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert len(processes) >= 2, "the worker and those who stream were looked at"
    for where, text in [*(("answer", one) for one in said), *processes]:
        for secret in (CANARY, *secrets):
            assert secret not in text, (where, text[max(0, text.find(secret) - 200) :][:400])
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "egress.db" for path in files) and any(path.name.endswith(".log") for path in files)
    for path in files:
        data = path.read_bytes()
        for secret in (CANARY, *secrets):
            assert secret.encode() not in data, (path, data[max(0, data.find(secret.encode()) - 100) :][:300])


def seen(service: int, folder: Path) -> list[tuple[str, str]]:
    """Command lines of all processes of this service, and the environments of those it started."""
    found = [("command line of the service", " ".join(psutil.Process(service).cmdline()))]
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            mine = str(folder) in line or "egress." in line or "ffmpeg" in line
            if process.pid in (service, os.getpid()) or not mine:
                continue
            environ = json.dumps(process.environ())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if process.ppid() == os.getpid() or "pytest" in line:
            continue
        found += [(f"command line of {line[:60]}", line), (f"environment of {line[:60]}", environ)]
    return found
