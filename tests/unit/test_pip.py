"""Picture in picture: who is large, who is inset, and where."""

from __future__ import annotations

import pytest

from egress.layouts.base import View
from egress.layouts.pip import pip
from egress.model.look import PipDoc
from egress.model.media import Size
from egress.model.room import Room, TrackMuted
from tests.unit.gathering import CANVASES, check, names, people, share

WIDE, TALL = Size(1280, 720), Size(1080, 1920)
DOC = PipDoc(kind="pip")


def made(view: View, canvas: Size = WIDE, **options: object) -> list[str]:
    return names(pip(view, canvas, PipDoc.model_validate({"kind": "pip", **options})))


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
@pytest.mark.parametrize("corner", ["top-left", "top-right", "bottom-left", "bottom-right"])
def test_the_inset_lies_in_its_corner_above_the_large_one(canvas: Size, corner: str) -> None:
    for part in (0.05, 0.25, 0.5):
        for margin in (0, 16):
            doc = PipDoc.model_validate({"kind": "pip", "corner": corner, "share": part, "margin": margin})
            large, small = pip(View(people(3)), canvas, doc)
            check((large, small), canvas)
            assert (large.floats, small.floats) == (False, True)
            box = small.box
            top, left = box.y + box.height / 2 < canvas.height / 2, box.x + box.width / 2 < canvas.width / 2
            assert corner == f"{'top' if top else 'bottom'}-{'left' if left else 'right'}"
            assert box.width <= canvas.width / 2 and box.height <= canvas.height / 2


def test_one_fills_the_canvas_wide_or_tall() -> None:
    for canvas in (WIDE, TALL, Size(1000, 1000)):
        assert pip(View(people(2)), canvas, DOC)[0].box.size == canvas
    assert pip(View(people(2)), WIDE, DOC)[1].box.size == Size(320, 180)
    assert pip(View(people(2)), TALL, DOC)[1].box.size == Size(270, 360)


def test_who_speaks_is_large_and_who_spoke_before_is_inset() -> None:
    assert made(View(people(4))) == ["p0", "p1"]
    assert made(View(people(4), speaker="p2", recent=("p2",))) == ["p2", "p0"]
    assert made(View(people(4), speaker="p2", recent=("p2", "p3"))) == ["p2", "p3"]
    assert made(View(people(4), speaker="p2", pinned=("p1",))) == ["p1", "p2"]
    assert made(View(people(4), speaker="p2", pinned=("p1", "p3"))) == ["p1", "p3"]


def test_a_screen_is_large_and_contained_with_who_speaks_inset_else_who_shares() -> None:
    room = share(people(4), 1)
    large, small = pip(View(room), WIDE, DOC)
    assert (large.track, large.fit, large.box.size, small.peer) == ("s1", "contain", WIDE, "p1")
    assert made(View(room, speaker="p3")) == ["s1", "p3"]
    assert made(View(share(room, 2), speaker="p3")) == ["s2", "p3"]
    assert made(View(room.after(TrackMuted("v1", True)))) == ["s1", "p0"], "rather somebody who can be seen"


def test_nobody_takes_the_place_of_another_for_nothing() -> None:
    room = people(3).after(TrackMuted("v0", True)).after(TrackMuted("v1", True))
    before = pip(View(room), WIDE, DOC)
    assert names(before) == ["p2", "p0"]
    assert names(pip(View(people(3), before=before), WIDE, DOC)) == ["p2", "p0"]


def test_alone_there_is_no_inset_and_an_empty_room_has_no_tiles() -> None:
    assert made(View(people(1))) == ["p0"]
    assert made(View(people(4)), most=1) == ["p0"]
    assert made(View(Room("r"))) == []
