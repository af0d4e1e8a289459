"""Whom the feeds of a VideoRoom belong to: lists and scouts folded into peers and events; no I/O."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from egress.model.media import SECOND, Nanos
from egress.model.room import Peer, PeerChanged, PeerJoined, PeerLeft, PeerSpeaking, RoomEvent, RoomWarning, TrackSource
from egress.rooms import names
from egress.rooms.janus_messages import Feed, Participant, Stream

GRACE: Nanos = 10 * SECOND
"""How long after a connection is restored its peers may take to come back."""
MOST_FEEDS = 60
"""More publishers than this are shown without media: an offer has its bounds."""
_UNSCOUTED: Nanos = SECOND
_SCREEN = re.compile(r"[\s\-–—_:|(\[]*(?:'s\s+)?\bscreen(?:[\s-]?share|[\s-]?sharing)?\b[\s)\]]*$", re.IGNORECASE)


@dataclass(slots=True)
class _Feed:
    """One publisher of the server, as long as the server lists it."""

    said: Participant
    since: Nanos
    streams: tuple[Stream, ...] | None = None
    peer: str | None = None


@dataclass(slots=True)
class _Known:
    """A peer, the feeds it was known by, and until when it is waited for (None: no end yet)."""

    peer: Peer
    display: str
    feeds: set[Feed] = field(default_factory=set)
    absent: bool = False
    until: Nanos | None = None
    speaking: bool | None = None


class People:
    """Who is in the room, over every connection of one visit."""

    def __init__(self) -> None:
        self._feeds: dict[Feed, _Feed] = {}
        self._known: dict[str, _Known] = {}
        self._anonymous = itertools.count(1)
        self._warned: set[tuple[Feed, str, str]] = set()
        self._crowded = False

    def listed(self, participants: tuple[Participant, ...], now: Nanos) -> None:
        """The newest list of participants. Who only listens is no peer until it has published once."""
        present = {someone.feed for someone in participants}
        for feed in [feed for feed in self._feeds if feed not in present]:
            del self._feeds[feed]
        for someone in participants:
            if (known := self._feeds.get(someone.feed)) is not None:
                known.said = someone
                if not someone.publishes:
                    known.streams = ()
            elif someone.publishes:
                self._feeds[someone.feed] = _Feed(someone, now)

    def scouted(self, feeds: tuple[Feed, ...], streams: tuple[Stream, ...]) -> None:
        """What these feeds publish now."""
        for feed in feeds:
            if (known := self._feeds.get(feed)) is not None:
                known.streams = tuple(stream for stream in streams if stream.feed == feed)

    @property
    def publishing(self) -> int:
        """How many feeds are listed as publishing, whatever they publish."""
        return sum(known.said.publishes for known in self._feeds.values())

    def wanted(self) -> Mapping[tuple[Feed, str], Stream]:
        """The streams to subscribe to."""
        feeds = list(self._feeds.values())[:MOST_FEEDS]
        return {
            (stream.feed, stream.mid): stream
            for known in feeds
            if known.said.publishes
            for stream in known.streams or ()
            if stream.supported
        }

    def stream(self, feed: Feed, mid: str) -> Stream | None:
        """One stream of a feed, as last scouted."""
        known = self._feeds.get(feed)
        return next((stream for stream in (known.streams or ()) if stream.mid == mid), None) if known else None

    def peer_of(self, feed: Feed) -> Peer | None:
        """Whose feed it is; None while nobody has joined with it."""
        known = self._feeds.get(feed)
        return self._known[known.peer].peer if known is not None and known.peer in self._known else None

    def source_of(self, feed: Feed, mid: str, kind: str) -> TrackSource:
        """What a stream shows or carries: as it is described, and a feed's second video is a screen."""
        known = self._feeds.get(feed)
        streams = [stream for stream in (known.streams or ()) if stream.kind == kind] if known is not None else []
        plain = [stream.mid for stream in streams if not stream.screen]
        screen = mid not in plain if streams else False
        if known is not None and _is_screen(known):
            screen = True
        if kind == "audio":
            return TrackSource.SCREEN_AUDIO if screen else TrackSource.MIC
        return TrackSource.SCREEN if screen or (mid in plain[1:]) else TrackSource.CAMERA

    def lost(self) -> None:
        """Nothing can be known until the room is reached again; who was there is waited for."""
        self._feeds.clear()
        for known in self._known.values():
            known.absent, known.until = True, None

    def restored(self, now: Nanos) -> None:
        """The room is reached again: who is not back in time has left."""
        for known in self._known.values():
            if known.absent:
                known.until = now + GRACE

    def settle(self, now: Nanos) -> list[RoomEvent]:
        """What has changed since the last time."""
        events: list[RoomEvent] = []
        fresh = [known for known in self._feeds.values() if known.peer is None]
        fresh = [k for k in fresh if k.streams is not None or now - k.since >= _UNSCOUTED]
        alike = Counter(_key(known.said.display) for known in fresh)
        for known in sorted(fresh, key=_is_screen):
            self._place(known, alike[_key(known.said.display)] == 1, events)
        self._leave(now, events)
        for feed, known in self._feeds.items():
            if known.peer is not None:
                self._follow(feed, known, events)
        self._speak(events)
        if len(self._feeds) > MOST_FEEDS and not self._crowded:
            self._crowded = True
            events.append(RoomWarning(f"the room has more than {MOST_FEEDS} publishers; the rest is not received"))
        return events

    def _place(self, feed: _Feed, unique: bool, events: list[RoomEvent]) -> None:
        """Find the peer a new feed belongs to, or make one."""
        found = self._again(feed, unique) or self._beside(feed)
        if found is None:
            found = self._new(feed.said.display)
            self._known[found.peer.id] = found
            events.append(PeerJoined(found.peer))
        found.absent, found.until = False, None
        found.feeds.add(feed.said.feed)
        feed.peer = found.peer.id

    def _again(self, feed: _Feed, unique: bool) -> _Known | None:
        """The peer without media that has come back: under its old feed id, else under a name only it has.

        Who loads its page anew is listed twice for a while, its former self publishing nothing any more.
        """
        active = {known.peer for known in self._feeds.values() if known.said.publishes}
        absent = [known for peer, known in self._known.items() if known.absent or peer not in active]
        same = next((known for known in absent if feed.said.feed in known.feeds), None)
        if same is not None:
            return same
        key = _key(feed.said.display)
        called = [known for known in absent if key and known.display == key]
        return called[0] if unique and len(called) == 1 else None

    def _beside(self, feed: _Feed) -> _Known | None:
        """The one peer present whose screen this feed is."""
        if not _is_screen(feed):
            return None
        keys = {_key(feed.said.display), _key(_SCREEN.sub("", feed.said.display))} - {""}
        called = [known for known in self._known.values() if known.display in keys]
        return called[0] if len(called) == 1 else None

    def _new(self, display: str) -> _Known:
        name = names.line(display) or f"Guest {next(self._anonymous)}"
        base = plain = names.id_of(name)
        for number in itertools.count(2):
            if plain not in self._known:
                break
            plain = f"{base[: names.LONGEST_ID - 6]}-{number}"
        return _Known(Peer(plain, name), _key(display))

    def _leave(self, now: Nanos, events: list[RoomEvent]) -> None:
        present = {known.peer for known in self._feeds.values()}
        for peer, known in list(self._known.items()):
            if known.absent:
                if known.until is not None and now >= known.until:
                    del self._known[peer]
                    events.append(PeerLeft(peer, "did not come back"))
            elif peer not in present:
                del self._known[peer]
                events.append(PeerLeft(peer, "left"))

    def _follow(self, feed: Feed, known: _Feed, events: list[RoomEvent]) -> None:
        assert known.peer is not None
        owner = self._known[known.peer]
        name, key = names.line(known.said.display), _key(known.said.display)
        if name and key and name != owner.peer.name and not _is_screen(known):
            owner.peer = Peer(owner.peer.id, name, owner.peer.role, owner.peer.avatar)
            owner.display = key
            events.append(PeerChanged(owner.peer))
        for stream in known.streams or ():
            what = (feed, stream.mid, stream.codec)
            if not stream.supported and what not in self._warned and len(self._warned) < 1024:
                self._warned.add(what)
                codec = names.line(stream.codec, 16).upper() or "an unknown codec"
                ours = "Opus" if stream.kind == "audio" else "VP8 or H.264"
                events.append(
                    RoomWarning(
                        f"{owner.peer.name}: {stream.kind} in {codec} is not received; set the room to {ours}",
                        owner.peer.id,
                    )
                )

    def _speak(self, events: list[RoomEvent]) -> None:
        speaking: dict[str, bool] = {}
        for known in self._feeds.values():
            if known.peer is not None and known.said.talking is not None:
                speaking[known.peer] = speaking.get(known.peer, False) or known.said.talking
        for peer, now in speaking.items():
            if self._known[peer].speaking != now:
                self._known[peer].speaking = now
                events.append(PeerSpeaking(peer, now))


def _key(display: str) -> str:
    """What two displays of one person have in common."""
    return names.line(display).casefold()


def _is_screen(feed: _Feed) -> bool:
    videos = [stream for stream in feed.streams or () if stream.kind == "video"]
    return bool(videos) and (all(stream.screen for stream in videos) or _SCREEN.search(feed.said.display) is not None)
