"""Addresses that strangers name: looked up once, judged, and connected to as they were judged."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

import httpx

from egress.model.internet import Address, Judge, anywhere, public

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host name and port; raises OSError when there are none."""

AT_ONCE = 4
"""Lookups under way at a time."""

PORTS = {"http": 80, "https": 443}


class PinnedError(Exception):
    """No address may be connected to; the message names the host and why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Pinned:
    """Finds out where a name leads; what it means a moment later does not matter. Called on the loop."""

    def __init__(self, judge: Judge = public, resolve: Resolve | None = None, *, hint: str = "") -> None:
        """`hint` says which setting allows private addresses."""
        self._judge = judge
        self._resolve = resolve or self._look_up
        self._hint = hint
        self._lookups = asyncio.Semaphore(AT_ONCE)

    async def addresses(self, url: httpx.URL) -> list[Address]:
        """Every address of a host, all of them judged; raises PinnedError if there is none, or one is refused."""
        host = url.raw_host.decode("ascii")
        try:
            found = await self._resolve(host, url.port or PORTS[url.scheme])
            addresses = [ip_address(text) for text in dict.fromkeys(found)]
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise PinnedError(f"{url.host} has no address: {reason}") from None
        for address in addresses:
            if wrong := self._judge(address):
                where = "is" if host == str(address) else f"leads to {address},"
                hint = "" if anywhere(address) else self._hint
                raise PinnedError(f"{url.host} {where} {wrong}{hint}")
        if not addresses:
            raise PinnedError(f"{url.host} has no address")
        return addresses

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        """What the system says; raises OSError.

        The resolver may take half a minute over a name whose server is silent, and nothing stops it: such a thread is
        left behind, must not hold up the end of the process, and keeps its place among the lookups until it is done.
        """
        loop = asyncio.get_running_loop()
        await self._lookups.acquire()
        done: asyncio.Future[list[str]] = loop.create_future()

        def tell(found: list[str], error: Exception | None) -> None:
            self._lookups.release()
            if done.done():
                return
            if error is None:
                done.set_result(found)
            else:
                done.set_exception(error)

        def look() -> None:
            found: list[str] = []
            failed: Exception | None = None
            try:
                found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
            except (OSError, ValueError) as error:
                failed = error
            with contextlib.suppress(RuntimeError):  # The loop is closed: nobody waits any more.
                loop.call_soon_threadsafe(tell, found, failed)

        threading.Thread(target=look, name="lookup of a stranger", daemon=True).start()
        return await done


def pinned_request(
    method: str,
    url: httpx.URL,
    address: Address,
    *,
    headers: dict[str, str],
    content: bytes = b"",
    connect: float,
    within: float | None = None,
) -> httpx.Request:
    """A request to an address by its number for what the name is to give; a certificate is verified against the name.

    `connect` and `within` (reading and writing) are seconds.
    """
    extensions = {
        "sni_hostname": url.raw_host.decode("ascii"),
        "timeout": {"connect": connect, "read": within, "write": within, "pool": within},
    }
    all_headers = {"Host": url.netloc.decode("ascii"), "User-Agent": "egress", "Connection": "close", **headers}
    return httpx.Request(
        method, url.copy_with(host=str(address)), headers=all_headers, content=content, extensions=extensions
    )
