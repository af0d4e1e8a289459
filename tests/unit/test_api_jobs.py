"""Jobs and what is said to them, over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from egress.control import job_moves, keys
from egress.control.commission import log_of
from egress.control.store import Store
from egress.model.errors import Draining, NoCapacity
from egress.model.settings import Settings
from egress.web.api.call import DEEPEST
from tests.unit.front import Stand, browser


@pytest.fixture
def stand(tmp_path: Path, store: Store) -> Stand:
    return Stand(store, tmp_path, Settings(spool=tmp_path, api_rate=0))


async def test_a_repeated_request_gives_the_job_it_made(stand: Stand) -> None:
    async with browser(stand) as web:
        said: dict[str, Any] = {
            "json": {"room": "local:a", "metadata": {"k": "v"}},
            "headers": {"Idempotency-Key": "one"},
        }
        first, again = await web.post("/api/v1/jobs", **said), await web.post("/api/v1/jobs", **said)
        other = await web.post("/api/v1/jobs", json={"room": "local:b"}, headers={"Idempotency-Key": "one"})
        assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
        assert first.json() == again.json() and first.json()["metadata"] == {"k": "v"}
        assert (await web.get(first.headers["location"])).json() == first.json()
        assert (await web.get(first.headers["location"] + "/request")).json()["room"] == "local:a"


async def test_lists_are_filtered_and_come_in_pages(stand: Stand) -> None:
    made = [(await stand.job(f"local:r{number}", over=number % 2 == 0)).id for number in range(5)]
    async with browser(stand) as web:

        async def ids(query: str) -> list[str]:
            answer = await web.get(f"/api/v1/jobs?{query}")
            assert answer.status_code == 200, answer.text
            return [job["id"] for job in answer.json()["items"]]

        assert await ids("") == made[::-1]
        assert await ids("state=running") == [made[3], made[1]]
        assert await ids("state=finished,failed,%20running") == made[::-1]
        assert await ids("room=r2") == await ids("room=local:r2") == await ids("q=r2") == [made[2]]
        assert await ids("pipeline=other") == await ids("template=t") == await ids("schedule=s") == []
        assert await ids("until=2020-01-01T00:00:00Z") == []
        assert await ids("since=2020-01-01T00:00:00%2B02:00") == made[::-1]
        found, cursor = [], ""
        while cursor is not None:
            page = (await web.get(f"/api/v1/jobs?limit=2{cursor and '&cursor=' + cursor}")).json()
            found += [job["id"] for job in page["items"]]
            cursor = page["next"]
        assert found == made[::-1]


async def test_a_job_is_stopped_once_and_forgotten_when_it_is_over(stand: Stand) -> None:
    running, over = await stand.job(), await stand.job(over=True)
    async with browser(stand) as web:
        assert (await web.delete(f"/api/v1/jobs/{running.id}")).status_code == 409
        stopped = await web.post(f"/api/v1/jobs/{running.id}/stop", json={"reason": "enough"})
        assert (stopped.json()["desired"], stopped.json()["reason"]) == ("stop", "enough")
        assert (await web.post(f"/api/v1/jobs/{running.id}/stop")).json()["reason"] == "enough"
        assert (await web.post(f"/api/v1/jobs/{over.id}/stop")).json()["state"] == "finished"
        assert (await web.delete(f"/api/v1/jobs/{over.id}?artifacts=true")).status_code == 204
        assert (await web.get(f"/api/v1/jobs/{over.id}")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "command"),
    [
        ("POST", "pause", None, {"command": "pause"}),
        ("POST", "resume", None, {"command": "resume"}),
        ("PUT", "layout", {"layout": "speaker"}, {"command": "layout", "layout": "speaker"}),
        ("PUT", "theme", {"theme": "light"}, {"command": "theme", "theme": "light"}),
        ("PUT", "tiles", {"tiles": {}}, {"command": "tiles", "tiles": {}}),
        ("PUT", "overlays", {"overlays": []}, {"command": "overlays", "overlays": []}),
        ("PUT", "title", {"text": "Hi"}, {"command": "title", "text": "Hi"}),
        ("POST", "marks", {"text": "Half"}, {"command": "mark", "text": "Half"}),
        ("POST", "captions", {"text": "Hi", "duration": "2s"}, {"command": "caption", "text": "Hi", "duration": "2s"}),
        ("POST", "metadata", {"payload": "{}"}, {"command": "metadata", "payload": "{}"}),
        ("POST", "destinations", {"to": "rtmp://h/a/k"}, {"command": "add-destination", "to": "rtmp://h/a/k"}),
        ("DELETE", "destinations/a b", None, {"command": "remove-destination", "destination": "a b"}),
        ("POST", "commands", {"command": "pin", "peers": ["A"]}, {"command": "pin", "peers": ["A"]}),
    ],
)
async def test_commands_reach_the_job(stand: Stand, method: str, path: str, body: Any, command: dict[str, Any]) -> None:
    job = await stand.job()
    async with browser(stand) as web:
        said = {} if body is None else {"json": body}
        answer = await web.request(method, f"/api/v1/jobs/{job.id}/{path}", **said)
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "message": "done"}), answer.text
    assert stand.commands == [(job.id, command)]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("layout", {}, "layout"),
        ("title", {"text": 7}, "text"),
        ("title", {"text": "a", "colour": "red"}, "colour"),
        ("title", {"text": "a", "command": "stop"}, None),
        ("overlays", {"overlays": [{"kind": "nothing"}]}, "overlays[0].kind"),
        ("overlays", [], ""),
    ],
)
async def test_what_is_wrong_with_a_command_is_said_before_it_is_passed_on(
    stand: Stand, path: str, body: Any, field: str | None
) -> None:
    job = await stand.job()
    async with browser(stand) as web:
        answer = await web.put(f"/api/v1/jobs/{job.id}/{path}", json=body)
    if field is None:
        assert stand.commands == [(job.id, {"command": "title", "text": "a"})]
    else:
        assert answer.status_code == 400 and not stand.commands
        assert field in [detail["field"] for detail in answer.json()["details"]], answer.text


async def test_jobs_that_are_over_take_no_commands(stand: Stand) -> None:
    job = await stand.job(over=True)
    async with browser(stand) as web:
        assert (await web.post(f"/api/v1/jobs/{job.id}/pause")).status_code == 409


async def test_to_stop_by_command_needs_the_scope_of_stopping(stand: Stand) -> None:
    job = await stand.job()
    _, secret = await stand.store.write(keys.create, "starter", ["start"])
    async with browser(stand, secret.reveal()) as web:
        for command in ("stop", "pause", "resume"):
            answer = await web.post(f"/api/v1/jobs/{job.id}/commands", json={"command": command})
            assert answer.status_code == 403
        assert (await web.post(f"/api/v1/jobs/{job.id}/commands", json={"command": "unpin"})).status_code == 200


@pytest.mark.parametrize(("error", "code"), [(NoCapacity("full"), "no_capacity"), (Draining("ends"), "draining")])
async def test_a_job_there_is_no_room_for_may_come_again(stand: Stand, error: Exception, code: str) -> None:
    stand.unreachable = error
    async with browser(stand) as web:
        answer = await web.post("/api/v1/jobs", json={"room": "local:a"})
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, code, "2")


async def test_picture_and_log_are_there_once_there_are_any(stand: Stand) -> None:
    job = await stand.job()
    async with browser(stand) as web:
        for what in ("thumbnail", "log"):
            assert (await web.get(f"/api/v1/jobs/{job.id}/{what}")).status_code == 404
        stand.picture = stand.root / "a.jpg"
        stand.picture.write_bytes(b"\xff\xd8\xff")
        picture = await web.get(f"/api/v1/jobs/{job.id}/thumbnail")
        assert (picture.content, picture.headers["content-type"]) == (b"\xff\xd8\xff", "image/jpeg")
        there = await stand.store.write(job_moves.take_over, job.id, "srv_other", job.server)
        assert there and "srv_other" in (await web.get(f"/api/v1/jobs/{job.id}/log")).json()["message"]
        log = log_of(stand.root, job.id)
        log.parent.mkdir()
        log.write_text("".join(f"line {number}\n" for number in range(100_000)))
        assert (await web.get(f"/api/v1/jobs/{job.id}/log?tail=2")).text == "line 99998\nline 99999\n"
        whole = (await web.get(f"/api/v1/jobs/{job.id}/log?tail=10000")).text
        assert whole.startswith("line 90000\n") and whole.count("\n") == 10_000


async def test_no_secret_of_a_request_is_shown_again(stand: Stand) -> None:
    said = {
        "room": "local:a",
        "destinations": ["rtmp://live.example.org/app/canary-key-1"],
        "room_options": {"pin": "canary-key-2"},
    }
    async with browser(stand) as web:
        made = (await web.post("/api/v1/jobs", json=said)).json()
        await stand.store.write(job_moves.ask_stop, made["id"], "x")
        paths = ("", f"/{made['id']}", f"/{made['id']}/request", f"/{made['id']}/events")
        texts = [json.dumps(made), *[(await web.get(f"/api/v1/jobs{path}")).text for path in paths]]
    assert not [text for text in texts if "canary" in text]


@pytest.mark.parametrize(("levels", "deep"), [(DEEPEST - 2, False), (DEEPEST, True), (900, True)])
async def test_what_is_nested_too_deeply_is_refused_in_words(stand: Stand, levels: int, deep: bool) -> None:
    async with browser(stand) as web:
        for begin, end in (('{"a":', "}"), ("[", "]")):
            body = f'{{"room": "local:x", "pipeline": {begin * levels}1{end * levels}}}'
            answer = await web.post("/api/v1/jobs", content=body, headers={"Content-Type": "application/json"})
            assert (answer.status_code, "nested in more than" in answer.text) == (400, deep)


async def test_a_body_that_does_not_come_is_waited_for_no_longer(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.web.api.call.BODY_WITHIN", 0.05)

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with browser(stand) as web, asyncio.timeout(60):
        answer = await web.post("/api/v1/jobs", content=endless(), headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request") and "did not arrive" in answer.text
