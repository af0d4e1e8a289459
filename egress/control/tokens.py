"""Short-lived tokens: what a browser or another service may do here for a while, signed and never stored."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from egress.model.errors import RequestError
from egress.model.request import Caller, Scope

Kind = Literal["api", "whip", "playback"]
"""What a token is for: the API, publishing into a room, watching a live stream."""

AUDIENCE = "egress"
SHORTEST_SECRET = 32
"""Bytes a secret must have (RFC 7518 3.2: as many as the hash)."""

LONGEST: Mapping[Kind, int] = {"api": 24 * 3600, "whip": 24 * 3600, "playback": 7 * 24 * 3600}
"""Seconds a token may be valid."""

_SKEW = 30
_SCOPES = frozenset(get_args(Scope))


@dataclass(frozen=True, slots=True)
class Token:
    """What a valid token says; `rooms` are patterns, () is every room."""

    kind: Kind
    name: str
    scopes: frozenset[str]
    rooms: tuple[str, ...]
    expires: int
    role: str | None = None
    """The one role its bearer publishes in; None is any."""

    @property
    def caller(self) -> Caller:
        """Who comes with it."""
        return Caller(self.name, self.scopes, self.rooms)


class Tokens:
    """Makes and verifies tokens: HS256 by our own secrets (the first one signs), EdDSA by others' public keys."""

    def __init__(self, secrets: Sequence[bytes] = (), public_keys: Sequence[bytes] = ()) -> None:
        """`public_keys` are Ed25519 in PEM. Raises RequestError when one cannot be used, never showing it."""
        for secret in secrets:
            if len(secret) < SHORTEST_SECRET:
                wrong = f"is {len(secret)} bytes long; use at least {SHORTEST_SECRET}, like openssl rand -hex 32 gives"
                raise RequestError(f"the token secret {wrong}", (("token_secret", wrong),))
        self._secrets = tuple(secrets)
        self._public = tuple(_public(pem) for pem in public_keys)

    @property
    def usable(self) -> bool:
        """Whether any token can be valid here."""
        return bool(self._secrets or self._public)

    def mint(
        self,
        kind: Kind,
        name: str,
        *,
        seconds: int,
        scopes: Sequence[str] = (),
        rooms: Sequence[str] = (),
        role: str | None = None,
        now: float | None = None,
    ) -> str:
        """A token; raises RequestError when it would be valid for too long or there is no secret to sign with."""
        if not self._secrets:
            missing = "no secret to sign tokens with; set EGRESS_TOKEN_SECRET"
            raise RequestError(f"there is {missing}", (("token_secret", missing),))
        if not 1 <= seconds <= LONGEST[kind]:
            wrong = f"{seconds} s is not a time a token of this kind may be valid; use 1 to {LONGEST[kind]}"
            raise RequestError(f"for: {wrong}", (("for", wrong),))
        at = int(time.time() if now is None else now)
        claims: dict[str, Any] = {"aud": AUDIENCE, "kind": kind, "sub": name, "iat": at, "exp": at + seconds}
        if kind == "api":
            claims["scope"] = " ".join(sorted(scopes))
        if rooms:
            claims["rooms"] = list(rooms)
        if role is not None:
            claims["role"] = role
        return jwt.encode(claims, self._secrets[0], algorithm="HS256")

    def verify(self, token: str, kind: Kind, *, now: float | None = None) -> Token | None:
        """What a token of this kind says; None when it is not valid, whatever is wrong with it."""
        claims = self._claims(token)
        if claims is None or claims.get("kind", "api") != kind:
            return None
        at = time.time() if now is None else now
        times = [claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)]
        if not all(isinstance(value, int | float) for value in times):
            return None
        expires, issued, begins = (float(value) for value in times)
        if at >= expires + _SKEW or at < max(issued, begins) - _SKEW or expires - issued > LONGEST[kind]:
            return None
        rooms, role = claims.get("rooms", []), claims.get("role")
        if not isinstance(rooms, list) or not all(isinstance(room, str) for room in rooms):
            return None
        if role is not None and not (isinstance(role, str) and role):
            return None
        scopes = frozenset(str(claims.get("scope", "")).split()) & _SCOPES
        return Token(kind, str(claims.get("sub", ""))[:100], scopes, tuple(rooms), int(expires), role)

    def playback(self, token: str, *names: str) -> float | None:
        """Until when a token lets its bearer watch a stream, known by its name or its room's address; None: it does
        not."""
        valid = self.verify(token, "playback")
        return valid.expires if valid is not None and any(map(valid.caller.may_enter, names)) else None

    def _claims(self, token: str) -> dict[str, Any] | None:
        # Times are judged above, by a clock that can be given.
        options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["exp", "iat", "aud"]}
        tries = [(secret, "HS256") for secret in self._secrets] + [(key, "EdDSA") for key in self._public]
        for key, algorithm in tries:
            try:
                return dict(jwt.decode(token, key, algorithms=[algorithm], audience=AUDIENCE, options=options))
            except jwt.PyJWTError:
                continue
        return None


def _public(pem: bytes) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        wrong = "is no Ed25519 public key in PEM; make one with openssl genpkey -algorithm ed25519"
        raise RequestError(f"the token key {wrong}", (("token_keys", wrong),))
    return key
