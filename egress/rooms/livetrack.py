"""One received track in its place in the room, and whether it is silent: muted, paused, or only the network failing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

from egress.model.clock import monotonic
from egress.model.media import MILLISECOND, SECOND, Nanos
from egress.model.room import Peer, Track, TrackSource
from egress.rooms.receiver import ReceivedTrack

VIDEO_PAUSE = 250 * MILLISECOND
"""A camera that sends nothing for so long, while its peer's sound goes on, has been muted."""
AUDIO_PAUSE = SECOND
"""The same for sound while the picture goes on; with discontinuous transmission a packet comes every 400 ms."""
SCREEN_PAUSE = 5 * SECOND
"""A shared screen that does not change sends next to nothing."""
OUTAGE = SECOND
"""When all of a peer's media stops at once it may be the network: its last picture stays this long."""
_ALIVE = 120 * MILLISECOND

_numbers = itertools.count(1)


class Presence(Protocol):
    """One connection or feed of a peer: its tracks fall silent together when the network fails."""

    @property
    def peer(self) -> Peer:
        """Whose it is."""

    @property
    def source(self) -> str:
        """`camera` or `screen`: what it publishes."""

    @property
    def tracks(self) -> Sequence[LiveTrack]:
        """All tracks of it there were."""


class LiveTrack:
    """One received track and whether it is silent.

    `sparse`: few packets are asked for, as nobody sees it; `switched_off`: the server says that it is muted.
    """

    def __init__(self, media: ReceivedTrack) -> None:
        self.media = media
        self.track: Track | None = None
        self.muted = False
        self.gone = False
        self.sparse = False
        self.switched_off = False
        self.heard: Nanos = monotonic()
        self._packets = 0

    def publish(self, presence: Presence, source: TrackSource | None = None) -> None:
        """Give the track its place in the room, under an id that is never used again; `source`, where it is known."""
        kind = self.media.kind
        if source is None:
            earlier = sum(1 for other in presence.tracks if other.track is not None and other.media.kind == kind)
            screen = presence.source == "screen" or (kind == "video" and earlier > 0)
            if kind == "video":
                source = TrackSource.SCREEN if screen else TrackSource.CAMERA
            else:
                source = TrackSource.SCREEN_AUDIO if screen else TrackSource.MIC
        peer = presence.peer.id
        self.heard = monotonic()
        self.track = Track(f"{peer}-{kind}-{next(_numbers)}", peer, kind, source, self.media.codec)

    def listen(self, now: Nanos) -> None:
        """Note whether packets have come since the last look."""
        packets = self.media.packets
        if packets != self._packets:
            self._packets, self.heard = packets, now

    def silent(self, now: Nanos, presence: Presence) -> bool:
        """Whether nothing is being sent, as opposed to the network failing for a moment."""
        quiet = now - self.heard
        if self.switched_off:
            return True
        if not self._packets or self.sparse:
            return quiet > OUTAGE
        if self.track is not None and self.track.source is TrackSource.SCREEN:
            return quiet > SCREEN_PAUSE
        others_go_on = any(now - other.heard < _ALIVE for other in presence.tracks if other is not self)
        if others_go_on:
            return quiet > (VIDEO_PAUSE if self.media.kind == "video" else AUDIO_PAUSE)
        return quiet > OUTAGE
