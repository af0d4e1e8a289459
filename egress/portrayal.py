"""Pictures of peers whose camera is off: fetched in the background, shown when they are there."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping

from egress.media.scene import Portrait
from egress.model.errors import EgressError
from egress.model.room import Peer

log = logging.getLogger(__name__)

Fetch = Callable[[str], Awaitable[Portrait]]

MOST = 256
"""Peers whose pictures are kept or being fetched; of others, initials are shown."""
AT_ONCE = 4


class Portrayal:
    """Knows the pictures of the peers in the room; all methods are called on the loop."""

    def __init__(
        self,
        fetch: Fetch,
        on_portraits: Callable[[Mapping[str, Portrait]], None],
        on_warning: Callable[[str], None] = log.warning,
    ) -> None:
        """`on_portraits` is told all there are, by peer, whenever that changes; `on_warning` once of each failure."""
        self._fetch = fetch
        self._on_portraits = on_portraits
        self._on_warning = on_warning
        self._addresses: dict[str, str] = {}
        self._portraits: dict[str, Portrait] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed: OrderedDict[str, None] = OrderedDict()
        self._turn = asyncio.Semaphore(AT_ONCE)

    def follow(self, peers: Iterable[Peer]) -> None:
        """Have the pictures of exactly these peers; those of others are forgotten."""
        those = {peer.id: peer for peer in peers}
        wanted = {id: peer.avatar for id, peer in those.items() if peer.avatar and peer.avatar not in self._failed}
        shown = len(self._portraits)
        for peer in [peer for peer, address in self._addresses.items() if wanted.get(peer) != address]:
            del self._addresses[peer]
            self._portraits.pop(peer, None)
            if task := self._tasks.pop(peer, None):
                task.cancel()
        for peer, address in wanted.items():
            if peer not in self._addresses and len(self._addresses) < MOST:
                self._addresses[peer] = address
                self._tasks[peer] = asyncio.create_task(self._get(those[peer]), name=f"portrait of {peer}")
        if len(self._portraits) != shown:
            self._on_portraits(self._portraits)

    async def close(self) -> None:
        """Fetch no more."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _get(self, whose: Peer) -> None:
        peer, address = whose.id, whose.avatar
        try:
            async with self._turn:
                self._portraits[peer] = await self._fetch(address)
        except Exception as error:
            # Whatever a picture does to us, initials stand in for it, and the address is left alone from now on.
            first = address not in self._failed
            self._failed[address] = None
            while len(self._failed) > MOST:
                self._failed.popitem(last=False)
            if first:
                why = error.message if isinstance(error, EgressError) else f"{type(error).__name__}: {error}"
                self._on_warning(f"the picture of {whose.name} cannot be shown: {why}")
            return
        finally:
            if self._tasks.get(peer) is asyncio.current_task():
                del self._tasks[peer]
        self._on_portraits(self._portraits)
