"""The stage with a made-up room and a programme that only notes its scenes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import numpy as np
import pytest

from egress.media.decoding import VideoDecoder
from egress.media.floor import Floor
from egress.media.programme import Programme
from egress.media.scene import Portrait, Scene
from egress.media.sound import AudioIntake
from egress.model.clock import SessionClock
from egress.model.control import parse
from egress.model.errors import RoomUnreachable
from egress.model.look import CardDoc
from egress.model.media import SECOND, Codec, MediaSource, Nanos, Size
from egress.model.pipeline import Pipeline
from egress.model.room import (
    ConnectionLost,
    ConnectionRestored,
    Peer,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    PeerSpeaking,
    RoomEvent,
    RoomWarning,
    Track,
    TrackMuted,
    TrackPublished,
    TrackSource,
    TrackUnpublished,
)
from egress.portrayal import Fetch
from egress.rooms.base import RoomSession
from egress.stage import Stage
from tests.unit.feeding import FedSource, Sender, opus, picture, tone, video
from tests.unit.waiting import until

ANN, BOB = Peer("1", "ann"), Peer("2", "bob", "host")


class FakeRoom(RoomSession):
    """Hands out the sources it holds; `wanted` are the size hints it was given."""

    def __init__(self) -> None:
        self.sources: dict[str, FedSource] = {}
        self.wanted: list[tuple[str, Size | None]] = []

    async def events(self) -> AsyncIterator[RoomEvent]:
        for event in ():
            yield event

    def source(self, track_id: str) -> MediaSource:
        return self.sources[track_id]

    async def want(self, track_id: str, size: Size | None) -> None:
        self.wanted.append((track_id, size))


class Scenes:
    """Notes what the programme would show."""

    def __init__(self) -> None:
        self.shown: list[tuple[Nanos, Scene]] = []
        self.position: Nanos = 0

    def revise(self, scenes: Sequence[tuple[Nanos, Scene]]) -> None:
        while self.shown and self.shown[-1][0] >= scenes[0][0]:
            self.shown.pop()
        self.shown += scenes

    def show(self, scene: Scene, at: Nanos) -> None:
        self.revise([(at, scene)])

    def at(self, time: Nanos) -> Scene:
        """What is on then."""
        return [scene for at, scene in self.shown if at <= time][-1]

    @property
    def last(self) -> Scene:
        return self.shown[-1][1]


class House:
    """A stage, its room and its scenes."""

    def __init__(self, fetch: Fetch | None = None, **document: Any) -> None:
        doc = {"name": "test", "delay": "0s", "sinks": [{"kind": "mp4", "to": "a.mp4"}]} | document
        self.room = FakeRoom()
        self.scenes = Scenes()
        self.warnings: list[str] = []
        self.clock = SessionClock.start()
        programme = cast(Programme, self.scenes)
        pipeline = Pipeline.model_validate(doc)
        self.stage = Stage(pipeline, self.clock, self.room, programme, self.warnings.append, fetch)

    async def publish(self, peer: Peer, kind: str, source: FedSource | None = None) -> str:
        """The id of a new track."""
        track_id = f"{peer.name}-{kind}"
        self.room.sources[track_id] = source or FedSource()
        await self.stage.take(TrackPublished(track_of(peer, kind)))
        return track_id

    def say(self, **command: Any) -> None:
        """What an operator says."""
        said = parse(json.dumps(command))
        self.stage.direct(self.stage.direction.after(said, self.stage.room))


def track_of(peer: Peer, kind: str) -> Track:
    source = TrackSource.CAMERA if kind == "video" else TrackSource.MIC
    return Track(f"{peer.name}-{kind}", peer.id, cast(Any, kind), source)


@pytest.fixture(autouse=True)
def _no_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.intakes.LINGER", 0)


async def test_peers_and_their_tracks_become_tiles_and_sources() -> None:
    house = House()
    await house.stage.take(PeerJoined(ANN))
    assert not house.stage.ever_published
    camera, mic = await house.publish(ANN, "video"), await house.publish(ANN, "audio")
    await house.stage.take(PeerJoined(BOB))
    scene = house.scenes.last
    assert [(tile.peer, tile.track, tile.audio) for tile in scene.tiles] == [("1", camera, mic), ("2", None, None)]
    assert set(scene.pictures) == {camera} and set(scene.sounds) == {mic}
    assert house.room.wanted[-1] == (camera, scene.tiles[0].box.size)
    assert house.stage.participants == (ANN, BOB) and house.stage.ever_published
    times = [at for at, _ in house.scenes.shown]
    assert times == sorted(times) and len(times) == 5
    await house.stage.close()


async def test_only_selected_roles_are_shown_and_heard() -> None:
    house = House(select={"roles": ["host"]})
    for peer in (ANN, BOB):
        await house.stage.take(PeerJoined(peer))
        await house.publish(peer, "video")
        await house.publish(peer, "audio")
    assert [tile.peer for tile in house.scenes.last.tiles] == ["2"]
    assert set(house.scenes.last.sounds) == {"bob-audio"}
    assert house.stage.participants == (BOB,)
    await house.stage.close()


async def test_an_audio_only_programme_takes_in_no_pictures() -> None:
    house = House(video=None)
    await house.stage.take(PeerJoined(ANN))
    await house.publish(ANN, "video")
    await house.publish(ANN, "audio")
    assert not house.scenes.last.tiles and not house.scenes.last.pictures
    assert set(house.scenes.last.sounds) == {"ann-audio"}
    await house.stage.close()


async def test_what_leaves_is_closed_and_its_figures_stay() -> None:
    house = House()
    await house.stage.take(PeerJoined(ANN))
    sender = Sender(48_000, house.clock.origin)
    mic = FedSource([sender.frame(0, Codec.OPUS, data, True) for data in opus(tone(300, 0.1))])
    await house.publish(ANN, "audio", mic)
    await house.publish(ANN, "video")
    await until(lambda: house.stage.stats()["packets"] == 5)
    sound = cast(AudioIntake, house.scenes.last.sounds["ann-audio"])
    await house.stage.take(TrackUnpublished("ann-audio"))
    assert not house.scenes.last.sounds and house.scenes.last.tiles
    await house.stage.take(PeerLeft(ANN.id))
    assert not house.scenes.last.tiles and not house.scenes.last.pictures and not house.scenes.last.sounds
    assert house.scenes.last.style.card == CardDoc(title="Waiting for participants")
    await until(lambda: sound.ended and house.stage.stats().get("packets") == 5)
    await house.stage.close()
    assert house.stage.stats()["packets"] == 5 and house.warnings == []


async def test_only_what_changes_the_scene_is_told() -> None:
    house = House()
    await house.stage.take(PeerJoined(ANN))
    await house.publish(ANN, "audio")
    before = len(house.scenes.shown)
    await house.stage.take(TrackMuted("ann-audio", True))
    assert house.scenes.last.tiles[0].muted and len(house.scenes.shown) == before + 1
    await house.stage.take(RoomWarning("odd", "1"))
    await house.stage.take(TrackMuted("ann-audio", True))
    house.stage.direct(house.stage.direction)
    assert len(house.scenes.shown) == before + 1
    await house.stage.close()


async def test_a_track_replaced_before_it_was_taken_in_is_gone_already() -> None:
    house = House()
    await house.stage.take(PeerJoined(ANN))
    for kind in ("video", "audio"):
        await house.stage.take(TrackPublished(track_of(ANN, kind)))
    scene = house.scenes.last
    assert not scene.pictures and not scene.sounds and [tile.peer for tile in scene.tiles] == ["1"]
    await house.stage.take(TrackUnpublished("ann-video"))
    await house.publish(ANN, "audio")
    assert set(house.scenes.last.sounds) == {"ann-audio"}
    await house.stage.close()


async def test_media_that_stays_broken_is_told_with_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.media.reading.PAUSE", 0)
    house = House()
    await house.stage.take(PeerJoined(ANN))
    sender = Sender(48_000, house.clock.origin)
    await house.publish(ANN, "audio", FedSource([sender.frame(0, Codec.AAC, b"x", True)] * 4))
    await until(lambda: bool(house.warnings))
    assert house.warnings[0].startswith("mic of ann: it can no longer be read")
    assert house.stage.stats()["errors"] == 4
    await house.stage.close()


async def test_a_hung_decoder_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    hung, free = threading.Event(), threading.Event()

    def hang(*_: Any) -> list[Any]:
        hung.set()
        free.wait()
        return []

    monkeypatch.setattr("egress.media.intake.CLOSE_WITHIN", 0.01)
    monkeypatch.setattr(VideoDecoder, "decode", hang)
    house = House()
    await house.stage.take(PeerJoined(ANN))
    sender = Sender(90_000, house.clock.origin)
    key, _ = video([picture(Size(64, 48), 100)])[0]
    await house.publish(ANN, "video", FedSource([sender.frame(0, Codec.VP8, key, True)]))
    await until(hung.is_set)
    await house.stage.close()
    assert [warning.split(":")[0] for warning in house.warnings] == ["camera of ann"]
    free.set()


@pytest.mark.parametrize("fails", [False, True])
async def test_an_intake_that_does_not_close_is_left_behind(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def close(intake: AudioIntake) -> None:
        if fails:
            raise RuntimeError("jammed")
        await asyncio.Event().wait()

    monkeypatch.setattr(AudioIntake, "close", close)
    monkeypatch.setattr("egress.intakes.CLOSE_WITHIN", 0.01)
    house = House()
    await house.stage.take(PeerJoined(ANN))
    await house.publish(ANN, "audio")
    await house.stage.close()
    await until(lambda: bool(house.warnings))
    assert len(house.warnings) == 1 and ("jammed" if fails else "left behind") in house.warnings[0]


async def test_closing_does_not_wait_for_what_lingers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.intakes.LINGER", 10**15)
    house = House()
    await house.stage.take(PeerJoined(ANN))
    await house.publish(ANN, "audio")
    sound = cast(AudioIntake, house.scenes.last.sounds["ann-audio"])
    await house.stage.take(PeerLeft(ANN.id))
    await asyncio.sleep(0)
    assert not sound.ended
    await house.stage.close()
    assert sound.ended and house.warnings == []


async def test_an_operator_is_obeyed_at_the_next_tick_and_what_was_to_follow_still_does() -> None:
    house = House()
    await house.stage.take(PeerJoined(ANN))
    await house.publish(ANN, "video")
    house.scenes.position = house.scenes.shown[-1][0] + 1
    await house.stage.take(PeerJoined(BOB))
    joined = house.scenes.shown[-1][0]
    house.say(command="tiles", tiles={"labels": False})
    at, now = house.scenes.shown[-2]
    assert at == house.scenes.position < joined and [tile.peer for tile in now.tiles] == ["1"]
    assert [tile.peer for tile in house.scenes.last.tiles] == ["1", "2"]
    assert not now.style.tiles.labels and house.scenes.last.style is now.style
    assert house.scenes.shown[-1][0] == joined
    await house.stage.close()


async def test_what_is_taken_back_before_the_next_tick_is_never_shown_whatever_is_to_follow() -> None:
    house = House()
    house.scenes.position = 1
    await house.stage.take(PeerJoined(ANN))
    house.say(command="pause")
    house.say(command="resume")
    assert [scene.paused for _, scene in house.scenes.shown if scene.paused] == []
    assert [tile.peer for tile in house.scenes.last.tiles] == [ANN.id]


async def test_hidden_peers_are_heard_but_not_seen_and_nothing_of_them_is_wanted() -> None:
    house = House()
    for peer in (ANN, BOB):
        await house.stage.take(PeerJoined(peer))
        await house.publish(peer, "video")
        await house.publish(peer, "audio")
    house.say(command="hide", peers=["Ann"])
    await until(lambda: house.room.wanted[-1][1] == house.scenes.last.tiles[0].box.size)
    assert [tile.peer for tile in house.scenes.last.tiles] == ["2"]
    assert ("ann-video", None) in house.room.wanted
    assert set(house.scenes.last.sounds) == {"ann-audio", "bob-audio"}
    assert house.scenes.last.peers == {"2"} and set(house.scenes.last.voices.values()) == {"2"}
    house.say(command="show", peers=["ann"])
    assert len(house.scenes.last.tiles) == 2
    await house.stage.close()


async def test_sizes_are_told_only_when_they_change() -> None:
    house = House()
    await house.stage.take(PeerJoined(ANN))
    await house.publish(ANN, "video")
    told = len(house.room.wanted)
    await house.publish(ANN, "audio")
    await house.stage.take(TrackMuted("ann-audio", True))
    assert told == len(house.room.wanted) == 1
    await house.stage.close()


async def test_pins_and_the_floor_reach_the_layout() -> None:
    house = House(layout={"kind": "speaker"})
    for peer in (ANN, BOB):
        await house.stage.take(PeerJoined(peer))
        await house.publish(peer, "video")
    large = lambda: max(house.scenes.last.tiles, key=lambda tile: tile.box.width).peer  # noqa: E731
    house.stage.give_floor(Floor("2", ("2",)))
    assert large() == "2"
    house.say(command="pin", peers=["ann"])
    assert large() == "1"
    shown = len(house.scenes.shown)
    house.stage.give_floor(Floor("1", ("1", "2")))
    assert large() == "1" and len(house.scenes.shown) == shown
    await house.stage.close()


async def test_cards_follow_each_other() -> None:
    house = House(cards={"start": {"title": "Soon", "duration": "2s"}})
    titles = [(at, scene.style.card.title if scene.style.card else None) for at, scene in house.scenes.shown]
    assert titles == [(0, "Soon"), (2 * SECOND, "Waiting for participants")]
    await house.stage.take(PeerJoined(ANN))
    await house.publish(ANN, "audio")
    assert house.scenes.at(SECOND).style.card == house.scenes.shown[0][1].style.card
    assert set(house.scenes.at(SECOND).sounds) == {"ann-audio"}
    assert house.scenes.last.style.card is None and house.scenes.shown[-1][0] == 2 * SECOND
    house.say(command="pause")
    assert house.scenes.last.paused and house.scenes.last.style.card == CardDoc(title="Paused")
    house.say(command="resume")
    assert not house.scenes.last.paused and house.scenes.last.style.card is None
    house.stage.end_with(CardDoc(title="Bye"), 5 * SECOND)
    assert house.scenes.last.style.card == CardDoc(title="Bye") and not house.scenes.last.sounds
    await house.stage.close()


async def test_names_speech_and_the_connection_are_shown_live() -> None:
    house = House()
    await house.stage.take(PeerJoined(ANN))
    await house.publish(ANN, "video")
    await house.stage.take(PeerChanged(Peer("1", "Anna")))
    assert house.scenes.last.tiles[0].label == "Anna"
    style, tiles = house.scenes.last.style, house.scenes.last.tiles
    await house.stage.take(PeerSpeaking("1", True))
    assert house.scenes.last.speaking == {"1": True}
    assert house.scenes.last.style is style and house.scenes.last.tiles == tiles
    await house.stage.take(ConnectionLost("gone"))
    assert house.scenes.last.tiles[0].lost
    await house.stage.take(ConnectionRestored())
    assert not house.scenes.last.tiles[0].lost
    await house.stage.close()


async def test_roles_pan_and_who_changes_into_one_that_is_not_selected_goes() -> None:
    house = House(select={"roles": ["guest"]}, roles={"guest": {"pan": "left", "accent": "#ff0000"}})
    await house.stage.take(PeerJoined(ANN))
    await house.publish(ANN, "audio")
    assert house.scenes.last.pans == {"ann-audio": "left"}
    assert house.scenes.last.style.accents == {"guest": "#ff0000"}
    await house.stage.take(PeerChanged(Peer("1", "ann", "host")))
    assert not house.scenes.last.sounds and not house.scenes.last.tiles
    await house.stage.close()


class Gallery:
    """Gives a picture for every address but those that end in "broken"; `asked` are those it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.open = asyncio.Event()

    async def get(self, address: str) -> Portrait:
        self.asked.append(address)
        await self.open.wait()
        if address.endswith("broken"):
            raise RoomUnreachable("pictures.test answers 404")
        return np.zeros((2, 2, 4), np.uint8)


def with_avatar(peer: Peer, avatar: str) -> Peer:
    return Peer(peer.id, peer.name, peer.role, avatar)


async def test_a_picture_stands_for_its_peer_once_it_is_there_and_holds_up_nothing() -> None:
    gallery = Gallery()
    house = House(gallery.get, tiles={"avatars": "pictures"})
    await house.stage.take(PeerJoined(with_avatar(ANN, "https://a")))
    await house.stage.take(PeerJoined(BOB))
    await until(lambda: bool(gallery.asked))
    assert len(house.scenes.last.tiles) == 2 and not house.scenes.last.style.portraits
    gallery.open.set()
    await until(lambda: set(house.scenes.last.style.portraits) == {ANN.id})
    await house.stage.take(PeerChanged(ANN))
    assert not house.scenes.last.style.portraits
    await house.stage.take(PeerChanged(with_avatar(ANN, "https://b")))
    await until(lambda: set(house.scenes.last.style.portraits) == {ANN.id})
    await house.stage.take(PeerLeft(ANN.id))
    assert not house.scenes.last.style.portraits and gallery.asked == ["https://a", "https://b"]
    await house.stage.close()


async def test_a_picture_that_comes_while_the_stage_closes_leaves_nothing_behind() -> None:
    gallery = Gallery()
    house = House(gallery.get, tiles={"avatars": "pictures"})

    async def want(track_id: str, size: Size | None) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            gallery.open.set()
            for _ in range(10):
                await asyncio.sleep(0)

    await house.stage.take(PeerJoined(with_avatar(ANN, "https://a")))
    await until(lambda: bool(gallery.asked))
    await house.stage.take(PeerJoined(BOB))
    await house.publish(BOB, "video")
    house.room.want = want  # type: ignore[method-assign]
    house.say(command="hide", peers=[BOB.id])
    await asyncio.sleep(0)
    await house.stage.close()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "hints of sizes"] == []


async def test_a_picture_that_cannot_be_had_is_told_once_with_whose_it_is() -> None:
    gallery = Gallery()
    gallery.open.set()
    house = House(gallery.get, tiles={"avatars": "pictures"})
    await house.stage.take(PeerJoined(with_avatar(ANN, "https://broken")))
    await until(lambda: bool(house.warnings))
    await house.publish(ANN, "audio")
    await house.stage.take(PeerJoined(BOB))
    assert house.warnings == ["the picture of ann cannot be shown: pictures.test answers 404"]
    assert gallery.asked == ["https://broken"] and not house.scenes.last.style.portraits
    await house.stage.close()


@pytest.mark.parametrize("document", [{"tiles": {"avatars": "initials"}}, {}, {"video": None}])
async def test_no_picture_is_fetched_where_none_is_shown(document: dict[str, Any]) -> None:
    gallery = Gallery()
    house = House(gallery.get, **document)
    await house.stage.take(PeerJoined(with_avatar(ANN, "https://a")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert gallery.asked == []
    if not document:
        house.say(command="tiles", tiles={"avatars": "pictures"})
        await until(lambda: gallery.asked == ["https://a"])
    await house.stage.close()
