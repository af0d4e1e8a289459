"""Tokens: what they let in, for how long, and everything that must not pass for one."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from egress.control.tokens import AUDIENCE, Tokens
from egress.model.errors import RequestError

SECRET, OTHER = b"a" * 32, b"b" * 32
NOW = 1_800_000_000.0
TOKENS = Tokens([SECRET])


def signed(key: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    whole = {
        "aud": AUDIENCE,
        "kind": "api",
        "sub": "x",
        "iat": int(NOW),
        "exp": int(NOW) + 60,
        "scope": "read",
    } | claims
    return jwt.encode({name: value for name, value in whole.items() if value is not None}, key, algorithm=algorithm)


def test_a_token_says_who_may_do_what_where() -> None:
    minted = TOKENS.mint("api", "page", seconds=60, scopes=("start", "read"), rooms=("team-*",), now=NOW)
    token = TOKENS.verify(minted, "api", now=NOW + 59)
    assert token is not None and token.name == "page" and token.expires == NOW + 60
    assert token.caller.may("start") and not token.caller.may("stop") and not token.caller.may_enter("local:other")


def test_a_token_of_one_kind_is_none_of_another() -> None:
    minted = TOKENS.mint("playback", "viewer", seconds=60, rooms=("standup",), now=NOW)
    assert TOKENS.verify(minted, "playback", now=NOW) and TOKENS.verify(minted, "api", now=NOW) is None


def test_secrets_can_be_changed_while_old_tokens_last() -> None:
    old = Tokens([OTHER]).mint("api", "x", seconds=60, now=NOW)
    assert Tokens([SECRET, OTHER]).verify(old, "api", now=NOW) and TOKENS.verify(old, "api", now=NOW) is None


def test_others_may_sign_with_a_key_of_their_own() -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    tokens = Tokens(public_keys=[public])
    assert tokens.usable and tokens.verify(signed(private, "EdDSA"), "api", now=NOW)
    # The public key is no secret: it must not verify what somebody signs with it as one.
    assert tokens.verify(signed(b"x" * 32), "api", now=NOW) is None
    with pytest.raises(RequestError, match="EGRESS_TOKEN_SECRET"):
        tokens.mint("api", "x", seconds=60)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x.y.z",
        signed(OTHER),
        signed(algorithm="HS512", key=SECRET * 2),
        jwt.encode({"aud": AUDIENCE, "iat": int(NOW), "exp": int(NOW) + 60}, "", algorithm="none"),
        signed(aud="somebody"),
        signed(aud=None),
        signed(exp=None),
        signed(iat=None),
        signed(exp=int(NOW) - 31),
        signed(iat=int(NOW) + 31, exp=int(NOW) + 90),
        signed(nbf=int(NOW) + 31),
        signed(exp=int(NOW) + 10 * 24 * 3600),
        signed(rooms="team-*"),
        signed(rooms=[1]),
        signed(role=7),
        signed(role=""),
    ],
)
def test_what_is_no_valid_token_lets_nobody_in(token: str) -> None:
    assert TOKENS.verify(token, "api", now=NOW) is None


def test_scopes_there_are_none_of_are_left_out() -> None:
    token = TOKENS.verify(signed(scope="read root"), "api", now=NOW)
    assert token is not None and token.scopes == {"read"}


@pytest.mark.parametrize("seconds", [0, -1, 10**9])
def test_no_token_is_valid_for_too_long(seconds: int) -> None:
    with pytest.raises(RequestError, match="for"):
        TOKENS.mint("api", "x", seconds=seconds)


def test_short_secrets_and_keys_of_other_kinds_are_refused_without_being_shown() -> None:
    for make in (lambda: Tokens([b"kanarie-77"]), lambda: Tokens([b""]), lambda: Tokens(public_keys=[b"kanarie-77"])):
        with pytest.raises(RequestError) as caught:
            make()
        assert "kanarie" not in str(caught.value)
