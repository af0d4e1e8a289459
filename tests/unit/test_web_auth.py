"""Who gets in, with what, into which rooms: keys, tokens, scopes, and a server of one's own machine."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection

from egress.control import artifacts, keys, schedules
from egress.control.store import Store
from egress.control.tokens import Tokens
from egress.model.errors import TooMany, Unauthorized
from egress.model.job import Artifact
from egress.model.schedule import read_schedule
from egress.model.secrets import Secret
from egress.model.settings import Settings
from egress.web.auth import REMEMBERED, TRIES, Gate, is_local
from egress.web.service import NOUNS
from tests.unit.front import OFFER, OFFERED, SECRET, Stand, browser

ROUTES = [
    (route.methods, route.path, noun.said[route.operation_id].scope)
    for noun in NOUNS
    for route in noun.routes
    if "HEAD" not in route.methods
]
SCOPES = ("read", "start", "stop", "admin")


@pytest.fixture
def stand(tmp_path: Path, store: Store) -> Stand:
    return Stand(store, tmp_path, Settings(spool=tmp_path))


async def key(stand: Stand, *scopes: str, rooms: tuple[str, ...] = ()) -> str:
    _, secret = await stand.store.write(keys.create, "test", scopes or ("admin",), rooms=rooms)
    return secret.reveal()


async def test_every_route_lets_in_by_its_scope_and_admin_alone(stand: Stand) -> None:
    tokens = {scope: await key(stand, scope) for scope in SCOPES}
    async with browser(stand) as web:
        for methods, path, needed in ROUTES:
            (method,) = methods
            address = re.sub(r"\{(\w+)(:path)?\}", "nothing", path)
            if path == "/api/v1/events":
                address += "?job=nothing"
            assert (await web.request(method, address)).status_code == 401, path
            for scope, token in tokens.items():
                answer = await web.request(method, address, headers={"Authorization": f"Bearer {token}"})
                lets_in = scope in (needed, "admin")
                assert (answer.status_code == 403) != lets_in, (method, path, scope, answer.text)
                assert answer.status_code < 500, answer.text


async def test_without_keys_this_machines_own_programs_may_do_all(stand: Stand) -> None:
    async with browser(stand) as web:
        assert (await web.get("/api/v1/keys")).status_code == 200
        for headers in (
            {"Host": "rebound.example.org"},
            {"Origin": "https://evil.example.org"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            answer = await web.post("/api/v1/jobs", json={"room": "local:a"}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        same = {"Host": "localhost", "Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
        assert (await web.post("/api/v1/jobs", json={"room": "local:a"}, headers=same)).status_code == 201


@pytest.mark.parametrize("settings", [{"listen": "0.0.0.0:8080"}, {"listen": "10.0.0.1:80"}])
async def test_beyond_this_machine_nobody_comes_in_without_a_key(tmp_path: Path, store: Store, settings: Any) -> None:
    async with browser(Stand(store, tmp_path, Settings(spool=tmp_path, **settings))) as web:
        answer = await web.get("/api/v1/jobs")
    assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("listen", "local"),
    [(None, True), ("127.0.0.1:1", True), ("[::1]:8080", True), ("localhost:80", True), ("0.0.0.0:80", False),
     ("[::]:80", False), ("example.org:80", False), (":80", False)],
)  # fmt: skip
def test_what_a_loopback_listener_is(listen: str | None, local: bool) -> None:
    assert is_local(listen) is local


async def test_the_first_key_closes_the_door_and_the_last_one_revoked_is_remembered_no_longer(stand: Stand) -> None:
    async with browser(stand) as web:
        made = (await web.post("/api/v1/keys", json={"name": "me", "scopes": ["admin"]})).json()
        assert (await web.get("/api/v1/jobs")).status_code == 401
        web.headers["Authorization"] = f"Bearer {made['key']}"
        listed = (await web.get("/api/v1/keys")).json()["items"]
        assert [one["id"] for one in listed] == [made["id"]] and "key" not in listed[0]
        assert (await web.delete(f"/api/v1/keys/{made['id']}")).status_code == 204
        assert (await web.get("/api/v1/jobs")).status_code == 401


async def test_a_key_is_looked_up_once_in_a_while_and_guesses_are_few(stand: Stand) -> None:
    now = [0.0]
    noted: list[Any] = []

    def later(work: Any) -> None:
        noted.append(work)
        work.close()

    gate = Gate(stand, True, later, lambda: now[0])  # type: ignore[arg-type]
    good = await key(stand, "read")

    def asks(bearer: str) -> Any:
        scope = {"type": "http", "headers": [(b"authorization", f"Bearer {bearer}".encode())], "client": ("1.2.3.4", 1)}
        return gate.admit(HTTPConnection(scope), "read")

    at_once = await asyncio.gather(*(asks(good) for _ in range(50)))
    assert {caller.name for caller in at_once} == {"test"} and len(noted) == 1
    assert {(await asks(good)).name for _ in range(50)} == {"test"} and len(noted) == 1
    now[0] = REMEMBERED + 1
    await asks(good)
    assert len(noted) == 2
    for guess in range(int(2 * TRIES)):
        with pytest.raises(Unauthorized):
            await asks(f"egress_{guess:012x}_{'x' * 43}")
    with pytest.raises(TooMany):
        await asks(f"egress_{0:012x}_{'y' * 43}")
    assert (await asks(good)).name == "test"


@pytest.mark.parametrize(
    "header", ["Basic abc", "Bearer", "Bearer ", "Bearer \u00e9", "Bearer x", f"Bearer {'x' * 5000}"]
)
async def test_what_is_no_key_is_refused(stand: Stand, header: str) -> None:
    await key(stand)
    async with browser(stand) as web:
        answer = await web.get("/api/v1/jobs", headers={"Authorization": header.encode()})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


async def test_a_caller_sees_the_jobs_of_its_rooms_alone(stand: Stand) -> None:
    mine, other = await stand.job("local:team-a"), await stand.job("local:board", over=True)
    seen, hidden = [
        await stand.store.write(artifacts.add, job.id, Artifact("mp4", str(stand.root / "a.mp4")))
        for job in (mine, other)
    ]
    document = {"name": "n", "when": {"every": "day"}, "job": {"room": "local:board"}}
    schedule = await stand.store.write(schedules.create, stand.store.sealer, read_schedule(document), next_at=1)
    async with browser(stand, await key(stand, "admin", rooms=("local:team-*",))) as web:

        async def ids(path: str) -> list[str]:
            return [one["id"] for one in (await web.get(path)).json()["items"]]

        assert await ids("/api/v1/jobs") == [mine.id]
        assert await ids("/api/v1/jobs?room=local:board") == []
        assert await ids("/api/v1/artifacts") == [seen.id]
        assert await ids("/api/v1/schedules") == []
        for path in ROUTES:
            (method,), address, _ = path
            if "/jobs/{id}" in address:
                answer = await web.request(method, address.format(id=other.id, name="x"), json={})
                assert answer.status_code in (400, 404), address
        assert (await web.get(f"/api/v1/events?job={other.id}")).status_code == 404
        for path in (f"/api/v1/artifacts/{hidden.id}", f"/api/v1/artifacts/{hidden.id}/content",
                     f"/api/v1/artifacts/{hidden.id}/url", f"/api/v1/schedules/{schedule.id}"):  # fmt: skip
            assert (await web.get(path)).status_code == 404, path
        refused = await web.post("/api/v1/jobs", json={"room": "local:board"})
        assert refused.status_code == 403
        assert (await web.post("/api/v1/schedules", json=document)).status_code == 403
        for path in ("/api/v1/keys", "/api/v1/webhooks"):
            assert (await web.get(path)).status_code == 403, path


async def test_a_token_may_no_more_than_the_key_it_is_made_with(tmp_path: Path, store: Store) -> None:
    stand = Stand(store, tmp_path, Settings(spool=tmp_path), Tokens([SECRET]))
    job = await stand.job("local:team-a")
    async with browser(stand, await key(stand, "read", "start", rooms=("local:team-*",))) as web:

        async def asks(**said: Any) -> httpx.Response:
            return await web.post("/api/v1/tokens", json=said)

        for said in ({"scopes": ["admin"]}, {"scopes": ["stop"]}, {"rooms": ["*"]}, {"rooms": ["local:board"]}):
            assert (await asks(**said)).status_code == 403, said
        for said in ({"for": "25h"}, {"for": "0s"}, {"kind": "whip", "scopes": ["start"]}, {"rooms": "x"}):
            assert (await asks(**said)).status_code == 400, said
        made = (await asks(scopes=["read"], rooms=["local:team-a"], **{"for": "1h"})).json()
        web.headers["Authorization"] = f"Bearer {made['token']}"
        assert [one["id"] for one in (await web.get("/api/v1/jobs")).json()["items"]] == [job.id]
        assert (await web.post("/api/v1/jobs", json={"room": "local:team-a"})).status_code == 403
        assert (await asks()).status_code == 403


async def test_publishers_need_a_token_where_one_is_set_or_keys_are(tmp_path: Path, store: Store) -> None:
    stand = Stand(store, tmp_path, Settings(spool=tmp_path, whip_token=Secret("everybodys")), Tokens([SECRET]))
    caller = await key(stand, "start", rooms=("local:here",))
    tokens = {
        "everybodys": 404,
        stand.tokens.mint("whip", "camera", seconds=60, rooms=["local:here"]): 404,
        stand.tokens.mint("whip", "camera", seconds=60, rooms=["here"]): 404,
        caller: 404,
        stand.tokens.mint("whip", "camera", seconds=60, rooms=["elsewhere"]): 403,
        stand.tokens.mint("api", "camera", seconds=60, scopes=["read"]): 403,
        "egress_000000000000_" + "x" * 43: 401,
    }
    async with browser(stand) as web:
        for token, status in tokens.items():
            headers = {"Authorization": f"Bearer {token}", **OFFERED}
            answer = await web.post("/whip/here", headers=headers, content=OFFER)
            assert answer.status_code == status, (token, answer.text)
            assert answer.headers["access-control-allow-origin"] == "*"
        assert (await web.post("/whip/here", content=b"v=0")).status_code == 401
        assert (await web.options("/whip/here")).status_code == 204
    assert stand.opened == ["here"] * 4
