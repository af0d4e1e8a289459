"""WHIP passed on: what reaches the worker, what comes back, and what is refused on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from egress.model.places import local_room_name
from egress.rooms.whip import Visitor, WhipApp, WhipServer
from egress.web.app import create_app
from egress.web.ingest import LARGEST_BODY
from egress.web.server import WebServer

OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"


class Door:
    """A room's door that notes who came and left."""

    def __init__(self) -> None:
        self.came: list[Visitor] = []
        self.left: list[str] = []

    async def admit(self, visitor: Visitor, offer: str) -> tuple[str, str]:
        self.came.append(visitor)
        return "pub 1?", "v=0 answer"

    async def dismiss(self, publication: str) -> bool:
        self.left.append(publication)
        return True


class Worker:
    """A worker's WHIP endpoint that remembers what it was asked and answers as told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer = Response(
            "v=0\r\nanswer",
            201,
            {"Location": "/whip/standup/r%20one", "ETag": '"x"', "Set-Cookie": "no=1", "Server": "secret"},
            "application/sdp",
        )
        self.app = Starlette(
            routes=[
                Route("/whip/{room}", self.take, methods=["POST"]),
                Route("/whip/{room}/{resource}", self.take, methods=["DELETE", "PATCH"]),
            ]
        )

    async def take(self, request: Request) -> Response:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        self.seen.append((request.method, path, dict(request.headers), await request.body()))
        return self.answer


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def rooms() -> dict[str, str]:
    return {}


@pytest_asyncio.fixture
async def client(worker: Worker, rooms: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(origins={}, whip=rooms.get)
    async with WebServer(worker.app) as behind, app.router.lifespan_context(app):
        rooms["standup"] = f"{behind.url}/whip/standup"
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://egress.test") as made:
            yield made


async def publish(client: httpx.AsyncClient, query: str = "") -> httpx.Response:
    headers = {"Content-Type": "application/sdp", "Authorization": "Bearer sesame", "Cookie": "no=1"}
    return await client.post(f"/whip/standup{query}", content=OFFER, headers=headers)


async def test_an_offer_reaches_the_worker_and_its_answer_comes_back(client: httpx.AsyncClient, worker: Worker) -> None:
    answer = await publish(client, "?peer=a%2Fb&name=Ada+L&role=host")
    assert (answer.status_code, answer.text) == (201, "v=0\r\nanswer")
    assert answer.headers["content-type"].startswith("application/sdp")
    assert answer.headers["etag"] == '"x"'
    method, path, headers, body = worker.seen[0]
    assert (method, body.decode()) == ("POST", OFFER)
    assert httpx.URL(f"http://x{path}").params == httpx.QueryParams("peer=a/b&name=Ada L&role=host")
    assert headers["authorization"] == "Bearer sesame"
    assert "cookie" not in headers


async def test_the_publication_is_found_at_this_server(client: httpx.AsyncClient, worker: Worker) -> None:
    location = (await publish(client)).headers["location"]
    assert location == "/whip/standup/r%20one"
    worker.answer = Response(status_code=200)
    assert (await client.delete(location, headers={"Authorization": "Bearer sesame"})).status_code == 200
    method, path, headers, _ = worker.seen[-1]
    assert (method, path, headers["authorization"]) == ("DELETE", "/whip/standup/r one", "Bearer sesame")


async def test_an_absolute_location_is_rewritten_too(
    client: httpx.AsyncClient, worker: Worker, rooms: dict[str, str]
) -> None:
    worker.answer.headers["location"] = f"{rooms['standup']}/r1"
    assert (await publish(client)).headers["location"] == "/whip/standup/r1"


async def test_a_room_may_have_any_name(client: httpx.AsyncClient, worker: Worker, rooms: dict[str, str]) -> None:
    rooms["été 1"] = rooms["standup"]
    answer = await client.post("/whip/été 1", content=OFFER)
    assert answer.headers["location"] == "/whip/%C3%A9t%C3%A9%201/r%20one"
    assert (await client.delete(answer.headers["location"])).status_code == 201
    assert worker.seen[-1][:2] == ("DELETE", "/whip/standup/r one")


@pytest.mark.parametrize(
    "address", ["local:my room", "local:my%20room", "local:who? #1", "local:100%", "local:été;☃&a=b"]
)
async def test_a_room_is_published_to_through_the_front_door_whatever_its_name(address: str) -> None:
    name = local_room_name(address)
    door = Door()
    async with WhipServer(WhipApp(name, door)) as behind:
        app = create_app(origins={}, whip=lambda room: behind.endpoint if room == name else None)
        async with WebServer(app) as server, httpx.AsyncClient(trust_env=False, base_url=server.url) as client:
            headers = {"Content-Type": "application/sdp"}
            answer = await client.post(f"/whip/{quote(name, safe='')}?name=Ada", content=OFFER, headers=headers)
            assert (answer.status_code, answer.text) == (201, "v=0 answer")
            assert (await client.delete(answer.headers["location"])).status_code == 200
            assert (await client.get(f"/publish/{quote(name, safe='')}")).status_code == 200
    assert door.came == [Visitor(name="Ada")] and door.left == ["pub 1?"]


@pytest.mark.parametrize("location", ["/elsewhere/r1", "/whip/standup/", "/whip/standup/a/b", "/whip/other/r1"])
async def test_a_location_outside_the_room_is_the_workers_fault(
    client: httpx.AsyncClient, worker: Worker, location: str
) -> None:
    worker.answer.headers["location"] = location
    assert (await publish(client)).status_code == 502


async def test_the_workers_refusal_comes_back_as_it_is(client: httpx.AsyncClient, worker: Worker) -> None:
    worker.answer = Response("wrong token", 401, {"WWW-Authenticate": "Bearer"})
    answer = await publish(client)
    assert (answer.status_code, answer.text) == (401, "wrong token")
    assert answer.headers["www-authenticate"] == "Bearer"
    worker.answer = Response(status_code=405, headers={"Allow": "DELETE"})
    patch = await client.patch("/whip/standup/r1", content="a=x", headers={"If-Match": "*"})
    assert (patch.status_code, patch.headers["allow"]) == (405, "DELETE")
    assert worker.seen[-1][2]["if-match"] == "*"


async def test_nothing_of_the_worker_shows_but_what_whip_needs(client: httpx.AsyncClient) -> None:
    headers = (await publish(client)).headers
    assert "set-cookie" not in headers and "server" not in headers
    assert headers["access-control-allow-origin"] == "*"
    assert "Location" in headers["access-control-expose-headers"]
    assert headers["cache-control"] == "no-store"


async def test_browsers_may_ask_first(client: httpx.AsyncClient, worker: Worker) -> None:
    for path in ("/whip/standup", "/whip/standup/r1"):
        answer = await client.options(path, headers={"Origin": "https://example.org"})
        assert answer.status_code == 204
        assert "Authorization" in answer.headers["access-control-allow-headers"]
        assert "DELETE" in answer.headers["access-control-allow-methods"]
    assert not worker.seen


async def test_an_unknown_room_is_not_found(client: httpx.AsyncClient) -> None:
    for method, path in (("POST", "/whip/other"), ("OPTIONS", "/whip/other"), ("DELETE", "/whip/other/r1")):
        answer = await client.request(method, path)
        assert answer.status_code == 404 and answer.headers["access-control-allow-origin"] == "*"


async def test_other_methods_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/whip/standup")
    assert answer.status_code == 405 and "POST" in answer.headers["allow"]


async def test_a_body_too_long_is_refused_before_it_is_read(client: httpx.AsyncClient, worker: Worker) -> None:
    assert (await client.post("/whip/standup", content=b"x" * (LARGEST_BODY + 1))).status_code == 413

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(LARGEST_BODY // 1024 + 1):
            yield b"x" * 1024

    assert (await client.post("/whip/standup", content=endless())).status_code == 413
    assert not worker.seen


async def test_a_worker_that_is_gone_is_said_so(client: httpx.AsyncClient, rooms: dict[str, str]) -> None:
    rooms["standup"] = "http://127.0.0.1:9/whip/standup"
    answer = await publish(client)
    assert answer.status_code == 502 and answer.headers["retry-after"] == "2"


async def test_an_answer_too_long_is_refused(client: httpx.AsyncClient, worker: Worker) -> None:
    worker.answer = Response(b"x" * (LARGEST_BODY + 1), 201)
    assert (await publish(client)).status_code == 502


async def test_a_publication_named_like_a_way_up_is_not_asked_for(client: httpx.AsyncClient, worker: Worker) -> None:
    url = client.base_url.copy_with(raw_path=b"/whip/standup/%2e%2e")
    assert (await client.delete(url)).status_code == 404
    assert not worker.seen
