"""The client of the API against the real app, over real connections: errors, pages, and jobs that are followed."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from egress import client as clients
from egress.cli import main
from egress.client import Client, ServiceError
from egress.control import job_moves, keys
from egress.control.commission import log_of
from egress.control.store import Store
from egress.model.errors import Blame, Draining, Forbidden, NotFound, RequestError, RoomUnreachable, Unauthorized
from egress.model.job import JobState
from egress.web.server import WebServer
from egress.web.service import create_service_app
from tests.unit.front import Stand

T = TypeVar("T")


class Served:
    """The app of the service in a loop of its own, which may be away for a while."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.store = Store.open(None, folder / "spool")
        self.stand = Stand(self.store, folder / "out")
        self._port = 0
        self._web: WebServer | None = None
        self._telling: asyncio.Task[None] | None = None
        self.come()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Have something done in the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def come(self) -> None:
        """Be there, at the same address as before."""

        async def come() -> None:
            self._telling = asyncio.create_task(self.stand.updates.run())
            web = WebServer(create_service_app(self.stand), port=self._port)  # type: ignore[arg-type]
            self._web = await web.__aenter__()
            self._port = int(self._web.url.rpartition(":")[2])

        self.do(come())

    def go(self) -> None:
        """Be away."""

        async def go() -> None:
            assert self._web is not None and self._telling is not None
            await self._web.__aexit__(None, None, None)
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

        self.do(go())
        self._web = None

    def move(self, job: str, *states: JobState) -> None:
        """Have a job come into states, one after the other."""
        for state in states:
            self.do(self.store.write(job_moves.move, job, state))

    def close(self) -> None:
        if self._web is not None:
            self.go()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.store.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_refusals_are_the_errors_they_are_with_every_field(served: Served) -> None:
    with Client(served.url) as client:
        with pytest.raises(NotFound, match="no job"):
            client.call("GET", "jobs/nothing")
        with pytest.raises(RequestError) as refused:
            client.call("POST", "jobs", {"room": 7, "nonsense": True})
        assert {field for field, _ in refused.value.problems} == {"room", "nonsense"}
        served.stand.draining = True
        with pytest.raises(ServiceError) as busy:
            client.call("POST", "jobs", {"room": "local:a"})
        assert (busy.value.message, busy.value.blame) == (Draining("this server is about to end").message, Blame.US)
        served.stand.draining = False
        served.stand.unreachable = RoomUnreachable("the room server does not answer")
        with pytest.raises(ServiceError) as room:
            client.call("POST", "jobs", {"room": "local:a"})
        assert room.value.blame is Blame.ROOM


def test_a_key_is_asked_for_brought_and_never_repeated(served: Served) -> None:
    _, secret = served.do(served.store.write(keys.create, "ci", ["read"]))
    with Client(served.url) as stranger, pytest.raises(Unauthorized, match="EGRESS_API_KEY"):
        stranger.call("GET", "jobs")
    with Client(served.url, secret) as client:
        assert client.call("GET", "jobs")["items"] == []
        with pytest.raises(Forbidden) as refused:
            client.call("POST", "jobs", {"room": "local:a"})
    assert secret.reveal() not in repr(client) + str(refused.value)


def test_pages_are_turned_until_the_last_one(served: Served) -> None:
    made = [served.do(served.stand.job(f"local:room-{number}")).id for number in range(5)]
    with Client(served.url) as client:
        assert {one["id"] for one in client.pages("jobs", limit=2)} == set(made)


def test_a_service_that_is_not_there_is_named(served: Served) -> None:
    served.go()
    with Client(served.url) as client, pytest.raises(ServiceError) as away:
        client.call("GET", "jobs")
    assert away.value.blame is Blame.REQUEST
    for said in (served.url, "is egress serve running", "--server", "EGRESS_SERVER"):
        assert said in away.value.message


def test_a_server_address_of_another_kind_is_refused_with_one_that_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "list", "--server", "ftp://example.org"]) == 2
    said = capsys.readouterr().err
    assert "server" in said and "like https://" in said and "s3" not in said


def test_a_job_is_followed_to_its_end(served: Served) -> None:
    job = served.do(served.stand.job()).id
    told: list[tuple[str, dict[str, Any]]] = []
    with Client(served.url) as client:
        for kind, data in client.follow(job):
            if not told:
                served.move(job, JobState.STOPPING, JobState.FINISHED)
            told.append((kind, data))
    assert [data["type"] for kind, data in told if kind == "event"] == ["job.stopping", "job.finished"]
    assert [(kind, data["state"]) for kind, data in (told[0], told[-1])] == [("job", "running"), ("job", "finished")]


def test_a_job_that_is_over_is_told_of_at_once(served: Served) -> None:
    job = served.do(served.stand.job(over=True)).id
    with Client(served.url) as client:
        assert [(kind, data["state"]) for kind, data in client.follow(job)] == [("job", "finished")]
        with pytest.raises(NotFound):
            list(client.follow("nothing"))


def test_a_service_that_comes_back_is_waited_for_and_nothing_is_missed(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "AGAIN", 0.0)
    job = served.do(served.stand.job()).id
    types, states, aways = [], [], 0
    with Client(served.url) as client:
        for kind, data in client.follow(job):
            if kind == "event":
                types.append(data["type"])
            elif kind == "away":
                aways += 1
                if aways == 1:
                    served.move(job, JobState.STOPPING)
                    served.come()
            elif data["state"] not in states:
                states.append(data["state"])
                if data["state"] == "running":
                    served.go()
                elif data["state"] == "stopping":
                    served.move(job, JobState.FINISHED)
    assert aways >= 1
    assert (types, states) == (["job.stopping", "job.finished"], ["running", "stopping", "finished"])


def test_what_happened_to_the_end_of_a_job_while_its_service_was_away_is_told(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "AGAIN", 0.0)
    job = served.do(served.stand.job()).id
    told: list[tuple[str, dict[str, Any]]] = []
    with Client(served.url) as client:
        for kind, data in client.follow(job):
            if not told:
                served.go()
            elif kind == "away" and told[-1][0] != "away":
                served.move(job, JobState.STOPPING, JobState.FINISHED)
                served.come()
            told.append((kind, data))
    assert [data["type"] for kind, data in told if kind == "event"] == ["job.stopping", "job.finished"]
    assert [data["state"] for kind, data in told if kind == "job"] == ["running", "finished"]


def test_a_service_that_stays_away_ends_the_waiting(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "AGAIN", 0.0)
    monkeypatch.setattr(clients, "AWAY", -1.0)
    job = served.do(served.stand.job()).id
    with Client(served.url) as client, pytest.raises(ServiceError):
        for kind, _ in client.follow(job):
            if kind == "job":
                served.go()


def test_the_command_line_shows_a_job_to_its_end(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGRESS_SERVER", served.url)
    job = served.do(served.stand.job(over=True)).id
    assert main(["jobs", "watch", job]) == 0
    assert "finished:" in capsys.readouterr().out
    assert main(["jobs", "show", "nothing"]) == 2
    assert "no job 'nothing'" in capsys.readouterr().err


def test_commands_with_secrets_come_from_a_file(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGRESS_SERVER", served.url)
    job = served.do(served.stand.job()).id
    file = tmp_path / "command.json"
    file.write_text('{"command": "add-destination", "to": "rtmp://live.example.org/app/KEY"}\n')
    assert main(["jobs", "say", job, f"@{file}"]) == 0
    assert main(["jobs", "say", job, "pause"]) == 0
    told = [command["command"] for _, command in served.stand.commands]
    assert told == ["add-destination", "pause"]
    assert main(["jobs", "say", job, f"@{tmp_path}/none"]) == 2
    assert "name a file that holds one command" in capsys.readouterr().err


@pytest.fixture
def command(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[dict[str, Any]]]:
    """A command line of the service: what it printed with --json."""
    monkeypatch.setenv("EGRESS_SERVER", served.url)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> list[dict[str, Any]]:
        assert main([*words, "--json"]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_templates_are_kept_from_a_file_shown_and_deleted(
    command: Callable[..., list[dict[str, Any]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "teams.yaml"
    file.write_text("rooms: [team-*]\npipelines: [record-grid]\nstart: role:host\nmetadata: {since: 2026-12-24}\n")
    assert main(["templates", "put", "teams.yaml"]) == 2
    assert "--name NAME" in capsys.readouterr().err
    [kept] = command("templates", "put", "teams.yaml", "--name", "teams", "--version", "0")
    assert (kept["version"], kept["document"]["metadata"]) == (1, {"since": "2026-12-24"})
    assert main(["templates", "put", "teams.yaml", "--name", "teams", "--version", "7"]) == 2
    assert command("templates", "list") == command("templates", "show", "teams") == [kept]
    capsys.readouterr()
    assert main(["templates", "show", "teams"]) == 0
    shown = capsys.readouterr().out
    assert "teams  start: role:host  team-* in local:{room}  record-grid" in shown and "since: 2026-12-24" in shown
    file.write_text("name: other\npipelines: []\nstart: soon\n")
    assert main(["templates", "put", "teams.yaml"]) == 2
    said = capsys.readouterr().err
    assert "pipelines" in said and "start" in said
    command("templates", "delete", "teams")
    assert command("templates", "list") == []
    assert main(["templates", "show", "teams"]) == 2


def test_webhooks_are_kept_from_a_file_tested_and_told_again(
    command: Callable[..., list[dict[str, Any]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hook.json").write_text('{"url": "https://user:word@example.org/hooks/egress", "events": ["job.*"]}')
    [made] = command("webhooks", "add", "hook.json")
    assert made["secret"].startswith("whsec_") and "word" not in made["url"]
    (tmp_path / "hook.json").write_text('{"url": "https://example.org/elsewhere", "events": ["*"], "enabled": false}')
    [changed] = command("webhooks", "put", made["id"], "hook.json")
    assert (changed["url"], changed["enabled"]) == ("https://example.org/elsewhere", False)
    assert command("webhooks", "list") == command("webhooks", "show", made["id"]) == [changed]
    (tmp_path / "hook.json").write_text('{"url": "https://example.org/elsewhere"}')
    command("webhooks", "put", made["id"], "hook.json")
    [sent] = command("webhooks", "test", made["id"])
    assert command("webhooks", "deliveries", made["id"], "--state", "waiting") == [sent]
    assert command("webhooks", "deliveries", made["id"], "--state", "failed") == []
    assert command("webhooks", "replay", made["id"], sent["id"])[0]["event_id"] == sent["event_id"]
    assert main(["webhooks", "deliveries", made["id"]]) == 0
    assert f"{sent['id']}  " in (said := capsys.readouterr().out) and "webhook.test" in said
    assert main(["webhooks", "deliveries", made["id"], "--state", "lost"]) == 2
    command("webhooks", "delete", made["id"])
    assert command("webhooks", "list") == []
    assert main(["webhooks", "add", "nothing.yaml"]) == 2
    assert "nothing.yaml: No such file" in capsys.readouterr().err


def test_commands_show_documents_in_lines_without_secrets(
    command: Callable[..., list[dict[str, Any]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hook.yaml").write_text("url: https://example.org/x\nnote: our CMS\n")
    assert main(["webhooks", "add", "hook.yaml"]) == 0
    said = capsys.readouterr().out
    assert "our CMS" in said and "secret whsec_" in said
    assert main(["webhooks", "list"]) == 0
    assert "whsec_" not in (listed := capsys.readouterr().out) and "our CMS" in listed


def test_a_job_that_is_told_to_stop_is_stopping_and_can_be_followed(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGRESS_SERVER", served.url)
    job = served.do(served.stand.job()).id
    assert main(["jobs", "stop", job]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{job}  stopping") and f"egress jobs watch {job}" in said


def test_jobs_that_are_over_are_deleted(
    served: Served, command: Callable[..., list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    job = served.do(served.stand.job(over=True)).id
    assert command("jobs", "delete", job, "--artifacts") == [{"id": job}]
    assert served.stand.removed == [(job, True)]
    living = served.do(served.stand.job()).id
    assert main(["jobs", "delete", living]) == 2
    assert "stop it first" in capsys.readouterr().err
    assert served.stand.removed[1:] == [(living, False)]


def test_the_state_of_a_watched_job_is_said_as_it_changes(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGRESS_SERVER", served.url)
    job = served.do(served.stand.job()).id
    told = Client._told

    def moving(self: Client, path: str, last: str) -> Iterator[Any]:
        for number, one in enumerate(told(self, path, last)):
            yield one
            if number == 0:
                served.move(job, JobState.STOPPING, JobState.FINISHED)

    monkeypatch.setattr(Client, "_told", moving)
    assert main(["jobs", "watch", job]) == 0
    assert capsys.readouterr().err.split()[0] == "running"


def test_the_last_lines_of_a_log_are_shown(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGRESS_SERVER", served.url)
    job = served.do(served.stand.job()).id
    assert main(["jobs", "logs", job]) == 2
    assert "the log of this job is not there" in capsys.readouterr().err
    log = log_of(served.stand.root, job)
    log.parent.mkdir(parents=True)
    log.write_text("one\ntwo\nthree\n")
    assert main(["jobs", "logs", job, "--tail", "2"]) == 0
    assert capsys.readouterr().out == "two\nthree\n"
