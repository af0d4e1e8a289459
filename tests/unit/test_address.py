"""RTMP addresses are taken apart rightly, and wrong ones refused without showing the key."""

from __future__ import annotations

import pytest

from egress.model.address import PROVIDERS, RtmpAddress, shown
from egress.model.errors import RequestError
from egress.model.secrets import redact_url


@pytest.mark.parametrize(
    ("url", "tls", "host", "port", "app", "key", "tc_url"),
    [
        ("rtmp://h/live/k", False, "h", 1935, "live", "k", "rtmp://h/live"),
        ("rtmp://h:1936/live/k?a=/b", False, "h", 1936, "live", "k?a=/b", "rtmp://h:1936/live"),
        ("rtmps://h/app/inst/k", True, "h", 443, "app/inst", "k", "rtmps://h/app/inst"),
        ("rtmp://[::1]/live/k", False, "::1", 1935, "live", "k", "rtmp://[::1]/live"),
        ("rtmp://h/live/k#1", False, "h", 1935, "live", "k#1", "rtmp://h/live"),
        ("twitch://live_1_A", True, "ingest.global-contribute.live-video.net", 443, "app", "live_1_A", None),
        ("facebook://FB-1?s_bl=1", True, "live-api-s.facebook.com", 443, "rtmp", "FB-1?s_bl=1", None),
        ("youtube://A-b", True, "a.rtmps.youtube.com", 443, "live2", "A-b", None),
        ("YouTube://A-b", True, "a.rtmps.youtube.com", 443, "live2", "A-b", None),
        ("youtube://A-b?backup=1", True, "b.rtmps.youtube.com", 443, "live2?backup=1", "A-b", None),
        ("mux://k", True, "global-live.mux.com", 443, "app", "k", None),
    ],
)
def test_the_parts_of_an_address(
    url: str, tls: bool, host: str, port: int, app: str, key: str, tc_url: str | None
) -> None:
    address = RtmpAddress.parse(url)
    assert (address.tls, address.host, address.port, address.app, address.key) == (tls, host, port, app, key)
    assert tc_url is None or address.tc_url == tc_url
    assert key not in address.tc_url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("rtmp://host/live", "has no stream key"),
        ("rtmp://host", "has no stream key"),
        ("rtmp:///live/sekretkey", "has no host"),
        ("youtube://", "has no stream key"),
        ("rtmp://host:sekretkey/live/k", "no readable host and port"),
        ("rtmp://host:0/live/sekretkey", "has port 0"),
        ("twitch://sekretkey?backup=1", "only youtube has one"),
        ("http://host/live/sekretkey", "has the scheme 'http'"),
        ("sekretkey", "has no scheme"),
        ("rtmp://me:sekretkey@host/live/k", "has user:password@"),
        ("rtmp://host:99999/live/sekretkey", "no readable host and port"),
        ("rtmp://host/live/sekretkey\r\nX", "space or control character"),
        ("rtmp://[host/live/sekretkey", "no readable host and port"),
    ],
)
def test_a_wrong_address_is_refused_with_the_fix_and_without_the_key(url: str, problem: str) -> None:
    with pytest.raises(RequestError, match="write it like rtmp://host/app/key") as caught:
        RtmpAddress.parse(url)
    assert problem in caught.value.message
    assert caught.value.problems[0][0] == "to"
    assert "sekretkey" not in caught.value.message


def test_neither_repr_nor_public_show_the_key() -> None:
    address = RtmpAddress.parse("rtmp://h/live/abcdefgh-ijkl?token=s3cret-token")
    assert "abcdefgh" not in repr(address) and "s3cret" not in repr(address)
    assert {"abcdefgh-ijkl", "s3cret-token"} <= set(address.secrets)


def test_nothing_of_an_address_of_another_kind_is_shown() -> None:
    assert shown("http://host/live/sekretkey") == "http://…"
    assert shown("sekretkey") == "…"
    assert shown("rtmp://host/live/sekretkey-1234") == "rtmp://host/live/…1234"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_providers_key_is_hidden_wherever_addresses_are_shown(provider: str) -> None:
    url = f"{provider}://abcdefgh-ijkl-mnop"
    assert redact_url(url) == shown(url) == RtmpAddress.parse(url).public == f"{provider}://…mnop"
    upper = shown(url.replace(provider, provider.upper()))
    assert "abcdefgh" not in upper


def test_the_backup_of_a_provider_is_shown_as_such() -> None:
    assert shown("youtube://abcdefgh-ijkl-mnop?backup=1") == "youtube://…mnop?backup=1"
