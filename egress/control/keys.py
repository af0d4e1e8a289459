"""API keys: shown once when they are made, kept as a digest, looked up by their first letters."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update

from egress.control.tables import keys
from egress.control.values import Micros, canonical, micros, new_id
from egress.model.errors import NotFound, RequestError
from egress.model.problems import did_you_mean, one_of
from egress.model.request import Caller, Scope
from egress.model.secrets import Secret

_FORM = re.compile(r"egress_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_SCOPES = get_args(Scope)
_USED_EVERY = 60_000_000
"""Microseconds between two notes of when a key was used."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without its secret part; `prefix` is what a person knows it by, `rooms` are patterns, () is all."""

    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    rooms: tuple[str, ...]
    created: Micros
    expires: Micros | None
    revoked: Micros | None
    used: Micros | None

    @property
    def caller(self) -> Caller:
        """Who comes with it."""
        return Caller(self.name, frozenset(self.scopes), self.rooms)


_K = keys.c
_COLUMNS = (_K.id, _K.name, _K.prefix, _K.scopes, _K.rooms, _K.created, _K.expires, _K.revoked, _K.used)
_LOOK_UP = select(_K.hash, *_COLUMNS).where(_K.prefix == bindparam("prefix"))


def create(
    connection: Connection,
    name: str,
    scopes: Sequence[str],
    *,
    rooms: Sequence[str] = (),
    expires: Micros | None = None,
    now: Micros | None = None,
) -> tuple[Key, Secret]:
    """A key and what its holder has to present, which cannot be shown again; raises RequestError."""
    at = micros() if now is None else now
    if not name.strip():
        raise RequestError("name: is empty; say whose key it is", (("name", "is empty; say whose key it is"),))
    if not scopes:
        raise _refused("scopes", f"is empty; give one or more of {one_of(_SCOPES)}")
    for scope in scopes:
        if scope not in _SCOPES:
            raise _refused("scopes", f"{scope[:40]!r} is none{did_you_mean(scope, _SCOPES)}; use {one_of(_SCOPES)}")
    if expires is not None and expires <= at:
        raise _refused("expires", "is over already; use a time to come")
    # 32 random bytes cannot be guessed from their digest, so it needs no slow hash that every request would wait for.
    prefix, rest = secrets.token_hex(6), secrets.token_urlsafe(32)
    secret = f"egress_{prefix}_{rest}"
    id_ = new_id("key")
    values = {
        "id": id_,
        "name": name.strip(),
        "prefix": prefix,
        "hash": _digest(secret),
        "scopes": canonical(sorted(set(scopes))),
        "rooms": canonical(list(rooms)),
        "created": at,
        "expires": expires,
    }
    connection.execute(insert(keys).values(**values))
    return get(connection, id_), Secret(secret)


def verify(connection: Connection, presented: str, *, now: Micros | None = None) -> Key | None:
    """The key that was presented; None when it is none of ours, was revoked, or is over."""
    at = micros() if now is None else now
    match = _FORM.fullmatch(presented)
    if match is None:
        return None
    row = connection.execute(_LOOK_UP, {"prefix": match[1]}).one_or_none()
    if row is None or not hmac.compare_digest(row[0], _digest(presented)):
        return None
    key = _key(row[1:])
    return key if key.revoked is None and (key.expires is None or at < key.expires) else None


def note_used(connection: Connection, id_: str, *, now: Micros | None = None) -> None:
    """Keep that a key was used, once a minute at most. For `Store.note`."""
    at = micros() if now is None else now
    long_ago = or_(_K.used.is_(None), _K.used < at - _USED_EVERY)
    connection.execute(update(keys).where(_K.id == id_, long_ago).values(used=at))


def get(connection: Connection, id_: str) -> Key:
    """One key; raises NotFound."""
    row = connection.execute(select(*_COLUMNS).where(_K.id == id_)).one_or_none()
    if row is None:
        raise NotFound(f"there is no key {id_[:60]!r}", (("id", "is no key's"),))
    return _key(row)


def all_keys(connection: Connection) -> tuple[Key, ...]:
    """Every key, revoked ones too, the latest first."""
    return tuple(_key(row) for row in connection.execute(select(*_COLUMNS).order_by(_K.created.desc(), _K.id)))


def usable(connection: Connection, *, now: Micros | None = None) -> int:
    """How many keys let somebody in."""
    at = micros() if now is None else now
    valid = (_K.revoked.is_(None), or_(_K.expires.is_(None), _K.expires > at))
    return int(connection.execute(select(func.count()).select_from(keys).where(*valid)).scalar_one())


def revoke(connection: Connection, id_: str, *, now: Micros | None = None) -> Key:
    """End a key for good; raises NotFound. One that was revoked keeps its time."""
    at = micros() if now is None else now
    connection.execute(update(keys).where(_K.id == id_, _K.revoked.is_(None)).values(revoked=at))
    return get(connection, id_)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: Sequence[Any]) -> Key:
    id_, name, prefix, scopes, rooms, created, expires, revoked, used = row
    return Key(id_, name, prefix, tuple(json.loads(scopes)), tuple(json.loads(rooms)), created, expires, revoked, used)


def _refused(field: str, what: str) -> RequestError:
    return RequestError(f"{field}: {what}", ((field, what),))
