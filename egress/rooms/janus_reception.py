"""What one subscription receives: its connection, and each of its sections as a track in the room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from egress.model.clock import monotonic
from egress.model.media import SECOND, EncodedFrame, Nanos, Size
from egress.model.room import Peer, RoomEvent, TrackMuted, TrackPublished, TrackUnpublished
from egress.rooms.janus_layers import Layer, Layers
from egress.rooms.janus_messages import Feed, Line
from egress.rooms.janus_news import Offered
from egress.rooms.janus_people import People
from egress.rooms.livetrack import LiveTrack
from egress.rooms.peer import PeerConnection
from egress.rooms.picturesize import picture_size
from egress.rooms.receiver import ReceivedTrack

CONNECT_WITHIN = 8.0
UNHEARD: Nanos = 12 * SECOND
"""Two checks in a row unanswered, and no media: the way to the server is gone."""
UNREPORTED: Nanos = 6 * SECOND
"""The same where media has come: of that Janus sends a report every second, whatever its publisher does."""
_GAUGES = frozenset({"waiting", "rtt_us"})


class SizedMedia:
    """A received track whose keyframes tell the layers how large they are (a MediaSource)."""

    def __init__(self, media: ReceivedTrack, layers: Layers | None) -> None:
        self._media = media
        self._layers = layers

    async def recv(self) -> EncodedFrame:
        """The next frame in order; raises EndOfTrack when the track is over."""
        frame = await self._media.recv()
        self._look(frame)
        return frame

    async def deliver(self, take: Callable[[EncodedFrame], None]) -> None:
        """Call `take` for each frame in order; raises EndOfTrack."""

        def both(frame: EncodedFrame) -> None:
            self._look(frame)
            take(frame)

        await self._media.deliver(take if self._layers is None else both)

    def _look(self, frame: EncodedFrame) -> None:
        if self._layers is not None:
            if frame.key and (size := picture_size(frame)) is not None:
                self._layers.saw(size, frame.arrived)
            elif frame.gap and not frame.key:
                self._layers.missed()

    def request_keyframe(self) -> None:
        """Ask the sender for a keyframe."""
        self._media.request_keyframe()

    def stats(self) -> Mapping[str, int]:
        """Counters since the track began."""
        return self._media.stats()


class _Place:
    """One feed's tracks (a Presence): they fall silent together when its network fails."""

    source = "camera"

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.tracks: list[LiveTrack] = []


class _Received:
    """One section in use."""

    def __init__(self, line: Line, live: LiveTrack, layers: Layers | None) -> None:
        self.line = line
        self.live = live
        self.layers = layers
        self.media = SizedMedia(live.media, layers)
        self.place: _Place | None = None


class Reception:
    """The media of one subscription; its tracks end with it."""

    def __init__(self, people: People, *, reorder: Nanos, tile: Callable[[], Size]) -> None:
        """`tile` says how large a new track will about be shown."""
        self.state = "new"
        self._people = people
        self._tile = tile
        self._connection = PeerConnection(
            on_track=self._on_track, on_state=self._on_state, hold=reorder, connect_timeout=CONNECT_WITHIN
        )
        self._lines: dict[str, Line] = {}
        self._received: list[_Received] = []
        self._places: dict[Feed, _Place] = {}
        self._past: Counter[str] = Counter()

    async def answer(self, offer: Offered) -> str:
        """The answer to an offer; raises RequestError when it cannot be used."""
        self._lines = {line.mid: line for line in offer.lines}
        return await self._connection.answer(offer.sdp)

    async def add_candidate(self, candidate: str) -> None:
        """A candidate that came after the offer."""
        await self._connection.add_candidate(candidate.removeprefix("candidate:"))

    async def close(self) -> None:
        """End the connection."""
        await self._connection.close()

    @property
    def heard(self) -> Nanos:
        """When the server's media or checks were last heard."""
        return self._connection.heard

    @property
    def broken(self) -> str | None:
        """Why no media can come any more; None while it can."""
        if self.state in ("failed", "closed"):
            return "the media connection to Janus failed"
        patience = UNREPORTED if any(one.live.media.packets for one in self._received) else UNHEARD
        if self.state == "disconnected" and monotonic() - self.heard > patience:
            return f"nothing has come from Janus for {patience // SECOND} s"
        return None

    def source(self, track_id: str) -> SizedMedia:
        """The media of a published track; raises KeyError when it is not published."""
        return self._of(track_id).media

    def want(self, track_id: str, size: Size | None) -> None:
        """How large a track is shown; nothing happens where there is nothing to choose."""
        try:
            found = self._of(track_id)
        except KeyError:
            return
        if found.layers is not None:
            found.layers.want(size)
            found.live.sparse = size is None

    def due(self, now: Nanos) -> list[tuple[str, Layer]]:
        """Which sections should get another layer now."""
        return [
            (received.line.mid, layer)
            for received in self._received
            if received.layers is not None and (layer := received.layers.choose(now)) is not None
        ]

    def switched(self, mid: str, substream: int, now: Nanos) -> None:
        """The server has switched a section to this layer."""
        for received in self._received:
            if received.line.mid == mid and received.layers is not None:
                received.layers.switched(substream, now)

    def look(self, now: Nanos) -> list[RoomEvent]:
        """Publish what has come, mute what is silent, and take away what has ended."""
        events: list[RoomEvent] = []
        for received in list(self._received):
            live = received.live
            live.listen(now)
            if live.media.ended:
                self._remove(received)
                if live.track is not None:
                    events.append(TrackUnpublished(live.track.id, "no longer published"))
            elif live.track is None:
                if self.state == "connected":
                    self._publish(received, events)
            elif received.place is not None:
                self._listen(received, received.place, now, events)
        return events

    def end(self) -> list[RoomEvent]:
        """Take every track away."""
        ids = [received.live.track.id for received in self._received if received.live.track is not None]
        for received in list(self._received):
            self._remove(received)
        return [TrackUnpublished(track, "the connection was lost") for track in ids]

    def stats(self) -> Mapping[str, int]:
        """Sums over the connection and all tracks there were, `layer_switches` among them."""
        sums = Counter(self._past)
        sums["layer_switches"] += sum(one.layers.switches for one in self._received if one.layers is not None)
        for counts in (self._connection.stats(), *(received.live.media.stats() for received in self._received)):
            sums.update({name: count for name, count in counts.items() if name not in _GAUGES})
        return sums

    def _of(self, track_id: str) -> _Received:
        for received in self._received:
            if received.live.track is not None and received.live.track.id == track_id:
                return received
        raise KeyError(track_id)

    def _on_track(self, media: ReceivedTrack) -> None:
        line = self._lines.get(media.mid)
        if line is None:
            # Nobody told whose it is: it is received and counted, but not shown.
            return
        layers = Layers(self._tile()) if line.simulcast and media.kind == "video" else None
        self._received.append(_Received(line, LiveTrack(media), layers))

    def _on_state(self, state: str) -> None:
        self.state = state

    def _publish(self, received: _Received, events: list[RoomEvent]) -> None:
        line, live = received.line, received.live
        peer = self._people.peer_of(line.feed)
        if peer is None:
            return
        place = self._places.setdefault(line.feed, _Place(peer))
        place.peer = peer
        live.publish(place, self._people.source_of(line.feed, line.stream, live.media.kind))
        place.tracks.append(live)
        received.place = place
        assert live.track is not None
        events.append(TrackPublished(live.track))

    def _listen(self, received: _Received, place: _Place, now: Nanos, events: list[RoomEvent]) -> None:
        live = received.live
        stream = self._people.stream(received.line.feed, received.line.stream)
        live.switched_off = stream is not None and stream.muted
        muted = live.silent(now, place)
        if muted != live.muted and live.track is not None:
            live.muted = muted
            events.append(TrackMuted(live.track.id, muted))

    def _remove(self, received: _Received) -> None:
        self._received.remove(received)
        self._past.update({k: v for k, v in received.live.media.stats().items() if k not in _GAUGES})
        self._past["layer_switches"] += received.layers.switches if received.layers is not None else 0
        if received.place is not None:
            received.place.tracks.remove(received.live)
            if not received.place.tracks:
                self._places.pop(received.line.feed, None)
