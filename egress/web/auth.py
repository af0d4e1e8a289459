"""Who asks: API keys and tokens, what each may do, and in which rooms."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from egress.control import keys
from egress.control.service import Service
from egress.control.tokens import Tokens
from egress.model.errors import Forbidden, Unauthorized
from egress.model.request import Caller, Scope
from egress.model.secrets import Secret, signing_keys
from egress.web.limits import Rate, from_where
from egress.web.playback import Check

REMEMBERED = 10.0
"""Seconds until a key is looked up again: so long one that was revoked on another server still works here."""

TRIES = 10.0
"""Keys that are not known yet one address may present a second."""

ANYBODY = Caller("anybody", frozenset({"admin"}))
"""Who asks on a server of one's own machine that has no keys yet."""

_KEPT = 1000
_LONGEST = 4096
_KEYS = "egress_"


@dataclass(slots=True)
class _Known:
    """A key or token that was good, until when that counts, and the key's id."""

    caller: Caller
    until: float
    key: str | None = None


@dataclass(slots=True)
class Gate:
    """Knows callers by what they bring; raises Unauthorized, Forbidden, TooMany.

    Without any key or token secret everybody may do everything, on a loopback listener only: there a request must name
    this machine and come from no other site's page, or any page in a browser here could ask in its user's place.
    """

    service: Service
    local: bool
    later: Callable[[Coroutine[Any, Any, Any]], object]
    """Has something done that nobody waits for."""
    clock: Callable[[], float] = time.monotonic
    _known: OrderedDict[bytes, _Known] = field(default_factory=OrderedDict)
    _looking: dict[bytes, asyncio.Task[_Known | None]] = field(default_factory=dict)
    _tries: Rate = field(init=False)
    _open: tuple[bool, float] = (False, float("-inf"))

    def __post_init__(self) -> None:
        self._tries = Rate(TRIES, self.clock)

    async def admit(self, request: HTTPConnection, scope: Scope) -> Caller:
        """Who asks, who may do what needs this scope."""
        bearer = _bearer(request)
        if bearer is None:
            caller = await self._stranger(request)
        else:
            caller = await self._bringing(bearer, from_where(request.scope))
        if not caller.may(scope):
            raise Forbidden(
                f"this needs the scope {scope}; {caller.name} has {', '.join(sorted(caller.scopes)) or 'none'}",
                (("Authorization", f"lacks the scope {scope}"),),
            )
        return caller

    def forget(self) -> None:
        """Look every key up again: one was made or revoked."""
        self._known.clear()
        self._open = (False, float("-inf"))

    async def is_open(self) -> bool:
        """Whether everybody may do everything."""
        if not self.local or self.service.tokens.usable:
            return False
        known, until = self._open
        if self.clock() < until:
            return known
        known = not await self.service.store.read(keys.usable)
        self._open = (known, self.clock() + REMEMBERED)
        return known

    async def publisher(self, request: HTTPConnection, room: str, wanted: Secret | None) -> str | None:
        """Let somebody publish into a room, given by its address, or raise: by the token of all rooms, the one its job
        `wanted`, one made for this room, or a key that may start jobs there. Gives the role a token was made for.

        Everybody may where no token is set and everybody may do everything.
        """
        taken = [one.reveal() for one in (self.service.settings.whip_token, wanted) if one is not None]
        if not taken and await self.is_open():
            return None
        bearer = _bearer(request)
        if bearer is None:
            raise Unauthorized("publishers need a token here", (("Authorization", "is missing"),))
        if sum(hmac.compare_digest(bearer.encode(), one.encode()) for one in taken):
            return None
        token = self.service.tokens.verify(bearer, "whip")
        caller = token.caller if token else await self._bringing(bearer, from_where(request.scope))
        if not (token or caller.may("start")) or not caller.may_enter(room):
            raise Forbidden("this token is not for this room", (("Authorization", "is for another room"),))
        return token.role if token else None

    async def _stranger(self, request: HTTPConnection) -> Caller:
        if not await self.is_open():
            raise Unauthorized(
                "bring an API key or a token: Authorization: Bearer …", (("Authorization", "is missing"),)
            )
        host = request.url.hostname or ""
        origin = request.headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")
        if not _names_this_machine(host) or foreign or request.headers.get("sec-fetch-site") == "cross-site":
            raise Forbidden(
                "without keys only this machine's own pages and programs may ask; make a key with egress keys add",
                (("Host", "is not this machine's"),),
            )
        return ANYBODY

    async def _bringing(self, bearer: str, address: str) -> Caller:
        now = self.clock()
        digest = hashlib.sha256(bearer.encode()).digest()
        known = self._known.get(digest)
        if known is not None and now < known.until:
            return known.caller
        looking = self._looking.get(digest)
        if looking is None:
            self._tries.take(address)
            # Requests that come at once with one key are one try, and one look.
            looking = self._looking[digest] = asyncio.ensure_future(self._look_up(bearer))
            looking.add_done_callback(lambda _: self._looking.pop(digest, None))
            found = await asyncio.shield(looking)
            if found is not None:
                self._tries.give_back(address)
                self._keep(digest, found)
        else:
            found = await asyncio.shield(looking)
        if found is None:
            raise Unauthorized("this key or token is not valid here, or is over", (("Authorization", "is not valid"),))
        return found.caller

    def _keep(self, digest: bytes, found: _Known) -> None:
        self._known[digest] = found
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        if found.key is not None:
            self.later(self.service.store.note(keys.note_used, found.key))

    async def _look_up(self, bearer: str) -> _Known | None:
        until = self.clock() + REMEMBERED
        if bearer.startswith(_KEYS):
            key = await self.service.store.read(keys.verify, bearer)
            return _Known(key.caller, until, key.id) if key else None
        token = self.service.tokens.verify(bearer, "api")
        return _Known(token.caller, min(until, self.clock() + token.expires - time.time())) if token else None


def viewers(service: Service) -> Tokens:
    """What makes and verifies tokens of viewers: with secrets of their own where those are set."""
    own = signing_keys(service.settings.playback_secret)
    return Tokens(own) if own else service.tokens


def watching(service: Service) -> Check:
    """Who may watch what, by tokens for a stream's name or for the address of the room it is of."""
    tokens = viewers(service)

    def check(token: str, name: str) -> float | None:
        live = service.live(name)
        return tokens.playback(token, name, *(() if live is None else (live.room,)))

    return check


def is_token(request: HTTPConnection) -> bool:
    """Whether who asks came by a token, not by a key."""
    bearer = _bearer(request)
    return bearer is not None and not bearer.startswith(_KEYS)


def is_local(listen: str | None) -> bool:
    """Whether a listener (HOST:PORT; None is the default one) is reached from this machine only."""
    return _names_this_machine((listen or "127.0.0.1:0").rpartition(":")[0].strip("[]"))


def _names_this_machine(host: str) -> bool:
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _bearer(request: HTTPConnection) -> str | None:
    """What an Authorization header brings, None without one."""
    said = request.headers.get("authorization")
    if said is None:
        return None
    kind, _, value = said.partition(" ")
    value = value.strip()
    if kind.lower() != "bearer" or not value or len(value) > _LONGEST or not value.isascii():
        raise Unauthorized(
            "the Authorization header must be Bearer and a key or token", (("Authorization", "is not Bearer …"),)
        )
    return value
