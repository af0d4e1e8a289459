"""Webhooks over HTTP: whom to tell what happens, and what became of each telling."""

from __future__ import annotations

import contextlib
import json
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Query
from pydantic import Field
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from egress.control import deliveries, events, hooks, signing
from egress.control.deliveries import Delivery
from egress.control.hooks import Address, Mode, Webhook
from egress.control.values import rfc3339
from egress.model.errors import NotFound, RequestError
from egress.model.forms import read_form
from egress.model.internet import anywhere, public
from egress.model.look import Document
from egress.model.problems import one_of
from egress.model.secrets import HIDDEN, Secret
from egress.web.answers import Json
from egress.web.api import views
from egress.web.api.call import Call, Cursor, Id, Limit, body, call, everywhere
from egress.web.api.routes import Routes

routes = Routes("webhooks")

TEST = "webhook.test"
_STATES = ("waiting", "delivered", "failed", "dropped")
_EXAMPLE = {"url": "https://example.org/hooks/egress", "events": ["job.*", "artifact.ready"], "note": "our CMS"}

_Pattern = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[a-z0-9_.*?\[\]-]+$")]


class WebhookDoc(Document):
    """Whom to tell what."""

    url: str = Field(min_length=1, max_length=2000, description="Where to send, https:// or http://.")
    events: tuple[_Pattern, ...] = Field(
        ("*",), min_length=1, max_length=32, description="Types of events, with * for any: job.*, artifact.ready."
    )
    mode: Mode = Field("standard", description="standard: Standard Webhooks; livekit: as LiveKit signs.")
    secret: str | None = Field(
        None, min_length=1, max_length=200, description="What signs: whsec_… ; left out, one is made and said once."
    )
    name: str = Field("", max_length=100, description="The API key's name in LiveKit's mode.")
    enabled: bool = Field(True, description="false: nothing is sent.")
    note: str = Field("", max_length=200, description="What it is for.")


@routes.on("POST /webhooks", "admin", views.WebhookView, status=201, takes=WebhookDoc, example=_EXAMPLE)
async def create_webhook(request: Request) -> Response:
    """Keep a webhook; from now on it is told. Its secret is said this once."""
    asked = call(request)
    everywhere(asked)
    doc = _read(await body(request))
    _check_reach(asked, doc)
    _check_livekit(doc)
    secret = doc.secret or signing.new_secret()
    store = asked.service.store
    made = await store.write(
        hooks.create,
        store.sealer,
        Address(Secret(doc.url), (Secret(secret),), doc.name),
        events=doc.events,
        mode=doc.mode,
        note=doc.note,
        enabled=doc.enabled,
    )
    said = {} if doc.secret else {"secret": secret}
    return Json({**_seen(made), **said}, 201, {"Location": f"{request.url.path}/{made.id}"})


@routes.on("GET /webhooks", "admin", views.WebhookPage)
async def list_webhooks(request: Request, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Webhooks, the latest first."""
    asked = call(request)
    everywhere(asked)
    page = await asked.service.store.read(hooks.page, limit=limit, after=cursor)
    return Json({"items": [_seen(one) for one in page.items], "next": page.next})


@routes.on("GET /webhooks/{id}", "admin", views.WebhookView, refuses=(404,))
async def get_webhook(request: Request, id: Id) -> Response:
    """One webhook, without its secrets."""
    asked = call(request)
    everywhere(asked)
    return Json(_seen(await asked.service.store.read(hooks.get, id)))


@routes.on("PUT /webhooks/{id}", "admin", views.WebhookView, takes=WebhookDoc, example=_EXAMPLE, refuses=(404,))
async def put_webhook(request: Request, id: Id) -> Response:
    """Change a webhook. Its secret stays where none is given; with another one, both sign from now on.

    An address as it is shown stays the one it is of, and so does a name that is not given.
    """
    asked = call(request)
    everywhere(asked)
    doc = _read(await body(request))
    _check_reach(asked, doc)
    sealer = asked.service.store.sealer

    def change(connection: Connection) -> Webhook:
        before = hooks.address(connection, sealer, id)
        secrets = before.secrets
        if doc.secret is not None and all(doc.secret != one.reveal() for one in secrets):
            secrets = (Secret(doc.secret), *secrets[:1])
        kept = hooks.get(connection, id)
        shown = kept.shown_url
        _check_livekit(doc, before if kept.mode == "livekit" else None)
        if doc.url != shown and HIDDEN in doc.url:
            what = "holds an address without its secret part; write it whole"
            raise RequestError(f"url: {what}", (("url", what),))
        url = before.url if doc.url == shown else Secret(doc.url)
        address = Address(url, secrets, doc.name or before.name)
        return hooks.change(
            connection,
            sealer,
            id,
            address=address,
            events=doc.events,
            mode=doc.mode,
            note=doc.note,
            enabled=doc.enabled,
        )

    return Json(_seen(await asked.service.store.write(change)))


@routes.on("DELETE /webhooks/{id}", "admin", status=204, refuses=(404,))
async def delete_webhook(request: Request, id: Id) -> Response:
    """Forget a webhook, and what it was still to be told."""
    asked = call(request)
    everywhere(asked)
    await asked.service.store.write(hooks.remove, id)
    return Response(status_code=204)


@routes.on("POST /webhooks/{id}/test", "admin", views.DeliveryView, status=202, refuses=(404, 409))
async def test_webhook(request: Request, id: Id) -> Response:
    """Send a webhook an event of type webhook.test, whatever it wants to be told."""
    asked = call(request)
    everywhere(asked)

    def send(connection: Connection) -> Delivery:
        webhook = hooks.get(connection, id)
        said = {"webhook": webhook.id, "message": "This is a test."}
        event = events.append(connection, TEST, said, only=webhook.id)
        return deliveries.of_event(connection, event.id, webhook.id)

    return Json(_delivery(await asked.service.store.write(send)), 202)


@routes.on("GET /webhooks/{id}/deliveries", "admin", views.DeliveryPage, refuses=(404,))
async def list_deliveries(
    request: Request,
    id: Id,
    limit: Limit = 50,
    cursor: Cursor = None,
    state: Annotated[str | None, Query(max_length=100, description="One or more, commas between.")] = None,
) -> Response:
    """What a webhook was told, or is to be, the latest first."""
    asked = call(request)
    await _known(asked, id)
    page = await asked.service.store.read(deliveries.page, webhook=id, states=_states(state), limit=limit, after=cursor)
    return Json({"items": [_delivery(one) for one in page.items], "next": page.next})


@routes.on("POST /webhooks/{id}/deliveries/{delivery}/replay", "admin", views.DeliveryView, status=202, refuses=(404,))
async def replay_delivery(request: Request, id: Id, delivery: Id) -> Response:
    """Send one again, under its event's id, whatever became of it."""
    asked = call(request)
    await _known(asked, id)

    def again(connection: Connection) -> Delivery:
        if deliveries.get(connection, delivery).webhook != id:
            raise NotFound("there is no such delivery", (("delivery", "is none of this webhook's"),))
        return deliveries.replay(connection, delivery)

    return Json(_delivery(await asked.service.store.write(again)), 202)


async def _known(asked: Call, id_: str) -> None:
    everywhere(asked)
    await asked.service.store.read(hooks.get, id_)


def _check_reach(asked: Call, doc: WebhookDoc) -> None:
    """Refuse addresses that nothing will ever be sent to; what a name leads to is judged when something is sent."""
    judge = anywhere if asked.service.settings.webhook_private else public
    host = urlsplit(doc.url).hostname or ""
    number = _number(host)
    wrong = judge(number) if number is not None else ""
    if wrong:
        what = f"{host} is {wrong}; the setting webhook_private (EGRESS_WEBHOOK_PRIVATE) allows private ones"
        raise RequestError(f"url: {what}", (("url", what),))


def _number(host: str) -> IPv4Address | IPv6Address | None:
    """The address a host is in itself, without asking anybody, in the forms the system takes: `127.1`, `0x7f000001`."""
    if host.rstrip(".") == "localhost":
        return IPv4Address("127.0.0.1")
    with contextlib.suppress(ValueError):
        return ip_address(host)
    with contextlib.suppress(OSError, ValueError):
        return IPv4Address(socket.inet_aton(host.rstrip(".")))
    return None


def _check_livekit(doc: WebhookDoc, before: Address | None = None) -> None:
    """Make sure that LiveKit's mode has its key, given or, where it was in this mode `before`, known."""
    named = doc.name or (before is not None and before.name)
    if doc.mode == "livekit" and not (named and (doc.secret or before is not None)):
        what = "is required in LiveKit's mode: the API key's name and its secret"
        raise RequestError(f"name: {what}", (("secret" if named else "name", what),))


def _read(data: Any) -> WebhookDoc:
    doc = read_form(WebhookDoc, data, "the webhook")
    try:
        parts = urlsplit(doc.url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not doc.url.isprintable() or " " in doc.url:
        what = "must be an address like https://example.org/hooks/egress"
        raise RequestError(f"url: {what}", (("url", what),))
    if doc.mode == "standard" and doc.secret is not None:
        signing.check_secret(doc.secret)
    return doc


def _states(text: str | None) -> tuple[str, ...]:
    found = tuple(word.strip() for word in (text or "").split(",") if word.strip())
    for word in found:
        if word not in _STATES:
            what = f"{word[:40]!r} is no state of a delivery; use {one_of(_STATES)}"
            raise RequestError(f"state: {what}", (("state", what),))
    return found


def _seen(one: Webhook) -> dict[str, Any]:
    return {
        "id": one.id,
        "url": one.shown_url,
        "events": one.events,
        "mode": one.mode,
        "enabled": one.enabled,
        "note": one.note,
        "created": rfc3339(one.created),
        "updated": rfc3339(one.updated),
    }


def _delivery(one: Delivery) -> dict[str, Any]:
    return {
        "id": one.id,
        "webhook": one.webhook,
        "event_id": one.event_id,
        "type": one.type,
        "job": one.job,
        "state": one.state,
        "attempts": one.attempts,
        "status": one.status,
        "error": one.error,
        "created": rfc3339(one.created),
        "next_at": rfc3339(one.next_at) if one.state == "waiting" else None,
        "delivered_at": None if one.delivered_at is None else rfc3339(one.delivered_at),
        "body": json.loads(one.body),
    }
