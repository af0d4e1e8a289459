"""The app of `egress serve`: the API, WHIP in, live streams out, the dashboard, health."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from egress import __version__
from egress.control import events
from egress.control.scheduler import Scheduler
from egress.control.service import Service
from egress.model.errors import EgressError
from egress.web import answers, hooks
from egress.web.answers import Json
from egress.web.api import (
    artifacts,
    commands,
    following,
    jobs,
    keys,
    openapi,
    pipelines,
    schedules,
    server,
    templates,
    webhooks,
)
from egress.web.api.sharing import Shared
from egress.web.auth import Gate, is_local, watching
from egress.web.limits import Limits, Rate
from egress.web.live import Live, sent_on
from egress.web.metrics import Metrics
from egress.web.origins import Origins
from egress.web.pages import PAGE_HEADERS, PLAIN, STATIC, policy
from egress.web.playback import Playback
from egress.web.previews import Previews
from egress.web.publishing import Publishing

NOUNS = tuple(
    noun.routes
    for noun in (jobs, commands, following, artifacts, pipelines, templates, schedules, webhooks, keys, server)
)
"""The routes of the API."""

DASHBOARD = Path(__file__).parent / "dashboard"
_HOME_HEADERS = {**PAGE_HEADERS, "Content-Security-Policy": policy(img_src="'self' blob:", frame_ancestors="'none'")}
_LOOK_EVERY = 1.0
_LATER = 100
_API = ("/api/", "/openapi.json")


class _Guard:
    """Gives every request an id, which its lines in the log have too, says on every answer that its type is meant, and
    makes an answer of any failure of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with structlog.contextvars.bound_contextvars(request=secrets.token_hex(6)):
            await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def marked(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            await self.app(scope, receive, marked)
        except Exception as error:
            answer = answers.of_error(error) if isinstance(error, EgressError) else answers.of_fault(error)
            if begun:
                raise
            await answer(scope, receive, marked)


class _Later:
    """Small things that nobody waits for, at most so many at a time; further ones are left undone."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __call__(self, work: Coroutine[Any, Any, Any]) -> None:
        if len(self._tasks) >= _LATER:
            work.close()
            return
        task = asyncio.create_task(work, name="later")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def close(self) -> None:
        """Wait for what was begun."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # What goes wrong here comes again with the next request.
            task.exception()


def create_service_app(
    service: Service, *, scheduler: Scheduler | None = None, more: Sequence[BaseRoute] = ()
) -> FastAPI:
    """The app over a service that is open, and the scheduler that runs beside it; `more` are routes beside its own,
    which must not be below /api.

    Routes: `/api/v1/...` (described at `/openapi.json`; hooks of room servers at `/api/v1/hooks/...`), `/` and
    `/dashboard/...`, `/whip/{room}[/{resource}]`, `/publish/{room}`, `/live/{name}/...`, `/static/...`, `/healthz`,
    `/readyz`. `state.stopping` is to be called when the server begins to end, so that nobody waits for what will not
    come.
    """
    later = _Later()
    gate = Gate(service, is_local(service.settings.listen), later)
    origins = Origins(service)
    publishing = Publishing(service, gate)
    metrics = Metrics(service, lambda request: gate.admit(request, "read"))
    closing = asyncio.Event()
    guarded = service.settings.playback_secret is not None

    async def home(request: Request) -> Response:
        return FileResponse(DASHBOARD / "index.html", headers=_HOME_HEADERS)

    async def publish_page(request: Request) -> Response:
        room = request.path_params["room"]
        # A page may publish to the server only that it came from.
        if service.live(room) is None and (holder := await service.holder(room)) is not None:
            return sent_on(holder, request)
        return FileResponse(STATIC / "publish.html", headers=PAGE_HEADERS)

    async def healthy(request: Request) -> Response:
        return Json({"status": "ok", "version": __version__})

    async def ready(request: Request) -> Response:
        state = "draining" if service.draining else "ready"
        try:
            async with asyncio.timeout(2):
                await service.store.read(events.last)
        except (EgressError, TimeoutError):
            state = "the database does not answer"
        return Json({"status": state, "waiting": origins.waiting}, 200 if state == "ready" else 503)

    async def description(request: Request) -> Response:
        return Json(app.openapi())

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await publishing.open()
        deaf = service.on_hls(origins.announce)
        looking = asyncio.create_task(_look(origins), name="origins")
        try:
            yield
        finally:
            deaf()
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await publishing.close()
            await later.close()

    def stopping() -> None:
        closing.set()
        origins.silence()

    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers={
            EgressError: answers.on_error,
            HTTPException: answers.on_http,
            RequestValidationError: answers.on_parameters,
        },
        middleware=[
            Middleware(metrics.measured),
            Middleware(_Guard),
            Middleware(
                Live,
                origins=origins,
                page=STATIC / "watch.html",
                headers={**PAGE_HEADERS, **PLAIN},
                playback=Playback(watching(service)) if guarded else None,
                holder=service.holder,
            ),
            Middleware(Limits, rate=Rate(service.settings.api_rate), paths=_API),
        ],
    )
    for noun in NOUNS:
        app.include_router(noun)
    described: dict[str, Any] = {}

    def whole() -> dict[str, Any]:
        if not described:
            described.update(openapi.document(app, NOUNS))
        return described

    app.openapi = whole  # type: ignore[method-assign]
    app.router.routes.extend(
        [
            Route("/", home),
            Route("/healthz", healthy),
            Route("/readyz", ready),
            Route("/openapi.json", description),
            Route("/whip/{room}", publishing.endpoint, methods=["POST", "OPTIONS"]),
            Route("/whip/{room}/{resource}", publishing.resource, methods=["DELETE", "PATCH", "OPTIONS"]),
            Route("/publish/{room}", publish_page),
            Mount("/dashboard", _Files(directory=DASHBOARD)),
            Mount("/static", _Files(directory=STATIC)),
            *hooks.routes(service),
            metrics.route,
            *more,
        ]
    )
    app.state.gate = gate
    app.state.scheduler = scheduler
    app.state.previews = Previews(service.settings.spool / "previews")
    app.state.origins = origins
    app.state.closing = closing
    app.state.streams = 0
    app.state.lists = Shared()
    app.state.stopping = stopping
    return app


class _Files(StaticFiles):
    """Our own files: what a browser keeps of them it asks about again, for an update changes several at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        answer = super().file_response(*args, **kwargs)
        answer.headers.setdefault("Cache-Control", "no-cache")
        return answer


async def _look(origins: Origins) -> None:
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        origins.look()
