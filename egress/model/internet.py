"""Which IP addresses belong to the public internet, so that strangers cannot make us ask what only we can reach."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Judge = Callable[[Address], str]
"""Says what is wrong with connecting to an address; '' when nothing is."""

_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")


def public(address: Address) -> str:
    """What keeps an address from being one of the public internet; '' when nothing does.

    An IPv6 address that stands for an IPv4 one (mapped, NAT64 of RFC 6052, 6to4 of RFC 3056) is judged as that one.
    """
    if isinstance(address, IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            carried = IPv4Address(int(address) & 0xFFFF_FFFF)
        if carried is not None:
            return public(carried)
    for kind in ("loopback", "unspecified", "multicast", "link_local", "private", "reserved"):
        if getattr(address, f"is_{kind}"):
            return f"a {kind.replace('_', '-')} address"
    if not address.is_global or (isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST):
        return "not an address of the public internet"
    return ""


def anywhere(address: Address) -> str:
    """The rule of those who allow private addresses: anything but what is no single host's address."""
    inner = getattr(address, "ipv4_mapped", None) or address
    return "no address of a host" if inner.is_multicast or inner.is_unspecified else ""
