"""WHIP (RFC 9725) at the front door: publishers talk to this server, which passes them on to the room's worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from egress.serving import bounded_body

LARGEST_BODY = 256 * 1024
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Location, ETag, Link, Retry-After",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "86400",
    "Accept-Post": "application/sdp",
}
_PASSED_IN = ("authorization", "content-type", "if-match", "user-agent")
_PASSED_BACK = (
    "accept-patch",
    "accept-post",
    "allow",
    "content-type",
    "etag",
    "link",
    "retry-after",
    "www-authenticate",
)
_BODY_TIMEOUT = 10.0
_TIMEOUT = httpx.Timeout(15.0, connect=3.0)


class Ingest:
    """Passes WHIP requests on to the worker that holds the room.

    `whip` gives the worker's WHIP endpoint of a room (`http://127.0.0.1:PORT/whip/NAME`), or None when no such room
    is open. The worker decides about tokens and limits; this side bounds bodies to 256 KiB both ways and hides where
    the worker lives. `open` before the first request, `close` after the last.
    """

    def __init__(self, whip: Callable[[str], str | None]) -> None:
        self._whip = whip
        self._client: httpx.AsyncClient | None = None

    async def open(self) -> None:
        """Get ready to reach workers."""
        # Environment proxies are for the outside; workers are never behind one.
        self._client = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False, follow_redirects=False)

    async def close(self) -> None:
        """Let go of all connections to workers."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def endpoint(self, request: Request) -> Response:
        """`/whip/{room}`: POST publishes, OPTIONS answers a browser's preflight."""
        room = request.path_params["room"]
        base = self._whip(room)
        if base is None:
            return refusal(404, f"no room called {room!r} is open here")
        if request.method == "OPTIONS":
            return self.preflight()
        answer = await self._pass_on(request, base)
        if (location := answer.headers.get("location")) is not None:
            resource = _resource(base, location)
            if resource is None:
                return refusal(502, f"the worker of room {room!r} answered with an unusable Location")
            answer.headers["location"] = f"{quote(request.scope['path'])}/{quote(resource, safe='')}"
        return answer

    async def resource(self, request: Request) -> Response:
        """`/whip/{room}/{resource}`: DELETE ends the publication, PATCH adds candidates where the worker takes them."""
        room, resource = request.path_params["room"], request.path_params["resource"]
        base = self._whip(room)
        if base is None:
            return refusal(404, f"no room called {room!r} is open here")
        if request.method == "OPTIONS":
            return self.preflight()
        if resource in (".", ".."):
            return refusal(404, "no such publication")
        return await self._pass_on(request, f"{base.rstrip('/')}/{quote(resource, safe='')}")

    def preflight(self) -> Response:
        """The answer to a browser that asks whether a page of another site may publish here."""
        return Response(status_code=204, headers={**CORS, **_PREFLIGHT})

    def passed_in(self, request: Request) -> dict[str, str]:
        """Headers a worker gets to see."""
        return {name: request.headers[name] for name in _PASSED_IN if name in request.headers}

    def asked_in(self, request: Request) -> tuple[tuple[str, str], ...]:
        """What a worker gets to see of the query."""
        return tuple(request.query_params.multi_items())

    async def received(self, request: Request) -> bytes | Response:
        """The whole body, however often it is asked for; or the refusal of one that is too long, late or cut off."""
        if not hasattr(request.state, "received"):
            request.state.received = await _read(request)
        whole: bytes | Response = request.state.received
        return whole

    async def _pass_on(self, request: Request, url: str) -> Response:
        if self._client is None:
            return refusal(503, "the server is stopping")
        body = await self.received(request)
        if isinstance(body, Response):
            return body
        headers = self.passed_in(request)
        try:
            async with self._client.stream(
                request.method, url, params=self.asked_in(request), headers=headers, content=body
            ) as answer:
                content = await _bounded(answer)
        except httpx.TimeoutException:
            return refusal(504, "the room did not answer in time; try again", {"Retry-After": "2"})
        except httpx.HTTPError:
            return refusal(502, "the room can not be reached just now; try again", {"Retry-After": "2"})
        if content is None:
            return refusal(502, "the room's answer is too long")
        return Response(content, answer.status_code, _returned(answer))


async def _read(request: Request) -> bytes | Response:
    try:
        async with asyncio.timeout(_BODY_TIMEOUT):
            body = await bounded_body(request, LARGEST_BODY)
    except ClientDisconnect:
        return refusal(400, "the request was cut off")
    except TimeoutError:
        return refusal(408, f"the body did not arrive within {_BODY_TIMEOUT:.0f} s")
    if body is None:
        return refusal(413, f"the body is over {LARGEST_BODY // 1024} KiB; an SDP offer is far smaller")
    return body


async def _bounded(answer: httpx.Response) -> bytes | None:
    content = bytearray()
    async for chunk in answer.aiter_bytes():
        content += chunk
        if len(content) > LARGEST_BODY:
            return None
    return bytes(content)


def _returned(answer: httpx.Response) -> dict[str, str]:
    headers = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
    if answer.is_success and "location" in answer.headers:
        headers["location"] = answer.headers["location"]
    return {**headers, **CORS, "Cache-Control": "no-store"}


def _resource(base: str, location: str) -> str | None:
    """The publication's own name in a Location that lies directly below `base`."""
    above = urlsplit(base).path.rstrip("/") + "/"
    path = urlsplit(urljoin(base, location)).path
    name = path.removeprefix(above)
    return unquote(name) if path.startswith(above) and name and "/" not in name else None


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer to a publisher whose request is not passed on."""
    return PlainTextResponse(message + "\n", status, {**CORS, "Cache-Control": "no-store", **(headers or {})})
