"""The seam of every layout: what it sees of the room, and the tiles it makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from egress.model.look import Fit, LayoutDoc, RoleDoc
from egress.model.media import Size
from egress.model.room import Room


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the canvas in pixels; all four numbers are even, as 4:2:0 chroma needs."""

    x: int
    y: int
    width: int
    height: int

    @property
    def size(self) -> Size:
        """Width and height."""
        return Size(self.width, self.height)


@dataclass(frozen=True, slots=True)
class Tile:
    """One rectangle of the programme and what it shows.

    `track` is the video track shown, None for a placeholder; `audio` the peer's sound that belongs to it. A tile
    with an empty `peer` stands for peers that found no place, and says how many in its `label`. `muted`: nothing
    can be heard from this peer. `camera_off`: it has no picture to show, or has paused it. `lost`: the room cannot be
    reached, so nobody knows. `floats`: it lies above tiles that come before it. `screen`: it shows a shared screen.
    """

    peer: str
    track: str | None
    audio: str | None
    box: Box
    fit: Fit
    label: str
    role: str
    muted: bool
    camera_off: bool = False
    lost: bool = False
    floats: bool = False
    screen: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What a layout arranges: the room, of the peers and tracks that are shown, and who deserves to be large.

    `speaker` has the floor now (held through pauses); `recent` are the peers who spoke, latest first; `pinned` are
    those an operator wants large, first one first; `before` are the tiles shown until now, lest any moves needlessly.
    """

    room: Room
    speaker: str | None = None
    recent: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()
    roles: Mapping[str, RoleDoc] = field(default_factory=lambda: MappingProxyType({}))
    before: tuple[Tile, ...] = ()


class Layout(Protocol):
    """What every registered layout is: pure, the same arguments give the same tiles.

    `doc` is the document of the layout's own kind. Whoever is most important comes first. `camera_off` and `lost` of
    its tiles are filled in by whoever calls it (egress.layouts.arranging).
    """

    def __call__(self, view: View, canvas: Size, doc: LayoutDoc) -> tuple[Tile, ...]:
        """Tiles inside the canvas in drawing order; only those that float may overlap earlier ones."""
