from dataclasses import replace

import pytest

from egress.media.floor import Floor
from egress.media.scene import Scene, Style
from egress.media.scenery import scene_of
from egress.model import checking
from egress.model.direction import Direction
from egress.model.look import CardDoc
from egress.model.room import Peer, PeerJoined, Room, Track, TrackPublished, TrackSource

START = CardDoc(title="Soon")


def pipeline(more: str = ""):
    return checking.read(f"name: x\nsinks: [{{kind: mp4, to: a.mp4}}]\nroles: {{agent: {{pan: left}}}}\n{more}", "x")


def room() -> Room:
    made = Room("r")
    for peer in (Peer("ada", "Ada"), Peer("bot", "Bot", "agent")):
        made = made.after(PeerJoined(peer))
    tracks = (
        Track("cam", "ada", "video", TrackSource.CAMERA),
        Track("mic", "ada", "audio", TrackSource.MIC),
        Track("sys", "ada", "audio", TrackSource.SCREEN_AUDIO),
        Track("say", "bot", "audio", TrackSource.MIC),
    )
    for track in tracks:
        made = made.after(TrackPublished(track))
    return made


def scene(of: Room | None = None, document=None, direction=None, **more) -> Scene:
    document = document or pipeline()
    sounds = dict.fromkeys(("mic", "sys", "say"), "source")
    return scene_of(
        document,
        room() if of is None else of,
        direction or Direction.of(document),
        Floor(),
        lambda card: Style(card=card),
        pictures={"cam": "source"},
        sounds=sounds,
        **more,
    )


def test_everyone_is_shown_and_heard():
    made = scene()
    assert [tile.peer for tile in made.tiles] == ["ada", "bot"]
    assert set(made.sounds) == {"mic", "sys", "say"}
    assert set(made.pictures) == {"cam"}
    assert made.peers == {"ada", "bot"}
    assert made.style.card is None
    assert not made.paused


def test_the_sound_of_a_screen_is_nobodys_voice():
    assert dict(scene().voices) == {"mic": "ada", "say": "bot"}


def test_media_that_is_not_there_is_not_asked_for():
    made = scene_of(pipeline(), room(), Direction.of(pipeline()), Floor(), lambda card: Style(), pictures={})
    assert dict(made.sounds) == {}


@pytest.mark.parametrize(("channels", "pans"), [(2, {"say": "left"}), (1, {})])
def test_roles_have_a_side_only_in_stereo(channels, pans):
    stereo = pipeline()
    document = stereo.model_copy(update={"audio": stereo.audio.model_copy(update={"channels": channels})})
    assert dict(scene(document=document).pans) == pans


def test_who_is_hidden_is_neither_shown_nor_given_the_floor():
    document = pipeline()
    made = scene(direction=replace(Direction.of(document), hidden=frozenset({"ada"})))
    assert [tile.peer for tile in made.tiles] == ["bot"]
    assert made.peers == {"bot"}


@pytest.mark.parametrize(
    ("paused", "published", "start", "title"),
    [
        (False, True, None, None),
        (False, False, None, "Waiting for participants"),
        (False, False, START, "Soon"),
        (True, True, START, "Paused"),
        (True, False, None, "Paused"),
    ],
)
def test_one_card_at_a_time(paused, published, start, title):
    document = pipeline()
    made = scene(direction=replace(Direction.of(document), paused=paused), published=published, start=start)
    assert (made.style.card.title if made.style.card else None) == title
    assert made.paused == paused


def test_an_empty_room_waits():
    assert scene(Room("r")).style.card == pipeline().cards.waiting


def test_a_pipeline_without_a_picture_has_sound_only():
    made = scene(document=pipeline("video: null"))
    assert made.tiles == ()
    assert dict(made.pictures) == {}
    assert set(made.sounds) == {"mic", "sys", "say"}


def test_tiles_shown_before_keep_their_places():
    before = scene().tiles
    assert scene(before=before).tiles == before
