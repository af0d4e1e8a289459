"""A client of Janus as applications are: a session over HTTP with handles, and everything it is ever told kept."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

from tests.janus_server import VIDEOROOM, JanusRefused, JanusServer

_PATIENCE = 60.0


class JanusClient:
    """One session; `told` is every event it got, oldest first, and `gone` whether Janus forgot or left it."""

    def __init__(self, janus: JanusServer) -> None:
        self.told: list[dict[str, Any]] = []
        self.gone = False
        self._janus = janus
        self._http = httpx.AsyncClient(timeout=_PATIENCE, trust_env=False)
        self._numbers = itertools.count(1)
        self._awaited: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._session = ""

    async def open(self) -> None:
        """Create the session; raises httpx.TransportError when nobody answers."""
        self._session = f"/{(await self._post('', 'create'))['data']['id']}"
        self._listening = asyncio.create_task(self._listen())

    @property
    def session(self) -> int:
        """Its number."""
        return int(self._session.removeprefix("/"))

    async def close(self) -> None:
        """Destroy the session, and with it all handles."""
        with suppress(httpx.HTTPError, JanusRefused):
            await self._post(self._session, "destroy")
        await self.abandon()

    async def abandon(self) -> None:
        """Say and hear nothing any more, as a client whose network died."""
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening
        await self._http.aclose()

    async def attach(self) -> str:
        """A handle of the VideoRoom plugin."""
        answer = await self._post(self._session, "attach", plugin=VIDEOROOM)
        return f"{self._session}/{answer['data']['id']}"

    async def detach(self, handle: str) -> None:
        """Give a handle up."""
        await self._post(handle, "detach")

    async def message(self, handle: str, jsep: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
        """A request to the plugin; its event in answer, once it comes. Raises JanusRefused or TimeoutError."""
        transaction = f"m{next(self._numbers)}"
        answered = self._awaited[transaction] = asyncio.get_running_loop().create_future()
        try:
            await self._post(handle, "message", transaction, body=body, **({"jsep": jsep} if jsep else {}))
            event = await asyncio.wait_for(answered, _PATIENCE)
        finally:
            del self._awaited[transaction]
        data = event["plugindata"]["data"]
        if "error_code" in data:
            raise JanusRefused(data["error_code"], data.get("error", ""))
        return event

    async def join(self, room: int | str, name: str, **more: Any) -> tuple[str, dict[str, Any]]:
        """Join a room as a participant who may publish; the handle and what Janus said of the room."""
        handle = await self.attach()
        joined = await self.message(handle, request="join", ptype="publisher", room=room, display=name, **more)
        return handle, joined["plugindata"]["data"]

    async def _listen(self) -> None:
        secret = {"apisecret": self._janus.api_secret} if self._janus.api_secret else {}
        # Janus may answer what still waits with nothing at all when the session ends: no JSON, a ValueError.
        with suppress(httpx.TransportError, ValueError):
            while True:
                address = self._janus.http + self._session
                answer = await self._http.get(address, params={"maxev": "10", **secret}, timeout=60)
                events = answer.json()
                for event in events if isinstance(events, list) else [events]:
                    if event["janus"] in ("error", "timeout"):
                        self.gone = True
                        return
                    self.told.append(event)
                    waiting = self._awaited.get(event.get("transaction", ""))
                    if waiting is not None and not waiting.done() and event["janus"] == "event":
                        waiting.set_result(event)
        self.gone = True

    async def _post(self, path: str, request: str, transaction: str | None = None, **more: Any) -> dict[str, Any]:
        body = {"janus": request, "transaction": transaction or f"p{next(self._numbers)}", **more}
        if self._janus.api_secret:
            body["apisecret"] = self._janus.api_secret
        answer: dict[str, Any] = (await self._http.post(self._janus.http + path, json=body)).json()
        if answer["janus"] == "error":
            raise JanusRefused(answer["error"]["code"], answer["error"]["reason"])
        return answer


@asynccontextmanager
async def client(janus: JanusServer) -> AsyncIterator[JanusClient]:
    """A client for the length of the context."""
    found = JanusClient(janus)
    await found.open()
    try:
        yield found
    finally:
        await found.close()
