"""The HTTP server inside a running loop: addresses, signals, and an end in bounded time."""

from __future__ import annotations

import asyncio
import signal
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from egress.model.errors import Fault, RequestError
from egress.web.server import WebServer


def app_of(entered: asyncio.Event, release: asyncio.Event) -> Starlette:
    async def wait(request: Request) -> Response:
        entered.set()
        await release.wait()
        return PlainTextResponse("done")

    async def hello(request: Request) -> Response:
        return PlainTextResponse("hello")

    return Starlette(routes=[Route("/", hello), Route("/wait", wait)])


@pytest.fixture
def app() -> Starlette:
    return app_of(asyncio.Event(), asyncio.Event())


async def test_serves_on_a_free_port_and_leaves_signals_alone(app: Starlette) -> None:
    before = signal.getsignal(signal.SIGINT)
    async with WebServer(app) as server, httpx.AsyncClient(trust_env=False) as client:
        assert signal.getsignal(signal.SIGINT) is before
        answer = await client.get(server.url)
        assert answer.text == "hello" and "server" not in answer.headers
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", server.port))


async def test_serves_on_ipv6_and_shows_a_url_that_works(app: Starlette) -> None:
    async with WebServer(app, host="::1") as server, httpx.AsyncClient(trust_env=False) as client:
        assert server.url == f"http://[::1]:{server.port}"
        assert (await client.get(server.url)).text == "hello"


async def test_an_address_on_all_interfaces_is_shown_as_one_to_open(app: Starlette) -> None:
    async with WebServer(app, host="0.0.0.0") as server:
        assert server.url.startswith("http://127.0.0.1:")


async def test_an_address_in_use_is_refused_by_name(app: Starlette) -> None:
    async with WebServer(app) as server:
        with pytest.raises(RequestError, match=f"127.0.0.1:{server.port}.*choose another"):
            await WebServer(app, port=server.port).__aenter__()


@pytest.mark.parametrize(("host", "port"), [("no such host", 80), ("192.0.2.1", 0), ("127.0.0.1", 70000)])
async def test_an_address_that_can_not_be_is_refused(app: Starlette, host: str, port: int) -> None:
    with pytest.raises(RequestError, match="can not listen"):
        await WebServer(app, host=host, port=port).__aenter__()


async def test_requests_in_flight_are_finished_within_the_grace() -> None:
    entered, release = asyncio.Event(), asyncio.Event()
    async with httpx.AsyncClient(trust_env=False) as client:
        async with WebServer(app_of(entered, release), grace=10) as server:
            request = asyncio.create_task(client.get(f"{server.url}/wait"))
            await entered.wait()
            asyncio.get_running_loop().call_later(0.05, release.set)
        assert (await request).text == "done"


async def test_requests_that_never_end_are_cut_off() -> None:
    entered = asyncio.Event()
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        async with WebServer(app_of(entered, asyncio.Event()), grace=0) as server:
            request = asyncio.create_task(client.get(f"{server.url}/wait"))
            await entered.wait()
        answer = (await asyncio.gather(request, return_exceptions=True))[0]
    assert isinstance(answer, httpx.HTTPError) or answer.status_code >= 500


async def test_an_app_that_does_not_start_is_a_fault() -> None:
    def lifespan(app: Starlette) -> None:
        raise RuntimeError("no")

    with pytest.raises(Fault, match="did not start"):
        await WebServer(Starlette(lifespan=lifespan)).__aenter__()  # type: ignore[arg-type]


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("said", [b"", HEAD + b"X-Slow: ", HEAD + b"\r\nGET / HT"])
async def test_a_client_that_does_not_ask_is_hung_up_on(
    app: Starlette, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr("egress.serving.HEAD_WITHIN", 0.2)
    async with WebServer(app) as server, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(said)
        answered = await reader.read()
        assert answered.count(b"HTTP/1.1 200") == said.count(b"\r\n\r\n")
        writer.close()


async def test_an_answer_may_take_longer_than_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.serving.HEAD_WITHIN", 0.5)
    entered, release = asyncio.Event(), asyncio.Event()
    async with WebServer(app_of(entered, release)) as server:
        # All of the question is there before the server looks.
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(HEAD.replace(b" / ", b" /wait ") + b"Connection: close\r\n\r\n")
            await entered.wait()
            await asyncio.sleep(0.7)
            release.set()
            client.settimeout(60)
            assert b"done" in await asyncio.to_thread(client.makefile("rb").read)
