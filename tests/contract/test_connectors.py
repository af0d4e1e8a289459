"""Every kind of room, held to the same promises by the same publishers: ours by WHIP, a real Janus through a front."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from egress.model import registry
from egress.model.errors import EndOfTrack
from egress.model.media import Size
from egress.model.room import PeerJoined, Room, RoomClosed, RoomEvent, TrackPublished
from egress.rooms.base import Identity, RoomConnector, RoomSession, RoomURL
from tests.janus_front import JanusFront
from tests.janus_server import JanusServer
from tests.publisher import ClipTrack, Publisher, audio_clip, video_clip

PATIENCE = 60.0


@dataclass
class Visit:
    session: RoomSession
    whip: str
    events: list[RoomEvent] = field(default_factory=list)
    room: Room = field(default_factory=lambda: Room(""))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self) -> None:
        async for event in self.session.events():
            self.events.append(event)
            self.room = self.room.after(event)
            self.changed.set()

    async def until(self, holds: Callable[[Room], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds(self.room):
                self.changed.clear()
                await self.changed.wait()

    @asynccontextmanager
    async def publishing(self, name: str) -> AsyncIterator[None]:
        publisher = Publisher([ClipTrack("audio", audio_clip()), ClipTrack("video", video_clip())])
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            headers = {"Content-Type": "application/sdp"}
            answer = await client.post(
                self.whip, params={"name": name, "peer": name}, content=await publisher.offer(), headers=headers
            )
            assert answer.status_code == 201, answer.text
            await publisher.accept(answer.text)
            try:
                yield
            finally:
                await client.delete(httpx.URL(self.whip).join(answer.headers["location"]))
                await publisher.close()


@asynccontextmanager
async def visiting(kind: str, folder: Path) -> AsyncIterator[Visit]:
    before = asyncio.all_tasks()
    async with AsyncExitStack() as stack:
        whip, text = "", "local:contract"
        if kind != "local":
            janus = await stack.enter_async_context(JanusServer(folder, full_trickle=kind == "janus+http"))
            whip = (await stack.enter_async_context(JanusFront(janus))).whip(1001)
            text = janus.http_url(1001) if kind == "janus+http" else janus.url(1001)
        url = RoomURL.parse(text)
        connector: RoomConnector = registry.load("connectors", url.scheme)()
        before = asyncio.all_tasks()
        async with connector.join(url, Identity()) as session:
            visit = Visit(session, whip or session.info()["whip"])
            following = asyncio.create_task(visit.follow())
            before.add(following)
            yield visit
        async with asyncio.timeout(PATIENCE):
            await following
        assert isinstance(visit.events[-1], RoomClosed)
        left = {task.get_name() for task in asyncio.all_tasks() - before if "Janus" in task.get_name()}
        assert not left


KINDS = ("local", "janus+ws", "janus+http")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_publisher_comes_is_received_and_goes(kind: str, tmp_path: Path) -> None:
    async with visiting(kind, tmp_path) as visit:
        with pytest.raises(KeyError):
            visit.session.source("nobody-video-1")
        await visit.session.want("nobody-video-1", Size(320, 180))
        async with visit.publishing("Ada"):
            await visit.until(lambda room: len(room.tracks) == 2)
            joined = [event for event in visit.events if isinstance(event, PeerJoined)]
            published = [event.track for event in visit.events if isinstance(event, TrackPublished)]
            assert [event.peer.name for event in joined] == ["Ada"]
            assert sorted(f"{track.kind} {track.source}" for track in published) == ["audio mic", "video camera"]
            assert all(track.peer == joined[0].peer.id for track in published)
            sources = [visit.session.source(track.id) for track in published]
            async with asyncio.timeout(PATIENCE):
                for source in sources:
                    first, second = await source.recv(), await source.recv()
                    assert first.key and first.rtp < second.rtp and first.stream == second.stream
            for track in published:
                await visit.session.want(track.id, None)
                await visit.session.want(track.id, Size(320, 180))
            counts = visit.session.stats()
            assert counts["packets"] > 0 and counts["bytes"] > 0
        await visit.until(lambda room: not room.peers)
        async with asyncio.timeout(PATIENCE):
            for source in sources:
                with pytest.raises(EndOfTrack):
                    while True:
                        await source.recv()
        assert visit.session.stats()["packets"] >= counts["packets"], "what is over still counts"


@pytest.mark.parametrize("kind", KINDS)
async def test_who_comes_back_is_the_same_peer_with_new_tracks(kind: str, tmp_path: Path) -> None:
    async with visiting(kind, tmp_path) as visit:
        for _ in range(2):
            async with visit.publishing("Ada"):
                await visit.until(lambda room: len(room.tracks) == 2)
            await visit.until(lambda room: not room.peers)
    peers = {event.peer.id for event in visit.events if isinstance(event, PeerJoined)}
    tracks = [event.track.id for event in visit.events if isinstance(event, TrackPublished)]
    assert len(peers) == 1
    assert len(set(tracks)) == 4
