"""Signatures of webhooks, made and verified: Standard Webhooks, and LiveKit's way for receivers that know only that."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence

import jwt

from egress.model.errors import RequestError

PREFIX = "whsec_"
TOLERANCE = 300
"""Seconds a signature's time may lie beside ours."""

_SKEW = 60
_LENGTHS = range(24, 65)
"""Bytes a secret may have (Standard Webhooks, "Signature scheme")."""


def new_secret() -> str:
    """A secret of 24 random bytes, as Standard Webhooks writes them."""
    return PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def check_secret(secret: str) -> None:
    """Refuse what is no secret of Standard Webhooks; raises RequestError, which never repeats it."""
    try:
        length = len(base64.b64decode(secret.removeprefix(PREFIX), validate=True))
    except (ValueError, binascii.Error):
        length = 0
    if length not in _LENGTHS:
        wrong = f"must be {PREFIX} and 24 to 64 bytes in base64; leave it out to have one made"
        raise RequestError(f"the webhook's secret {wrong}", (("secret", wrong),))


def standard_headers(keys: Sequence[str], message: str, at: int, body: bytes) -> dict[str, str]:
    """Headers of Standard Webhooks for a body sent at a time (seconds): one signature for each secret that is valid."""
    signatures = " ".join(f"v1,{_signature(key, message, at, body)}" for key in keys)
    return {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": str(at),
        "webhook-signature": signatures,
    }


def livekit_headers(name: str, key: str, body: bytes, at: int) -> dict[str, str]:
    """Headers as LiveKit sends them: a token of an API key (`name` and its secret) that holds the body's SHA-256."""
    claims = {"iss": name, "nbf": at, "exp": at + TOLERANCE, "sha256": _digest(body)}
    return {"content-type": "application/webhook+json", "authorization": jwt.encode(claims, key, algorithm="HS256")}


def verify_standard(keys: Sequence[str], headers: Mapping[str, str], body: bytes, now: float | None = None) -> str:
    """The id of a message that one of our secrets has signed; raises RequestError saying what is wrong.

    `headers` have names in lower case.
    """
    message, said, given = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not message or not said.isdecimal() or len(said) > 12 or not given:
        raise _refused("lacks webhook-id, webhook-timestamp or webhook-signature")
    if abs((time.time() if now is None else now) - int(said)) > TOLERANCE:
        raise _refused(f"is more than {TOLERANCE} s old, or the clocks of the two machines differ")
    expected = [_signature(key, message, int(said), body).encode() for key in keys]
    found = [part.partition(",")[2].encode() for part in given.split() if part.startswith("v1,")]
    # Every pair is compared, so that the time taken says nothing about which one was close.
    if not sum(hmac.compare_digest(ours, theirs) for ours in expected for theirs in found):
        raise _refused("is signed by another secret")
    return message


def verify_livekit(secrets_by_key: Mapping[str, str], authorization: str, body: bytes, now: float | None = None) -> str:
    """The API key that signed a webhook of LiveKit's; raises RequestError saying what is wrong."""
    token = authorization.removeprefix("Bearer ").strip()
    try:
        name = str(jwt.decode(token, options={"verify_signature": False}).get("iss", ""))
        if name not in secrets_by_key:
            raise _refused("is signed by an API key that is not known here")
        options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
        claims = jwt.decode(token, secrets_by_key[name], algorithms=["HS256"], options=options)  # type: ignore[arg-type]
    except jwt.PyJWTError:
        raise _refused("has no valid token in its Authorization header") from None
    at = time.time() if now is None else now
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(expires, int | float) or at > expires + _SKEW or at < float(begins) - _SKEW:
        raise _refused("has a token that is out of date, or the clocks of the two machines differ")
    if not hmac.compare_digest(str(claims.get("sha256", "")).encode(), _digest(body).encode()):
        raise _refused("has a body other than the one its token was made for")
    return name


def _signature(key: str, message: str, at: int, body: bytes) -> str:
    secret = base64.b64decode(key.removeprefix(PREFIX))
    signed = f"{message}.{at}.".encode() + body
    return base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()


def _digest(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def _refused(what: str) -> RequestError:
    return RequestError(f"the webhook {what}", (("signature", what),))
