"""API keys and tokens over HTTP: who may use this server, and for how long."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, Field
from starlette.requests import Request
from starlette.responses import Response

from egress.control import keys
from egress.control.keys import Key
from egress.control.tokens import LONGEST, Kind
from egress.control.values import rfc3339, since_epoch
from egress.model.errors import Forbidden, RequestError
from egress.model.forms import read_form
from egress.model.look import Document
from egress.model.media import SECOND
from egress.model.request import Caller, Scope
from egress.model.units import Duration
from egress.web.answers import Json
from egress.web.api import views
from egress.web.api.call import Id, body, call, everywhere
from egress.web.api.routes import Routes
from egress.web.auth import is_token, viewers

routes = Routes("access")

_NEEDED: dict[Kind, Scope] = {"api": "read", "whip": "start", "playback": "read"}
"""What who makes a token must be allowed."""

_Patterns = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=300)], ...], Field(max_length=32)]
_Scopes = Annotated[tuple[Scope, ...], Field(max_length=4)]


class KeyDoc(Document):
    """A key to be made."""

    name: str = Field(min_length=1, max_length=100, description="Whose it is.")
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=4)] = Field(
        description="read, start, stop, admin."
    )
    rooms: _Patterns = Field((), description="Patterns of rooms it is for, like local:team-*; none is every room.")
    expires: AwareDatetime | None = Field(None, description="When it ends by itself.")


class TokenDoc(Document):
    """A token to be made."""

    kind: Kind = Field("api", description="api; whip: publish into rooms; playback: watch live streams.")
    name: str = Field("", max_length=100, description="Whose it is; default that of the key.")
    scopes: _Scopes = Field((), description="Of a token for the API; default read.")
    rooms: _Patterns = Field((), description="Patterns of rooms it is for; none is every room the key is for.")
    role: str | None = Field(
        None,
        min_length=1,
        max_length=32,
        description="Of a whip token: its bearer publishes in this role; default any.",
    )
    valid: Duration = Field(3600 * SECOND, alias="for", description="How long it is valid.")


@routes.on("GET /keys", "admin", views.KeyPage)
async def list_keys(request: Request) -> Response:
    """All keys, revoked ones too, the latest first."""
    asked = call(request)
    everywhere(asked)
    found = await asked.service.store.read(keys.all_keys)
    return Json({"items": [_seen(one) for one in found], "next": None})


@routes.on("POST /keys", "admin", views.KeyView, status=201, takes=KeyDoc,
           example={"name": "booking", "scopes": ["start", "read"], "rooms": ["local:team-*"]})  # fmt: skip
async def create_key(request: Request) -> Response:
    """Make a key. What its holder has to present is said this once; from the first key on nobody comes in without."""
    asked = call(request)
    everywhere(asked)
    doc = read_form(KeyDoc, await body(request), "the key")
    made, secret = await asked.service.store.write(
        keys.create, doc.name, doc.scopes, rooms=doc.rooms, expires=_instant(doc.expires)
    )
    asked.gate.forget()
    return Json({**_seen(made), "key": secret.reveal()}, 201)


@routes.on("DELETE /keys/{id}", "admin", status=204, refuses=(404,))
async def revoke_key(request: Request, id: Id) -> Response:
    """End a key for good. Other servers of the same database notice within ten seconds."""
    asked = call(request)
    everywhere(asked)
    await asked.service.store.write(keys.revoke, id)
    asked.gate.forget()
    return Response(status_code=204)


@routes.on("POST /tokens", "read", views.TokenView, status=201, takes=TokenDoc,
           example={"kind": "whip", "rooms": ["local:standup"], "for": "2h"})  # fmt: skip
async def create_token(request: Request) -> Response:
    """Make a token that may no more than the key it is made with. `whip` tokens need the scope `start`."""
    asked = call(request)
    if is_token(request):
        raise Forbidden("tokens are made with a key, not with another token", (("Authorization", "is a token"),))
    doc = read_form(TokenDoc, await body(request), "the token")
    _check(asked.caller, doc)
    rooms = doc.rooms or asked.caller.rooms
    scopes = doc.scopes or ("read",)
    seconds = doc.valid // SECOND
    maker = viewers(asked.service) if doc.kind == "playback" else asked.service.tokens
    token = maker.mint(
        doc.kind, doc.name or asked.caller.name, seconds=seconds, scopes=scopes, rooms=rooms, role=doc.role
    )
    expires = rfc3339((int(time.time()) + seconds) * 1_000_000)
    return Json({"token": token, "kind": doc.kind, "expires": expires}, 201)


def _check(caller: Caller, doc: TokenDoc) -> None:
    """Refuse a token that would be allowed more than its maker; raises Forbidden, RequestError."""
    needed = _NEEDED[doc.kind]
    if not caller.may(needed):
        raise Forbidden(f"a token of this kind needs the scope {needed}", (("kind", f"needs the scope {needed}"),))
    if doc.kind != "api" and doc.scopes:
        raise RequestError("scopes: are for tokens of kind api", (("scopes", "are for tokens of kind api"),))
    if doc.kind != "whip" and doc.role is not None:
        raise RequestError("role: is for tokens of kind whip", (("role", "is for tokens of kind whip"),))
    for scope in doc.scopes:
        if not caller.may(scope):
            raise Forbidden(f"your key lacks the scope {scope}", (("scopes", f"your key lacks {scope}"),))
    for index, room in enumerate(doc.rooms):
        # Of a pattern it cannot be told which rooms it is for: only one that is the key's own is surely within.
        plain = not any(char in room for char in "*?[")
        if caller.rooms and room not in caller.rooms and not (plain and caller.may_enter(room)):
            raise Forbidden(
                f"your key is not for the rooms {room[:200]}", ((f"rooms[{index}]", "is beyond those of your key"),)
            )
    if not 1 <= doc.valid // SECOND <= LONGEST[doc.kind]:
        what = f"must be 1s to {LONGEST[doc.kind] // 3600}h for this kind"
        raise RequestError(f"for: {what}", (("for", what),))


def _instant(at: datetime | None) -> int | None:
    return None if at is None else since_epoch(at)


def _seen(key: Key) -> dict[str, Any]:
    times = {"expires": key.expires, "revoked": key.revoked, "used": key.used}
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "rooms": key.rooms,
        "created": rfc3339(key.created),
        **{name: None if at is None else rfc3339(at) for name, at in times.items()},
    }
