"""`/live/…`: every request of every viewer, answered before any other route is looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from egress.web.origin import Origin
from egress.web.playback import Playback, split
from egress.web.version import CORS

Holder = Callable[[str], Awaitable[str | None]]
"""Gives the address of another server which holds a room or stream of this name."""

_PREFIX = "/live/"
_METHODS = ("GET", "HEAD", "OPTIONS")
_PATH = "/~-._!$&()*+,;=:@"
_ABOVE = "../../static/"
_REFUSED = "this stream is for those who have a playback token: /live/NAME/~TOKEN/; yours is missing, wrong or over\n"


class Live:
    """Answers below `/live/` and passes everything else on.

    `/live/NAME/` is the page that plays stream NAME, `/live/NAME/...` are its files; with `playback` both are below
    `/live/NAME/~TOKEN/` only. `origins` is looked up on every request. Who asks for a stream that is not here is sent
    on to the `holder` of it, another server, which knows its viewers by the same tokens.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        origins: Mapping[str, Origin],
        page: Path,
        headers: Mapping[str, str],
        playback: Playback | None = None,
        holder: Holder | None = None,
    ) -> None:
        self.app = app
        self._origins = origins
        self._headers = dict(headers)
        self._playback = playback
        self._holder = holder
        self._page = page.read_text("utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            await self.app(scope, receive, send)
            return
        answer = await self._answer(Request(scope, receive))
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> ASGIApp:
        if request.method not in _METHODS:
            return _plain("only GET, HEAD and OPTIONS here\n", 405, {"Allow": ", ".join(_METHODS)})
        path: str = request.scope["path"]
        name, slash, rest = path[len(_PREFIX) :].partition("/")
        if not slash:
            return RedirectResponse(f"{quote(name, safe='')}/", 308)
        origin = self._origins.get(name)
        if origin is None:
            if self._holder is not None and (address := await self._holder(name)) is not None:
                return sent_on(address, request)
            return _plain(f"no live stream called {name!r} here\n", 404)
        token, rest = split(rest)
        if self._playback is not None and request.method != "OPTIONS" and not self._playback.admits(token, name):
            return _plain(_REFUSED, 403)
        if rest:
            return await origin.serve(request, rest)
        if not path.endswith("/"):
            return RedirectResponse(f"{quote(path.rpartition('/')[2])}/", 308)
        # The page lies one folder deeper below a token.
        page = self._page.replace(_ABOVE, f"../{_ABOVE}") if token else self._page
        return Response(page, headers=self._headers, media_type="text/html")


def sent_on(address: str, request: Request) -> Response:
    """The answer that has the same asked of another server (RFC 9725 4.6 has WHIP clients follow it, too)."""
    query = request.url.query
    where = f"{address}{quote(request.scope['path'], safe=_PATH)}{'?' + query if query else ''}"
    return Response(status_code=307, headers={**CORS, "Location": where, "Cache-Control": "no-store"})


def _plain(text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    guard = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return PlainTextResponse(text, status, {**CORS, **guard, **(headers or {})})
