"""Every registered layout keeps what the compositor relies on, whoever wrote it."""

from __future__ import annotations

from itertools import combinations

import pytest

from egress.layouts.base import View
from egress.model import registry
from egress.model.look import LayoutDoc
from egress.model.media import Codec, Size
from egress.model.room import Peer, PeerJoined, Room, Track, TrackMuted, TrackPublished, TrackSource

LAYOUTS = registry.names("layouts")
CANVASES = (Size(1280, 720), Size(720, 1280), Size(1000, 1000), Size(64, 64), Size(1920, 400))


def room(count: int) -> Room:
    """Peers of all sorts: camera, muted camera, no camera, camera and screen."""
    made = Room(name="test")
    for n in range(count):
        made = made.after(PeerJoined(Peer(f"p{n}", f"Peer {n}", "host" if n == 0 else "guest")))
        made = made.after(TrackPublished(Track(f"a{n}", f"p{n}", "audio", TrackSource.MIC, Codec.OPUS)))
        if n % 4 != 2:
            made = made.after(TrackPublished(Track(f"v{n}", f"p{n}", "video", TrackSource.CAMERA, Codec.VP8)))
        if n % 4 == 1:
            made = made.after(TrackMuted(f"v{n}", True))
        if n % 4 == 3:
            made = made.after(TrackPublished(Track(f"s{n}", f"p{n}", "video", TrackSource.SCREEN, Codec.VP8)))
    return made


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("canvas", CANVASES, ids=str)
def test_tiles_are_even_inside_the_canvas_and_apart(name: str, canvas: Size) -> None:
    layout = registry.load("layouts", name)
    for count in (0, 1, 2, 3, 4, 5, 7, 9, 16, 25, 49, 60):
        for gap, margin in ((0, 0), (8, 0), (8, 16)):
            boxes = [tile.box for tile in layout(View(room(count)), canvas, LayoutDoc(gap=gap, margin=margin))]
            for box in boxes:
                assert all(side % 2 == 0 for side in (box.x, box.y, box.width, box.height)), (count, box)
                assert box.width > 0 and box.height > 0
                assert box.x >= 0 and box.y >= 0
                assert box.x + box.width <= canvas.width and box.y + box.height <= canvas.height, (count, box)
            for a, b in combinations(boxes, 2):
                apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
                assert apart, (count, a, b)


@pytest.mark.parametrize("name", LAYOUTS)
def test_nobody_is_forgotten_and_no_track_is_shown_twice(name: str) -> None:
    layout = registry.load("layouts", name)
    for count in (1, 2, 5, 9, 16):
        tiles = layout(View(room(count)), Size(1280, 720), LayoutDoc())
        assert {tile.peer for tile in tiles} == {f"p{n}" for n in range(count)}
        shown = [tile.track for tile in tiles if tile.track is not None]
        assert len(shown) == len(set(shown))


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_same_room_gives_the_same_tiles(name: str) -> None:
    layout = registry.load("layouts", name)
    assert layout(View(room(7)), Size(1280, 720), LayoutDoc()) == layout(View(room(7)), Size(1280, 720), LayoutDoc())


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_document_is_carried_to_the_tiles(name: str) -> None:
    layout = registry.load("layouts", name)
    assert {tile.fit for tile in layout(View(room(3)), Size(1280, 720), LayoutDoc(fit="contain"))} == {"contain"}
