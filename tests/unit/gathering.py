"""Rooms of all sizes for tests of layouts, and what is asked of any tiles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import MappingProxyType

from egress.layouts.base import Tile
from egress.layouts.geometry import overlap
from egress.model.media import Size
from egress.model.room import Peer, Room, Track, TrackPublished, TrackSource

CANVASES = (
    Size(1280, 720),
    Size(1366, 768),
    Size(854, 480),
    Size(426, 240),
    Size(1000, 1000),
    Size(1080, 1920),
    Size(720, 1280),
    Size(64, 64),
    Size(1920, 400),
)


@cache
def people(count: int, *, cameras: bool = True, hosts: int = 0) -> Room:
    """Peers p0, p1, ... with a microphone, and a camera if `cameras`; the first ones are hosts."""
    peers = {f"p{k}": Peer(f"p{k}", f"Peer {k}", "host" if k < hosts else "guest") for k in range(count)}
    tracks = {f"a{k}": Track(f"a{k}", f"p{k}", "audio", TrackSource.MIC) for k in range(count)}
    if cameras:
        tracks |= {f"v{k}": Track(f"v{k}", f"p{k}", "video", TrackSource.CAMERA) for k in range(count)}
    return Room("r", MappingProxyType(peers), MappingProxyType(tracks))


def share(room: Room, *who: int) -> Room:
    """The room once these peers share their screens, one after the other."""
    for k in who:
        room = room.after(TrackPublished(Track(f"s{k}", f"p{k}", "video", TrackSource.SCREEN)))
    return room


def names(tiles: Sequence[Tile]) -> list[str]:
    """What each tile shows in short: the peer's id, 's' and its number for a screen, or the label of nobody."""
    return [tile.track or tile.peer if tile.screen else tile.peer or tile.label for tile in tiles]


def check(tiles: Sequence[Tile], canvas: Size) -> None:
    """All boxes are even and inside the canvas; only tiles that float, which come last, overlap others."""
    for tile in tiles:
        box = tile.box
        assert not any(side % 2 for side in (box.x, box.y, box.width, box.height)), box
        assert box.width > 0 and box.height > 0, box
        assert box.x >= 0 and box.x + box.width <= canvas.width, box
        assert box.y >= 0 and box.y + box.height <= canvas.height, box
    floating = [tile.floats for tile in tiles]
    assert floating == sorted(floating)
    still = [tile.box for tile in tiles if not tile.floats]
    for n, box in enumerate(still):
        assert not any(overlap(box, other) for other in still[:n]), box
    shown = [tile.track for tile in tiles if tile.track is not None]
    assert len(shown) == len(set(shown))
