"""Who is shown and heard: a pipeline's selection, its roles and an operator's wishes, applied to a room."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from egress.layouts.matching import named
from egress.model.look import RoleDoc
from egress.model.pipeline import Select
from egress.model.room import Peer, Room, Track

_EVERYONE = RoleDoc()


@dataclass(frozen=True, slots=True)
class Casting:
    """The outcome.

    `shown` is the room as layouts see it: the peers who are seen, and of their tracks those that are selected, sound
    only where it is heard. `heard` are the tracks to be heard, muted ones too, in order of publishing; peers who are
    not seen may be heard. `pans` names those of them that belong on one side.
    """

    shown: Room
    heard: tuple[str, ...]
    pans: Mapping[str, Literal["left", "right"]]


def cast(
    room: Room, select: Select, roles: Mapping[str, RoleDoc] | None = None, hidden: Collection[str] = ()
) -> Casting:
    """Apply a selection, what is particular about roles, and the ids of peers an operator hides, to a room.

    A hidden peer is not seen; its sound goes on.
    """
    roles = roles or {}
    chosen = {peer.id: roles.get(peer.role, _EVERYONE) for peer in room.peers.values() if selected(peer, select)}
    seen = {peer for peer, role in chosen.items() if role.show and peer not in hidden}
    taken = [t for t in room.tracks.values() if t.peer in chosen and _wanted(t, select)]
    heard = tuple(t.id for t in taken if t.kind == "audio" and chosen[t.peer].hear)
    pans: dict[str, Literal["left", "right"]] = {}
    for track_id in heard:
        pan = chosen[room.tracks[track_id].peer].pan
        if pan != "both":
            pans[track_id] = pan
    shown = replace(
        room,
        peers=MappingProxyType({key: peer for key, peer in room.peers.items() if key in seen}),
        tracks=MappingProxyType({t.id: t for t in taken if t.peer in seen and (t.kind == "video" or t.id in heard)}),
        speaking=MappingProxyType({key: speaks for key, speaks in room.speaking.items() if key in seen}),
    )
    return Casting(shown, heard, MappingProxyType(pans))


def selected(peer: Peer, select: Select) -> bool:
    """Whether a pipeline takes part of a peer at all: by its role, and by its name or, without one, its id."""
    return (select.roles is None or peer.role in select.roles) and (select.names is None or named(peer, select.names))


def chosen(room: Room, select: Select) -> tuple[Track, ...]:
    """The tracks that a pipeline selects, also those that are neither seen nor heard, in order of publishing."""
    return tuple(
        track
        for track in room.tracks.values()
        if track.peer in room.peers and selected(room.peers[track.peer], select) and _wanted(track, select)
    )


def _wanted(track: Track, select: Select) -> bool:
    return select.sources is None or track.source in select.sources
