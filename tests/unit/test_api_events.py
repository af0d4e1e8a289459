"""Events over HTTP: pages, and streams that go on where they broke off."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from egress.control import events, keys
from egress.control.store import Store
from egress.control.updates import Update
from egress.model.settings import Settings
from egress.web.api import following
from egress.web.server import WebServer
from egress.web.service import create_service_app
from tests.unit.front import Stand, browser


@pytest.fixture
def stand(tmp_path: Path, store: Store) -> Stand:
    return Stand(store, tmp_path, Settings(spool=tmp_path, api_rate=0))


class Reader:
    """Reads a stream, an event at a time: (kind, id, data)."""

    def __init__(self, answer: httpx.Response) -> None:
        self.lines = answer.aiter_lines()
        self.comments = 0

    async def next(self) -> tuple[str, str, Any]:
        said: dict[str, str] = {}
        async with asyncio.timeout(60):
            async for line in self.lines:
                self.comments += line.startswith(":")
                name, _, value = line.partition(": ")
                if line and name:
                    said[name] = value
                elif "data" in said:
                    return said["event"], said.get("id", ""), json.loads(said["data"])
                elif "id" in said:
                    return "begin", said["id"], said["retry"]
        raise EOFError

    async def until(self, kind: str) -> tuple[str, str, Any]:
        while (found := await self.next())[0] != kind:
            pass
        return found


@contextlib.asynccontextmanager
async def served(stand: Stand, key: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    following_all = asyncio.create_task(stand.updates.run())
    async with WebServer(create_service_app(stand)) as server:  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as web:
            yield web
    following_all.cancel()


async def test_a_page_of_events_goes_on_after_the_last_one(stand: Stand) -> None:
    job = await stand.job(over=True)
    async with browser(stand) as web:
        path = f"/api/v1/jobs/{job.id}/events"
        whole = (await web.get(path)).json()
        assert [event["type"] for event in whole["items"]] == [
            f"job.{state}" for state in ("starting", "running", "stopping", "finished")
        ]
        first = (await web.get(f"{path}?limit=3")).json()
        rest = (await web.get(f"{path}?limit=3&since={first['next']}")).json()
        assert first["items"] + rest["items"] == whole["items"] and rest["next"] is None


async def test_a_page_of_events_begins_with_the_latest_where_asked(stand: Stand) -> None:
    job = await stand.job(over=True)
    async with browser(stand) as web:
        path = f"/api/v1/jobs/{job.id}/events"
        whole = (await web.get(path)).json()["items"]
        first = (await web.get(f"{path}?before=0&limit=3")).json()
        rest = (await web.get(f"{path}?limit=3&before={first['next']}")).json()
        assert first["items"] + rest["items"] == whole[::-1] and rest["next"] is None
        assert (await web.get(f"{path}?before=0&since=0")).json()["details"][0]["field"] == "before"


async def test_a_stream_tells_changes_and_figures_as_they_come(stand: Stand) -> None:
    async with served(stand) as web, web.stream("GET", "/api/v1/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        reader = Reader(answer)
        assert (await reader.next())[0] == "begin"
        job = await stand.job()
        kind, id_, said = await reader.next()
        assert (kind, said["type"], said["job"]) == ("event", "job.starting", job.id) and id_ == str(said["seq"])
        while (said := (await reader.until("job"))[2])["state"] != "running":
            pass
        assert said["id"] == job.id and said["links"]["self"].endswith(job.id)
        stand.updates.tell(Update("figures", 1, job.id, {"id": job.id, "figures": {"fps": 30}}, job.room))
        assert (await reader.until("figures"))[2]["figures"] == {"fps": 30}
        stand.updates.tell(Update("missed", 1, None, {"count": 3}))
        assert (await reader.until("missed"))[2] == {"count": 3}


@pytest.mark.parametrize("by", ["header", "query"])
async def test_who_comes_back_is_told_what_was_missed_and_how_jobs_stand(stand: Stand, by: str) -> None:
    job = await stand.job()
    seen = (await stand.store.read(events.since, 0))[0].seq
    missed = await stand.store.write(events.append, "destination.failed", {"name": "x"}, job=job.id)
    path = "/api/v1/events" if by == "header" else f"/api/v1/jobs/{job.id}/events?since={seen}"
    headers = {"Last-Event-ID": str(seen)} if by == "header" else {}
    async with served(stand) as web, web.stream("GET", path, headers={"Accept": following.STREAM, **headers}) as answer:
        reader = Reader(answer)
        assert await reader.next() == ("begin", str(seen), "2000")
        assert [(await reader.next())[2]["type"] for _ in range(2)] == ["job.running", "destination.failed"]
        kind, id_, said = await reader.next()
        assert (kind, id_, said["id"], said["state"]) == ("job", str(missed.seq), job.id, "running")
        after = await stand.store.write(events.append, "late", {}, job=job.id)
        assert (await reader.next())[1] == str(after.seq)


async def test_who_missed_too_much_is_told_how_much(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_LONGEST", 2)
    job = await stand.job()
    for number in range(5):
        await stand.store.write(events.append, f"t{number}", {}, job=job.id)
    first = (await stand.store.read(events.since, 0))[0].seq
    async with (
        served(stand) as web,
        web.stream("GET", "/api/v1/events", headers={"Last-Event-ID": str(first)}) as answer,
    ):
        reader = Reader(answer)
        await reader.next()
        assert (await reader.next())[::2] == ("missed", {"count": 4})
        assert [(await reader.next())[2]["type"] for _ in range(2)] == ["t3", "t4"]


async def test_a_stream_tells_of_the_callers_rooms_alone(stand: Stand) -> None:
    _, secret = await stand.store.write(keys.create, "team", ["read"], rooms=["team-*"])
    board, team = await stand.job("local:board"), await stand.job("local:team-a")
    await stand.store.write(events.append, "about.board", {"room": "local:board"})
    await stand.store.write(events.append, "about.team", {"room": "local:team-a"})
    async with served(stand, secret.reveal()) as web:
        async with web.stream("GET", "/api/v1/events?since=0") as answer:
            reader, told = Reader(answer), []
            while (one := await reader.next())[0] != "job":
                told.append(one)
            assert [said["type"] for _, _, said in told[1:]] == ["job.starting", "job.running", "about.team"]
            for job in (board, team):
                stand.updates.tell(Update("figures", 1, job.id, {"id": job.id}, job.room))
            assert (await reader.next())[2] == {"id": team.id}
        answer = await web.get(f"/api/v1/jobs/{board.id}/events", headers={"Accept": following.STREAM})
        assert answer.status_code == 404


async def test_a_silent_stream_says_it_lives_and_ends_with_its_key(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "BEAT", 0.05)
    key, secret = await stand.store.write(keys.create, "team", ["read", "admin"])
    async with served(stand, secret.reveal()) as web, web.stream("GET", "/api/v1/events") as answer:
        reader = Reader(answer)
        await reader.next()
        assert (await web.delete(f"/api/v1/keys/{key.id}")).status_code == 204
        with pytest.raises(EOFError):
            await reader.next()
        assert reader.comments >= 0


async def test_streams_are_bounded_and_end_with_the_server(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MOST_STREAMS", 1)
    app = create_service_app(stand)  # type: ignore[arg-type]
    async with httpx.AsyncClient(timeout=60) as web:
        async with WebServer(app) as server:
            request = web.build_request("GET", f"{server.url}/api/v1/events")
            open_ = await web.send(request, stream=True)
            reader = Reader(open_)
            await reader.next()
            refused = await web.get(f"{server.url}/api/v1/events")
            assert refused.status_code == 429
            begun = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - begun < 2
        with pytest.raises(EOFError):
            await reader.next()
        await open_.aclose()
    assert app.state.streams == 0 and stand.updates.subscribers == 0
