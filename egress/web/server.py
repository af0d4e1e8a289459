"""The HTTP server of the web app."""

from __future__ import annotations

import contextlib
import gc
import socket
from collections.abc import Iterator

from starlette.types import ASGIApp

from egress.serving import HttpServer, listener_on


class WebServer(HttpServer):
    """Serves one ASGI app with a lifespan for the length of the context; errors and ending as HttpServer has them.

    A Starlette app may hold `state.stopping`, called with nothing when stopping begins, to let go of requests that only
    wait.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        grace: int = 2,
        listener: socket.socket | None = None,
    ) -> None:
        stopping = getattr(getattr(app, "state", None), "stopping", None)
        super().__init__(app, host=host, port=port, grace=grace, lifespan=True, stopping=stopping, listener=listener)


def settle() -> None:
    """Have the collector of garbage leave alone what there is once all is loaded and begun: it stays to the end, and to
    look through it again and again takes a fifth of the CPU of a busy server."""
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def address_had(host: str, port: int) -> Iterator[socket.socket]:
    """The address, had for the length of the context before anything begins that needs it; raises RequestError."""
    with contextlib.closing(listener_on(host, port)) as listener:
        yield listener
