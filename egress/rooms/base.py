"""The seam every room server implements: join a room unseen, say what happens in it, hand out encoded media."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

from egress.model.errors import RequestError
from egress.model.media import MediaSource as MediaSource
from egress.model.media import Size
from egress.model.room import RoomEvent


@dataclass(frozen=True, slots=True)
class RoomURL:
    """A room's address: `local:standup`, `janus+ws://host/1234`; the scheme chooses the connector."""

    scheme: str
    text: str
    parts: SplitResult

    @classmethod
    def parse(cls, text: str) -> RoomURL:
        """Split an address; raises RequestError when it has no scheme or cannot be split."""
        try:
            parts = urlsplit(text)
        except ValueError as error:
            raise RequestError(f"room {text!r} is no address: {error}", (("room", "is no address"),)) from None
        if not parts.scheme:
            raise RequestError(f"room {text!r} has no scheme; write it like local:NAME", (("room", "has no scheme"),))
        return cls(parts.scheme, text, parts)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is, where a server insists on knowing, and what the connector was configured with."""

    name: str = "egress"
    options: Mapping[str, str] = field(default_factory=dict)


class RoomSession(ABC):
    """One visit to one room."""

    @abstractmethod
    def events(self) -> AsyncIterator[RoomEvent]:
        """What happens in the room: first who is already there, at the end RoomClosed."""

    @abstractmethod
    def source(self, track_id: str) -> MediaSource:
        """The media of a published track; raises KeyError when it is not published."""

    async def want(self, track_id: str, size: Size | None) -> None:  # noqa: B027
        """A hint which size is shown (None: not shown), for servers that send layers."""

    def info(self) -> Mapping[str, str]:
        """What an operator may want to know, e.g. where publishers come in (`whip`)."""
        return {}

    def stats(self) -> Mapping[str, int]:
        """Counts of what came over the network since the visit began, as sums over all peers and tracks there were."""
        return {}


class RoomConnector(ABC):
    """Joins rooms of one kind of server."""

    schemes: ClassVar[tuple[str, ...]]

    @abstractmethod
    def join(self, url: RoomURL, identity: Identity) -> AbstractAsyncContextManager[RoomSession]:
        """Be in the room for the length of the context; raises RoomRefused or RoomUnreachable on entering."""
