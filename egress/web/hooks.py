"""Hooks for room servers to say what happens in their rooms: POST /api/v1/hooks/SOURCE, and /TEMPLATE for one only."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from egress.control import templates, trigger_sources
from egress.control.signing import PREFIX, verify_livekit, verify_standard
from egress.control.trigger import Outcome, Trigger
from egress.control.values import Micros, micros
from egress.model.errors import Forbidden, NotFound, RequestError, Unauthorized
from egress.model.problems import did_you_mean, one_of
from egress.serving import bounded_body
from egress.web.answers import Json, TooLarge, Unsupported

if TYPE_CHECKING:
    from egress.control.service import Service

LARGEST = 1 << 20
MOST = 500
"""Triggers one request may hold; Janus sends its events in lists."""

SECRET_HEADER = "x-egress-secret"
"""Where senders put the secret that can set headers, but not that of authorization."""

_BODY_TIMEOUT = 10.0

Reader = Callable[[Any, Micros], tuple[Trigger, ...]]
_READERS: dict[str, Reader] = {
    "janus": trigger_sources.of_janus,
    "livekit": trigger_sources.of_livekit,
    "100ms": trigger_sources.of_hundredms,
    "room": trigger_sources.of_room,
}


def routes(service: Service) -> list[Route]:
    """The routes of the hooks. Whoever posts proves who it is by itself: these take no API key.

    janus, 100ms and room present the setting `hook_secret`: as a bearer token, as the password of basic authentication
    or in the header X-Egress-Secret; room may sign by Standard Webhooks instead, where the secret is one of those.
    livekit signs with a key of `livekit_keys`. Each answers 200 once what it was told is kept; jobs start afterwards.
    """
    hooks = _Hooks(service)
    paths = ("/api/v1/hooks/{source}", "/api/v1/hooks/{source}/{template}")
    return [Route(path, hooks.take, methods=["POST"], include_in_schema=False) for path in paths]


class _Hooks:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def take(self, request: Request) -> Response:
        """One request of a room server; raises EgressError."""
        source, template = request.path_params["source"], request.path_params.get("template")
        if source not in _READERS:
            hint = did_you_mean(source, _READERS)
            raise NotFound(f"no hook is called {source[:60]!r}{hint}; there are {one_of(_READERS)}")
        body = await _body(request)
        message = self._verify(source, request, body)
        if template is not None:
            await self._service.store.read(templates.get, template)
        data = trigger_sources.parsed(body)
        if source == "room":
            triggers = trigger_sources.of_room(data, micros(), message)
        else:
            triggers = _READERS[source](data, micros())
        if len(triggers) > MOST:
            raise TooLarge(f"{len(triggers)} events at once are too many; send {MOST} or fewer")
        taken = [(trigger, await self._service.triggers.take(trigger, template)) for trigger in triggers]
        return Json({"triggers": [_shown(trigger, outcomes) for trigger, outcomes in taken]})

    def _verify(self, source: str, request: Request, body: bytes) -> str:
        """Whether it comes from whom it says; gives the message's id where it is signed by Standard Webhooks."""
        settings = self._service.settings
        if source == "livekit":
            if not settings.livekit_keys:
                raise _not_set("livekit_keys", "NAME:SECRET of the API key that LiveKit signs its webhooks with")
            keys = dict(pair.split(":", 1) for pair in settings.livekit_keys.reveal().split(","))
            _signed(lambda: verify_livekit(keys, request.headers.get("authorization", ""), body))
            return ""
        if not settings.hook_secret:
            raise _not_set("hook_secret", "a secret that whoever posts here presents")
        secrets = settings.hook_secret.reveal().split(",")
        if source == "room" and "webhook-signature" in request.headers:
            signing = [secret for secret in secrets if secret.startswith(PREFIX)]
            return _signed(lambda: verify_standard(signing, request.headers, body))
        given = _presented(request).encode()
        # All are compared, so that the time taken tells nothing.
        if not sum(hmac.compare_digest(given, secret.encode()) for secret in secrets):
            wrong = "is missing or wrong; present hook_secret as a bearer token, as a password or in X-Egress-Secret"
            raise Unauthorized(f"the secret {wrong}", (("Authorization", wrong),))
        return ""


async def _body(request: Request) -> bytes:
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Unsupported("the body is compressed; send it as it is (Janus: compress = false)")
    try:
        async with asyncio.timeout(_BODY_TIMEOUT):
            body = await bounded_body(request, LARGEST)
    except TimeoutError:
        raise RequestError(f"the body did not arrive within {_BODY_TIMEOUT:.0f} s") from None
    except ClientDisconnect:
        raise RequestError("the request was cut off") from None
    if body is None:
        raise TooLarge(f"the body is over {LARGEST >> 20} MiB")
    return body


def _signed(verify: Callable[[], str]) -> str:
    try:
        return verify()
    except RequestError as error:
        raise Unauthorized(error.message, error.problems) from None


def _presented(request: Request) -> str:
    """The secret that comes with a request, "" without one."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except (ValueError, binascii.Error):
            return ""
    return request.headers.get(SECRET_HEADER, "")


def _not_set(setting: str, what: str) -> Forbidden:
    return Forbidden(f"this hook is closed: set {setting} (EGRESS_{setting.upper()}) to {what}")


def _shown(trigger: Trigger, outcomes: tuple[Outcome, ...]) -> dict[str, Any]:
    results = [{"result": one.result, "template": one.template, "job": one.job} for one in outcomes]
    return {"room": trigger.room, "kind": trigger.kind, "results": results}
