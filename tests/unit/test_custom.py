"""Custom boxes: fractions of the canvas, and who gets which."""

from __future__ import annotations

from typing import Any

import pytest

from egress.layouts.base import Box, View
from egress.layouts.custom import custom
from egress.layouts.grid import grid
from egress.model.look import CustomDoc, GridDoc
from egress.model.media import Size
from egress.model.room import PeerLeft, Room
from tests.unit.gathering import CANVASES, check, names, people, share

WIDE = Size(1280, 720)
LEFT = {"x": 0, "y": 0, "width": 0.5, "height": 1}
RIGHT = {"x": 0.5, "y": 0, "width": 0.5, "height": 1}
INSET = {"x": 0.7, "y": 0.7, "width": 0.25, "height": 0.25}
FULL = {"x": 0, "y": 0, "width": 1, "height": 1}


def doc(*boxes: dict[str, Any], **options: Any) -> CustomDoc:
    return CustomDoc.model_validate({"kind": "custom", "boxes": boxes, **options})


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
def test_boxes_stay_even_and_inside_and_parts_that_touch_still_do(canvas: Size) -> None:
    thirds = doc(*({"x": n / 3, "y": 0, "width": 1 / 3, "height": 0.999} for n in range(3)))
    for count in range(1, 50):
        tiles = custom(View(people(count)), canvas, thirds)
        check(tiles, canvas)
        assert len(tiles) == min(count, 3)
    boxes = [t.box for t in custom(View(people(3)), canvas, thirds)]
    assert boxes[0].x + boxes[0].width == boxes[1].x
    assert boxes[2].x + boxes[2].width == canvas.width
    check(custom(View(people(2)), canvas, doc(FULL, {"x": 0.99, "y": 0.99, "width": 1, "height": 1})), canvas)


def test_fractions_are_of_the_canvas_within_its_margin() -> None:
    (tile,) = custom(View(people(1)), WIDE, doc(RIGHT))
    assert tile.box == Box(640, 0, 640, 720)
    (tile,) = custom(View(people(1)), WIDE, doc(RIGHT, margin=40))
    assert tile.box == Box(640, 40, 600, 640)


def test_boxes_by_name_and_role_are_filled_before_the_others() -> None:
    boxes = doc(LEFT, RIGHT | {"role": "host"}, INSET | {"name": "*3"})
    tiles = custom(View(people(5, hosts=1)), WIDE, boxes)
    assert {t.peer: t.box.x for t in tiles} == {"p1": 0, "p0": 640, "p3": 896}


def test_a_box_of_a_role_takes_each_peer_once_and_stays_free_without_any() -> None:
    boxes = doc(LEFT | {"role": "host"}, RIGHT | {"role": "host"}, INSET | {"role": "judge"})
    assert names(custom(View(people(5, hosts=2)), WIDE, boxes)) == ["p0", "p1"]
    assert names(custom(View(people(5, hosts=1)), WIDE, boxes)) == ["p0"]


def test_role_and_name_together_must_both_fit() -> None:
    view = View(people(4, hosts=2))
    assert names(custom(view, WIDE, doc(LEFT | {"role": "host", "name": "peer 1"}))) == ["p1"]
    assert names(custom(view, WIDE, doc(LEFT | {"role": "host", "name": "peer 3"}, RIGHT))) == ["p0"]


def test_later_boxes_lie_above_and_float_when_they_cover_something() -> None:
    tiles = custom(View(people(3)), WIDE, doc(FULL, INSET, INSET | {"y": 0.1}))
    assert [(t.peer, t.floats) for t in tiles] == [("p0", False), ("p1", True), ("p2", True)]
    tiles = custom(View(people(3)), WIDE, doc(LEFT, LEFT | {"width": 0.1}, RIGHT))
    assert [(t.peer, t.floats) for t in tiles] == [("p0", False), ("p2", False), ("p1", True)]
    check(tiles, WIDE)


def test_a_screens_box_shows_it_whole_and_anybody_while_there_is_none() -> None:
    boxes = doc(FULL | {"screen": True}, INSET | {"role": "host"})
    tiles = custom(View(share(people(3, hosts=1), 1)), WIDE, boxes)
    assert [(t.track, t.fit) for t in tiles] == [("s1", "contain"), ("v0", "cover")]
    assert names(custom(View(people(3, hosts=1)), WIDE, boxes)) == ["p1", "p0"]
    (alone,) = custom(View(people(1)), WIDE, doc(FULL | {"screen": True}, INSET))
    assert alone.box.size == WIDE


def test_each_box_may_have_its_own_fit() -> None:
    tiles = custom(View(people(2)), WIDE, doc(LEFT | {"fit": "contain"}, RIGHT))
    assert [t.fit for t in tiles] == ["contain", "cover"]


def test_everyone_is_shown_when_no_box_found_anybody() -> None:
    view = View(people(4))
    assert custom(view, WIDE, doc(LEFT | {"role": "judge"})) == grid(view, WIDE, GridDoc())
    assert custom(View(Room("r")), WIDE, doc(LEFT)) == ()


def test_who_stays_keeps_the_box_and_a_speaker_without_one_takes_that_of_who_was_quiet_longest() -> None:
    boxes = doc(LEFT, RIGHT)
    before = custom(View(people(4)), WIDE, boxes)
    after = custom(View(people(4), speaker="p3", recent=("p3", "p1"), before=before), WIDE, boxes)
    assert names(after) == ["p3", "p1"]
    left = custom(View(people(4).after(PeerLeft("p0")), recent=("p3", "p1"), before=after), WIDE, boxes)
    assert names(left) == ["p3", "p1"]
