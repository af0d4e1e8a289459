"""The app factory: WHIP in, HLS out, and the two pages for it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from egress.web.ingest import Ingest
from egress.web.live import Live
from egress.web.origin import Origin
from egress.web.pages import PAGE_HEADERS, PLAIN, STATIC
from egress.web.playback import Playback


class _Guard:
    """Says on every answer that its type is meant and must not be guessed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self.app(scope, receive, marked if scope["type"] == "http" else send)


def create_app(
    *, origins: Mapping[str, Origin], whip: Callable[[str], str | None], playback: Playback | None = None
) -> Starlette:
    """The web app over live streams by name and rooms by name.

    Both may change while it serves: `origins` is looked up on every request, `whip` gives a room's worker endpoint
    (None: not open). Routes: `/` (to the player, where there is one stream), `/whip/{room}` and
    `/whip/{room}/{resource}`, `/publish/{room}`, `/live/{name}/` (the player) and `/live/{name}/...` (the stream),
    both below `/live/{name}/~TOKEN/` where there is a `playback`, `/health`, `/static/...`.
    """
    ingest = Ingest(whip)

    async def home(request: Request) -> Response:
        if len(origins) == 1:
            return RedirectResponse(f"/live/{quote(next(iter(origins)), safe='')}/", 307)
        paths = "".join(f"/live/{quote(name, safe='')}/\n" for name in origins)
        return PlainTextResponse(paths or "no live stream here; publishers find a page at /publish/ROOM\n")

    async def publish_page(request: Request) -> Response:
        return FileResponse(STATIC / "publish.html", headers=PAGE_HEADERS)

    async def health(request: Request) -> Response:
        waiting = sum(origin.waiting for origin in origins.values())
        return JSONResponse(
            {"status": "ok", "live": len(origins), "waiting": waiting}, headers={"Cache-Control": "no-store"}
        )

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await ingest.open()
        try:
            yield
        finally:
            await ingest.close()

    def stopping() -> None:
        for origin in origins.values():
            origin.silence()

    app = Starlette(
        routes=[
            Route("/", home),
            Route("/health", health),
            Route("/whip/{room}", ingest.endpoint, methods=["POST", "OPTIONS"]),
            Route("/whip/{room}/{resource}", ingest.resource, methods=["DELETE", "PATCH", "OPTIONS"]),
            Route("/publish/{room}", publish_page),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(
                Live,
                origins=origins,
                page=STATIC / "watch.html",
                headers={**PAGE_HEADERS, **PLAIN},
                playback=playback,
            ),
            Middleware(_Guard),
        ],
        lifespan=lifespan,
    )
    app.state.stopping = stopping
    return app
