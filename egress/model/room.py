"""A room as the bot sees it: peers, their tracks, and the events that change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from egress.model.media import Codec


class TrackSource(StrEnum):
    """What a track shows or carries."""

    CAMERA = "camera"
    MIC = "mic"
    SCREEN = "screen"
    SCREEN_AUDIO = "screen_audio"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class Peer:
    """One participant; `id` is unique in the room and stable over reconnects under the same name.

    `avatar` is the address of a picture of it, as the room says; nobody has looked at it yet.
    """

    id: str
    name: str
    role: str = "guest"
    avatar: str = ""


@dataclass(frozen=True, slots=True)
class Track:
    """One track of one peer; `id` is unique over the whole job (a republished track gets a new id)."""

    id: str
    peer: str
    kind: Literal["audio", "video"]
    source: TrackSource
    codec: Codec | None = None
    muted: bool = False


@dataclass(frozen=True, slots=True)
class PeerJoined:
    peer: Peer


@dataclass(frozen=True, slots=True)
class PeerChanged:
    """A peer that is in the room has another name, role or avatar from now on."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class PeerSpeaking:
    """The room server says that a peer began or ceased to speak; where it never says, decoded sound tells."""

    peer: str
    speaking: bool


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """The peer is gone, and all its tracks with it."""

    peer: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TrackPublished:
    track: Track


@dataclass(frozen=True, slots=True)
class TrackUnpublished:
    track: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TrackMuted:
    track: str
    muted: bool


@dataclass(frozen=True, slots=True)
class RoomWarning:
    """Something a user should know about one peer (an unsupported codec, garbage RTP); harms no one else."""

    message: str
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The room cannot be reached; who was there is assumed to be there still, without media, until we are told."""

    reason: str


@dataclass(frozen=True, slots=True)
class ConnectionRestored:
    """The room is reached again; what changed meanwhile follows as ordinary events."""


@dataclass(frozen=True, slots=True)
class RoomClosed:
    """The room is over; nothing follows."""

    reason: str


RoomEvent = (
    PeerJoined
    | PeerChanged
    | PeerSpeaking
    | PeerLeft
    | TrackPublished
    | TrackUnpublished
    | TrackMuted
    | RoomWarning
    | ConnectionLost
    | ConnectionRestored
    | RoomClosed
)


@dataclass(frozen=True, slots=True)
class Room:
    """Who is in the room, in order of joining, and what they publish; changed only by folding events over it."""

    name: str
    peers: Mapping[str, Peer] = field(default_factory=lambda: MappingProxyType({}))
    tracks: Mapping[str, Track] = field(default_factory=lambda: MappingProxyType({}))
    speaking: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    """Whether a peer speaks, of those about whom the server has ever said so."""
    connected: bool = True
    closed: str | None = None

    def tracks_of(self, peer: str, kind: Literal["audio", "video"] | None = None) -> tuple[Track, ...]:
        """Tracks of one peer in order of publishing."""
        return tuple(t for t in self.tracks.values() if t.peer == peer and kind in (None, t.kind))

    def after(self, event: RoomEvent) -> Room:
        """The room once `event` has happened; events about unknown peers or tracks change nothing."""
        match event:
            case PeerJoined(peer):
                return self._with(peers={**self.peers, peer.id: peer})
            case PeerChanged(peer):
                return self._with(peers={**self.peers, peer.id: peer}) if peer.id in self.peers else self
            case PeerSpeaking(peer_id, speaking):
                return self._with(speaking={**self.speaking, peer_id: speaking}) if peer_id in self.peers else self
            case PeerLeft(peer_id):
                return self._with(
                    peers={k: p for k, p in self.peers.items() if k != peer_id},
                    tracks={k: t for k, t in self.tracks.items() if t.peer != peer_id},
                    speaking={k: s for k, s in self.speaking.items() if k != peer_id},
                )
            case TrackPublished(track):
                if track.peer not in self.peers:
                    return self
                return self._with(tracks={**self.tracks, track.id: track})
            case TrackUnpublished(track_id):
                return self._with(tracks={k: t for k, t in self.tracks.items() if k != track_id})
            case TrackMuted(track_id, muted):
                if track_id not in self.tracks:
                    return self
                return self._with(tracks={**self.tracks, track_id: replace(self.tracks[track_id], muted=muted)})
            case ConnectionLost():
                return replace(self, connected=False)
            case ConnectionRestored():
                return replace(self, connected=True)
            case RoomClosed(reason):
                return replace(self, closed=reason)
            case RoomWarning():
                return self

    def _with(
        self,
        *,
        peers: Mapping[str, Peer] | None = None,
        tracks: Mapping[str, Track] | None = None,
        speaking: Mapping[str, bool] | None = None,
    ) -> Room:
        return replace(
            self,
            peers=self.peers if peers is None else MappingProxyType(dict(peers)),
            tracks=self.tracks if tracks is None else MappingProxyType(dict(tracks)),
            speaking=self.speaking if speaking is None else MappingProxyType(dict(speaking)),
        )
