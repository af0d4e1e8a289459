"""An HTTP server inside a running event loop: takes no signal, says where it listens, and stops in bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator
from types import TracebackType

import uvicorn
from starlette.types import ASGIApp

from egress.model.errors import Fault, RequestError

_BACKLOG = 1024


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


class WebServer:
    """Serves one ASGI app for the length of the context; `port` 0 takes a free one.

    Entering raises RequestError when the address can not be had. Leaving stops at once to accept, gives requests in
    flight `grace` seconds, then cancels them. A Starlette app may hold `state.stopping`, called with nothing when
    stopping begins, to let go of requests that only wait.
    """

    def __init__(self, app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0, grace: int = 2) -> None:
        self.host = host
        self.port = port
        self._grace = grace
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="none",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=grace,
            )
        )
        self._server.stopping = getattr(getattr(app, "state", None), "stopping", None)
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where a browser on this machine reaches it; no slash at the end."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}"

    async def __aenter__(self) -> WebServer:
        listener = _listener(self.host, self.port)
        self.port = listener.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve([listener]), name=f"web-{self.port}")
        while not self._server.started:
            if self._task.done():
                listener.close()
                raise Fault(f"the web server did not start: {self._task.exception()}")
            await asyncio.sleep(0.01)
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


def _listener(host: str, port: int) -> socket.socket:
    try:
        if not 0 <= port <= 65535:
            raise OverflowError("a port is a number from 0 to 65535")
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, OverflowError, UnicodeError) as error:
        raise RequestError(f"can not listen on {host}:{port}: {error}", (("listen", "is not an address"),)) from None
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
