"""TCP in front of a server that can be cut: what a dropped WebSocket looks like while the server itself goes on."""

from __future__ import annotations

import asyncio
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

    async def __aenter__(self) -> TcpProxy:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def mend(self) -> None:
        """Let connections through (again), on the same port."""
        self._server = await asyncio.start_server(self._meet, self._host, self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

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
