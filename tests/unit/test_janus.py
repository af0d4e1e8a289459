"""A visit over real sockets, to servers that are no Janus or fall silent; what a real one does is tested end to end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from egress.model.errors import RequestError, RoomRefused, RoomUnreachable
from egress.rooms.base import Identity, RoomURL
from egress.rooms.janus import JanusConnector


@asynccontextmanager
async def server(speak: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async with serve(speak, "127.0.0.1", 0) as running:
        yield f"127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}"


async def join(address: str, **options: str) -> None:
    async with JanusConnector().join(RoomURL.parse(address), Identity(options=options)):
        pass


async def hang_up(connection: ServerConnection) -> None:
    await connection.recv()


async def babble(connection: ServerConnection) -> None:
    with contextlib.suppress(Exception):
        asked = json.loads(await connection.recv())
        for text in ("", "{", "[]", "null", "[" * 5000, "7"):
            await connection.send(text)
        await connection.send(json.dumps({"janus": "success", "transaction": asked["transaction"], "data": "none"}))
        await connection.recv()


async def test_a_server_that_hangs_up_while_we_join_cannot_be_reached() -> None:
    async with server(hang_up) as place:
        with pytest.raises(RoomUnreachable, match="closed"):
            await join(f"janus+ws://{place}/1")


async def test_a_server_that_is_no_janus_is_refused_for_what_it_says() -> None:
    async with server(babble) as place:
        with pytest.raises(RoomRefused, match="does not answer as Janus does"):
            await join(f"janus+ws://{place}/1")


async def test_an_http_room_at_a_websocket_is_told_to_look_at_port_and_path() -> None:
    async with server(hang_up) as place:
        with pytest.raises(RoomUnreachable, match="check"):
            await join(f"janus+http://{place}/1")


async def test_nobody_at_the_address_is_said_with_the_address_and_without_secrets() -> None:
    for scheme in ("janus+ws", "janus+http"):
        with pytest.raises(RoomUnreachable, match=r"127\.0\.0\.1:1") as refused:
            await join(f"{scheme}://127.0.0.1:1/1", janus_pin="hunter22", janus_api_secret="hunter22")
        assert "hunter22" not in refused.value.message


async def test_a_bad_address_starts_nothing() -> None:
    before = asyncio.all_tasks()
    with pytest.raises(RequestError):
        await join("janus+ws://127.0.0.1:1/1?pin=1")
    assert asyncio.all_tasks() == before
