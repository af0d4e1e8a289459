"""`egress serve` from a command line: keys, jobs, schedules; errors said in the words of the service."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.beside

EGRESS = [sys.executable, "-m", "egress.cli"]


class Server:
    """A running service, and the command line that talks to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("EGRESS_")}
        self.environ |= {"EGRESS_SPOOL": str(folder / "spool")}
        self.log = (folder / "serve.log").open("w")
        command = [*EGRESS, "serve", "--to", str(folder / "out"), "--listen", "127.0.0.1:0", "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, env=self.environ, text=True)
        assert self.process.stdout is not None
        self.url = json.loads(self.process.stdout.readline())["url"]

    def run(self, *arguments: str, key: str = "", within: float = 60) -> subprocess.CompletedProcess[str]:
        environ = self.environ | {"EGRESS_SERVER": self.url} | ({"EGRESS_API_KEY": key} if key else {})
        return subprocess.run(
            [*EGRESS, *arguments], capture_output=True, text=True, env=environ, timeout=within, check=False
        )

    def told(self, *arguments: str, key: str = "") -> list[dict[str, Any]]:
        done = self.run(*arguments, "--json", key=key)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def ended(made: Server) -> None:
    """End it as Ctrl-C does, and see that it ends well."""
    made.process.send_signal(signal.SIGINT)
    try:
        assert made.process.wait(60) == 0
    finally:
        made.process.kill()
        made.log.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("serve"))
    yield made
    ended(made)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Server, str]]:
    """A server with one key from its beginning, and that key, which may read."""
    environ = {**os.environ, "EGRESS_SPOOL": str(tmp_path / "spool")}
    add = [*EGRESS, "keys", "add", "ci", "--scope", "read"]
    key = subprocess.run(add, capture_output=True, text=True, env=environ, check=True).stdout.strip()
    made = Server(tmp_path)
    yield made, key
    ended(made)


def test_jobs_are_started_watched_and_listed(server: Server) -> None:
    (job,) = server.told("jobs", "start", "local:talk", "--pipeline", "record-grid", "--for", "3s")
    watched = server.run("jobs", "watch", job["id"])
    assert watched.returncode == 1 and "aborted: nobody ever published" in watched.stdout
    (shown,) = server.told("jobs", "show", job["id"])
    assert shown["state"] == "aborted" and shown["room"] == "local:talk"
    assert [one["id"] for one in server.told("jobs", "list", "--state", "aborted")] == [job["id"]]
    assert server.told("jobs", "list", "--state", "running") == []


def test_a_running_job_is_told_what_to_do(server: Server) -> None:
    (job,) = server.told("jobs", "start", "local:talk", "--pipeline", "live-hls")
    for _ in range(100):
        (shown,) = server.told("jobs", "list", "--limit", "1")
        if shown["state"] == "running":
            break
    (answer,) = server.told("jobs", "say", job["id"], '{"command": "layout", "layout": "speaker"}')
    assert answer["message"] == "done"
    refused = server.run("jobs", "say", job["id"], '{"command": "layout", "layout": "spekaer"}')
    assert refused.returncode == 2 and "did you mean 'speaker'" in refused.stderr
    stopped = server.run("jobs", "stop", job["id"], "--watch")
    assert "aborted: " in stopped.stdout


def test_schedules_are_kept_and_say_when_they_fire(server: Server) -> None:
    add = ("schedule", "add", "nightly", "--room", "local:night", "--pipeline", "record-grid")
    (made,) = server.told(*add, "--cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--for", "1h")
    assert len(made["next"]) == 5 and re.match(r"\d{4}-\d\d-\d\dT0[01]:30:00", made["next"][0])
    server.told("schedule", "pause", made["id"])
    assert "paused" in server.run("schedule", "list").stdout
    server.told("schedule", "remove", made["id"])
    assert server.told("schedule", "list") == []
    wrong = server.run(*add, "--cron", "61 2 * * *")
    assert wrong.returncode == 2 and "when.cron" in wrong.stderr


def test_what_is_wrong_is_said_in_the_services_words(server: Server) -> None:
    for arguments, words in (
        (("jobs", "show", "nothing"), "no job 'nothing'"),
        (("jobs", "start", "gopher:x", "--pipeline", "record-grid"), "one of: "),
        (("jobs", "start", "local:x", "--pipeline", "recrod-grid"), "record-grid"),
    ):
        done = server.run(*arguments)
        assert done.returncode == 2 and words in done.stderr, done.stderr


def test_with_a_key_only_those_who_bring_it_come_in(guarded: tuple[Server, str]) -> None:
    server, key = guarded
    stranger = server.run("jobs", "list")
    assert stranger.returncode == 2 and "EGRESS_API_KEY" in stranger.stderr
    assert server.told("jobs", "list", key=key) == []
    start = server.run("jobs", "start", "local:x", "--pipeline", "record-grid", key=key)
    assert start.returncode == 2 and "scope start" in start.stderr
    (kept,) = server.told("keys", "list")
    server.run("keys", "revoke", kept["id"])
    listed = server.run("keys", "list")
    assert "revoked" in listed.stdout and key not in listed.stdout


def test_a_service_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EGRESS_")}
    command = [*EGRESS, "jobs", "list", "--server", "http://127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60, check=False)
    assert done.returncode == 1 and "is egress serve running there" in done.stderr
