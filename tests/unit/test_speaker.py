"""The speaker layout: who has the stage, a strip that stays legible, and nobody moving for nothing."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from egress.layouts.base import Box, Tile, View
from egress.layouts.geometry import overlap
from egress.layouts.grid import grid
from egress.layouts.speaker import speaker
from egress.model.look import GridDoc, RoleDoc, SpeakerDoc
from egress.model.media import Size
from egress.model.room import PeerLeft, Room, TrackMuted
from tests.unit.gathering import CANVASES, check, names, people, share

WIDE, TALL, SQUARE = Size(1280, 720), Size(1080, 1920), Size(1000, 1000)
DOC = SpeakerDoc(kind="speaker")


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
def test_every_number_of_peers_fits_and_stage_and_strip_have_sane_shapes(canvas: Size) -> None:
    for count in range(1, 50):
        tiles = speaker(View(people(count)), canvas, DOC)
        check(tiles, canvas)
        stage, *strip = tiles
        if canvas.width >= 240:
            assert 0.74 <= stage.box.width / stage.box.height <= 2.41, (count, stage.box)
            assert all(4 / 3 - 0.01 <= t.box.width / t.box.height <= 1.9 for t in strip), count
            assert all(t.box.height >= 0.1 * min(canvas.width, canvas.height) - 2 for t in strip), count
            assert all(t.box.height >= 38 for t in strip), count
            if strip:
                assert stage.box.width * stage.box.height > 1.25 * strip[0].box.width * strip[0].box.height


def test_the_strip_is_at_the_side_of_wide_canvases_and_below_on_others() -> None:
    for canvas, doc, side in (
        (WIDE, DOC, True),
        (TALL, DOC, False),
        (SQUARE, DOC, False),
        (WIDE, replace_doc(strip="bottom"), False),
        (TALL, replace_doc(strip="side"), True),
    ):
        stage, *strip = speaker(View(people(4)), canvas, doc)
        assert all((t.box.x >= stage.box.x + stage.box.width) == side for t in strip)
        assert all((t.box.y >= stage.box.y + stage.box.height) == (not side) for t in strip)


def replace_doc(**options: object) -> SpeakerDoc:
    return SpeakerDoc.model_validate({"kind": "speaker", **options})


def test_the_strip_takes_its_share() -> None:
    for share_of_it in (0.1, 0.22, 0.4):
        stage = speaker(View(people(3)), WIDE, replace_doc(share=share_of_it, gap=0))[0]
        assert stage.box.width == pytest.approx(1280 * (1 - share_of_it), abs=4)
        assert stage.box.height == 720


def test_single_and_no_strip_show_the_stage_only() -> None:
    for doc in (replace_doc(single=True), replace_doc(strip="none"), replace_doc(most=1)):
        (tile,) = speaker(View(people(5), speaker="p3"), WIDE, doc)
        assert tile.peer == "p3"
        assert tile.box.size == WIDE


def test_one_alone_has_the_whole_canvas_and_nobody_none() -> None:
    assert speaker(View(people(1)), WIDE, DOC)[0].box.size == WIDE
    assert speaker(View(Room("r")), WIDE, DOC) == ()


def first(view: View) -> str:
    return names(speaker(view, WIDE, DOC))[0]


def test_who_is_on_the_stage() -> None:
    room = people(4, hosts=1)
    roles = MappingProxyType({"host": RoleDoc(prominence=-1), "guest": RoleDoc()})
    assert first(View(room)) == "p0"
    assert first(View(room, roles=roles)) == "p1", "nobody spoke: who is prominent"
    assert first(View(room, speaker="p0", roles=roles)) == "p0", "who speaks, prominent or not"
    assert first(View(room, speaker="p0", pinned=("p2", "p3"))) == "p2", "who is pinned, above all"
    assert first(View(room, recent=("p3", "p1"))) == "p3", "in silence, who spoke last"
    assert first(View(room, recent=("p0", "p1"), roles=roles)) == "p1", "in silence, who is prominent and spoke"
    assert first(View(room, speaker="gone", recent=("gone",), pinned=("gone",))) == "p0", "nobody who is not there"


def test_before_anyone_spoke_somebody_with_a_camera_is_on_the_stage() -> None:
    room = people(3).after(TrackMuted("v0", True))
    assert first(View(room)) == "p1"
    before = speaker(View(room), WIDE, DOC)
    assert first(View(people(3), before=before)) == "p1", "a camera that comes back takes no stage from anyone"


def test_speakers_change_places_and_nobody_else_moves() -> None:
    before = speaker(View(people(6), speaker="p2"), WIDE, DOC)
    after = speaker(View(people(6), speaker="p4", recent=("p4", "p2"), before=before), WIDE, DOC)
    assert names(before) == ["p2", "p0", "p1", "p3", "p4", "p5"]
    assert names(after) == ["p4", "p0", "p1", "p3", "p2", "p5"]
    assert [t.box for t in before] == [t.box for t in after]


def test_who_leaves_the_strip_makes_room_without_shuffling_it() -> None:
    before = speaker(View(people(6), speaker="p0"), WIDE, DOC)
    room = people(6).after(PeerLeft("p2"))
    assert names(speaker(View(room, speaker="p0", before=before), WIDE, DOC)) == ["p0", "p1", "p5", "p3", "p4"]


def test_a_full_strip_counts_the_rest_and_lets_in_who_spoke() -> None:
    room = people(49)
    view = View(room, speaker="p0", recent=("p0",))
    before = speaker(view, WIDE, DOC)
    hidden = 49 - (len(before) - 1)
    assert names(before)[-1] == f"+{hidden} more"
    assert "p40" not in names(before)
    onto = replace(view, speaker="p40", recent=("p40", "p0"), before=before)
    on_stage = speaker(onto, WIDE, DOC)
    back = replace(view, speaker="p1", recent=("p1", "p40", "p0"), before=on_stage)
    last = speaker(back, WIDE, DOC)
    assert names(on_stage)[0] == "p40" and names(last)[0] == "p1"
    assert "p0" in names(on_stage) and "p40" in names(last), "who had the stage is still seen"
    for old, new in ((before, on_stage), (on_stage, last)):
        assert moved(old, new) <= 1


def moved(old: tuple[Tile, ...], new: tuple[Tile, ...]) -> int:
    """How many who stay in the strip changed their place in it."""
    were, are = ({t.peer: t.box for t in tiles[1:] if t.peer} for tiles in (old, new))
    return sum(were[peer] != are[peer] for peer in were.keys() & are.keys())


def test_a_screen_treated_as_a_tile_is_in_the_strip_and_not_cropped() -> None:
    tiles = speaker(View(share(people(3), 1)), WIDE, replace_doc(screens="tile"))
    assert names(tiles) == ["p0", "p1", "s1", "p2"]
    assert [t.fit for t in tiles] == ["cover", "cover", "contain", "cover"]


def test_gaps_and_margins_are_kept() -> None:
    stage, *strip = speaker(View(people(4)), WIDE, replace_doc(gap=10, margin=20))
    assert (stage.box.x, stage.box.y, stage.box.y + stage.box.height) == (20, 20, 700)
    assert strip[0].box.x - (stage.box.x + stage.box.width) >= 10
    assert max(t.box.x + t.box.width for t in strip) <= 1260
    assert not any(overlap(stage.box, t.box) for t in strip)


def test_places_of_another_layout_mean_nothing() -> None:
    before = grid(View(people(49)), WIDE, GridDoc())
    assert speaker(View(people(49), before=before), WIDE, DOC) == speaker(View(people(49)), WIDE, DOC)


def test_on_a_very_wide_canvas_what_the_stage_cannot_use_goes_to_the_others() -> None:
    stage, *strip = speaker(View(people(7)), Size(1920, 400), DOC)
    assert stage.box == Box(0, 0, 960, 400)
    assert sum(t.box.width * t.box.height for t in strip) > 0.6 * 952 * 400
