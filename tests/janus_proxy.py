"""TCP in front of a server that can be cut: what a dropped WebSocket looks like while the server itself goes on."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress


class TcpProxy:
    """Passes loopback connections on to a port of 127.0.0.1 for the length of the context; `visits` counts them."""

    def __init__(self, behind: int, host: str = "127.0.0.1") -> None:
        self.port = 0
        self._host = host
        self.visits = 0
        self._behind = behind
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        # Nobody else gets the port while it is cut.
        self._holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    async def __aenter__(self) -> TcpProxy:
        self._holder.bind((self._host, 0))
        self.port = int(self._holder.getsockname()[1])
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._holder.close()

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def mend(self) -> None:
        """Let connections through (again), on the same port."""
        self._server = await asyncio.start_server(self._meet, self._host, self.port, reuse_address=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, outer}
        self._writers |= both
        await asyncio.gather(_pipe(reader, outer), _pipe(inner, writer))
        self._writers -= both


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()
