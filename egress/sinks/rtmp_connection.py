"""One RTMP connection over asyncio: connect with verified TLS, publish within deadlines, send, say goodbye."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import re
import socket
import ssl
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from egress.model.address import RtmpAddress
from egress.sinks.rtmp_chunks import Kind
from egress.sinks.rtmp_protocol import Publisher, RtmpError, Stage, Trouble
from egress.sinks.sender_feed import Limits

_HIGH_WATER = 131_072
_UNSENT = 131_072
"""The kernel takes at most this much beyond what is on the wire, so that what waits, waits where it can be dropped."""
_READ = 65_536
_POLL = 0.02
_LINGER = 1.0
_STORES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class Connection:
    """A publishing connection: `open`, `publish`, then `send` while `listen` runs, at last `farewell`."""

    def __init__(self, address: RtmpAddress, limits: Limits, window: int) -> None:
        self.publisher = Publisher(address.app, address.tc_url, address.key, window=window)
        self.written = 0
        self._address = address
        self._limits = limits
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        """Connect (and prove the server's certificate); raises RtmpError. Nothing of the stream is sent before."""
        host, port = self._address.host, self._address.port
        place = f"{host}:{port}"
        try:
            async with _deadline(self._limits.connect, f"no connection to {place}"):
                self._reader, self._writer = await asyncio.open_connection(
                    host,
                    port,
                    ssl=_trust() if self._address.tls else None,
                    happy_eyeballs_delay=0.25,
                    limit=_READ,
                )
        except OSError as error:
            raise _why(error, host, place) from None
        self._writer.transport.set_write_buffer_limits(high=_HIGH_WATER)
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Twice as patient as whoever watches our progress, who can tell since when nothing went through.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._limits.stall * 2000))

    async def publish(self) -> None:
        """Handshake and commands until the server takes the stream; raises RtmpError."""
        self._write(self.publisher.start())
        async with _deadline(self._limits.handshake, "no answer to the RTMP handshake"):
            while self.publisher.stage is Stage.HANDSHAKE:
                await self._take()
        async with _deadline(self._limits.publish, "no answer to the RTMP commands"):
            while self.publisher.stage is not Stage.LIVE:
                await self._take()

    async def listen(self) -> None:
        """Answer the server as long as the connection lives; ends by RtmpError."""
        while True:
            await self._take()

    async def send(self, kind: Kind, timestamp: int, body: bytes) -> None:
        """Send one tag body; waits while the server does not take it."""
        self._write(self.publisher.media(kind, timestamp, body))
        try:
            await self._writer.drain()
        except OSError as error:
            raise _lost(error) from None

    async def farewell(self) -> None:
        """End the stream in good order and let everything arrive; returns at the deadline in any case."""
        try:
            async with asyncio.timeout(self._limits.farewell):
                self._write(self.publisher.farewell())
                await self._writer.drain()
                while self.pending:
                    await asyncio.sleep(_POLL)
                async with asyncio.timeout(_LINGER):
                    if not self._writer.can_write_eof():
                        self._writer.close()
                        await self._writer.wait_closed()
                        return
                    # Closing outright while the server still reads and answers would reset the connection under it.
                    self._writer.write_eof()
                    while await self._reader.read(_READ):
                        pass
        except (TimeoutError, OSError):
            self._writer.transport.abort()

    async def close(self) -> None:
        """Let go of the socket at once."""
        if hasattr(self, "_writer"):
            self._writer.transport.abort()

    @property
    def pending(self) -> int:
        """Bytes handed over that have not reached the other host."""
        transport = self._writer.transport
        held = transport.get_write_buffer_size()
        try:
            (queued,) = struct.unpack(
                "i", fcntl.ioctl(self._writer.get_extra_info("socket"), termios.TIOCOUTQ, b"    ")
            )
        except (OSError, ValueError):
            queued = 0
        return held + int(queued)

    def _write(self, data: bytes) -> None:
        self.written += len(data)
        self._writer.write(data)

    async def _take(self) -> None:
        try:
            data = await self._reader.read(_READ)
        except OSError as error:
            raise self._ended(error) from None
        if not data:
            raise self._ended(None)
        if answer := self.publisher.receive(data):
            self._write(answer)

    def _ended(self, error: OSError | None) -> RtmpError:
        stage = self.publisher.stage
        if stage in (Stage.CONNECT, Stage.CREATE, Stage.PUBLISH):
            # Most servers say no to a wrong app or key just so: by hanging up on the command.
            fix = "are the address and the stream key right, and is nobody else publishing with it?"
            return RtmpError(Trouble.REJECTED, f"the server hung up on the {stage} command; {fix}")
        return _lost(error) if error is not None else RtmpError(Trouble.CLOSED, "the server closed the connection")


@asynccontextmanager
async def _deadline(seconds: float, what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise RtmpError(Trouble.TIMEOUT, f"{what} within {seconds:g} s") from None
        raise


def _trust() -> ssl.SSLContext:
    """The system's certificate authorities, or those SSL_CERT_FILE and SSL_CERT_DIR name."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    if not named and not context.cert_store_stats()["x509_ca"]:
        for store in filter(os.path.exists, _STORES):
            context.load_verify_locations(Path(store))
            break
    return context


def _why(error: OSError, host: str, place: str) -> RtmpError:
    if isinstance(error, socket.gaierror):
        return RtmpError(Trouble.DNS, f"the name {host} is not known ({error.strerror})")
    if isinstance(error, ssl.SSLCertVerificationError):
        return RtmpError(Trouble.TLS, f"the certificate of {place} is not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return RtmpError(Trouble.TLS, f"no TLS with {place}: {error.reason or error}")
    # asyncio joins the failures of several addresses into one text without a number of its own.
    numbers = {error.errno} if error.errno else {int(n) for n in re.findall(r"\[Errno (\d+)\]", str(error))}
    if numbers == {errno.ECONNREFUSED}:
        return RtmpError(Trouble.REFUSED, f"{place} refuses connections")
    if isinstance(error, ConnectionError):
        return RtmpError(Trouble.CLOSED, f"{place} hung up while connecting")
    return RtmpError(Trouble.UNREACHABLE, f"{place} cannot be reached: {error.strerror or error}")


def _lost(error: OSError) -> RtmpError:
    if error.errno == errno.ETIMEDOUT:
        return RtmpError(Trouble.STALLED, "the server no longer takes anything")
    return RtmpError(Trouble.CLOSED, f"the connection broke: {error.strerror or type(error).__name__}")
