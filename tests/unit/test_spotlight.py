"""The spotlight: those who are meant are large, whoever speaks."""

from __future__ import annotations

import pytest

from egress.layouts.base import View
from egress.layouts.grid import grid
from egress.layouts.spotlight import spotlight
from egress.model.look import GridDoc, RoleDoc, SpotlightDoc
from egress.model.media import Size
from egress.model.room import PeerLeft, Room
from tests.unit.gathering import CANVASES, check, names, people

WIDE = Size(1280, 720)


def doc(**options: object) -> SpotlightDoc:
    return SpotlightDoc.model_validate({"kind": "spotlight", **options})


def on_stage(view: View, document: SpotlightDoc, canvas: Size = WIDE) -> list[str]:
    """Those in the largest tiles."""
    tiles = spotlight(view, canvas, document)
    most = max(t.box.width * t.box.height for t in tiles)
    return [t.peer for t in tiles if t.box.width * t.box.height == most]


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
@pytest.mark.parametrize("hosts", [1, 2, 3, 12])
def test_every_number_of_peers_fits(canvas: Size, hosts: int) -> None:
    for count in (*range(1, 14), 25, 49):
        tiles = spotlight(View(people(count, hosts=hosts)), canvas, doc(roles=["host"]))
        check(tiles, canvas)
        if canvas.width >= 240:
            assert all(0.74 <= t.box.width / t.box.height <= 2.41 for t in tiles), count


def test_names_ids_and_roles_say_who_is_large_in_this_order() -> None:
    view = View(people(6, hosts=1), speaker="p4")
    assert on_stage(view, doc(peers=["PEER 3"])) == ["p3"]
    assert on_stage(view, doc(peers=["p3", "peer 2"])) == ["p3", "p2"]
    assert on_stage(view, doc(roles=["host"])) == ["p0"]
    assert on_stage(view, doc(roles=["host"], peers=["p5"])) == ["p5", "p0"]


def test_a_pinned_peer_joins_the_stage_and_is_its_first() -> None:
    assert on_stage(View(people(6), pinned=("p4",)), doc(peers=["p1"])) == ["p4", "p1"]
    assert on_stage(View(people(6), pinned=("p4",)), doc(peers=["absent"])) == ["p4"]


def test_nobody_meant_is_there_so_everyone_is_equal() -> None:
    view = View(people(6), speaker="p4")
    assert spotlight(view, WIDE, doc(peers=["absent"])) == grid(view, WIDE, GridDoc())
    assert spotlight(View(Room("r")), WIDE, doc(peers=["absent"])) == ()


def test_a_stage_holds_nine_and_who_speaks_is_among_them() -> None:
    room = people(14, hosts=12)
    view = View(room)
    before = spotlight(view, WIDE, doc(roles=["host"]))
    assert on_stage(view, doc(roles=["host"])) == [f"p{k}" for k in range(9)]
    assert names(before)[9:] == ["p9", "p10", "p11", "p12", "p13"]
    after = spotlight(View(room, speaker="p10", recent=("p10",), before=before), WIDE, doc(roles=["host"]))
    assert names(after) == [*[f"p{k}" for k in range(8)], "p10", "p9", "p8", "p11", "p12", "p13"]


def test_who_is_meant_and_found_no_place_on_the_stage_comes_first_in_the_strip() -> None:
    view = View(people(14, hosts=12), roles={"guest": RoleDoc(prominence=5)})
    assert names(spotlight(view, WIDE, doc(roles=["host"])))[9:] == ["p9", "p10", "p11", "p12", "p13"]


def test_who_leaves_the_stage_makes_room_without_shuffling_it() -> None:
    document = doc(roles=["host"])
    before = spotlight(View(people(8, hosts=4)), WIDE, document)
    after = spotlight(View(people(8, hosts=4).after(PeerLeft("p1")), before=before), WIDE, document)
    assert names(after) == ["p0", "p3", "p2", "p4", "p5", "p6", "p7"]


def test_two_stand_side_by_side_on_wide_canvases_and_one_above_the_other_on_tall_ones() -> None:
    for canvas, side in ((WIDE, True), (Size(1080, 1920), False)):
        first, second, *_ = spotlight(View(people(5)), canvas, doc(peers=["p0", "p1"]))
        assert (first.box.y == second.box.y) == side
        assert (first.box.x == second.box.x) != side
