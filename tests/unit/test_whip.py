from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from egress.model.errors import RequestError
from egress.rooms.whip import LARGEST_OFFER, RoomFull, Visitor, WhipApp, WhipServer

SDP = {"Content-Type": "application/sdp"}


class Porch:
    """A door that notes who came."""

    def __init__(self) -> None:
        self.came: list[tuple[Visitor, str]] = []
        self.left: list[str] = []
        self.refuse: Exception | None = None

    async def admit(self, visitor: Visitor, offer: str) -> tuple[str, str]:
        if self.refuse is not None:
            raise self.refuse
        self.came.append((visitor, offer))
        return f"pub/{len(self.came)}", "v=0 answer"

    async def dismiss(self, publication: str) -> bool:
        self.left.append(publication)
        return publication == "pub/1"


def _client(porch: Porch, room: str = "standup", token: str | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=WhipApp(room, porch, token))
    return httpx.AsyncClient(transport=transport, base_url="http://room")


async def test_offer_is_answered_with_201_location_and_the_answer() -> None:
    porch = Porch()
    async with _client(porch) as client:
        url = "/whip/standup?peer=ada&role=host&name=Ada%20L&source=screen&other=1"
        response = await client.post(url, content="v=0 offer", headers=SDP)
        assert response.status_code == 201
        assert response.headers["content-type"] == "application/sdp"
        assert response.text == "v=0 answer"
        assert "Location" in response.headers["access-control-expose-headers"]
        assert porch.came == [(Visitor("ada", "Ada L", "host", "screen"), "v=0 offer")]
        assert (await client.delete(response.headers["location"])).status_code == 200
        assert porch.left == ["pub/1"]


async def test_content_type_may_carry_parameters_and_any_case() -> None:
    async with _client(Porch()) as client:
        headers = {"Content-Type": "Application/SDP; charset=utf-8"}
        assert (await client.post("/whip/standup", content="v=0", headers=headers)).status_code == 201


async def test_another_room_or_place_is_not_found() -> None:
    async with _client(Porch()) as client:
        for path in ("/whip/other", "/", "/whip", "/whip/standup/x/y", "/whip/../standup"):
            response = await client.post(path, content="v=0", headers=SDP)
            assert response.status_code == 404, path
        assert "no room 'other'" in (await client.post("/whip/other", content="v=0", headers=SDP)).text


async def test_room_with_a_difficult_name_is_reached_by_its_quoted_path() -> None:
    porch = Porch()
    app = WhipApp("../étage 1/☃", porch)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://room") as client:
        response = await client.post(app.path, content="v=0", headers=SDP)
        assert response.status_code == 201
        assert response.headers["location"].startswith(app.path + "/")
        assert (await client.delete(response.headers["location"])).status_code == 200


async def test_token_is_demanded_of_post_and_delete_but_not_of_preflight() -> None:
    porch = Porch()
    async with _client(porch, token="sesame") as client:
        for value in (None, "Bearer wrong", "sesame", "Basic sesame", "Bearer sésame"):
            headers = SDP | ({"Authorization": value.encode()} if value else {})
            response = await client.post("/whip/standup", content="v=0", headers=headers)
            assert response.status_code == 401, value
            assert response.headers["www-authenticate"].startswith("Bearer")
        assert (await client.delete("/whip/standup/pub%2F1")).status_code == 401
        assert porch.came == [] and porch.left == []
        right = {"Authorization": "bearer sesame"}
        assert (await client.post("/whip/standup", content="v=0", headers=SDP | right)).status_code == 201
        assert (await client.delete("/whip/standup/pub%2F1", headers=right)).status_code == 200
        assert (await client.options("/whip/standup")).status_code == 204


async def test_browser_of_another_origin_may_publish() -> None:
    async with _client(Porch()) as client:
        response = await client.options("/whip/standup", headers={"Origin": "https://elsewhere.example"})
        assert response.status_code == 204
        assert response.headers["access-control-allow-origin"] == "*"
        assert {"POST", "DELETE"} <= set(response.headers["access-control-allow-methods"].split(", "))
        assert {"Authorization", "Content-Type"} <= set(response.headers["access-control-allow-headers"].split(", "))
        assert response.headers["accept-post"] == "application/sdp"
        refused = await client.get("/whip/standup")
        assert refused.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "HEAD", "DELETE"])
async def test_other_methods_on_the_endpoint_are_not_allowed(method: str) -> None:
    async with _client(Porch()) as client:
        response = await client.request(method, "/whip/standup")
        assert response.status_code == 405 and response.headers["allow"] == "POST, OPTIONS"


async def test_trickle_is_refused_as_the_rfc_says() -> None:
    async with _client(Porch()) as client:
        headers = {"Content-Type": "application/trickle-ice-sdpfrag"}
        response = await client.patch("/whip/standup/pub%2F1", content="a=candidate", headers=headers)
        assert response.status_code == 405 and response.headers["allow"] == "DELETE, OPTIONS"
        assert "gathering" in response.text


async def test_wrong_type_too_long_and_undecodable_offers_are_refused_by_name() -> None:
    porch = Porch()
    async with _client(porch) as client:
        wrong = await client.post("/whip/standup", content="{}", headers={"Content-Type": "application/json"})
        assert wrong.status_code == 415 and "application/json" in wrong.text
        assert (await client.post("/whip/standup", content=b"v=0")).status_code == 415

        async def endless():  # type: ignore[no-untyped-def]
            for _ in range(5):
                yield b"x" * 100_000

        long = b"x" * (LARGEST_OFFER + 1)
        assert (await client.post("/whip/standup", content=long, headers=SDP)).status_code == 413
        assert (await client.post("/whip/standup", content=endless(), headers=SDP)).status_code == 413
        assert (await client.post("/whip/standup", content=b"\xff\xfe", headers=SDP)).status_code == 400
        assert porch.came == []


@pytest.mark.parametrize(
    "error, status, said",
    [
        (RequestError("the SDP has no ICE credentials"), 400, "no ICE credentials"),
        (RoomFull("room 'standup' is full"), 503, "is full"),
        (ZeroDivisionError("secret detail"), 500, "its log says why"),
    ],
)
async def test_refusals_of_the_room_become_statuses(error: Exception, status: int, said: str) -> None:
    porch = Porch()
    porch.refuse = error
    async with _client(porch) as client:
        response = await client.post("/whip/standup", content="v=0", headers=SDP)
        assert response.status_code == status and said in response.text
        assert "secret detail" not in response.text
        assert ("retry-after" in response.headers) == (status == 503)


async def test_unknown_publication_is_not_found() -> None:
    async with _client(Porch()) as client:
        assert (await client.delete("/whip/standup/other")).status_code == 404


async def test_server_listens_and_stops() -> None:
    async with WhipServer(WhipApp("a room", Porch())) as server:
        async with httpx.AsyncClient(trust_env=False) as client:
            assert server.endpoint.endswith("/whip/a%20room")
            assert (await client.post(server.endpoint, content="v=0", headers=SDP)).status_code == 201
        url = server.endpoint
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.post(url)


async def test_stalled_request_does_not_hold_up_the_end() -> None:
    async with asyncio.timeout(60):
        async with WhipServer(WhipApp("r", Porch())) as server:
            port = httpx.URL(server.endpoint).port
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /whip/r HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\nv"
            )
            await writer.drain()
        writer.close()


async def test_taken_port_and_wrong_host_are_refused_by_name() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RequestError, match=f"127.0.0.1:{port}.*choose another"):
            async with WhipServer(WhipApp("r", Porch()), port=port):
                pass
    with pytest.raises(RequestError, match=r"can not listen: no\.such\.host\.invalid"):
        async with WhipServer(WhipApp("r", Porch()), host="no.such.host.invalid"):
            pass
