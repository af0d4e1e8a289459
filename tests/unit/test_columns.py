"""Columns: an interview side by side, or above each other."""

from __future__ import annotations

import pytest

from egress.layouts.base import View
from egress.layouts.columns import columns
from egress.model.look import ColumnsDoc
from egress.model.media import Size
from egress.model.room import PeerLeft, Room
from tests.unit.gathering import CANVASES, check, names, people

WIDE, TALL = Size(1280, 720), Size(1080, 1920)


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
@pytest.mark.parametrize("most", [1, 2, 4, 8])
def test_every_number_of_peers_fits_in_one_line(canvas: Size, most: int) -> None:
    for count in range(1, 50):
        tiles = columns(View(people(count)), canvas, ColumnsDoc(kind="columns", most=most))
        check(tiles, canvas)
        assert len(tiles) == min(count, most)
        assert len({t.box.size for t in tiles}) == 1
        assert len({t.box.x if canvas.height > canvas.width else t.box.y for t in tiles}) == 1
        if canvas.width >= 240:
            assert 0.4 <= tiles[0].box.width / tiles[0].box.height <= 2.4, count


def test_two_halve_the_canvas_upright_or_lying() -> None:
    doc = ColumnsDoc(kind="columns", gap=0)
    assert [t.box.size for t in columns(View(people(2)), WIDE, doc)] == [Size(640, 720)] * 2
    assert [t.box.size for t in columns(View(people(2)), TALL, doc)] == [Size(1080, 960)] * 2
    assert columns(View(people(1)), WIDE, doc)[0].box.size == WIDE


def test_the_rest_is_counted_in_the_last_one_and_who_speaks_is_seen() -> None:
    doc = ColumnsDoc(kind="columns")
    before = columns(View(people(6)), WIDE, doc)
    assert names(before) == ["p0", "p1", "p2", "+3 more"]
    after = columns(View(people(6), speaker="p4", recent=("p4", "p2", "p0"), before=before), WIDE, doc)
    assert names(after) == ["p0", "p4", "p2", "+3 more"]


def test_who_stays_keeps_the_place() -> None:
    doc = ColumnsDoc(kind="columns")
    before = columns(View(people(4)), WIDE, doc)
    assert names(columns(View(people(4).after(PeerLeft("p1")), before=before), WIDE, doc)) == ["p0", "p3", "p2"]


def test_an_empty_room_has_no_columns() -> None:
    assert columns(View(Room("r")), WIDE, ColumnsDoc(kind="columns")) == ()
