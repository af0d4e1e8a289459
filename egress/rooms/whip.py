"""The WHIP protocol (RFC 9725) as an HTTP app and a server for it: POST publishes, DELETE ends the publication.

Knows nothing about media: a `Door` takes the offers. Offers come whole (no trickle), so PATCH is answered 405, as the
RFC asks of a server without trickle and ICE restarts.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qs, quote, unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from egress.model.errors import EgressError, RequestError
from egress.serving import HttpServer, bounded_body

LARGEST_OFFER = 256 * 1024
_BODY_TIMEOUT = 10.0
_CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Location, Retry-After, Allow"}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "86400",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who wants to publish, as the request says it: unchecked text, absent where it says nothing."""

    peer: str | None = None
    name: str | None = None
    role: str | None = None
    source: str | None = None
    avatar: str | None = None


class RoomFull(EgressError):
    """No further publisher is taken just now."""


class Door(Protocol):
    """Where publishers come in."""

    async def admit(self, visitor: Visitor, offer: str) -> tuple[str, str]:
        """Take an offer; the publication's unguessable id and the SDP answer. Raises RequestError or RoomFull."""

    async def dismiss(self, publication: str) -> bool:
        """End a publication; False when there is none of this id."""


class WhipApp:
    """The ASGI app of one room: `/whip/ROOM` and `/whip/ROOM/PUBLICATION`, with a bearer token when one is set."""

    def __init__(self, room: str, door: Door, token: str | None = None) -> None:
        self.path = f"/whip/{quote(room, safe='')}"
        self._room = room
        self._door = door
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        # The raw path, because a room's name may hold an encoded slash.
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        segments = [unquote(part) for part in raw.decode("latin-1").partition("?")[0].strip("/").split("/")]
        try:
            response = await self._answer(Request(scope, receive), segments)
        except ClientDisconnect:
            return
        except Exception:
            _log.exception("a WHIP request failed")
            response = _say(500, "the room could not take this request; its log says why")
        response.headers.update(_CORS)
        await response(scope, receive, send)

    async def _answer(self, request: Request, segments: list[str]) -> Response:
        if segments[:1] != ["whip"] or len(segments) not in (2, 3):
            return _say(404, f"nothing is here; publish with a POST to {self.path}")
        if segments[1] != self._room:
            return _say(404, f"there is no room {segments[1][:100]!r} here")
        allowed = ("POST", "OPTIONS") if len(segments) == 2 else ("DELETE", "OPTIONS")
        if request.method == "OPTIONS":
            accept = {"Accept-Post": "application/sdp"} if len(segments) == 2 else {}
            return Response(status_code=204, headers={**_PREFLIGHT, **accept})
        if request.method not in allowed:
            why = (
                "candidates must be in the offer: wait until gathering is complete" if request.method == "PATCH" else ""
            )
            message = f"{request.method} is not possible here{f' ({why})' if why else ''}; try {allowed[0]}"
            return _say(405, message, {"Allow": ", ".join(allowed)})
        if not self._may(request.headers.get("authorization", "")):
            return _say(401, "the bearer token is missing or wrong", {"WWW-Authenticate": 'Bearer realm="whip"'})
        if request.method == "DELETE":
            if await self._door.dismiss(segments[2]):
                return Response(status_code=200)
            return _say(404, "there is no such publication; it may have ended")
        return await self._publish(request)

    def _may(self, header: str) -> bool:
        if self._token is None:
            return True
        scheme, _, token = header.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token.encode())

    async def _publish(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/sdp":
            message = f"the offer must come as application/sdp, not {kind[:60] or 'without a Content-Type'}"
            return _say(415, message, {"Accept-Post": "application/sdp"})
        try:
            body = await asyncio.wait_for(bounded_body(request, LARGEST_OFFER), _BODY_TIMEOUT)
        except TimeoutError:
            return _say(408, f"the offer did not arrive within {_BODY_TIMEOUT:.0f} s")
        if body is None:
            return _say(413, f"the offer is over {LARGEST_OFFER // 1024} KiB")
        try:
            offer = body.decode()
        except UnicodeDecodeError:
            return _say(400, "the offer is not UTF-8 text")
        query = parse_qs(request.url.query, max_num_fields=20)
        said = {key: query.get(key, [None])[0] for key in ("peer", "name", "role", "source", "avatar")}
        try:
            publication, answer = await self._door.admit(Visitor(**said), offer)
        except RequestError as error:
            return _say(400, error.message)
        except RoomFull as error:
            return _say(503, error.message, {"Retry-After": "5"})
        location = f"{self.path}/{quote(publication, safe='')}"
        return Response(answer, 201, {"Location": location, "Cache-Control": "no-store"}, "application/sdp")


def _say(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(message + "\n", status, {"Cache-Control": "no-store", **(headers or {})})


class WhipServer(HttpServer):
    """Serves a WhipApp in the running loop for the length of the context; port 0 takes a free one.

    Entering raises RequestError when the address cannot be had.
    """

    def __init__(self, app: WhipApp, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(app, host=host, port=port, grace=1, most=512)
        self._path = app.path

    @property
    def endpoint(self) -> str:
        """Where publishers on this machine POST their offers."""
        return f"{self.url}{self._path}"
