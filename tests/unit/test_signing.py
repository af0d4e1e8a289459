"""Signatures of webhooks: the published example, and everything that must not pass."""

from __future__ import annotations

import base64

import jwt
import pytest

from egress.control.signing import (
    check_secret,
    livekit_headers,
    new_secret,
    standard_headers,
    verify_livekit,
    verify_standard,
)
from egress.model.errors import RequestError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
AT = 1614265330


def test_the_example_of_standard_webhooks_comes_out() -> None:
    headers = standard_headers([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", AT, BODY)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert verify_standard([SECRET], headers, BODY, now=AT + 10) == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_either_secret_verifies_while_one_takes_the_place_of_another() -> None:
    old, new = new_secret(), new_secret()
    headers = standard_headers([new, old], "msg_1", AT, BODY)
    assert verify_standard([old], headers, BODY, now=AT) == verify_standard([new], headers, BODY, now=AT) == "msg_1"
    assert verify_standard([new_secret(), old], headers, BODY, now=AT) == "msg_1"


@pytest.mark.parametrize(
    ("change", "body", "now", "words"),
    [
        ({}, b"{}", AT, "another secret"),
        ({"webhook-id": "msg_2"}, BODY, AT, "another secret"),
        ({"webhook-timestamp": str(AT + 1)}, BODY, AT, "another secret"),
        ({"webhook-signature": "v1,AAAA"}, BODY, AT, "another secret"),
        ({"webhook-signature": "v2,x"}, BODY, AT, "another secret"),
        ({"webhook-signature": "v1,\u00e9"}, BODY, AT, "another secret"),
        ({}, BODY, AT + 301, "300 s old"),
        ({}, BODY, AT - 301, "300 s old"),
        ({"webhook-timestamp": "soon"}, BODY, AT, "lacks"),
        ({"webhook-signature": ""}, BODY, AT, "lacks"),
    ],
)
def test_what_was_not_signed_like_this_is_refused(change: dict[str, str], body: bytes, now: float, words: str) -> None:
    headers = standard_headers([SECRET], "msg_1", AT, BODY) | change
    with pytest.raises(RequestError, match=words):
        verify_standard([SECRET], headers, body, now=now)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "whsec_!!", "whsec_" + "A" * 200])
def test_a_bad_secret_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_secret(secret)
    assert secret == "" or secret == "whsec_" or secret not in str(caught.value)
    check_secret(new_secret())


def test_livekits_way_works_both_ways() -> None:
    headers = livekit_headers("APIkey", "s" * 32, BODY, AT)
    assert headers["content-type"] == "application/webhook+json"
    assert verify_livekit({"APIkey": "s" * 32}, headers["authorization"], BODY, now=AT) == "APIkey"
    for keys, body, now, words in (
        ({"other": "s" * 32}, BODY, AT, "not known here"),
        ({"APIkey": "t" * 32}, BODY, AT, "no valid token"),
        ({"APIkey": "s" * 32}, b"{}", AT, "other than"),
        ({"APIkey": "s" * 32}, BODY, AT + 400, "out of date"),
        ({"APIkey": "s" * 32}, BODY, AT - 100, "out of date"),
    ):
        with pytest.raises(RequestError, match=words):
            verify_livekit(keys, headers["authorization"], body, now=now)


def test_a_token_without_signature_or_end_is_refused() -> None:
    digest = base64.b64encode(b"x").decode()
    unsigned = jwt.encode({"iss": "k", "exp": AT + 60, "sha256": digest}, "", algorithm="none")
    endless = jwt.encode({"iss": "k", "sha256": digest}, "s" * 32, algorithm="HS256")
    for token in (unsigned, endless, "", "x.y.z"):
        with pytest.raises(RequestError):
            verify_livekit({"k": "s" * 32}, token, BODY, now=AT)
