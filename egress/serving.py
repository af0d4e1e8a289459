"""HTTP inside a running event loop: a server that takes no signal and stops in bounded time, and bounded bodies."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Self

import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from egress.model.errors import Fault, RequestError

HEAD_WITHIN = 20.0
"""Seconds a client has from connecting, or from the first byte of a further request, to the end of its headers."""

_BACKLOG = 1024


async def bounded_body(request: Request, largest: int) -> bytes | None:
    """The whole body; None when it is over `largest` bytes. Raises ClientDisconnect."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > largest:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest:
            return None
    return bytes(body)


class _Protocol(HttpToolsProtocol):
    """Hangs up on clients that keep a connection and never ask: some thousands of them would leave none for others."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._patience is None:
            self._wait()

    def on_headers_complete(self) -> None:
        self._heard()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._patience = self.loop.call_later(HEAD_WITHIN, self.transport.close)

    def _heard(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class _Server(uvicorn.Server):
    stopping: Callable[[], None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # The program around decides what a signal means; stopping this server is only a part of it.
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:
            # Out of a task it would tear down the whole loop.
            raise Fault("its app refused to start") from None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.stopping is not None:
            self.stopping()
        await super().shutdown(sockets)


class HttpServer:
    """Serves one ASGI app for the length of the context; `port` 0 takes a free one.

    Entering raises RequestError when the address can not be had, Fault when the app does not start. Leaving stops at
    once to accept, calls `stopping`, gives requests in flight `grace` seconds, then cancels them. With `most`, requests
    beyond so many connections at a time are answered 503. `lifespan` says whether the app has one. A
    `listener` (`listener_on`) of that host and port is used in place of one of its own.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        grace: int = 2,
        most: int | None = None,
        lifespan: bool = False,
        stopping: Callable[[], None] | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._listener = listener
        self._grace = grace
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="none",
                http=_Protocol,
                ws="none",
                lifespan="on" if lifespan else "off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=most,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=grace,
            )
        )
        self._server.stopping = stopping
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where a client on this machine reaches it; no slash at the end."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}"

    async def __aenter__(self) -> Self:
        listener = self._listener or listener_on(self.host, self.port)
        self.port = listener.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve([listener]), name=f"http-{self.port}")
        while not self._server.started:
            if self._task.done():
                listener.close()
                raise Fault(f"the server at {self.url} did not start: {self._task.exception()}")
            await asyncio.sleep(0.005)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is None:
            return
        self._server.should_exit = True
        _, pending = await asyncio.wait({self._task}, timeout=self._grace + 3)
        if pending:
            self._server.force_exit = True
            self._task.cancel()
            await asyncio.wait({self._task})
        self._task = None


def listener_on(host: str, port: int) -> socket.socket:
    """A socket that listens there, `port` 0 takes a free one; raises RequestError when the address can not be had."""
    try:
        if not 0 <= port <= 65535:
            raise OverflowError("a port is a number from 0 to 65535")
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        wrong = f"{host}:{port} is not an address of this machine: {why}; write it like 127.0.0.1:8080"
        raise RequestError(f"can not listen: {wrong}", (("listen", wrong),)) from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise RequestError(
            f"can not listen on {host}:{port}: {reason}; choose another address or port",
            (("listen", f"{host}:{port} can not be had"),),
        ) from None
    return listener
