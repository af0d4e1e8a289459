"""Reads that many ask for at once, done once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable


class Shared:
    """Who asks while a read of the same is under way shares the following one: no answer is older than its question."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[bytes]] = {}
        self._coming: dict[Hashable, asyncio.Task[bytes]] = {}

    async def get(self, key: Hashable, read: Callable[[], Awaitable[bytes]]) -> bytes:
        """What `read` gives; raises what it raises."""
        coming = self._coming.get(key)
        if coming is None:
            coming = self._coming[key] = asyncio.create_task(self._after(key, read), name="read")
        return await asyncio.shield(coming)

    async def _after(self, key: Hashable, read: Callable[[], Awaitable[bytes]]) -> bytes:
        if (running := self._running.get(key)) is not None:
            await asyncio.wait({running})
        mine = self._running[key] = self._coming.pop(key)
        try:
            return await read()
        finally:
            if self._running.get(key) is mine:
                del self._running[key]
