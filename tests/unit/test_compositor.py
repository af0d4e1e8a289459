"""The compositor: exact pixels, exact colours, nothing drawn twice, nobody's tile touching another's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from egress.layouts.base import Box, Tile, View
from egress.layouts.grid import grid
from egress.media.compositor import Compositor
from egress.media.planes import colour, planes
from egress.media.scene import Style
from egress.model.look import CardDoc, Fit, LayoutDoc, ThemeDoc, TilesDoc
from egress.model.media import Size
from egress.model.room import Peer, PeerJoined, Room
from tests.unit.shots import Shot, noise

PLAIN = Style(tiles=TilesDoc(labels=False, radius=0, transition=0))
LABELLED = Style(tiles=TilesDoc(radius=0, transition=0))
CANVAS = Size(1280, 720)
BACKGROUND = colour("#101418")


def tile(box: Box, track: str | None = "v", peer: str = "p", label: str = "Ada Lovelace", fit: Fit = "cover") -> Tile:
    return Tile(peer, track, None, box, fit, label, "guest", False)


def copied(frame: av.VideoFrame) -> list[npt.NDArray[np.uint8]]:
    return [plane.copy() for plane in planes(frame)]


def inside(arrays: list[npt.NDArray[np.uint8]], box: Box) -> list[npt.NDArray[np.uint8]]:
    scales = (1, 2, 2)
    return [
        plane[box.y // s : (box.y + box.height) // s, box.x // s : (box.x + box.width) // s]
        for plane, s in zip(arrays, scales, strict=True)
    ]


def same(a: list[npt.NDArray[np.uint8]], b: list[npt.NDArray[np.uint8]]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def drawn(compositor: Compositor, pictures: Mapping[str, Any]) -> list[npt.NDArray[np.uint8]]:
    return copied(compositor.draw(pictures.get, 0))


@pytest.mark.parametrize("width", [426, 422, 418, 414, 320, 2, 34])
def test_pictures_land_exactly_and_neighbours_stay_exact(width: int) -> None:
    left, middle = Box(0, 100, width, 240), Box(width, 100, width, 240)
    right = Box(2 * width, 100, width, 240)
    compositor = Compositor(CANVAS)
    compositor.arrange([tile(left, "a"), tile(middle, "b"), tile(right, "c")], PLAIN)
    shots = {name: noise(width, 240, seed) for seed, name in enumerate("abc")}
    drawn(compositor, shots)
    shots["b"] = noise(width, 240, 9)
    canvas = drawn(compositor, shots)
    for name, box in zip("abc", (left, middle, right), strict=True):
        assert same(inside(canvas, box), copied(shots[name].frame)), name
    above = inside(canvas, Box(0, 0, 1280, 100))
    assert all((plane == value).all() for plane, value in zip(above, BACKGROUND, strict=True))


@pytest.mark.parametrize(
    ("width", "height"), [(640, 480), (640, 200), (100, 480), (100, 100), (427, 241), (1281, 721), (3, 3), (2, 2)]
)
def test_a_picture_of_another_size_is_centred_without_smear(width: int, height: int) -> None:
    box = Box(200, 100, 320, 240)
    compositor = Compositor(CANVAS)
    before = drawn(compositor, {})
    compositor.arrange([tile(box)], PLAIN)
    shot = noise(width, height)
    canvas = drawn(compositor, {"v": shot})
    seen_width, seen_height = min(width & ~1, 320), min(height & ~1, 240)
    x = 200 + ((320 - seen_width) // 2 & ~1)
    y = 100 + ((240 - seen_height) // 2 & ~1)
    from_x, from_y = (width - seen_width) // 2 & ~1, (height - seen_height) // 2 & ~1
    source = inside(copied(shot.frame), Box(from_x, from_y, seen_width, seen_height))
    assert same(inside(canvas, Box(x, y, seen_width, seen_height)), source)
    bars = inside(canvas, Box(200, 100, 320, y - 100))
    assert all((plane == value).all() for plane, value in zip(bars, BACKGROUND, strict=True))
    assert before[0].shape == canvas[0].shape
    outside = inside(canvas, Box(520, 0, 760, 720))
    assert all((plane == value).all() for plane, value in zip(outside, BACKGROUND, strict=True))


def test_pictures_whose_size_changes_leave_nothing_of_each_other() -> None:
    box, sizes = Box(200, 100, 320, 240), [(640, 240), (320, 240), (100, 100), (640, 480), (320, 200)]
    going_on = Compositor(CANVAS)
    going_on.arrange([tile(box)], LABELLED)
    for seed, (width, height) in enumerate([*sizes, *reversed(sizes)]):
        shot, anew = noise(width, height, seed), Compositor(CANVAS)
        anew.arrange([tile(box)], LABELLED)
        assert same(drawn(going_on, {"v": shot}), drawn(anew, {"v": shot})), (width, height)


def test_a_picture_already_shown_is_not_drawn_again() -> None:
    compositor = Compositor(CANVAS)
    compositor.arrange([tile(Box(0, 0, 640, 360), "a"), tile(Box(640, 0, 640, 360), "b")], LABELLED)
    shots = {"a": noise(640, 360), "b": noise(640, 360, 1)}
    for _ in range(5):
        compositor.draw(shots.get, 0)
    assert compositor.painted == 2
    shots["b"] = noise(640, 360, 2)
    compositor.draw(shots.get, 0)
    assert compositor.painted == 3


def test_the_label_is_laid_over_each_picture_once() -> None:
    box = Box(0, 0, 640, 360)
    labelled, plain = Compositor(CANVAS), Compositor(CANVAS)
    labelled.arrange([tile(box)], LABELLED)
    plain.arrange([tile(box)], PLAIN)
    shot = noise(640, 360)
    first = drawn(labelled, {"v": shot})
    again = drawn(labelled, {"v": Shot(shot.frame)})
    bare = drawn(plain, {"v": shot})
    assert same(first, again)
    assert not same(first, bare)
    assert same(inside(first, Box(0, 0, 640, 300)), inside(bare, Box(0, 0, 640, 300)))


def test_a_label_over_bars_does_not_grow_darker_with_every_picture() -> None:
    compositor = Compositor(CANVAS)
    compositor.arrange(
        [tile(Box(0, 0, 640, 360), fit="contain")], replace(LABELLED, theme=ThemeDoc(background="#c0c8d0"))
    )
    shot = noise(200, 360)
    first = drawn(compositor, {"v": shot})
    for _ in range(5):
        again = drawn(compositor, {"v": Shot(shot.frame)})
    assert same(first, again)


def test_a_picture_that_goes_away_leaves_a_placeholder_and_comes_back_exactly() -> None:
    box = Box(0, 0, 640, 360)
    compositor = Compositor(CANVAS)
    compositor.arrange([tile(box)], PLAIN)
    shot = noise(640, 360)
    shown = drawn(compositor, {"v": shot})
    gone = drawn(compositor, {})
    centre, corner = gone[0][130, 320], gone[0][10, 10]
    assert abs(int(centre) - int(corner)) > 20
    assert len(np.unique(gone[0][:40, :640])) == 1
    assert same(drawn(compositor, {"v": shot}), shown)


def test_peers_without_video_have_their_own_colour_every_time() -> None:
    def chroma(peer: str) -> tuple[int, int]:
        compositor = Compositor(CANVAS)
        compositor.arrange([tile(Box(0, 0, 640, 360), None, peer)], PLAIN)
        frame = copied(compositor.draw(lambda _: None, 0))
        return int(frame[1][130 // 2, 160]), int(frame[2][130 // 2, 160])

    assert chroma("ada") == chroma("ada")
    assert len({chroma(f"peer-{k}") for k in range(8)}) >= 6


def test_what_moves_is_shown_at_once_in_its_new_place() -> None:
    compositor = Compositor(CANVAS)
    compositor.arrange([tile(Box(0, 0, 1280, 720), "a")], PLAIN)
    shots = {"a": noise(1280, 720)}
    compositor.draw(shots.get, 0)
    compositor.arrange([tile(Box(0, 180, 640, 360), "a"), tile(Box(640, 180, 640, 360), None, "b")], PLAIN)
    canvas = drawn(compositor, shots)
    assert same(inside(canvas, Box(0, 180, 640, 360)), inside(copied(shots["a"].frame), Box(320, 180, 640, 360)))
    assert (canvas[0][:180] == BACKGROUND[0]).all()


def test_an_empty_room_is_a_calm_slate_that_vanishes_with_the_first_peer() -> None:
    compositor = Compositor(CANVAS)
    slate = drawn(compositor, {})
    assert slate[0].max() > 120
    assert (slate[0] == BACKGROUND[0]).mean() > 0.97
    compositor.arrange([tile(Box(0, 0, 100, 100))], LABELLED)
    canvas = drawn(compositor, {"v": noise(100, 100)})
    assert (canvas[0][200:] == BACKGROUND[0]).all()
    compositor.arrange([], replace(LABELLED, card=CardDoc(title="Waiting for participants")))
    assert same(drawn(compositor, {}), slate)


def test_the_canvas_says_what_colours_it_has() -> None:
    compositor = Compositor(CANVAS)
    compositor.arrange([], replace(PLAIN, theme=ThemeDoc(background="#ffffff")))
    canvas = compositor.draw(lambda _: None, 0)
    assert (canvas.color_range, canvas.colorspace, canvas.color_primaries, canvas.color_trc) == (1, 1, 1, 1)
    assert [int(plane[0, 0]) for plane in planes(canvas)] == [235, 128, 128]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#000000", (16, 128, 128)),
        ("#ffffff", (235, 128, 128)),
        ("#ff0000", (63, 102, 240)),
        ("#00ff00", (173, 42, 26)),
        ("#0000ff", (32, 240, 118)),
    ],
)
def test_colours_are_bt709_in_limited_range(text: str, expected: tuple[int, int, int]) -> None:
    assert colour(text) == expected


def test_who_speaks_is_framed_and_the_frame_goes_without_a_trace() -> None:
    compositor = Compositor(CANVAS)
    compositor.arrange([tile(Box(0, 0, 640, 360), "a", "ada"), tile(Box(640, 0, 640, 360), None, "grace")], PLAIN)
    shots = {"a": noise(640, 360)}
    quiet = drawn(compositor, shots)
    compositor.speaking({"ada", "grace"})
    loud = drawn(compositor, shots)
    green = colour("#4cc38a")
    for x in (0, 640):
        assert (loud[0][:4, x : x + 640] == green[0]).all()
        assert same(inside(loud, Box(x + 4, 4, 632, 352)), inside(quiet, Box(x + 4, 4, 632, 352)))
    compositor.speaking(())
    assert same(drawn(compositor, shots), quiet)


@pytest.mark.parametrize("canvas", [Size(64, 64), Size(320, 180), Size(1080, 1920)], ids=str)
def test_a_crowd_fits_any_canvas(canvas: Size) -> None:
    room = Room("r")
    for k in range(70):
        room = room.after(PeerJoined(Peer(f"p{k}", f"Name {k} of seventy")))
    compositor = Compositor(canvas)
    compositor.arrange(grid(View(room), canvas, LayoutDoc()), LABELLED)
    frame = compositor.draw(lambda _: None, 0)
    assert (frame.width, frame.height) == (canvas.width, canvas.height)


def test_nothing_of_a_shared_screen_is_covered_by_corners_or_by_who_speaks() -> None:
    compositor = Compositor(CANVAS)
    box = Box(0, 0, 640, 360)
    screen = replace(tile(box, "a", "ada", fit="contain"), screen=True)
    compositor.arrange([screen], replace(PLAIN, tiles=TilesDoc(labels=False, radius=24, transition=0)))
    compositor.speaking({"ada"})
    shots = {"a": noise(640, 360)}
    assert same(inside(drawn(compositor, shots), box), copied(shots["a"].frame))


def lit(arrays: list[npt.NDArray[np.uint8]]) -> tuple[int, int]:
    """Width and height of what stands out from the surface, in pixels."""
    rows, columns = np.nonzero(np.abs(arrays[0].astype(int) - int(arrays[0][2, 2])) > 24)
    return int(np.ptp(columns)), int(np.ptp(rows))


def test_how_many_more_there_are_is_said_in_full_on_a_narrow_tall_tile() -> None:
    sizes = {}
    for box in (Box(0, 0, 320, 720), Box(0, 0, 320, 320)):
        compositor = Compositor(CANVAS)
        compositor.arrange((tile(box, None, peer="", label="+12 more"),), PLAIN)
        sizes[box] = lit(inside(drawn(compositor, {}), box))
    narrow, square = sizes.values()
    assert narrow == square and narrow[0] > 100, "neither cut off nor larger than its width allows"


@pytest.mark.parametrize("times", [2, 3])
def test_names_are_as_large_a_part_of_every_canvas(times: int) -> None:
    heights = []
    for canvas in (CANVAS, Size(CANVAS.width * times, CANVAS.height * times)):
        compositor = Compositor(canvas)
        whole = Box(0, 0, canvas.width, canvas.height)
        compositor.arrange((tile(whole, None),), LABELLED)
        corner = Box(0, canvas.height * 7 // 8, canvas.width // 4, canvas.height // 8)
        heights.append(lit(inside(drawn(compositor, {}), corner))[1])
    assert heights[1] == pytest.approx(times * heights[0], rel=0.1)
