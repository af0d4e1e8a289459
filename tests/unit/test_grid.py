"""The grid: best use of the canvas, whole and even boxes, a stable order."""

from __future__ import annotations

from itertools import combinations

import pytest

from egress.layouts.base import Box, View
from egress.layouts.geometry import arrange, fill, overlap, within
from egress.layouts.grid import grid
from egress.model.look import LayoutDoc, RoleDoc
from egress.model.media import Size
from egress.model.room import Peer, PeerJoined, PeerLeft, Room, Track, TrackMuted, TrackPublished, TrackSource
from tests.unit.gathering import CANVASES as GATHERED
from tests.unit.gathering import check, names, people, share

MOST_TILES = 49
WIDE, DOC = Size(1280, 720), LayoutDoc()

CANVASES = [
    *GATHERED,
    Size(1920, 1080),
    Size(2560, 1080),
    Size(3840, 2160),
    Size(640, 360),
]
LARGE = [c for c in CANVASES if min(c.width, c.height) >= 240]


def best_area(count: int, canvas: Size, gap: int, margin: int) -> float:
    """The largest tile between 4:3 and 1.9 over every rows x columns, in exact arithmetic."""
    best = 0.0
    for columns in range(1, count + 1):
        for rows in range(1, count + 1):
            if columns * rows >= count:
                width = (canvas.width - 2 * margin - (columns - 1) * gap) / columns
                height = (canvas.height - 2 * margin - (rows - 1) * gap) / rows
                if width > 0 and height > 0:
                    aspect = min(max(width / height, 4 / 3), 1.9)
                    width = min(width, height * aspect)
                    best = max(best, width * width / aspect)
    return best


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


@pytest.mark.parametrize("canvas", LARGE, ids=str)
@pytest.mark.parametrize(("gap", "margin"), [(0, 0), (8, 0), (4, 24)])
def test_tiles_suit_a_picture_and_use_nine_tenths_of_the_best_possible_area(
    canvas: Size, gap: int, margin: int
) -> None:
    for count in range(1, MOST_TILES + 1):
        box = arrange(count, canvas, gap=gap, margin=margin)[0]
        assert 4 / 3 <= box.width / box.height <= 1.9, (count, box)
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


def test_as_many_as_there_are_pixels_for_fit_into_the_smallest_region() -> None:
    region = Box(2, 4, 16, 16)
    boxes = fill(49, region, 8)
    assert len(boxes) == 49 and all(within(box, region) for box in boxes)
    assert not any(overlap(a, b) for a, b in combinations(boxes, 2))


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
    room = share(people(2), 0)
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


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
def test_every_number_of_peers_fits(canvas: Size) -> None:
    for count in (*range(1, 50), 60):
        check(grid(View(people(count)), canvas, LayoutDoc()), canvas)


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 2), (8, 2), (49, 4)])
def test_tall_canvases_have_few_columns(count: int, columns: int) -> None:
    assert len({box.x for box in arrange(count, Size(1080, 1920), gap=8)[:columns]}) == columns
    assert len({box.x for box in arrange(count, Size(1080, 1920), gap=8)}) <= columns + (count % columns > 0)


def test_pinned_peers_come_first_then_prominent_ones_then_who_joined_first() -> None:
    roles = {"host": RoleDoc(prominence=5), "guest": RoleDoc()}
    room = people(3).after(PeerJoined(Peer("h", "Host", "host"))).after(PeerJoined(Peer("x", "X", "stranger")))
    assert names(grid(View(room, roles=roles), WIDE, DOC)) == ["h", "p0", "p1", "p2", "x"]
    assert names(grid(View(room, pinned=("x", "p1"), roles=roles), WIDE, DOC)) == ["x", "p1", "h", "p0", "p2"]


def test_who_stays_keeps_the_place_when_someone_leaves_or_joins() -> None:
    before = grid(View(people(6)), WIDE, DOC)
    room = people(6).after(PeerLeft("p2"))
    gone = grid(View(room, before=before), WIDE, DOC)
    assert names(gone) == ["p0", "p1", "p5", "p3", "p4"]
    back = grid(View(room.after(PeerJoined(Peer("p2", "Peer 2"))), before=gone), WIDE, DOC)
    assert names(back) == ["p0", "p1", "p5", "p3", "p4", "p2"]


def test_a_pin_swaps_two_and_taking_it_away_moves_nobody() -> None:
    before = grid(View(people(6)), WIDE, DOC)
    pinned = grid(View(people(6), pinned=("p4",), before=before), WIDE, DOC)
    assert names(pinned) == ["p4", "p1", "p2", "p3", "p0", "p5"]
    assert names(grid(View(people(6), before=pinned), WIDE, DOC)) == names(pinned)


def test_who_speaks_out_of_sight_takes_the_place_of_who_was_quiet_longest() -> None:
    doc = LayoutDoc(most=5)
    tiles = grid(View(people(9), speaker="p1", recent=("p1", "p3")), WIDE, doc)
    assert names(tiles) == ["p0", "p1", "p2", "p3", "+5 more"]
    recent: tuple[str, ...] = ("p1", "p3")
    for speaker, seen in (
        ("p8", ["p0", "p1", "p8", "p3"]),
        ("p7", ["p7", "p1", "p8", "p3"]),
        ("p6", ["p7", "p1", "p8", "p6"]),
        ("p7", ["p7", "p1", "p8", "p6"]),
        ("p5", ["p7", "p5", "p8", "p6"]),
    ):
        recent = (speaker, *(peer for peer in recent if peer != speaker))
        tiles = grid(View(people(9), speaker=speaker, recent=recent, before=tiles), WIDE, doc)
        assert names(tiles) == [*seen, "+5 more"]
    quiet = grid(View(people(9), recent=recent, before=tiles), WIDE, doc)
    assert names(quiet) == names(tiles), "silence moves nobody"


def test_pinned_and_prominent_peers_and_screens_are_always_seen() -> None:
    roles = {"host": RoleDoc(prominence=1)}
    room = share(people(9), 7).after(PeerJoined(Peer("h", "Host", "host")))
    recent = ("p1", "p2", "p3", "p4")
    tiles = grid(View(room, "p1", recent, ("p8",), roles), WIDE, LayoutDoc(most=6))
    assert names(tiles) == ["p8", "h", "p1", "p2", "s7", "+6 more"]


def test_with_one_tile_only_nobody_is_counted_instead_of_seen() -> None:
    assert names(grid(View(people(9), speaker="p4"), WIDE, LayoutDoc(most=1))) == ["p4"]


def test_each_further_camera_has_a_tile() -> None:
    room = people(2).after(TrackPublished(Track("w0", "p0", "video", TrackSource.CAMERA)))
    assert [t.track for t in grid(View(room), WIDE, DOC)] == ["v0", "w0", "v1"]
    assert [t.track for t in grid(View(room.after(TrackMuted("v0", True))), WIDE, DOC)] == ["w0", "v1"]


def test_several_tiles_of_one_peer_each_keep_their_place() -> None:
    room = share(people(4), 0).after(TrackPublished(Track("w0", "p0", "video", TrackSource.CAMERA)))
    before = grid(View(room), WIDE, DOC)
    assert [t.track for t in before] == ["v0", "w0", "s0", "v1", "v2", "v3"]
    after = grid(View(room.after(PeerLeft("p1")), before=before), WIDE, DOC)
    assert [t.track for t in after] == ["v0", "w0", "s0", "v3", "v2"]
