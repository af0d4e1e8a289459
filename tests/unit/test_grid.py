"""The grid: best use of the canvas, whole and even boxes, a stable order."""

from __future__ import annotations

from itertools import combinations

import pytest

from egress.layouts.base import Box, View
from egress.layouts.geometry import arrange
from egress.layouts.grid import grid
from egress.model.look import LayoutDoc
from egress.model.media import Size
from egress.model.room import Peer, PeerJoined, PeerLeft, Room, Track, TrackMuted, TrackPublished, TrackSource

MOST_TILES = 49

CANVASES = [
    Size(1280, 720),
    Size(1920, 1080),
    Size(720, 1280),
    Size(1080, 1080),
    Size(854, 480),
    Size(2560, 1080),
    Size(641, 359),
    Size(64, 64),
]


def overlap(a: Box, b: Box) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def best_area(count: int, canvas: Size, gap: int, margin: int) -> float:
    """The largest tile between 4:3 and 16:9 over every rows x columns, in exact arithmetic."""
    best = 0.0
    for columns in range(1, count + 1):
        for rows in range(1, count + 1):
            if columns * rows >= count:
                width = (canvas.width - 2 * margin - (columns - 1) * gap) / columns
                height = (canvas.height - 2 * margin - (rows - 1) * gap) / rows
                aspect = min(max(width / height, 4 / 3), 16 / 9)
                width = min(width, height * aspect)
                best = max(best, width * width / aspect)
    return best


def people(count: int, *, camera: bool = True) -> Room:
    room = Room("r")
    for k in range(count):
        room = room.after(PeerJoined(Peer(f"p{k}", f"Peer {k}")))
        room = room.after(TrackPublished(Track(f"a{k}", f"p{k}", "audio", TrackSource.MIC)))
        if camera:
            room = room.after(TrackPublished(Track(f"v{k}", f"p{k}", "video", TrackSource.CAMERA)))
    return room


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
@pytest.mark.parametrize(("gap", "margin"), [(0, 0), (8, 0), (7, 11), (200, 400)])
def test_boxes_are_even_inside_the_canvas_and_apart(canvas: Size, gap: int, margin: int) -> None:
    for count in range(1, MOST_TILES + 1):
        boxes = arrange(count, canvas, gap=gap, margin=margin)
        assert len(boxes) == count
        for box in boxes:
            assert not any(v % 2 for v in (box.x, box.y, box.width, box.height))
            assert box.x >= 0 and box.x + box.width <= canvas.width
            assert box.y >= 0 and box.y + box.height <= canvas.height
        assert not any(overlap(a, b) for a, b in combinations(boxes, 2))
        assert len({box.size for box in boxes}) == 1


@pytest.mark.parametrize("canvas", [c for c in CANVASES if c.width > 64], ids=str)
@pytest.mark.parametrize(("gap", "margin"), [(0, 0), (8, 0)])
def test_tiles_use_at_least_nine_tenths_of_the_best_possible_area(canvas: Size, gap: int, margin: int) -> None:
    for count in range(1, MOST_TILES + 1):
        box = arrange(count, canvas, gap=gap, margin=margin)[0]
        assert box.width * box.height >= 0.9 * best_area(count, canvas, gap, margin), (count, box)


def test_one_peer_fills_a_wide_canvas_and_four_fill_it_too() -> None:
    assert arrange(1, Size(1280, 720)) == (Box(0, 0, 1280, 720),)
    assert arrange(1, Size(854, 480)) == (Box(0, 0, 854, 480),)
    four = arrange(4, Size(1280, 720))
    assert four == (Box(0, 0, 640, 360), Box(640, 0, 640, 360), Box(0, 360, 640, 360), Box(640, 360, 640, 360))


def test_two_peers_stand_one_above_the_other_on_a_portrait_canvas() -> None:
    top, bottom = arrange(2, Size(720, 1280))
    assert top.x == bottom.x == 0 and top.width == 720
    assert bottom.y >= top.y + top.height


def test_the_last_row_is_centred() -> None:
    boxes = arrange(5, Size(1280, 720), gap=8)
    first, last = boxes[:3], boxes[3:]
    assert {box.y for box in first} != {box.y for box in last}
    left = last[0].x
    right = 1280 - (last[-1].x + last[-1].width)
    assert abs(left - right) <= 2


def test_tiles_keep_the_order_of_joining_when_someone_leaves() -> None:
    room = people(6)
    assert [t.peer for t in grid(View(room), Size(1280, 720), LayoutDoc())] == [f"p{k}" for k in range(6)]
    room = room.after(PeerLeft("p2"))
    assert [t.peer for t in grid(View(room), Size(1280, 720), LayoutDoc())] == ["p0", "p1", "p3", "p4", "p5"]


def test_a_tile_carries_what_the_compositor_and_mixer_need() -> None:
    (tile,) = grid(View(people(1)), Size(1280, 720), LayoutDoc())
    assert (tile.track, tile.audio, tile.fit, tile.label, tile.role, tile.muted) == (
        "v0",
        "a0",
        "cover",
        "Peer 0",
        "guest",
        False,
    )


def test_muted_video_becomes_one_placeholder_and_muted_sound_is_marked() -> None:
    room = people(2).after(TrackMuted("v0", True)).after(TrackMuted("a0", True))
    first, second = grid(View(room), Size(1280, 720), LayoutDoc())
    assert (first.track, first.audio, first.muted) == (None, "a0", True)
    assert (second.track, second.muted) == ("v1", False)


def test_a_screen_gets_a_tile_of_its_own_that_is_not_cropped() -> None:
    room = people(2).after(TrackPublished(Track("s0", "p0", "video", TrackSource.SCREEN)))
    tiles = grid(View(room), Size(1280, 720), LayoutDoc())
    assert [t.track for t in tiles] == ["v0", "s0", "v1"]
    assert (tiles[1].fit, tiles[1].label, tiles[1].audio) == ("contain", "Peer 0 (screen)", None)


def test_forty_nine_peers_are_shown_and_the_fiftieth_is_counted() -> None:
    assert len(grid(View(people(49)), Size(1920, 1080), LayoutDoc())) == 49
    tiles = grid(View(people(60)), Size(1920, 1080), LayoutDoc())
    assert len(tiles) == 49
    assert (tiles[-1].peer, tiles[-1].label, tiles[-1].track) == ("", "+12 more", None)
    assert tiles[47].peer == "p47"


def test_an_empty_room_has_no_tiles() -> None:
    assert grid(View(Room("r")), Size(1280, 720), LayoutDoc()) == ()


def test_a_peer_without_a_name_is_called_by_its_id() -> None:
    room = Room("r").after(PeerJoined(Peer("p9", "")))
    assert grid(View(room), Size(1280, 720), LayoutDoc())[0].label == "p9"
