"""Which addresses are public, also when one hides in another."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from egress.model.internet import anywhere, public


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.0.9", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("fd00::1", "private"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("ff0e::1", "multicast"),
        ("240.0.0.1", "private"),
        ("255.255.255.255", "private"),
        ("100.64.0.1", "not an address of the public internet"),
        ("fec0::1", "not an address of the public internet"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::127.0.0.1", "reserved"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        # Private (RFC 8215) to some releases of Python, reserved to others.
        ("64:ff9b:1::1", "address"),
        ("2002:a00:1::1", "private"),
        ("2002:7f00:1::1", "loopback"),
        ("2001:0:7f00:1::1", "private"),
    ],
)
def test_what_is_not_public_is_told(address: str, why: str) -> None:
    assert why in public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_what_is_public_has_nothing_wrong(address: str) -> None:
    assert public(ip_address(address)) == ""


def test_who_allows_private_ones_still_asks_hosts_only() -> None:
    for address in ("127.0.0.1", "10.0.0.1", "fd00::1", "::1", "::ffff:10.0.0.1", "1.1.1.1"):
        assert anywhere(ip_address(address)) == ""
    for address in ("0.0.0.0", "::", "224.0.0.1", "ff02::1", "::ffff:0.0.0.0"):
        assert anywhere(ip_address(address)) != ""
