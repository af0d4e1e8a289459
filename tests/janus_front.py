"""A WHIP endpoint in front of Janus: each publisher becomes a participant of the VideoRoom under its own name.

So everything that publishes by WHIP (`World.perform`, the demo's participants) can publish into a Janus room.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from egress.web.server import WebServer
from tests.janus_client import JanusClient
from tests.janus_server import JanusRefused, JanusServer
from tests.recording import UNHURRIED

BARS = replace(UNHURRIED, offset_median=0.03)
"""What recordings of a Janus room keep to on a busy machine.

Janus stamps reports of its own by its own clock, so what keeps it waiting for a packet counts as captured later.
"""

_NO_SUCH_ROOM = 426


class JanusFront:
    """Where publishers come in, `whip(room)`, for the length of the context."""

    def __init__(self, janus: JanusServer, pin: str | None = None) -> None:
        self._janus = janus
        self._pin = {"pin": pin} if pin else {}
        self._numbers = itertools.count(1)
        self._visits: dict[str, tuple[str, JanusClient]] = {}
        self._server = WebServer(
            Starlette(
                routes=[
                    Route("/whip/{room}", self._publish, methods=["POST"]),
                    Route("/whip/{room}/{visit}", self._leave, methods=["DELETE"]),
                ]
            )
        )

    def whip(self, room: int | str) -> str:
        """Where to publish into a room."""
        return f"{self._server.url}/whip/{room}"

    async def _publish(self, request: Request) -> Response:
        room, peer = request.path_params["room"], request.query_params.get("peer", "someone")
        for visit, (who, before) in list(self._visits.items()):
            if who == peer:
                # Who comes back without having left lost its network: applications end the old session then.
                del self._visits[visit]
                await before.close()
        found = JanusClient(self._janus)
        jsep = {"type": "offer", "sdp": (await request.body()).decode()}
        name = request.query_params.get("name", peer)
        try:
            await found.open()
            handle, _ = await found.join(int(room) if room.isdigit() else room, name, **self._pin)
            answer = await found.message(handle, jsep, request="publish")
        except (httpx.TransportError, TimeoutError) as error:
            await found.close()
            return Response(f"no Janus: {error!r}", 503)
        except JanusRefused as error:
            await found.close()
            return Response(str(error), 404 if error.code == _NO_SUCH_ROOM else 403)
        visit = str(next(self._numbers))
        self._visits[visit] = peer, found
        return Response(answer["jsep"]["sdp"], 201, {"Location": f"/whip/{room}/{visit}"}, "application/sdp")

    async def _leave(self, request: Request) -> Response:
        _, found = self._visits.pop(request.path_params["visit"], ("", None))
        if found is None:
            return Response("nobody is here by this name", 404)
        await found.close()
        return Response()

    async def __aenter__(self) -> JanusFront:
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for _, found in list(self._visits.values()):
            await found.close()
        await self._server.__aexit__(None, None, None)
