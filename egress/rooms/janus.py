"""Rooms of a Janus server (`janus+wss://HOST/ROOM`): a subscriber nobody sees, who comes back by itself."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import ClassVar

from egress.model import janus_address
from egress.model.clock import monotonic
from egress.model.errors import EgressError, RequestError, RoomError, RoomUnreachable
from egress.model.janus_address import API_SECRET, PIN, TOKEN, JanusAddress
from egress.model.media import MILLISECOND, SECOND, MediaSource, Nanos, Size
from egress.model.room import ConnectionLost, ConnectionRestored, RoomClosed, RoomEvent, RoomWarning, TrackUnpublished
from egress.rooms import janus_news as news
from egress.rooms.base import Identity, RoomConnector, RoomSession, RoomURL
from egress.rooms.events import Events
from egress.rooms.janus_layers import Layers, begin_at, guess
from egress.rooms.janus_people import People
from egress.rooms.janus_protocol import VideoRoom
from egress.rooms.janus_reception import Reception
from egress.rooms.janus_refusals import explain
from egress.rooms.janus_wire import Wire, WireDown, opened

_log = logging.getLogger(__name__)

ENTER_WITHIN = 15.0
BACKOFF = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0)
"""Seconds before each attempt to come back; the last is kept for ever."""
_STEP = 0.05
_MISSED: Nanos = SECOND
"""Without its server, and without media, for so long the room is lost."""
_UNLED: Nanos = 8 * SECOND
"""With media still coming, the server may be away for so long; Janus keeps a session for about as long."""
_REORDER = 300 * MILLISECOND
_GOODBYE = 0.5


class JanusConnector(RoomConnector):
    """Joins rooms of Janus's VideoRoom plugin.

    Options: `janus_pin`, `janus_token`, `janus_api_secret`, and how many ns a late packet is waited for (`reorder`).
    """

    schemes: ClassVar[tuple[str, ...]] = janus_address.SCHEMES

    @asynccontextmanager
    async def join(self, url: RoomURL, identity: Identity) -> AsyncIterator[RoomSession]:
        """Be in the room for the length of the context; raises RequestError, RoomRefused or RoomUnreachable."""
        session = JanusSession(janus_address.read(url.text), identity.options)
        try:
            await session.enter()
            yield session
        finally:
            await session.close("the recorder has left")


class JanusSession(RoomSession):
    """One visit: signalling in one task, silences and losses seen in another; every event passes one bounded queue.

    When the queue is full nobody listens; then the visit ends.
    """

    def __init__(self, address: JanusAddress, options: Mapping[str, str]) -> None:
        self._address = address
        self._options = options
        self._reorder = int(options.get("reorder", str(_REORDER)))
        self._people = People()
        self._room: VideoRoom | None = None
        self._reception: Reception | None = None
        self._past: Counter[str] = Counter()
        self._reconnects = 0
        self._events = Events()
        self._entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self._lost = False
        self._reached = False
        self._away_since: Nanos | None = None
        self._attempt = 0
        self._wanted: Mapping[tuple[int | str, str], tuple[int, int]] = {}
        self._shown: Size | None = None
        self._tile = guess(1)

    async def enter(self) -> None:
        """Join; returns once the room lets us in. Raises RoomRefused or RoomUnreachable."""
        self._tasks = [
            asyncio.create_task(self._run(), name="Janus"),
            asyncio.create_task(self._watch(), name="watch Janus"),
        ]
        try:
            async with asyncio.timeout(ENTER_WITHIN):
                await self._entered
        except TimeoutError:
            message = f"{self._address.server} did not let us in within {ENTER_WITHIN:g} s; is it overloaded?"
            raise RoomUnreachable(message) from None

    async def close(self, reason: str) -> None:
        """Leave without a trace and say RoomClosed."""
        self._closing.set()
        if self._tasks:
            await asyncio.wait(self._tasks[:1], timeout=_GOODBYE + 1)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._drop_reception()
        if self._entered.done() and not self._entered.cancelled():
            self._entered.exception()
        self._close(reason)

    def events(self) -> AsyncIterator[RoomEvent]:
        """What happens in the room, ending with RoomClosed; for one listener."""
        return self._events.follow()

    def source(self, track_id: str) -> MediaSource:
        """The media of a published track; raises KeyError when it is not published."""
        if self._reception is None:
            raise KeyError(track_id)
        return self._reception.source(track_id)

    async def want(self, track_id: str, size: Size | None) -> None:
        """Have the layer sent that fits; asked for within 50 ms, a smaller one after 2 s."""
        if size is not None:
            self._shown = size
        if self._reception is not None:
            self._reception.want(track_id, size)

    def info(self) -> Mapping[str, str]:
        """`server` and `room`: where the bot is."""
        return {"server": self._address.server, "room": str(self._address.room)}

    def stats(self) -> Mapping[str, int]:
        """Sums over all connections there were: packets, bytes, lost, layer_switches, reconnects and so on."""
        sums = Counter(self._past)
        if self._reception is not None:
            sums.update(self._reception.stats())
        return {"layer_switches": 0, **sums, "reconnects": self._reconnects}

    async def _run(self) -> None:
        """Talk to the server; come back whenever the connection is lost, until the room or the visit is over."""
        while not self._closing.is_set():
            reason = "the connection to Janus was closed"
            try:
                async with opened(self._address) as wire:
                    await self._converse(wire)
            except EgressError as error:
                reason = error.message
                if not self._entered.done():
                    told = isinstance(error, RoomError | RequestError)
                    self._entered.set_exception(error if told else RoomUnreachable(f"{self._address.server}: {reason}"))
                    return
            except Exception as error:
                _log.exception("the conversation with Janus broke off")
                reason = f"{type(error).__name__}: {error}"
                if not self._entered.done():
                    self._entered.set_exception(RoomUnreachable(f"{self._address.server} cannot be joined: {reason}"))
                    return
            if self._closing.is_set() or self._closed:
                return
            self._reached = False
            self._away_since = self._away_since or monotonic()
            if self._room is None or self._room.over or self._lost:
                self._lose(reason)
                await self._drop_reception()
                self._room = None
            wait = BACKOFF[min(self._attempt, len(BACKOFF) - 1)]
            self._attempt += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), wait)

    async def _converse(self, wire: Wire) -> None:
        options, now = self._options, monotonic()
        if self._room is None:
            room = self._room = VideoRoom(
                self._address.room, pin=options.get(PIN), token=options.get(TOKEN), api_secret=options.get(API_SECRET)
            )
            begun = room.begin(now)
        else:
            room = self._room
            begun = room.reclaim(now)
        try:
            await self._perform(begun, room, wire)
            while not room.over and not self._closing.is_set():
                try:
                    message = await asyncio.wait_for(wire.receive(), _STEP)
                except TimeoutError:
                    pass
                else:
                    await self._perform(room.receive(message, monotonic()), room, wire)
                await self._step(room, wire)
        finally:
            with suppress(WireDown, TimeoutError):
                await self._leave(room, wire)

    async def _leave(self, room: VideoRoom, wire: Wire) -> None:
        """Give the session back, so that nothing of us is left at the server; a wire that broke is to be claimed."""
        if not (self._closing.is_set() or room.over):
            return
        async with asyncio.timeout(_GOODBYE):
            for item in room.leave(monotonic()):
                if isinstance(item, news.Send):
                    await wire.send(item.message)
                    while not _answers(await wire.receive(), item.message):
                        pass

    async def _step(self, room: VideoRoom, wire: Wire) -> None:
        """What the time and the layout demand."""
        now = monotonic()
        await self._perform(room.tick(now), room, wire)
        reception = self._reception
        if reception is not None:
            if (why := reception.broken) is not None:
                room.over = True
                raise WireDown(why)
            for mid, (substream, temporal) in reception.due(now):
                await self._perform(room.layer(mid, substream, temporal, now), room, wire)

    async def _perform(self, outputs: list[news.Output], room: VideoRoom, wire: Wire) -> None:
        for output in outputs:
            match output:
                case news.Send(message):
                    await wire.send(message)
                case news.Entered():
                    if not self._entered.done():
                        self._entered.set_result(None)
                case news.Listed(participants):
                    self._people.listed(participants, monotonic())
                    self._reached, self._away_since = True, None
                    await self._subscribe(room, wire)
                case news.Scouted(feeds, streams):
                    self._people.scouted(feeds, streams)
                    await self._subscribe(room, wire)
                case news.Offered():
                    await self._answer(output, room, wire)
                case news.Candidate(text):
                    if self._reception is not None:
                        await self._reception.add_candidate(text)
                case news.Switched(mid, substream):
                    if self._reception is not None:
                        self._reception.switched(mid, substream, monotonic())
                case news.Refused():
                    raise explain(output, self._address)
                case news.Lost(reason):
                    raise WireDown(reason)
                case news.Destroyed(reason):
                    self._close(reason)

    async def _subscribe(self, room: VideoRoom, wire: Wire) -> None:
        """Have exactly the streams that are wanted, each beginning at about the layer it will be shown in."""
        streams = self._people.wanted()
        videos = sum(stream.kind == "video" for stream in streams.values())
        self._tile = begin_at(self._shown, max(1, videos, self._people.publishing))
        first = Layers(self._tile).target
        self._wanted = dict.fromkeys(streams, first)
        self._settle()
        await self._perform(room.want(self._wanted, monotonic()), room, wire)

    async def _answer(self, offer: news.Offered, room: VideoRoom, wire: Wire) -> None:
        if self._reception is None:
            self._reception = Reception(self._people, reorder=self._reorder, tile=lambda: self._tile)
        try:
            answer = await self._reception.answer(offer)
        except RequestError as error:
            room.over = True
            raise WireDown(f"an offer of Janus could not be answered: {error.message}") from None
        await self._perform(room.answered(answer, monotonic()), room, wire)

    async def _watch(self) -> None:
        """See silences, connections and losses, whatever the conversation is waiting for."""
        while not self._closed:
            await asyncio.sleep(_STEP)
            now, away = monotonic(), self._away_since
            heard = self._reception.heard if self._reception is not None else 0
            if away is not None and not self._lost and self._entered.done():
                gone = now - away
                if (gone > _MISSED and now - heard > _MISSED) or gone > _UNLED:
                    self._lose("Janus does not answer")
            self._settle()

    def _settle(self) -> None:
        """Tell what has changed, as soon as it may be told: nothing while the room is lost."""
        if self._closed or not self._entered.done():
            return
        now, reception = monotonic(), self._reception
        if self._lost:
            connected = reception is not None and reception.state == "connected"
            if not self._reached or (self._wanted and not connected):
                return
            self._lost = False
            self._attempt = 0
            self._reconnects += 1
            self._tell(ConnectionRestored())
            self._people.restored(now)
        if self._reached:
            self._attempt = 0
            self._tell(*self._people.settle(now))
        if reception is not None:
            self._tell(*reception.look(now))

    def _lose(self, reason: str) -> None:
        """The room is out of reach: who is there stays, without media."""
        if self._lost or self._closed:
            return
        self._lost = True
        self._wanted = {}
        self._tell(ConnectionLost(reason))
        if self._reception is not None:
            self._tell(*self._reception.end())
        self._people.lost()

    async def _drop_reception(self) -> None:
        reception, self._reception = self._reception, None
        if reception is not None:
            self._past.update(reception.stats())
            await reception.close()

    def _close(self, reason: str) -> None:
        if not self._closed:
            self._closed = True
            self._events.put(RoomClosed(reason))

    def _tell(self, *events: RoomEvent) -> None:
        for event in events:
            if self._events.full:
                if isinstance(event, TrackUnpublished | RoomWarning):
                    continue
                self._close("nobody takes the room's events")
                return
            self._events.put(event)


def _answers(message: object, request: news.Message) -> bool:
    return isinstance(message, dict) and message.get("transaction") == request["transaction"]
