"""How messages reach a Janus server: a websocket, or HTTP with long polls; JSON in both directions, nothing more."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import websockets
from websockets.asyncio.client import ClientConnection, connect

from egress.model.errors import EgressError, RoomRefused, RoomUnreachable
from egress.model.janus_address import JanusAddress
from egress.rooms.janus_news import Message

OPEN_WITHIN = 5.0
"""Seconds a server has to take a connection."""
_CLOSE_WITHIN = 1.0
_SEND_WITHIN = 5.0
_LONGEST = 4 << 20
_MOST_WAITING = 1024
_POLL_WITHIN = 45.0
_POLLED_AT_ONCE = 10

# Both libraries log requests whole, and those carry the API secret.
_quiet = logging.getLogger("egress.rooms.janus_wire.quiet")
_quiet.setLevel(logging.CRITICAL)
_quiet.propagate = False


class WireDown(EgressError):
    """The connection is of no use any more."""


class Wire(ABC):
    """One connection to a server."""

    @abstractmethod
    async def send(self, message: Message) -> None:
        """Send one message; raises WireDown."""

    @abstractmethod
    async def receive(self) -> object:
        """The next message, as read from JSON; raises WireDown. May be cancelled without losing any."""


@asynccontextmanager
async def opened(address: JanusAddress) -> AsyncIterator[Wire]:
    """A connection for the length of the context; raises RoomUnreachable or RoomRefused with a reason on entering."""
    if address.transport == "http":
        async with _HttpWire.opened(address.url) as wire:
            yield wire
        return
    connection = await _dial(address.url)
    try:
        yield _WebSocketWire(connection)
    finally:
        await connection.close()


async def _dial(url: str) -> ClientConnection:
    try:
        async with asyncio.timeout(OPEN_WITHIN):
            return await connect(
                url,
                subprotocols=[websockets.Subprotocol("janus-protocol")],
                open_timeout=None,
                close_timeout=_CLOSE_WITHIN,
                ping_interval=None,
                max_size=_LONGEST,
                max_queue=64,
                proxy=None,
                compression=None,
                logger=_quiet,
            )
    except TimeoutError:
        raise RoomUnreachable(f"{url} did not answer within {OPEN_WITHIN:g} s; check host and port") from None
    except websockets.InvalidStatus as error:
        raise RoomUnreachable(
            f"{url} is no websocket of Janus (HTTP status {error.response.status_code}); check port and path"
        ) from None
    except websockets.InvalidHandshake as error:
        raise RoomRefused(f"{url} does not speak Janus's websocket protocol: {error}; check port and path") from None
    except (OSError, ValueError, EOFError, websockets.WebSocketException) as error:
        raise unreachable(url, error) from None


def unreachable(url: str, error: BaseException) -> RoomUnreachable:
    """The error about a server that could not be connected to."""
    distrust = _distrust(error)
    if distrust is not None:
        return RoomUnreachable(
            f"the certificate of {url} is not trusted ({distrust.verify_message}): use one that a known authority has "
            "signed for this host, or set SSL_CERT_FILE to a PEM file with the certificate or its authority's"
        )
    what = getattr(error, "strerror", None) or str(error) or type(error).__name__
    hint = "" if _has_port(url) else "; Janus listens on 8188 (ws) or 8088 (http) unless it is told otherwise"
    return RoomUnreachable(f"{url} cannot be reached: {what}; check host and port, and that Janus runs{hint}")


def _distrust(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """What TLS said of the certificate, where that is what was wrong."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def _has_port(url: str) -> bool:
    return url.partition("://")[2].partition("/")[0].rpartition(":")[2].isdecimal()


def _read(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


class _WebSocketWire(Wire):
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, message: Message) -> None:
        try:
            async with asyncio.timeout(_SEND_WITHIN):
                await self._connection.send(json.dumps(message))
        except TimeoutError:
            raise WireDown("Janus takes no more messages") from None
        except (OSError, websockets.WebSocketException) as error:
            raise WireDown(f"the websocket was closed ({type(error).__name__})") from None

    async def receive(self) -> object:
        try:
            return _read(await self._connection.recv())
        except (OSError, EOFError, websockets.WebSocketException) as error:
            raise WireDown(f"the websocket was closed ({type(error).__name__})") from None


class _HttpWire(Wire):
    """POSTs for what we say, one GET at a time for what the server says by itself."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client
        self._inbox: asyncio.Queue[object] = asyncio.Queue(_MOST_WAITING)
        self._polling: asyncio.Task[None] | None = None
        self._failed: str | None = None

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str) -> AsyncIterator[Wire]:
        """A client whose server answers."""
        timeout = httpx.Timeout(_SEND_WITHIN, connect=OPEN_WITHIN)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        # As websockets do: the system's authorities, or those in SSL_CERT_FILE.
        trusted = ssl.create_default_context() if url.startswith("https:") else True
        async with httpx.AsyncClient(timeout=timeout, trust_env=False, verify=trusted) as client:
            try:
                answer = await client.get(f"{url}/info")
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise unreachable(url, error) from None
            if answer.status_code != 200 or not isinstance(_read(answer.content), dict):
                raise RoomUnreachable(
                    f"{url} is no Janus (HTTP status {answer.status_code} of /info); check port and path, "
                    "which is /janus unless it is told otherwise"
                )
            wire = cls(url, client)
            try:
                yield wire
            finally:
                await wire._close()

    async def send(self, message: Message) -> None:
        path = "".join(f"/{message[key]}" for key in ("session_id", "handle_id") if key in message)
        try:
            answer = await self._client.post(self._url + path, json=message)
        except (httpx.HTTPError, OSError) as error:
            raise WireDown(f"Janus could not be asked ({type(error).__name__})") from None
        told = _read(answer.content)
        self._put(told)
        if message["janus"] in ("create", "claim") and isinstance(told, dict) and told.get("janus") == "success":
            data = told.get("data")
            session = data.get("id") if isinstance(data, dict) else message.get("session_id")
            if isinstance(session, int) and self._polling is None:
                secrets: dict[str, str] = {key: str(message[key]) for key in ("apisecret", "token") if key in message}
                self._polling = asyncio.create_task(self._poll(session, secrets), name="poll Janus")

    async def receive(self) -> object:
        if self._inbox.empty() and self._failed is not None:
            raise WireDown(self._failed)
        message = await self._inbox.get()
        if message is self:
            raise WireDown(self._failed or "the polls have ended")
        return message

    async def _poll(self, session: int, secrets: dict[str, str]) -> None:
        try:
            while True:
                params = {"maxev": str(_POLLED_AT_ONCE), **secrets}
                answer = await self._client.get(f"{self._url}/{session}", params=params, timeout=_POLL_WITHIN)
                told = _read(answer.content)
                for message in told if isinstance(told, list) else [told]:
                    self._put(message)
                if answer.status_code != 200 or (isinstance(told, dict) and told.get("janus") == "error"):
                    return self._fail("Janus answers no polls any more")
        except (httpx.HTTPError, OSError) as error:
            self._fail(f"Janus could not be polled ({type(error).__name__})")

    def _put(self, message: object) -> None:
        try:
            self._inbox.put_nowait(message)
        except asyncio.QueueFull:
            self._failed = "Janus says more than can be read"

    def _fail(self, why: str) -> None:
        self._failed = why
        with suppress(asyncio.QueueFull):
            self._inbox.put_nowait(self)

    async def _close(self) -> None:
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
