"""The screen arrangement: the screen is all there, large, and the others beside it."""

from __future__ import annotations

import pytest

from egress.layouts.base import View
from egress.layouts.grid import grid
from egress.layouts.screen import screen
from egress.layouts.speaker import speaker
from egress.model.look import GridDoc, ScreenDoc, SpeakerDoc
from egress.model.media import Size
from egress.model.room import Peer, PeerJoined, Room, Track, TrackMuted, TrackPublished, TrackSource, TrackUnpublished
from tests.unit.gathering import CANVASES, check, names, people, share

WIDE, TALL = Size(1280, 720), Size(1080, 1920)
DOC = ScreenDoc(kind="screen")


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
def test_every_number_of_peers_fits(canvas: Size) -> None:
    for count in range(1, 50):
        tiles = screen(View(share(people(count), 0)), canvas, DOC)
        check(tiles, canvas)
        assert (tiles[0].track, tiles[0].fit, tiles[0].screen) == ("s0", "contain", True)
        if canvas.width >= 240:
            # What a 16:9 screen is shown at, of what it could be at most.
            stage = tiles[0].box
            shown = min(stage.width, stage.height * 16 / 9)
            assert shown >= 0.75 * min(canvas.width, canvas.height * 16 / 9), (count, stage)


def test_the_newest_screen_has_the_stage_and_older_ones_come_first_in_the_strip() -> None:
    room = share(people(4), 2, 0, 1)
    assert names(screen(View(room), WIDE, DOC)) == ["s1", "s0", "s2", "p0", "p1", "p2", "p3"]
    room = room.after(TrackUnpublished("s1"))
    assert names(screen(View(room), WIDE, DOC))[:2] == ["s0", "s2"]


def test_a_pinned_peers_screen_has_the_stage() -> None:
    room = share(people(4), 2, 0, 1)
    assert names(screen(View(room, pinned=("p3", "p2")), WIDE, DOC))[:4] == ["s2", "s1", "s0", "p3"]


def test_a_paused_screen_is_none() -> None:
    room = share(people(3), 1).after(TrackMuted("s1", True))
    assert names(screen(View(room), WIDE, DOC)) == ["p0", "p1", "p2"]


def test_without_a_screen_it_is_another_layout() -> None:
    view = View(people(5), speaker="p3")
    assert screen(view, WIDE, DOC) == grid(view, WIDE, GridDoc())
    other = ScreenDoc(kind="screen", otherwise="speaker", share=0.3, gap=4)
    assert screen(view, WIDE, other) == speaker(view, WIDE, SpeakerDoc(kind="speaker", share=0.3, gap=4))
    assert screen(View(Room("r")), WIDE, DOC) == ()


def test_no_strip_shows_the_screen_on_the_whole_canvas() -> None:
    for canvas in (WIDE, TALL):
        (tile,) = screen(View(share(people(5), 0)), canvas, ScreenDoc(kind="screen", strip="none"))
        assert tile.box.size == canvas


def test_on_a_tall_canvas_what_a_screen_cannot_use_goes_to_the_others() -> None:
    stage, *strip = screen(View(share(people(4), 0)), TALL, DOC)
    assert stage.box.size == Size(1080, 1080)
    assert min(t.box.y for t in strip) >= 1080
    assert sum(t.box.width * t.box.height for t in strip) > 0.7 * 1080 * (1920 - 1088)


def test_who_shares_without_ever_having_a_camera_is_seen_in_the_screen_alone() -> None:
    room = share(people(2, cameras=False), 0)
    stage, other = screen(View(room), WIDE, DOC)
    assert (stage.track, stage.peer, stage.audio, stage.label) == ("s0", "p0", "a0", "Peer 0 (screen)")
    assert (other.peer, other.track) == ("p1", None)


def test_a_screens_own_sound_belongs_to_it_and_its_peer_keeps_a_tile_with_the_camera_off() -> None:
    room = share(people(1), 0).after(TrackMuted("v0", True))
    room = room.after(TrackPublished(Track("sa", "p0", "audio", TrackSource.SCREEN_AUDIO)))
    stage, own = screen(View(room), WIDE, DOC)
    assert (stage.audio, stage.muted) == ("sa", False)
    assert (own.track, own.audio, own.screen) == (None, "a0", False)


def test_nobody_in_the_strip_moves_when_another_screen_takes_the_stage() -> None:
    room = share(people(6), 0)
    before = screen(View(room), WIDE, DOC)
    after = screen(View(share(room, 3), before=before), WIDE, DOC)
    assert names(after) == ["s3", "s0", *names(before)[2:], "p0"]
    joined = room.after(PeerJoined(Peer("new", "New")))
    assert names(screen(View(joined, before=before), WIDE, DOC)) == [*names(before), "new"]
