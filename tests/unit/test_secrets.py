"""Secrets do not show, wherever they are printed."""

from __future__ import annotations

import pickle

import pytest

from egress.model.secrets import Secret, redact, redact_url, signing, signing_keys


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtmp://host/live/abcdefgh-ijkl", "rtmp://host/live/…ijkl"),
        ("rtmps://host:443/app/inst/abcdefgh-ijkl/", "rtmps://host:443/app/inst/…ijkl"),
        ("rtmp://host/live/short", "rtmp://host/live/…"),
        ("rtmp://me:pw@host/live/abcdefgh-ijkl", "rtmp://…@host/live/…ijkl"),
        ("rtmp://host/live/abcdefgh-ijkl?token=s3cret&x=1", "rtmp://host/live/…ijkl?token=…&x=…"),
        ("rtmp://host/live/abcdefgh-ijkl?s3cret", "rtmp://host/live/…ijkl?…"),
        ("rtmp://host", "rtmp://host"),
        ("rtmp://[::1]:1935/live/abcdefgh-ijkl", "rtmp://[::1]:1935/live/…ijkl"),
        ("youtube://abcd-EFGH-ijkl-mnop", "youtube://…mnop"),
        ("facebook://FB-123-0-AbCdEf?s_bl=1&s_ps=1", "facebook://…CdEf"),
        ("https://u:p@host/a/b?sig=s3cret", "https://…@host/a/b?sig=…"),
        ("s3://bucket/key.mp4", "s3://bucket/key.mp4"),
        ("abcdefgh-ijkl-bare-key", "…"),
        ("rtmp://[broken/live/abcdefgh-ijkl", "…"),
        ("", "…"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_a_secret_hides_itself_but_can_be_revealed() -> None:
    secret = Secret("hunter2-hunter2")
    assert "hunter2" not in f"{secret!r} {secret} {secret:>20} {[secret]}"
    assert secret.reveal() == "hunter2-hunter2"
    assert secret == Secret("hunter2-hunter2") != Secret("other")
    assert secret != "hunter2-hunter2"
    assert len({secret, Secret("hunter2-hunter2")}) == 1
    assert secret and not Secret("")


def test_a_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret("x"))


def test_known_secrets_vanish_from_a_text_longest_first() -> None:
    text = "no stream abcdefgh-ijkl?t=1 (abcdefgh-ijkl)"
    assert redact(text, "abcdefgh-ijkl", "abcdefgh-ijkl?t=1", "") == "no stream …?t=1 (…ijkl)"


def test_signing_secrets_are_long_and_may_be_several() -> None:
    assert signing_keys(None) == ()
    assert signing_keys(signing(f"{'a' * 32}, {'b' * 40}")) == (b"a" * 32, b"b" * 40)
    for short in ("", "a" * 31, f"{'a' * 32},b", 5):
        with pytest.raises(ValueError, match="32 or more"):
            signing(short)
