"""The one place that knows aiortc and aioice from inside: ICE, DTLS and SRTP of one receive-only transport.

aiortc's own path takes each media packet through a STUN parse, an unbounded queue and a task switch, and lets any
exception of a packet end the transport. Here a datagram is told apart by its first byte (RFC 7983) as it comes from
the socket, and media is decrypted and handed on in the same call. `PRIVATE` lists every name this relies on.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pylibsrtp
from aioice import Candidate
from aioice.ice import CandidatePair, Connection, StunProtocol, get_host_addresses
from aioice.stun import Message, TransactionError
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport, RTCIceGatherer
from aiortc.rtcicetransport import RTCIceParameters, RTCIceTransport

from egress.model.clock import monotonic
from egress.model.media import SECOND, Nanos

_log = logging.getLogger(__name__)

PRIVATE: dict[type, tuple[str, ...]] = {
    RTCIceGatherer: ("_connection",),
    RTCIceTransport: ("_connection", "_role_set"),
    RTCDtlsTransport: ("_set_role", "_rx_srtp", "_tx_srtp"),
    Connection: (
        "_protocols",
        "_nominated",
        "_local_candidates",
        "_local_candidates_start",
        "_local_candidates_end",
        "_query_consent_task",
        "get_component_candidates",
        "build_request",
        "check_incoming",
        "query_consent",
        "ice_controlling",
    ),
    StunProtocol: ("datagram_received", "request", "transport", "receiver"),
    CandidatePair: ("protocol", "remote_addr"),
}
"""Names of aiortc 1.16 and aioice 0.13 that are used here without being promised by their documentation."""

RECEIVE_BUFFER = 4 << 20
"""SO_RCVBUF of each socket: a stall of the loop must not overflow it (the kernel caps it at net.core.rmem_max)."""
_EARLY = 256
_CONSENT_EVERY = 5.0
_CONSENT_LOST: Nanos = 30 * SECOND


class SecureTransport:
    """One ICE + DTLS-SRTP transport, answering side.

    `on_rtp` and `on_rtcp` get decrypted packets with their monotonic arrival; they must not raise. `on_state` gets
    `connecting`, `connected`, `failed` or `closed`. Media that comes before the keys do is kept (a little of it).
    `heard` is when the other end last gave proof of itself: media that could be decrypted, a check or an answer to one
    with the right message integrity. What anyone may send to our port does not count.
    """

    def __init__(
        self,
        *,
        on_rtp: Callable[[bytes, Nanos], None],
        on_rtcp: Callable[[bytes, Nanos], None],
        on_state: Callable[[str], None],
    ) -> None:
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._on_state = on_state
        self._ice = RTCIceTransport(RTCIceGatherer(iceServers=[]))
        self._dtls = RTCDtlsTransport(self._ice, [RTCCertificate.generateCertificate()])
        self._dtls.on("statechange", self._changed)
        self._ice.on("statechange", self._changed)
        self._connection: Connection = self._ice._connection
        self._check = self._connection.check_incoming
        self._connection.check_incoming = self._checked  # type: ignore[method-assign]
        self._receiving: Any = None
        self._early: deque[tuple[bytes, Nanos]] = deque(maxlen=_EARLY)
        self._state = "new"
        self.heard: Nanos = 0
        self.rtt: Nanos | None = None
        self.unprotected = 0
        self.foreign = 0

    @property
    def credentials(self) -> tuple[str, str]:
        """Our ICE username fragment and password."""
        return self._connection.local_username, self._connection.local_password

    @property
    def fingerprints(self) -> list[tuple[str, str]]:
        """Our certificate's fingerprint as (algorithm, value)."""
        found = [(print_.algorithm, print_.value) for print_ in self._dtls.getLocalParameters().fingerprints]
        return [pair for pair in found if pair[0] == "sha-256"]

    @property
    def state(self) -> str:
        """`new`, `connecting`, `connected`, `failed` or `closed`."""
        return self._state

    async def gather(self, remote: Sequence[str]) -> list[str]:
        """Open our sockets; our candidates as SDP values. Loopback is used when `remote` is on this machine too."""
        connection = self._connection
        if not connection._local_candidates_start:
            connection._local_candidates_start = True
            addresses = get_host_addresses(use_ipv4=True, use_ipv6=True)
            theirs = {candidate.host for candidate in _candidates(remote)}
            if not addresses or "127.0.0.1" in theirs or theirs & set(addresses):
                addresses.append("127.0.0.1")
            connection._local_candidates += await connection.get_component_candidates(1, addresses)
            connection._local_candidates_end = True
            for protocol in connection._protocols:
                self._tap(protocol)
        return [candidate.to_sdp() for candidate in connection.local_candidates]

    def _tap(self, protocol: StunProtocol) -> None:
        sock = protocol.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        stun = protocol.datagram_received
        connection = self._connection

        def received(data: Any, addr: tuple[Any, ...]) -> None:
            arrived = time.monotonic_ns()
            first = data[0] if data else 255
            if 127 < first < 192:
                self._media(data, arrived)
            elif first < 4:
                stun(data, addr)
            elif 19 < first < 64:
                connection.data_received(data, 1)
            else:
                self.foreign += 1

        protocol.datagram_received = received  # type: ignore[method-assign]

    def _checked(self, message: Message, addr: tuple[str, int], protocol: StunProtocol) -> None:
        """aioice has found a check to be authentic."""
        self.heard = monotonic()
        self._check(message, addr, protocol)

    def _media(self, data: bytes, arrived: Nanos) -> None:
        session = self._receiving
        if session is None:
            self._early.append((data, arrived))
            return
        try:
            report = 191 < data[1] < 209
            plain = session.unprotect_rtcp(data) if report else session.unprotect(data)
        except (pylibsrtp.Error, ValueError, IndexError):
            self.unprotected += 1
            return
        self.heard = arrived
        if report:
            self._on_rtcp(plain, arrived)
        else:
            self._on_rtp(plain, arrived)

    async def add_candidate(self, candidate: str) -> None:
        """A remote candidate (SDP value); ones that cannot be used (TCP, malformed) are passed over."""
        for usable in _candidates([candidate]):
            await self._connection.add_remote_candidate(usable)

    async def connect(
        self, ufrag: str, pwd: str, lite: bool, fingerprints: Sequence[tuple[str, str]], *, active: bool
    ) -> None:
        """ICE, then DTLS (`active`: we begin the handshake); done when connected or failed."""
        self._connection.ice_controlling = lite
        self._ice._role_set = True
        self._dtls._set_role("client" if active else "server")
        self._connection.query_consent = self._consent  # type: ignore[method-assign]
        await self._ice.start(RTCIceParameters(usernameFragment=ufrag, password=pwd, iceLite=lite))
        if self._ice.state != "completed":
            return
        prints = [RTCDtlsFingerprint(algorithm=algorithm, value=value) for algorithm, value in fingerprints]
        await self._dtls.start(RTCDtlsParameters(fingerprints=prints))
        if self._dtls.state == "failed":
            # Known: FFmpeg 8 built on GnuTLS makes itself a P-224 key, which OpenSSL 4 does not take.
            _log.warning("the DTLS handshake failed; give FFmpeg's whip muxer a P-256 cert_file and key_file")

    async def _consent(self) -> None:
        """Ask for consent to send (RFC 7675), which tells the RTT too; media that goes on coming is consent enough.

        Some publishers answer no checks once they send.
        """
        connection = self._connection
        # Checks have just found the way, whoever of the two asked.
        self.heard = monotonic()
        wait = 0.0
        while True:
            await asyncio.sleep(wait)
            wait = _CONSENT_EVERY * (0.8 + 0.4 * random.random())
            pair = connection._nominated.get(1)
            if pair is not None:
                begun = monotonic()
                try:
                    await pair.protocol.request(
                        connection.build_request(pair, nominate=False),
                        pair.remote_addr,
                        integrity_key=(connection.remote_password or "").encode(),
                        retransmissions=0,
                    )
                    self.heard = monotonic()
                    self.rtt = self.heard - begun
                except TransactionError:
                    pass
            if monotonic() - self.heard > _CONSENT_LOST:
                connection._query_consent_task = None
                return await connection.close()

    def _changed(self) -> None:
        dtls, ice = self._dtls.state, self._ice.state
        if dtls == "connected" and self._receiving is None:
            self.heard = monotonic()
            self._receiving = self._dtls._rx_srtp
            while self._early:
                self._media(*self._early.popleft())
        if "closed" in (dtls, ice):
            state = "closed"
        elif "failed" in (dtls, ice):
            state = "failed"
        else:
            state = {"connected": "connected", "new": "new" if ice == "new" else "connecting"}.get(dtls, "connecting")
        if state != self._state:
            self._state = state
            self._on_state(state)

    def send_rtcp(self, data: bytes) -> None:
        """Encrypt and send one RTCP packet; silently dropped while there is no connection."""
        pair = self._connection._nominated.get(1)
        session = self._dtls._tx_srtp
        if pair is None or session is None or self._state != "connected":
            return
        try:
            pair.protocol.transport.sendto(session.protect_rtcp(data), pair.remote_addr)
        except (pylibsrtp.Error, ValueError, OSError) as problem:
            _log.debug("RTCP was not sent: %s", problem)

    async def close(self) -> None:
        """Say goodbye in DTLS and close the sockets."""
        await self._dtls.stop()
        await self._ice.stop()
        self._early.clear()


def _candidates(texts: Sequence[str]) -> list[Candidate]:
    found = []
    for text in texts:
        try:
            candidate = Candidate.from_sdp(text.removeprefix("candidate:"))
        except (ValueError, AttributeError, IndexError):
            continue
        if candidate.transport.lower() == "udp" and candidate.component == 1:
            found.append(candidate)
    return found
