"""A room held by the worker itself (`local:NAME`): publishers come in by WHIP, there is no other server."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

from egress.model.clock import monotonic
from egress.model.errors import RequestError
from egress.model.media import MILLISECOND, SECOND, Nanos, Size
from egress.model.places import local_room_name
from egress.model.room import (
    Peer,
    PeerJoined,
    PeerLeft,
    RoomClosed,
    RoomEvent,
    RoomWarning,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
)
from egress.rooms.base import Identity, MediaSource, RoomConnector, RoomSession, RoomURL
from egress.rooms.events import Events
from egress.rooms.publication import Names, Publication
from egress.rooms.whip import RoomFull, Visitor, WhipApp, WhipServer

MOST_PUBLISHERS = 64
_WATCH_EVERY = 0.05
_CONNECT_TIMEOUT = 15 * SECOND
_REORDER = 300 * MILLISECOND
_SILENCE = 15 * SECOND
"""Unheard for so long without a goodbye a publisher has gone; a network that fails for less gives it back."""
_GONE = {
    "failed": "the connection failed",
    "closed": "the connection was closed",
}
_ANSWER_TIMEOUT = 10.0
_log = logging.getLogger(__name__)


class LocalConnector(RoomConnector):
    """Opens local rooms.

    Options: `host` and `port` to listen on (default 127.0.0.1 and a free one), the publishers' `token`, at most how
    many `publishers`, and how many ns a late packet is waited for (`reorder`).
    """

    schemes: ClassVar[tuple[str, ...]] = ("local",)

    @asynccontextmanager
    async def join(self, url: RoomURL, identity: Identity) -> AsyncIterator[RoomSession]:
        """Hold the room for the length of the context; raises RequestError for a bad name, option or address."""
        name = local_room_name(url.text)
        options = identity.options
        session = LocalSession(
            name, _number(options, "publishers", MOST_PUBLISHERS), _number(options, "reorder", _REORDER)
        )
        app = WhipApp(name, session, options.get("token"))
        async with WhipServer(app, options.get("host", "127.0.0.1"), _number(options, "port", 0)) as server:
            session.open(server.endpoint)
            try:
                yield session
            finally:
                await session.close("the recorder has left")


def _number(options: Mapping[str, str], key: str, default: int) -> int:
    text = options.get(key, str(default))
    if not text.isdecimal():
        raise RequestError(f"{key} {text!r} is not a whole number", ((key, "must be a whole number"),))
    return int(text)


class LocalSession(RoomSession):
    """One open local room; owns the publishers' connections.

    Events wait in one queue. It is bounded by letting nobody in, and holding back mutes, while it is full;
    what those already inside can still cause is bounded by their number.
    """

    def __init__(self, name: str, most: int, reorder: Nanos) -> None:
        self.name = name
        self.turned_away = 0
        self._most = most
        self._reorder = reorder
        self._url = ""
        self._names = Names()
        self._publications: dict[str, Publication] = {}
        self._past: Counter[str] = Counter()
        self._leaving: set[asyncio.Task[None]] = set()
        self._peers: dict[str, Peer] = {}
        self._events = Events()
        self._watcher: asyncio.Task[None] | None = None
        self._closed = False

    def open(self, url: str) -> None:
        """Publishers can come in at `url` now."""
        self._url = url
        self._watcher = asyncio.create_task(self._watch(), name=f"watch {self.name}")

    async def close(self, reason: str) -> None:
        """Say RoomClosed and let every publisher go."""
        if self._closed:
            return
        self._closed = True
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        for publication in list(self._publications.values()):
            self._forget(publication)
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=3)
        self._tell(RoomClosed(reason))

    def events(self) -> AsyncIterator[RoomEvent]:
        """What happens in the room, ending with RoomClosed; for one listener."""
        return self._events.follow()

    def source(self, track_id: str) -> MediaSource:
        """The media of a published track; raises KeyError when it is not published."""
        for publication in self._publications.values():
            for live in publication.tracks:
                if live.track is not None and live.track.id == track_id:
                    return live.media
        raise KeyError(track_id)

    async def want(self, track_id: str, size: Size | None) -> None:
        """WHIP publishers send one layer: nothing to choose."""

    def info(self) -> Mapping[str, str]:
        """`whip`: where publishers POST their offers."""
        return {"whip": self._url}

    def stats(self) -> Mapping[str, int]:
        """Sums over all publications there were: packets, bytes, lost, recovered, nacks, plis and so on."""
        sums = Counter(self._past)
        for publication in self._publications.values():
            sums.update(publication.stats())
        return {**sums, "turned_away": self.turned_away}

    async def admit(self, visitor: Visitor, offer: str) -> tuple[str, str]:
        """Answer an offer; the peer joins once its media can flow. Raises RequestError or RoomFull."""
        if self._closed:
            raise RoomFull(f"room {self.name!r} is closing")
        if len(self._publications) >= self._most or self._events.full:
            self.turned_away += 1
            raise RoomFull(f"room {self.name!r} is full: {len(self._publications)} publish already")
        peer, source = self._names.identify(visitor, self._taken())
        publication = Publication(secrets.token_urlsafe(18), peer, source, reorder=self._reorder)
        publication.on_state = lambda: self._settle(publication)
        self._publications[publication.id] = publication
        try:
            answer = await asyncio.wait_for(publication.answer(offer), _ANSWER_TIMEOUT)
        except BaseException:
            self._forget(publication)
            raise
        for warning in publication.warnings:
            self._tell(RoomWarning(f"{peer.name}: {warning}", peer.id))
        return publication.id, answer

    async def dismiss(self, publication: str) -> bool:
        """End a publication at its publisher's wish."""
        found = self._publications.get(publication)
        if found is None:
            return False
        self._forget(found, "left")
        return True

    def _taken(self) -> set[str]:
        return set(self._peers) | {publication.peer.id for publication in self._publications.values()}

    def _settle(self, publication: Publication) -> None:
        """A connection changed its state, or a track came to it."""
        if publication.id not in self._publications:
            return
        if (why := _GONE.get(publication.state)) is not None:
            self._give_up(publication, why)
        elif publication.state == "connected":
            if not publication.joined:
                self._join(publication)
            for live in publication.tracks:
                if live.track is None:
                    live.publish(publication)
                    assert live.track is not None
                    self._tell(TrackPublished(live.track))

    def _join(self, publication: Publication) -> None:
        publication.joined = True
        peer = publication.peer
        # The newcomer is told of first: were the peer to leave in between, it would lose its place in the layout.
        if self._peers.get(peer.id) != peer:
            self._peers[peer.id] = peer
            self._tell(PeerJoined(peer))
        for other in list(self._publications.values()):
            if (
                other is not publication
                and other.joined
                and (other.peer.id, other.source) == (peer.id, publication.source)
            ):
                self._forget(other, "replaced by a new connection")

    def _forget(self, publication: Publication, reason: str = "") -> None:
        """Take a publication out of the room; its peer leaves with the last one."""
        if self._publications.pop(publication.id, None) is None:
            return
        self._past.update(publication.stats())
        task = asyncio.create_task(publication.close(), name=f"close {publication.peer.id}")
        self._leaving.add(task)
        task.add_done_callback(self._gone)
        if not publication.joined:
            return
        peer = publication.peer.id
        if any(other.joined and other.peer.id == peer for other in self._publications.values()):
            for live in publication.tracks:
                if live.track is not None:
                    self._tell(TrackUnpublished(live.track.id, reason))
        else:
            self._peers.pop(peer, None)
            self._tell(PeerLeft(peer, reason))

    def _give_up(self, publication: Publication, why: str) -> None:
        """Take out a publication whose connection is no good; one that never had any is worth a warning."""
        if not publication.joined and not self._events.full:
            self._tell(RoomWarning(f"{publication.peer.name} could not publish: {why}"))
        self._forget(publication, why)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._leaving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("%s: %s: %s", task.get_name(), type(error).__name__, error)

    async def _watch(self) -> None:
        """Notice mutes, ended tracks, and publishers that never got connected or have vanished."""
        while True:
            await asyncio.sleep(_WATCH_EVERY)
            self.look(monotonic())

    def look(self, now: Nanos) -> None:
        """Look once at everyone, at `now`."""
        for publication in list(self._publications.values()):
            if not publication.joined:
                if now - publication.born > _CONNECT_TIMEOUT:
                    self._give_up(publication, f"no connection within {_CONNECT_TIMEOUT // SECOND} s")
            elif now - publication.heard > _SILENCE:
                self._give_up(publication, f"nothing has been heard for {_SILENCE // SECOND} s")
            else:
                publication.listen(now)
                self._watch_tracks(publication, now)

    def _watch_tracks(self, publication: Publication, now: int) -> None:
        for live in publication.tracks:
            if live.track is None or live.gone:
                continue
            if live.media.ended:
                live.gone = True
                self._tell(TrackUnpublished(live.track.id, "its sender ended it"))
                continue
            muted = live.silent(now, publication)
            if muted != live.muted and not self._events.full:
                live.muted = muted
                self._tell(TrackMuted(live.track.id, muted))

    def _tell(self, event: RoomEvent) -> None:
        self._events.put(event)
