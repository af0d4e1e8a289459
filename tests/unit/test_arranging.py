"""The one way to tiles: any document's layout is found, a screen takes over, and tiles carry their marks."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from egress.layouts.arranging import tiles
from egress.layouts.base import Tile, View
from egress.layouts.columns import columns
from egress.layouts.custom import custom
from egress.layouts.grid import grid
from egress.layouts.pip import pip
from egress.layouts.screen import screen
from egress.model.errors import RequestError
from egress.model.look import (
    BoxDoc,
    ColumnsDoc,
    CustomDoc,
    GridDoc,
    LayoutDoc,
    OtherLayoutDoc,
    PipDoc,
    ScreenDoc,
    SpeakerDoc,
    SpotlightDoc,
)
from egress.model.media import Size
from egress.model.room import (
    ConnectionLost,
    Peer,
    PeerJoined,
    PeerLeft,
    Room,
    Track,
    TrackMuted,
    TrackPublished,
    TrackSource,
    TrackUnpublished,
)
from tests.unit.gathering import check, names, people, share

WIDE = Size(1280, 720)
LEFT = BoxDoc(x=0, y=0, width=0.5, height=1)
DOCS: tuple[LayoutDoc, ...] = (
    GridDoc(),
    GridDoc(most=7),
    GridDoc(screens="tile"),
    SpeakerDoc(kind="speaker"),
    ScreenDoc(kind="screen", otherwise="speaker"),
    PipDoc(kind="pip"),
    SpotlightDoc(kind="spotlight", roles=("host",)),
    ColumnsDoc(kind="columns"),
    CustomDoc(kind="custom", boxes=(LEFT, BoxDoc(x=0.5, y=0, width=0.5, height=0.5))),
)


def test_a_document_says_which_layout() -> None:
    view = View(people(6))
    assert names(tiles(view, WIDE, GridDoc())) == names(grid(view, WIDE, GridDoc()))
    assert names(tiles(view, WIDE, LayoutDoc())) == names(grid(view, WIDE, GridDoc()))
    doc = ColumnsDoc(kind="columns")
    assert names(tiles(view, WIDE, doc)) == names(columns(view, WIDE, doc))
    with pytest.raises(RequestError, match=r"unknown layout 'mosaic'; known: columns, custom, grid"):
        tiles(view, WIDE, OtherLayoutDoc(kind="mosaic"))


@pytest.mark.parametrize("doc", [DOCS[0], DOCS[6], DOCS[7]], ids=lambda doc: doc.kind)
def test_a_screen_takes_the_stage_of_any_layout_and_gives_it_back(doc: LayoutDoc) -> None:
    room = people(6, hosts=1)
    before = tiles(View(room), WIDE, doc)
    shared = tiles(View(share(room, 2)), WIDE, doc)
    assert names(shared) == names(screen(View(share(room, 2)), WIDE, ScreenDoc(kind="screen")))
    after = tiles(View(room, before=shared), WIDE, doc)
    assert [t.box for t in after] == [t.box for t in before]
    assert names(after)[0] == "p0" and set(names(after)) == set(names(before))


def test_the_screen_is_shown_in_the_manner_of_the_layout() -> None:
    room = share(people(6), 2)
    doc = SpeakerDoc(kind="speaker", strip="bottom", share=0.3, gap=20, margin=10, most=4)
    same = ScreenDoc(kind="screen", strip="bottom", share=0.3, gap=20, margin=10, most=4)
    assert tiles(View(room), WIDE, doc) == screen(View(room), WIDE, same)
    assert names(tiles(View(room), WIDE, SpeakerDoc(kind="speaker", single=True))) == ["s2"]


def test_layouts_that_have_a_place_for_screens_keep_it() -> None:
    view = View(share(people(6), 2))
    doc = PipDoc(kind="pip")
    assert names(tiles(view, WIDE, doc)) == names(pip(view, WIDE, doc)) == ["s2", "p2"]
    boxes = (LEFT, BoxDoc(x=0.5, y=0, width=0.5, height=1, screen=True))
    own = CustomDoc(kind="custom", boxes=boxes)
    assert names(tiles(view, WIDE, own)) == names(custom(view, WIDE, own)) == ["p0", "s2"]
    assert names(tiles(view, WIDE, CustomDoc(kind="custom", boxes=(LEFT,)))) == ["s2", *(f"p{k}" for k in range(6))]


def test_a_screen_may_be_a_tile_like_others() -> None:
    made = tiles(View(share(people(3), 1)), WIDE, GridDoc(screens="tile"))
    assert names(made) == ["p0", "p1", "s1", "p2"]
    assert len({t.box.size for t in made}) == 1
    assert [t.fit for t in made] == ["cover", "cover", "contain", "cover"]


def test_tiles_say_whose_camera_is_off_and_who_is_muted() -> None:
    room = people(3).after(TrackMuted("v1", True)).after(TrackMuted("a2", True)).after(TrackUnpublished("v0"))
    made = tiles(View(room), WIDE, GridDoc())
    assert [(t.track, t.camera_off, t.muted, t.lost) for t in made] == [
        (None, True, False, False),
        (None, True, False, False),
        ("v2", False, True, False),
    ]
    shared = tiles(View(share(room, 0)), WIDE, GridDoc())
    assert [(t.track, t.camera_off) for t in shared][:2] == [("s0", False), (None, True)]


def test_a_peer_without_sound_is_muted_and_one_with_a_second_microphone_is_not() -> None:
    room = people(1).after(TrackMuted("a0", True)).after(TrackPublished(Track("b0", "p0", "audio", TrackSource.MIC)))
    (tile,) = tiles(View(room), WIDE, GridDoc())
    assert (tile.audio, tile.muted) == ("b0", False)
    (tile,) = tiles(View(Room("r").after(PeerJoined(Peer("p", "")))), WIDE, GridDoc())
    assert (tile.audio, tile.muted, tile.camera_off) == (None, True, True)


def test_while_the_room_is_lost_every_peers_tile_says_so() -> None:
    made = tiles(View(people(4).after(ConnectionLost("gone"))), WIDE, GridDoc(most=2))
    assert [(t.peer, t.lost) for t in made] == [("p0", True), ("", False)]
    assert not made[-1].camera_off


def test_a_camera_published_anew_keeps_its_place() -> None:
    before = tiles(View(people(4)), WIDE, GridDoc())
    room = people(4).after(TrackUnpublished("v1"))
    gone = tiles(View(room, before=before), WIDE, GridDoc())
    room = room.after(TrackPublished(Track("w1", "p1", "video", TrackSource.CAMERA)))
    back = tiles(View(room, before=gone), WIDE, GridDoc())
    assert names(before) == names(gone) == names(back)
    assert back[1].track == "w1"


def life(seed: int) -> Iterator[View]:
    """Views of a room in which people come, go, speak, mute and share at random."""
    chance = Random(seed)
    room, recent, pinned = people(3, hosts=1), (), ()
    for number in range(40):
        peers = list(room.peers)
        who = chance.choice(peers) if peers else ""
        match chance.randrange(7):
            case 0 | 1:
                peer = Peer(f"n{number}", f"New {number}", chance.choice(("host", "guest")))
                room = room.after(PeerJoined(peer))
                if chance.random() < 0.8:
                    room = room.after(TrackPublished(Track(f"c{number}", peer.id, "video", TrackSource.CAMERA)))
            case 2:
                room = room.after(PeerLeft(who))
            case 3 if room.tracks:
                track = chance.choice(list(room.tracks))
                room = room.after(TrackMuted(track, not room.tracks[track].muted))
            case 4 if who:
                room = room.after(TrackPublished(Track(f"s{number}", who, "video", TrackSource.SCREEN)))
            case 5:
                pinned = chance.choice(((), (who,)))
            case _ if who:
                recent = (who, *(peer for peer in recent if peer != who))
        yield View(room, recent[0] if recent else None, recent, pinned)


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: f"{doc.kind}-{doc.most}-{doc.screens}")
def test_whatever_happens_tiles_fit_and_settle_at_once(doc: LayoutDoc) -> None:
    before: tuple[Tile, ...] = ()
    for seed in range(4):
        for canvas in (WIDE, Size(720, 1280)):
            for view in life(seed):
                view = View(view.room, view.speaker, view.recent, view.pinned, view.roles, before)
                made = tiles(view, canvas, doc)
                check(made, canvas)
                assert len(made) <= (49 if made and made[0].screen else doc.most)
                assert bool(made) == bool(view.room.peers)
                again = View(view.room, view.speaker, view.recent, view.pinned, view.roles, made)
                assert tiles(again, canvas, doc) == made, "the same room, seen again, changes nothing"
                before = made
