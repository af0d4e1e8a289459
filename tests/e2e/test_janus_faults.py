"""One visit to a real Janus through faults of every kind: what is told, and how soon everyone is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial

import httpx
import pytest

from egress.model.errors import EndOfTrack, RoomRefused, RoomUnreachable
from egress.model.media import SECOND
from egress.model.room import ConnectionLost, ConnectionRestored, PeerJoined, Room, RoomEvent, TrackMuted
from egress.rooms import janus_protocol, janus_reception
from egress.rooms.base import Identity, RoomSession, RoomURL
from egress.rooms.janus import JanusConnector
from egress.rooms.janus_news import Offered
from egress.rooms.janus_reception import Reception
from tests.janus_client import client
from tests.janus_front import JanusFront
from tests.janus_proxy import TcpProxy
from tests.janus_server import JanusServer, own_address
from tests.lossy_whip import lossy
from tests.publisher import ClipTrack, Publisher, audio_clip, video_clip
from tests.relay import Link, Relay

pytestmark = pytest.mark.beside

ROOM = 1001
PATIENCE = 60.0


@dataclass
class Visit:
    """A visit, followed; `frames` counts what came of each track, `keys` the tracks' first whole pictures."""

    session: RoomSession
    events: list[RoomEvent] = field(default_factory=list)
    room: Room = field(default_factory=lambda: Room(""))
    frames: dict[str, int] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _taking: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def follow(self) -> None:
        async for event in self.session.events():
            self.events.append(event)
            self.room = self.room.after(event)
            for track in self.room.tracks:
                if track not in self._taking:
                    self._taking[track] = asyncio.create_task(self._take(track))
            self._changed.set()

    async def _take(self, track: str) -> None:
        with suppress(EndOfTrack, KeyError):
            source = self.session.source(track)
            while True:
                frame = await source.recv()
                self.frames[track] = self.frames.get(track, 0) + (frame.codec != "opus")
                self._changed.set()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for it."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def pictures(self) -> int:
        return sum(count for track, count in self.frames.items() if track in self.room.tracks)

    def told(self, kind: type[RoomEvent]) -> list[RoomEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    def first(self, kind: type[RoomEvent]) -> int:
        """Where in what was told the first of a kind is."""
        return self.events.index(self.told(kind)[0])

    async def close(self) -> None:
        for task in self._taking.values():
            task.cancel()
        await asyncio.gather(*self._taking.values(), return_exceptions=True)


@asynccontextmanager
async def visiting(address: str, **options: str) -> AsyncIterator[Visit]:
    async with JanusConnector().join(RoomURL.parse(address), Identity(options=options)) as session:
        visit = Visit(session)
        following = asyncio.create_task(visit.follow())
        try:
            yield visit
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await visit.close()


@asynccontextmanager
async def publishing(whip: str, name: str, peer: str = "") -> AsyncIterator[Publisher]:
    publisher = Publisher([ClipTrack("audio", audio_clip()), ClipTrack("video", video_clip())])
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        answer = await http.post(
            whip,
            params={"name": name, "peer": peer or name},
            content=await publisher.offer(),
            headers={"Content-Type": "application/sdp"},
        )
        assert answer.status_code == 201, answer.text
        await publisher.accept(answer.text)
        try:
            yield publisher
        finally:
            await http.delete(httpx.URL(whip).join(answer.headers["location"]))
            await publisher.close()


@asynccontextmanager
async def ada_seen(tmp_path, **more: object) -> AsyncIterator[tuple[JanusServer, JanusFront, Visit]]:
    """A visit to a room in which one person is seen and heard."""
    async with AsyncExitStack() as stack:
        janus = await stack.enter_async_context(JanusServer(tmp_path, **more))  # type: ignore[arg-type]
        front = await stack.enter_async_context(JanusFront(janus))
        visit = await stack.enter_async_context(visiting(janus.url(ROOM)))
        await stack.enter_async_context(publishing(front.whip(ROOM), "Ada"))
        await visit.until(visit.pictures)
        yield janus, front, visit


@pytest.fixture
def unhurried(monkeypatch):
    """Patience for a busy machine, where nothing is to be lost."""
    monkeypatch.setattr(janus_protocol, "PATIENCE", 60 * SECOND)
    monkeypatch.setattr(janus_reception, "UNREPORTED", 60 * SECOND)
    monkeypatch.setattr(janus_reception, "UNHEARD", 60 * SECOND)


def test_patience_is_for_more_than_three_seconds():
    assert janus_protocol.PATIENCE >= 5 * SECOND, "a server may stand still for three seconds, and be slow besides"
    assert janus_reception.UNREPORTED >= 5 * SECOND, "and so may its media"


async def test_a_janus_that_stands_still_for_three_seconds_is_waited_for(tmp_path, unhurried):
    async with ada_seen(tmp_path) as (janus, _, visit):
        janus.freeze()
        await visit.until(lambda: all(track.muted for track in visit.room.tracks.values()))
        await asyncio.sleep(3)
        assert visit.room.connected and all(track.muted for track in visit.room.tracks.values())
        janus.thaw()
        before = visit.pictures()
        await visit.until(lambda: not any(track.muted for track in visit.room.tracks.values()))
        await visit.until(lambda: visit.pictures() > before)
        assert not visit.told(ConnectionLost) and len(visit.told(PeerJoined)) == 1


async def test_a_janus_that_stands_still_for_long_is_lost_and_everyone_is_back_when_it_goes_on(tmp_path):
    async with ada_seen(tmp_path) as (janus, _, visit):
        janus.freeze()
        await visit.until(lambda: not visit.room.connected)
        await asyncio.sleep(3)
        assert not visit.room.tracks and len(visit.room.peers) == 1, "who was there is waited for"
        janus.thaw()
        await visit.until(lambda: visit.room.connected and visit.pictures())
        assert len(visit.told(PeerJoined)) == 1 and visit.told(ConnectionRestored)


async def test_media_that_can_no_longer_come_is_noticed_while_signalling_goes_on(tmp_path, monkeypatch):
    relays: list[Relay] = []
    network = partial(Relay, host=own_address())

    class Relayed(Reception):
        async def answer(self, offer: Offered) -> str:
            if not relays or relays[-1].forward.outages:
                relays.append(await stack.enter_async_context(network(Link(media_only=False), Link(media_only=False))))
            answer = await super().answer(replace(offer, sdp=relays[-1].offer(offer.sdp)))
            return relays[-1].answer(answer)

    monkeypatch.setattr("egress.rooms.janus.Reception", Relayed)
    async with AsyncExitStack() as stack, ada_seen(tmp_path) as (_, _, visit):
        (relay,) = relays
        relay.forward.outages = relay.back.outages = [(0, 1e9)]
        await visit.until(lambda: all(track.muted for track in visit.room.tracks.values()))
        await visit.until(lambda: not visit.room.connected)
        await visit.until(lambda: visit.room.connected and visit.pictures())
        silent, lost = (visit.first(kind) for kind in (TrackMuted, ConnectionLost))
        assert silent < lost, "tracks are muted before the connection is given up"
        assert len(relays) == 2 and len(visit.told(PeerJoined)) == 1


async def test_media_that_janus_ends_is_taken_up_again_at_once(tmp_path, unhurried):
    async with ada_seen(tmp_path) as (janus, _, visit):
        (handle,) = await janus.subscribers()
        await janus.hang_up(handle)
        await visit.until(lambda: visit.told(ConnectionLost))
        await visit.until(lambda: visit.room.connected and visit.pictures())
        assert len(visit.told(ConnectionRestored)) == 1


async def test_a_publisher_whose_network_died_is_muted_and_back_at_once(tmp_path, unhurried):
    links: dict[str, tuple[Link, Link]] = {}

    def network(peer: str) -> tuple[Link, Link]:
        return links.setdefault(peer, (Link(media_only=False), Link(media_only=False)))

    async with (
        JanusServer(tmp_path) as janus,
        JanusFront(janus) as front,
        lossy(front.whip(ROOM), network, own_address()) as whip,
        visiting(janus.url(ROOM)) as visit,
        publishing(whip, "Ada"),
        publishing(whip, "Grace"),
    ):
        await visit.until(lambda: len(visit.room.tracks) == 4 and visit.pictures())
        for link in links["Ada"]:
            link.outages = [(0, 1e9)]
        ada = [track.id for track in visit.room.tracks.values() if track.peer == "ada"]
        await visit.until(lambda: all(visit.room.tracks[track].muted for track in ada))
        await asyncio.sleep(3)
        assert set(visit.room.peers) == {"ada", "grace"} and visit.room.connected
        assert all(visit.room.tracks[track].muted for track in ada)
        # Where everybody stands still for a moment, so does Grace.
        await visit.until(lambda: not any(track.muted for track in visit.room.tracks.values() if track.peer == "grace"))
        for link in links["Ada"]:
            link.outages = []
        before = visit.frames.copy()
        await visit.until(lambda: not any(visit.room.tracks[track].muted for track in ada))
        await visit.until(lambda: any(visit.frames[track] > before.get(track, 0) for track in ada))
        told = [(event.track, event.muted) for event in visit.events if isinstance(event, TrackMuted)]
        assert all([muted for track, muted in told if track == one][:2] == [True, False] for one in ada)
        assert not visit.told(ConnectionLost)


async def test_who_leaves_at_once_and_namesakes_disturb_nobody(tmp_path, caplog, unhurried):
    async with ada_seen(tmp_path) as (janus, front, visit):
        ada = set(visit.room.tracks)
        for number in range(5):
            async with publishing(front.whip(ROOM), "Grace", f"grace-{number}"):
                await asyncio.sleep(0.02 * number)
        async with (
            publishing(front.whip(ROOM), "Ken", "one"),
            publishing(front.whip(ROOM), "Ken", "two"),
        ):
            await visit.until(lambda: len(visit.room.tracks) == 6)
            assert {peer.name for peer in visit.room.peers.values()} == {"Ada", "Ken"}
            assert set(visit.room.peers) == {"ada", "ken", "ken-2"}
        await visit.until(lambda: set(visit.room.peers) == {"ada"})
        assert set(visit.room.tracks) == ada
        assert len(await janus.subscribers()) == 1
        assert not visit.told(ConnectionLost)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


async def test_an_empty_room_is_kept_for_longer_than_a_session_lasts(tmp_path, unhurried):
    async with JanusServer(tmp_path, session_timeout=6) as janus:
        async with visiting(janus.url(ROOM)) as one, visiting(janus.http_url(ROOM)) as other:
            await asyncio.sleep(12)
            assert not one.told(ConnectionLost) and not other.told(ConnectionLost)
            assert len(await janus.sessions()) == 2
        await janus.left()


async def test_tokens_are_asked_for_and_taken(tmp_path, unhurried):
    async with JanusServer(tmp_path, tokens=True) as janus:
        await janus.allow("open-sesame")
        for options in ({}, {"janus_token": "abracadabra"}):
            with pytest.raises(RoomRefused, match="EGRESS_JANUS_TOKEN") as refused:
                async with visiting(janus.url(ROOM), **options):
                    pass
            assert "abracadabra" not in refused.value.message
        for address in (janus.url(ROOM), janus.http_url(ROOM)):
            async with visiting(address, janus_token="open-sesame") as visit:
                await asyncio.sleep(0.5)
                assert not visit.told(ConnectionLost)


async def test_a_certificate_nobody_vouches_for_is_refused_until_it_is_trusted(tmp_path, monkeypatch, unhurried):
    async with JanusServer(tmp_path, secure=True) as janus:
        places = (
            f"janus+wss://127.0.0.1:{janus.wss_port}/{ROOM}",
            f"janus+https://127.0.0.1:{janus.https_port}/janus/{ROOM}",
        )
        for place in places:
            with pytest.raises(RoomUnreachable, match="SSL_CERT_FILE"):
                async with visiting(place):
                    pass
        monkeypatch.setenv("SSL_CERT_FILE", str(janus.certificate))
        for place in places:
            async with visiting(place) as visit:
                assert not visit.told(ConnectionLost)


async def test_a_server_on_ipv6_is_joined(tmp_path, unhurried):
    async with (
        JanusServer(tmp_path) as janus,
        TcpProxy(janus.ws_port, "::1") as proxy,
        visiting(f"janus+ws://[::1]:{proxy.port}/{ROOM}"),
    ):
        assert proxy.visits == 1


async def test_another_subscriber_of_the_same_room_changes_nothing(tmp_path, unhurried):
    async with ada_seen(tmp_path) as (janus, _, visit), client(janus) as other:
        handle, joined = await other.join(ROOM, "Watcher")
        (feed,) = [one["id"] for one in joined["publishers"]]
        await other.detach(handle)
        subscriber = await other.attach()
        await other.message(subscriber, request="join", ptype="subscriber", room=ROOM, streams=[{"feed": feed}])
        before = visit.pictures()
        await visit.until(lambda: visit.pictures() > before + 15)
        assert not visit.told(ConnectionLost)
