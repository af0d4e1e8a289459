"""A WHIP endpoint in front of another one, whose publishers' media crosses a network that loses and reorders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from egress.web.server import WebServer
from tests.relay import ADDRESS, Link, Relay

Network = Callable[[str], tuple[Link, Link]]
"""The links (media, feedback) of a peer, by its id."""


@asynccontextmanager
async def lossy(whip: str, network: Network, host: str = ADDRESS) -> AsyncIterator[str]:
    """The address to publish to instead of `whip` for the length of the context; the network is at `host`."""
    base = whip.rsplit("/whip/", 1)[0]
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=60, trust_env=False))
        count = 0

        async def publish(request: Request) -> Response:
            nonlocal count
            forward, back = network(request.query_params.get("peer", ""))
            count += 1
            relay = await stack.enter_async_context(Relay(forward, back, seed=count, host=host))
            offer = (await request.body()).decode()
            answer = await client.post(
                f"{whip}?{request.url.query}",
                content=relay.offer(offer),
                headers={"Content-Type": "application/sdp"},
            )
            if answer.status_code != 201:
                return Response(answer.content, answer.status_code)
            return Response(
                relay.answer(answer.text),
                201,
                {"Location": answer.headers["Location"].removeprefix(base)},
                "application/sdp",
            )

        async def leave(request: Request) -> Response:
            answer = await client.delete(base + request.url.path)
            return Response(answer.content, answer.status_code)

        app = Starlette(
            routes=[
                Route("/whip/{room}", publish, methods=["POST"]),
                Route("/whip/{room}/{resource}", leave, methods=["DELETE"]),
            ]
        )
        server = await stack.enter_async_context(WebServer(app))
        yield f"{server.url}/whip/{whip.rsplit('/', 1)[1]}"
