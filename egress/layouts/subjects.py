"""What could get a tile: each peer, each further camera, each shared screen; in which order, and who comes first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from egress.layouts.base import Box, Tile, View
from egress.model.look import Fit, LayoutDoc
from egress.model.room import Peer, Room, Track, TrackSource

_SCREENS = (TrackSource.SCREEN, TrackSource.PAGE)
_CAMERAS = (TrackSource.CAMERA, TrackSource.MIC)


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to be shown in a tile of its own.

    `key` tells it from other subjects, also over time: a peer keeps its key however often it publishes its camera
    anew. Subjects of a lower `tier` come first in any order.
    """

    peer: Peer
    video: Track | None
    audio: Track | None
    muted: bool
    screen: bool
    key: tuple[str, str]
    tier: tuple[int, int]

    def tile(self, box: Box, doc: LayoutDoc, *, fit: Fit | None = None, floats: bool = False) -> Tile:
        """This subject in a box; a screen is contained and anything else fits as the document says, or `fit`."""
        name = self.peer.name or self.peer.id
        return Tile(
            peer=self.peer.id,
            track=self.video.id if self.video else None,
            audio=self.audio.id if self.audio else None,
            box=box,
            fit=fit or ("contain" if self.screen else doc.fit),
            label=f"{name} (screen)" if self.screen else name,
            role=self.peer.role,
            muted=self.muted,
            floats=floats,
            screen=self.screen,
        )


def subjects(view: View) -> tuple[Subject, ...]:
    """All subjects: those pinned first, then by their roles' prominence, then in order of joining.

    Each peer has one, whether or not it has a camera; every further camera and every screen is another. Only a peer
    who shares a screen and never had a camera is seen in its screen alone.
    """
    found = [subject for peer in view.room.peers.values() for subject in _of(view, peer)]
    return tuple(sorted(found, key=lambda s: s.tier))


def screens(view: View) -> tuple[Subject, ...]:
    """The screens that are shared: those of pinned peers first, then the newest first."""
    published = {track: n for n, track in enumerate(view.room.tracks)}
    found = [s for s in subjects(view) if s.screen]
    return tuple(sorted(found, key=lambda s: (_pin(view, s.peer.id), -published[s.video.id if s.video else ""])))


def sharing(room: Room) -> bool:
    """Whether anybody shows a screen now."""
    return any(t.kind == "video" and t.source in _SCREENS and not t.muted for t in room.tracks.values())


def featured(view: View, among: Iterable[Subject], favoured: str | None = None) -> Subject | None:
    """Who belongs on a stage: pinned, else speaking, else prominent; then who spoke last, then one with a picture.

    Of equals it is the peer of the id `favoured` (who has the stage already, so that nothing flaps), else the first.
    """
    return min(
        among,
        key=lambda s: (
            _pin(view, s.peer.id),
            s.peer.id != view.speaker,
            s.tier,
            _spoke(view, s.peer.id),
            s.video is None,
            s.screen,
            s.peer.id != favoured,
        ),
        default=None,
    )


def worthiest(view: View, among: Iterable[Subject], places: int) -> tuple[Subject, ...]:
    """Those who are seen when there are too few places, in the order given.

    Pinned peers, screens and who speaks always are; of equally prominent others those who spoke last, so that a
    speaker out of sight takes the place of whoever was quiet for longest, and nobody else changes.
    """
    everyone = tuple(among)
    ranked = sorted(
        everyone,
        key=lambda s: (
            _pin(view, s.peer.id),
            not s.screen,
            s.peer.id != view.speaker,
            s.tier,
            _spoke(view, s.peer.id),
        ),
    )
    seen = {s.key for s in ranked[:places]}
    return tuple(s for s in everyone if s.key in seen)


def _of(view: View, peer: Peer) -> list[Subject]:
    room = view.room
    sounds = room.tracks_of(peer.id, "audio")
    voice = _first([t for t in sounds if t.source in _CAMERAS]) or _first(sounds)
    silent = all(t.muted for t in sounds)
    videos = room.tracks_of(peer.id, "video")
    cameras = [t for t in videos if t.source not in _SCREENS]
    shown = [t for t in cameras if not t.muted]
    shared = [t for t in videos if t.source in _SCREENS and not t.muted]
    tier = _tier(view, peer)
    found = []
    if cameras or not shared:
        found.append(Subject(peer, shown[0] if shown else None, voice, silent, False, (peer.id, ""), tier))
    found += [Subject(peer, t, voice, silent, False, (peer.id, t.id), tier) for t in shown[1:]]
    own = _first([t for t in sounds if t.source is TrackSource.SCREEN_AUDIO])
    for track in shared:
        if cameras:
            found.append(Subject(peer, track, own, False, True, (peer.id, track.id), tier))
        else:
            found.append(Subject(peer, track, voice, silent, True, (peer.id, track.id), tier))
    return found


def _first(tracks: list[Track] | tuple[Track, ...]) -> Track | None:
    """The track to name: the first one that is heard, else the first."""
    return next((t for t in tracks if not t.muted), tracks[0] if tracks else None)


def _tier(view: View, peer: Peer) -> tuple[int, int]:
    role = view.roles.get(peer.role)
    return _pin(view, peer.id), -role.prominence if role else 0


def _pin(view: View, peer: str) -> int:
    return view.pinned.index(peer) if peer in view.pinned else len(view.pinned)


def _spoke(view: View, peer: str) -> int:
    return view.recent.index(peer) if peer in view.recent else len(view.recent)
