"""What happens in a room on its way to the one who follows it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from egress.model.room import RoomClosed, RoomEvent

MOST_WAITING = 1024


class Events:
    """Events of one visit, in order, for one listener; whoever puts them in heeds `full` as it sees fit."""

    def __init__(self) -> None:
        self._events: deque[RoomEvent] = deque()
        self._waiting = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether so many wait that nobody seems to listen."""
        return len(self._events) >= MOST_WAITING

    def put(self, event: RoomEvent) -> None:
        """The next event; callable on the loop's thread."""
        self._events.append(event)
        self._waiting.set()

    async def follow(self) -> AsyncIterator[RoomEvent]:
        """All events, ending with RoomClosed."""
        while True:
            await self._waiting.wait()
            while self._events:
                event = self._events.popleft()
                yield event
                if isinstance(event, RoomClosed):
                    return
            self._waiting.clear()
