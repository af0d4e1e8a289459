"""One publisher's presence in a local room: who it is, its connection, its tracks and their silences."""

from __future__ import annotations

import hashlib
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping

from egress.model.clock import monotonic
from egress.model.media import MILLISECOND, SECOND, Nanos
from egress.model.room import Peer, Track, TrackSource
from egress.rooms.peer import PeerConnection
from egress.rooms.receiver import ReceivedTrack
from egress.rooms.whip import Visitor

VIDEO_PAUSE = 250 * MILLISECOND
"""A camera that sends nothing for so long, while its peer's sound goes on, has been muted."""
AUDIO_PAUSE = SECOND
"""The same for sound while the picture goes on; with discontinuous transmission a packet comes every 400 ms."""
SCREEN_PAUSE = 5 * SECOND
"""A shared screen that does not change sends next to nothing."""
OUTAGE = SECOND
"""When all of a peer's media stops at once it may be the network: its last picture stays this long."""
_ALIVE = 120 * MILLISECOND
_LONGEST_ID, _LONGEST_NAME, _LONGEST_ROLE = 64, 64, 32
_GAUGES = frozenset({"waiting", "rtt_us"})
"""What the counters of tracks and connections hold beside counts; no sum is made of it."""

_numbers = itertools.count(1)


class Names:
    """Makes safe, bounded peers of what publishers say they are."""

    def __init__(self) -> None:
        self._anonymous = itertools.count(1)

    def identify(self, visitor: Visitor, taken: Collection[str]) -> tuple[Peer, str]:
        """The peer, and which of its sources it publishes: `camera` or `screen`.

        Who gives an id is known by it again. Who gives only a name is known by that again, small and capital letters
        alike: two people of one name need ids. Who gives neither gets an id that nobody has.
        """
        name = _line(visitor.name or "", _LONGEST_NAME)
        role = _token((visitor.role or "").lower(), _LONGEST_ROLE) or "guest"
        source = "screen" if (visitor.source or "").strip().lower() == "screen" else "camera"
        said = _token(visitor.peer or "", _LONGEST_ID)
        if said:
            return Peer(said, name or said, role), source
        if name:
            return Peer(_id_of(name), name, role), source
        while True:
            number = next(self._anonymous)
            unique = f"{role}-{number}"
            if unique not in taken:
                return Peer(unique, f"{role.capitalize()} {number}", role), source


def _line(text: str, longest: int) -> str:
    """Printable text on one line: no control, no direction-changing, no unassigned characters."""
    kept = (char if unicodedata.category(char)[0] != "C" else " " for char in unicodedata.normalize("NFC", text))
    return " ".join("".join(kept).split())[:longest].strip()


def _token(text: str, longest: int) -> str:
    """Letters, digits, dot, dash and underscore, not beginning with a dot or dash."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip(".-")[:longest].rstrip(".-")


def _id_of(name: str) -> str:
    """The same id for the same name; a name that is more than its plain letters gets a digest, so that none is lost."""
    whole = "-".join(name.casefold().split())
    plain = _token(whole, _LONGEST_ID)
    if plain == whole:
        return plain
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_token(whole, _LONGEST_ID - 9) or 'peer'}-{digest}"


class LiveTrack:
    """One received track and whether it is silent."""

    def __init__(self, media: ReceivedTrack) -> None:
        self.media = media
        self.track: Track | None = None
        self.muted = False
        self.gone = False
        self.heard: Nanos = monotonic()
        self._packets = 0

    def publish(self, publication: Publication) -> None:
        """Give the track its place in the room, under an id that is never used again."""
        kind = self.media.kind
        earlier = sum(1 for other in publication.tracks if other.track is not None and other.media.kind == kind)
        screen = publication.source == "screen" or (kind == "video" and earlier > 0)
        if kind == "video":
            source = TrackSource.SCREEN if screen else TrackSource.CAMERA
        else:
            source = TrackSource.SCREEN_AUDIO if screen else TrackSource.MIC
        peer = publication.peer.id
        self.heard = monotonic()
        self.track = Track(f"{peer}-{kind}-{next(_numbers)}", peer, kind, source, self.media.codec)

    def listen(self, now: Nanos) -> None:
        """Note whether packets have come since the last look."""
        packets = self.media.stats()["packets"]
        if packets != self._packets:
            self._packets, self.heard = packets, now

    def silent(self, now: Nanos, publication: Publication) -> bool:
        """Whether nothing is being sent, as opposed to the network failing for a moment."""
        quiet = now - self.heard
        if not self._packets:
            return quiet > OUTAGE
        if self.track is not None and self.track.source is TrackSource.SCREEN:
            return quiet > SCREEN_PAUSE
        others_go_on = any(now - other.heard < _ALIVE for other in publication.tracks if other is not self)
        if others_go_on:
            return quiet > (VIDEO_PAUSE if self.media.kind == "video" else AUDIO_PAUSE)
        return quiet > OUTAGE


class Publication:
    """One WHIP session of one peer. `on_state` is called when the connection or the set of tracks changes."""

    def __init__(self, id: str, peer: Peer, source: str, *, reorder: Nanos) -> None:
        self.id = id
        self.peer = peer
        self.source = source
        self.born = monotonic()
        self.joined = False
        self.state = "new"
        self.tracks: list[LiveTrack] = []
        self.on_state: Callable[[], None] = lambda: None
        self._connection = PeerConnection(on_track=self._on_track, on_state=self._on_state, hold=reorder)

    async def answer(self, offer: str) -> str:
        """The SDP answer; raises RequestError when the offer cannot be used."""
        return await self._connection.answer(offer)

    async def close(self) -> None:
        """End the connection."""
        await self._connection.close()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of the offer could not be taken."""
        return self._connection.warnings

    @property
    def heard(self) -> Nanos:
        """When the publisher was last heard: media or checks that are provably its own."""
        return self._connection.heard

    def stats(self) -> Mapping[str, int]:
        """Counts of the connection and of all its tracks, also those that have ended, as sums."""
        sums: Counter[str] = Counter()
        for counts in (self._connection.stats(), *(live.media.stats() for live in self.tracks)):
            sums.update({name: count for name, count in counts.items() if name not in _GAUGES})
        return sums

    def listen(self, now: Nanos) -> None:
        """Look once at every track."""
        for live in self.tracks:
            live.listen(now)

    def _on_track(self, media: ReceivedTrack) -> None:
        self.tracks.append(LiveTrack(media))
        self.on_state()

    def _on_state(self, state: str) -> None:
        self.state = state
        self.on_state()
