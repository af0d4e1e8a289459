"""An in-test UDP relay between two ICE agents that loses, delays, reorders and blocks datagrams by a seeded pattern.

The relay stands in for the network: the SDP of each side is rewritten so that it knows the other only by the relay's
own addresses. `forward` is offerer to answerer (media of a publisher), `back` the way of its feedback.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

_CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", re.IGNORECASE)
ADDRESS = "127.0.0.1"
_ROOM = 4 << 20
_SO_RCVBUFFORCE = 33
"""Beyond what the machine allows to everybody; Python has no name for it (asm-generic/socket.h)."""


@dataclass
class Link:
    """One direction. Times in seconds; `outages` are (begin, end) since the relay was made.

    `loss` and `reorder` are probabilities; a reordered datagram is held back until `reorder_by` later ones have passed.
    `jitter` adds a uniformly random delay on top of `delay`, which reorders by itself when it is large. `rate` in bits
    per second drops what exceeds it (a 100 ms queue). With `media_only`, STUN and DTLS are delayed but nothing more.
    """

    loss: float = 0.0
    reorder: float = 0.0
    reorder_by: int = 3
    delay: float = 0.0
    jitter: float = 0.0
    outages: Sequence[tuple[float, float]] = ()
    rate: float = 0.0
    media_only: bool = True
    passed: int = field(default=0, init=False)
    dropped: int = field(default=0, init=False)


class _Side(asyncio.DatagramProtocol):
    """A socket that one agent talks to; `peer` is that agent's own address."""

    def __init__(self, relay: Relay, link: Link, seed: int) -> None:
        self.relay = relay
        self.link = link
        self.random = random.Random(seed)
        self.peer: tuple[str, int] | None = None
        self.other: _Side | None = None
        self.held: list[tuple[int, bytes]] = []
        self.busy_until = 0.0
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.peer = self.peer or (addr[0], addr[1])
        link, now = self.link, self.relay.now()
        if link.media_only and not 127 < data[0] < 192:
            asyncio.get_running_loop().call_later(link.delay, self.send_on, data)
            return
        lost = self.random.random() < link.loss
        if lost or any(begin <= now < end for begin, end in link.outages) or self._over_rate(data, now):
            link.dropped += 1
            return
        link.passed += 1
        if self.random.random() < link.reorder:
            self.held.append((link.reorder_by, data))
            return
        wait = link.delay + self.random.random() * link.jitter
        if wait:
            asyncio.get_running_loop().call_later(wait, self.send_on, data)
        else:
            self.send_on(data)
        for left, kept in self.held:
            if left <= 1:
                self.send_on(kept)
        self.held = [(left - 1, kept) for left, kept in self.held if left > 1]

    def _over_rate(self, data: bytes, now: float) -> bool:
        if not self.link.rate:
            return False
        self.busy_until = max(self.busy_until, now) + 8 * len(data) / self.link.rate
        if self.busy_until - now <= 0.1:
            return False
        self.busy_until -= 8 * len(data) / self.link.rate
        return True

    def send_on(self, data: bytes) -> None:
        other = self.other
        if other is not None and other.peer is not None and not other.transport.is_closing():
            other.transport.sendto(data, other.peer)


class Relay:
    """`async with Relay(...) as relay`: hand the offer through `offer`, the answer through `answer`."""

    def __init__(
        self, forward: Link | None = None, back: Link | None = None, *, seed: int = 1, host: str = ADDRESS
    ) -> None:
        """`host` is the relay's own address: ICE agents as Janus's leave loopback out."""
        self.host = host
        self.forward = forward or Link()
        self.back = back or Link()
        self._near = _Side(self, self.forward, seed)
        self._far = _Side(self, self.back, seed + 1)
        self._near.other, self._far.other = self._far, self._near
        self._begun = 0.0

    def now(self) -> float:
        """Seconds since the relay was made."""
        return asyncio.get_running_loop().time() - self._begun

    async def __aenter__(self) -> Relay:
        loop = asyncio.get_running_loop()
        self._begun = loop.time()
        for side in (self._near, self._far):
            await loop.create_datagram_endpoint(lambda side=side: side, local_addr=(self.host, 0))
            # A burst of keyframes must not be lost here but where the pattern says.
            own = side.transport.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
            with suppress(PermissionError):
                own.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
        return self

    async def __aexit__(self, *_: object) -> None:
        for side in (self._near, self._far):
            side.transport.close()

    def offer(self, sdp: str) -> str:
        """The offer as the answerer may see it: its only candidate is the relay."""
        return self._rewrite(sdp, self._near, self._far)

    def answer(self, sdp: str) -> str:
        """The answer as the offerer may see it."""
        return self._rewrite(sdp, self._far, self._near)

    def _rewrite(self, sdp: str, owner: _Side, shown: _Side) -> str:
        port = shown.transport.get_extra_info("sockname")[1]
        lines, found = [], False
        for line in sdp.splitlines():
            match = _CANDIDATE.match(line)
            if line.startswith("a=candidate:"):
                # An IPv4 candidate of this machine is where the relay sends to.
                if match and ":" not in match[1] and (owner.peer is None or match[1] == self.host):
                    owner.peer = (match[1], int(match[2]))
                continue
            if line.startswith("a=end-of-candidates"):
                continue
            if line.startswith("m="):
                found = True
            lines.append(line)
            if found and line.startswith("a=mid:"):
                lines.append(f"a=candidate:relay 1 udp 2130706431 {self.host} {port} typ host")
                lines.append("a=end-of-candidates")
        return "\r\n".join(lines) + "\r\n"
