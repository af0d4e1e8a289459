"""Secrets that do not show: a value that hides itself, addresses and texts with the secret part taken out."""

from __future__ import annotations

import hmac
import weakref
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

HIDDEN = "…"
_TAIL = 4
_TAIL_FROM = 12
"""A key shorter than this shows nothing of itself: four letters of it would be too large a part."""

SHORTEST_SIGNING = 32
"""Bytes of a secret that signs tokens (RFC 7518 3.2: as many as the hash)."""

SHORTEST_HIDDEN = 6
"""Characters of a secret that is looked for in texts; shorter ones stand in every second word."""

_KEY_SCHEMES = ("rtmp", "rtmps", "srt")
"""Schemes whose last path component is the stream key."""
_ALIAS_SCHEMES = ("youtube", "twitch", "facebook", "mux")
"""Schemes that hold nothing but a stream key: `youtube://KEY`."""


class Secret:
    """A string that never prints itself: repr, str and format show only that there is one; `reveal` gives it."""

    __slots__ = ("__weakref__", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        _ALIVE[id(self)] = self

    def reveal(self) -> str:
        """The secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)" if self._value else "Secret(empty)"

    def __str__(self) -> str:
        return HIDDEN if self._value else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a Secret is not pickled; send what reveal() gives over a channel meant for it")


_ALIVE: weakref.WeakValueDictionary[int, Secret] = weakref.WeakValueDictionary()


def living() -> set[str]:
    """What all secrets hold that this process has in use, and parts of those that are lists; for filters of logs."""
    secrets = (reference() for reference in _ALIVE.valuerefs())
    values = {secret.reveal() for secret in secrets if secret is not None}
    parts = {part.strip() for value in values for part in value.split(",")}
    named = {part.partition(":")[2] for part in parts if "://" not in part}
    return {value for value in values | parts | named if len(value) >= SHORTEST_HIDDEN}


def signing(value: Any) -> Secret:
    """Secrets that sign tokens, with commas between, as a setting holds them; raises ValueError."""
    if not isinstance(value, str) or any(len(one) < SHORTEST_SIGNING for one in _split(value)):
        enough = f"{SHORTEST_SIGNING} or more characters"
        raise ValueError(f"must be {enough}, like openssl rand -hex 32 gives; several with commas between")
    return Secret(value)


def signing_keys(secret: Secret | None) -> tuple[bytes, ...]:
    """The one that signs, and the others that are taken; () without any."""
    return _split(secret.reveal()) if secret else ()


def _split(text: str) -> tuple[bytes, ...]:
    return tuple(one.strip().encode() for one in text.split(","))


def tail(secret: str) -> str:
    """`…` and, where the secret is long enough, its last four characters, so that a person can tell which it is."""
    return HIDDEN + (secret[-_TAIL:] if len(secret) >= _TAIL_FROM else "")


def redact_url(url: str) -> str:
    """An address fit for logs and events: no user name, no password, no query values, no stream key.

    `rtmp://host/live/abcdefgh-ijkl` becomes `rtmp://host/live/…ijkl`. Text that is no address is hidden whole.
    """
    try:
        parts = urlsplit(url, allow_fragments=False)
    except ValueError:
        return HIDDEN
    if not parts.scheme or not (parts.netloc or parts.path.startswith("/")):
        return HIDDEN
    if parts.scheme in _ALIAS_SCHEMES:
        return f"{parts.scheme}://{tail((parts.netloc + parts.path).strip('/'))}"
    path = parts.path
    if parts.scheme in _KEY_SCHEMES and path.strip("/"):
        place, _, key = path.rstrip("/").rpartition("/")
        path = f"{place}/{tail(key)}"
    return f"{parts.scheme}://{_bare_netloc(parts)}{path}{_query_names(parts.query)}"


def redact(text: str, *secrets: str) -> str:
    """`text` without any of the secrets, wherever they stand in it."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, tail(secret))
    return text


def _bare_netloc(parts: SplitResult) -> str:
    user, at, host = parts.netloc.rpartition("@")
    return f"{HIDDEN}@{host}" if at and user else host


def _query_names(query: str) -> str:
    if not query:
        return ""
    names = [name for name, value in parse_qsl(query, keep_blank_values=True) if value]
    return "?" + "&".join(f"{name}={HIDDEN}" for name in names) if names else f"?{HIDDEN}"
