"""Every registered layout keeps what the compositor relies on, whoever wrote it."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from egress.layouts.base import View
from egress.model import registry
from egress.model.look import LAYOUTS as DOCUMENTS
from egress.model.look import LayoutDoc, OtherLayoutDoc
from egress.model.media import Codec, Size
from egress.model.room import Peer, PeerJoined, Room, Track, TrackMuted, TrackPublished, TrackSource
from tests.unit.gathering import check

LAYOUTS = registry.names("layouts")
CANVASES = (Size(1280, 720), Size(720, 1280), Size(1000, 1000), Size(64, 64), Size(1920, 400))
BOXES = [
    {"x": 0, "y": 0, "width": 1, "height": 1, "screen": True},
    {"x": 0.7, "y": 0.7, "width": 0.25, "height": 0.25, "role": "host"},
]
NEEDED: dict[str, dict[str, Any]] = {"custom": {"boxes": BOXES}, "spotlight": {"roles": ["host"]}}
EVERYONE = {"grid", "speaker", "screen", "spotlight"}
"""Layouts that show everyone, as far as there is room."""


def document(name: str, **options: Any) -> LayoutDoc:
    """A document of this kind of layout."""
    return DOCUMENTS.get(name, OtherLayoutDoc).model_validate({"kind": name, **NEEDED.get(name, {}), **options})


@cache
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
def test_tiles_are_even_inside_the_canvas_and_apart_unless_they_float(name: str, canvas: Size) -> None:
    layout = registry.load("layouts", name)
    for count in (0, 1, 2, 3, 4, 5, 7, 9, 16, 25, 49, 60):
        for gap, margin in ((0, 0), (8, 0), (8, 16), (200, 400)):
            check(layout(View(room(count)), canvas, document(name, gap=gap, margin=margin)), canvas)


@pytest.mark.parametrize("name", LAYOUTS)
def test_somebody_is_shown_whenever_somebody_is_there(name: str) -> None:
    layout = registry.load("layouts", name)
    for count in range(8):
        tiles = layout(View(room(count)), Size(1280, 720), document(name))
        assert any(tile.peer for tile in tiles) == bool(count)
        assert {tile.peer for tile in tiles} <= {*room(count).peers, ""}


@pytest.mark.parametrize("name", sorted(EVERYONE & set(LAYOUTS)))
def test_nobody_is_forgotten(name: str) -> None:
    layout = registry.load("layouts", name)
    for count in (1, 2, 5, 9, 14):
        tiles = layout(View(room(count)), Size(1280, 720), document(name))
        assert {tile.peer for tile in tiles} == {f"p{n}" for n in range(count)}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_same_view_gives_the_same_tiles_and_seen_again_it_changes_nothing(name: str) -> None:
    layout = registry.load("layouts", name)
    for count in (1, 7, 60):
        tiles = layout(View(room(count)), Size(1280, 720), document(name))
        assert layout(View(room(count)), Size(1280, 720), document(name)) == tiles
        assert layout(View(room(count), before=tiles), Size(1280, 720), document(name)) == tiles


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_more_tiles_are_made_than_the_document_allows(name: str) -> None:
    layout = registry.load("layouts", name)
    for most in (1, 2, 5):
        for count in (1, 3, 20):
            assert 0 < len(layout(View(room(count)), Size(1280, 720), document(name, most=most))) <= most


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_document_is_carried_to_the_tiles(name: str) -> None:
    layout = registry.load("layouts", name)
    assert {tile.fit for tile in layout(View(room(3)), Size(1280, 720), document(name, fit="contain"))} == {"contain"}


@pytest.mark.parametrize("name", LAYOUTS)
def test_tracks_are_of_the_tiles_peer_and_shown_once(name: str) -> None:
    layout = registry.load("layouts", name)
    tracks = room(20).tracks
    for tile in layout(View(room(20)), Size(1280, 720), document(name)):
        for track in (tile.track, tile.audio):
            assert track is None or tracks[track].peer == tile.peer
        assert tile.track is None or not tracks[tile.track].muted
