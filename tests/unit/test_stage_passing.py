"""The stage of a pipeline that keeps tracks as they were sent: what is read, what is decoded, what is asked for."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from egress.media.programme import Programme
from egress.media.unmade import Unmade
from egress.model.clock import SessionClock
from egress.model.media import SECOND, Codec, Size
from egress.model.passing import Passed, PassedItem, TrackFrame, TrackHushed, TrackLeft, TrackTaken
from egress.model.pipeline import Pipeline
from egress.model.room import Peer, PeerChanged, PeerJoined, Track, TrackMuted, TrackPublished, TrackSource
from egress.passage import Passage
from egress.stage import WHOLE, Stage
from tests.unit.feeding import FedSource, Sender, opus, picture, tone, video
from tests.unit.test_stage import FakeRoom, Scenes
from tests.unit.waiting import until

ADA, BOB = Peer("1", "ada", "host"), Peer("2", "bob")


@pytest.fixture(autouse=True)
def _no_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.intakes.LINGER", 0)


class House:
    """A stage with a passage, and all that it passed on."""

    def __init__(self, *others: str, **document: Any) -> None:
        sinks = [{"kind": "tracks", "to": "t/"}, *({"kind": kind, "to": "a.mp4"} for kind in others)]
        pipeline = Pipeline.model_validate({"name": "test", "delay": "0s", "sinks": sinks} | document)
        self.room = FakeRoom()
        self.items: list[PassedItem] = []
        self.clock = SessionClock.start()
        self.scenes = Scenes()
        programme = cast(Programme, self.scenes) if others else Unmade(self.clock, 0, lambda paused, at: None)
        passage = Passage(self.clock, lambda passed: self.hand(passed), hold=0)
        self.stage = Stage(pipeline, self.clock, self.room, programme, passage=passage)

    def hand(self, passed: Passed) -> None:
        self.items += passed.items

    async def publish(self, peer: Peer, kind: str, source: FedSource | None = None) -> str:
        track_id = f"{peer.name}-{kind}"
        self.room.sources[track_id] = source or FedSource()
        where = TrackSource.CAMERA if kind == "video" else TrackSource.MIC
        await self.stage.take(TrackPublished(Track(track_id, peer.id, cast(Any, kind), where)))
        return track_id

    def frames(self, track: str) -> list[TrackFrame]:
        return [item for item in self.items if isinstance(item, TrackFrame) and item.track == track]

    @property
    def taken(self) -> list[str]:
        return [item.track.id for item in self.items if isinstance(item, TrackTaken)]


def fed(clock: SessionClock, kind: str) -> FedSource:
    """A quarter of a second of somebody's media that has just come."""
    if kind == "video":
        sender = Sender(90_000, clock.origin)
        data = video([picture(Size(64, 48), 90)] * 8)
        return FedSource([sender.frame(n * SECOND // 30, Codec.VP8, *one) for n, one in enumerate(data)], ends=True)
    sender = Sender(48_000, clock.origin)
    packets = opus(tone(440, 0.25))
    return FedSource([sender.frame(n * SECOND // 50, Codec.OPUS, d, True) for n, d in enumerate(packets)], ends=True)


async def test_a_pipeline_of_tracks_alone_reads_every_track_and_decodes_none() -> None:
    house = House()
    await house.stage.take(PeerJoined(ADA))
    for kind in ("video", "audio"):
        await house.publish(ADA, kind, fed(house.clock, kind))
    await until(lambda: house.stage.stats().get("passed") == 20)
    assert house.stage.ever_published
    figures = house.stage.stats()
    assert figures["frames"] == 20 and "decoded" not in figures and "concealed" not in figures
    await house.stage.close()
    assert [len(house.frames(f"ada-{kind}")) for kind in ("video", "audio")] == [8, 12]


async def test_with_other_outputs_each_track_is_read_once_for_both() -> None:
    house = House("mp4")
    await house.stage.take(PeerJoined(ADA))
    await house.publish(ADA, "video", fed(house.clock, "video"))
    await house.publish(ADA, "audio", fed(house.clock, "audio"))
    assert set(house.scenes.last.pictures) == {"ada-video"} and set(house.scenes.last.sounds) == {"ada-audio"}
    await until(lambda: house.stage.stats().get("passed") == 20)
    await until(lambda: house.stage.stats().get("decoded", 0) > 0)
    await house.stage.close()
    assert [len(house.frames(f"ada-{kind}")) for kind in ("video", "audio")] == [8, 12]
    assert house.stage.stats()["errors"] == 0


async def test_a_picture_that_nothing_shows_is_passed_on_undecoded() -> None:
    house = House("mp4", video=None)
    await house.stage.take(PeerJoined(ADA))
    await house.publish(ADA, "video", fed(house.clock, "video"))
    await until(lambda: house.stage.stats().get("passed") == 8)
    assert "decoded" not in house.stage.stats() and not house.scenes.last.pictures
    await house.stage.close()


async def test_whole_pictures_are_asked_for_also_where_a_tile_is_smaller() -> None:
    for house in (House(), House("mp4")):
        await house.stage.take(PeerJoined(ADA))
        camera = await house.publish(ADA, "video")
        assert house.room.wanted == [(camera, WHOLE)]
        await house.stage.close()


async def test_only_what_is_selected_is_passed_on_and_hidden_roles_are_too() -> None:
    house = House("mp4", select={"sources": ["mic"]}, roles={"guest": {"hear": False, "show": False}})
    for peer in (ADA, BOB):
        await house.stage.take(PeerJoined(peer))
        await house.publish(peer, "video")
        await house.publish(peer, "audio")
    assert house.taken == ["ada-audio", "bob-audio"]
    assert set(house.scenes.last.sounds) == {"ada-audio"}
    # Bob becomes someone who is heard: his sound is decoded from then on, and goes on to be passed.
    await house.stage.take(PeerChanged(Peer("2", "bob", "host")))
    house.room.sources["bob-audio"].feed(*_packets(house.clock))
    assert set(house.scenes.last.sounds) == {"ada-audio", "bob-audio"}
    await until(lambda: house.stage.stats().get("passed") == 3)
    await house.stage.close()
    assert len(house.frames("bob-audio")) == 3


def _packets(clock: SessionClock) -> list[Any]:
    sender = Sender(48_000, clock.origin)
    return [sender.frame(n * SECOND // 50, Codec.OPUS, d, True) for n, d in enumerate(opus(tone(440, 0.06)))]


async def test_mutes_and_ends_are_passed_on() -> None:
    house = House()
    await house.stage.take(PeerJoined(ADA))
    track = await house.publish(ADA, "video")
    await house.stage.take(TrackMuted(track, True))
    await asyncio.sleep(0)
    await house.stage.close()
    assert [type(item) for item in house.items] == [TrackTaken, TrackHushed, TrackLeft]
