"""One publisher's presence in a local room: who it is, its connection, its tracks and their silences."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Mapping

from egress.model.clock import monotonic
from egress.model.media import Nanos
from egress.model.room import Peer
from egress.rooms import names
from egress.rooms.livetrack import LiveTrack
from egress.rooms.peer import PeerConnection
from egress.rooms.receiver import ReceivedTrack
from egress.rooms.whip import Visitor

_GAUGES = frozenset({"waiting", "rtt_us"})
"""What the counters of tracks and connections hold beside counts; no sum is made of it."""


class Names:
    """Makes safe, bounded peers of what publishers say they are."""

    def __init__(self) -> None:
        self._anonymous = itertools.count(1)

    def identify(self, visitor: Visitor, taken: Collection[str]) -> tuple[Peer, str]:
        """The peer, and which of its sources it publishes: `camera` or `screen`.

        Who gives an id is known by it again. Who gives only a name is known by that again, small and capital letters
        alike: two people of one name need ids. Who gives neither gets an id that nobody has.
        """
        name = names.line(visitor.name or "", names.LONGEST_NAME)
        role = names.token((visitor.role or "").lower(), names.LONGEST_ROLE) or "guest"
        source = "screen" if (visitor.source or "").strip().lower() == "screen" else "camera"
        avatar = names.web_address(visitor.avatar or "")
        said = names.token(visitor.peer or "", names.LONGEST_ID)
        if said:
            return Peer(said, name or said, role, avatar), source
        if name:
            return Peer(names.id_of(name), name, role, avatar), source
        while True:
            number = next(self._anonymous)
            unique = f"{role}-{number}"
            if unique not in taken:
                return Peer(unique, f"{role.capitalize()} {number}", role, avatar), source


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
