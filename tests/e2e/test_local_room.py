"""The local room with real publishers: aiortc, libavformat's WHIP muxer, Chromium, and ones that misbehave."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from egress.demo import barcode, clip
from egress.demo.people import person
from egress.demo.picture import planes
from egress.demo.publisher import Publisher
from egress.model.errors import EndOfTrack, RoomRefused, RoomUnreachable
from egress.model.media import SECOND, Codec, EncodedFrame, Size
from egress.model.room import (
    PeerJoined,
    PeerLeft,
    Room,
    RoomClosed,
    RoomEvent,
    RoomWarning,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
)
from egress.rooms.base import Identity, RoomSession, RoomURL
from egress.rooms.local import LocalConnector
from tests.browser import chromium
from tests.world import World

pytestmark = pytest.mark.beside

PATIENCE = 60.0
SIZE, FPS = Size(320, 180), 15


class Watched:
    """A local room, everything it says, and some of its media."""

    def __init__(self, session: RoomSession) -> None:
        self.session = session
        self.url = session.info()["whip"]
        self.events: list[RoomEvent] = []
        self.room = Room("test")
        self.frames: dict[str, list[EncodedFrame]] = {}
        self._news = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = [asyncio.create_task(self._follow())]

    async def _follow(self) -> None:
        async for event in self.session.events():
            self.events.append(event)
            self.room = self.room.after(event)
            if isinstance(event, TrackPublished):
                self.frames[event.track.id] = []
                self._tasks.append(asyncio.create_task(self._take(event.track.id)))
            async with self._news:
                self._news.notify_all()

    async def _take(self, track: str) -> None:
        source = self.session.source(track)
        frames = self.frames[track]
        with suppress(EndOfTrack):
            while True:
                frames.append(await source.recv())
                async with self._news:
                    self._news.notify_all()

    async def until(self, holds: Callable[[], Any]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(holds)

    def of(self, kind: type) -> list[Any]:
        """Events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def ended(self) -> None:
        """Everything read to its end."""
        await asyncio.wait_for(asyncio.gather(*self._tasks), PATIENCE)


@asynccontextmanager
async def open_room(name: str = "test", **options: str) -> AsyncIterator[Watched]:
    async with LocalConnector().join(RoomURL.parse(f"local:{name}"), Identity(options=options)) as session:
        watched = Watched(session)
        yield watched
    await watched.ended()
    assert isinstance(watched.events[-1], RoomClosed)


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    folder = tmp_path_factory.mktemp("clips")

    def media(who: int, codec: Codec = Codec.VP8) -> dict[str, Any]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EGRESS_CLIPS", str(folder))
            return {"clip": clip.video(person(who), SIZE, FPS, codec), "sound": clip.audio(person(who))}

    return media


Loops = Callable[..., dict[str, Any]]


def _video(watched: Watched, peer: str) -> str | None:
    return next((track.id for track in watched.room.tracks_of(peer, "video")), None)


def _counters(frames: list[EncodedFrame]) -> list[int]:
    decoder = av.CodecContext.create(frames[0].codec.value, "r")
    read = []
    for encoded in frames:
        for frame in decoder.decode(av.Packet(encoded.data)):
            reading = barcode.read(planes(frame)[0])
            assert reading is not None
            read.append(reading.counter)
    return read


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
async def test_publisher_joins_is_received_whole_and_leaves(loops: Loops, codec: Codec) -> None:
    async with open_room() as watched:
        publisher = Publisher(person(0), watched.url, **loops(0, codec))
        await publisher.open()
        await watched.until(lambda: (video := _video(watched, "ada")) and len(watched.frames[video]) >= 20)
        (peer,) = watched.room.peers.values()
        assert (peer.name, peer.role) == ("Ada", "host")
        assert {track.codec for track in watched.room.tracks.values()} == {codec, Codec.OPUS}
        frames = watched.frames[_video(watched, "ada") or ""]
        assert frames[0].key and not any(frame.gap for frame in frames)
        counters = _counters(frames)
        steps = [(later - earlier) % (FPS * 10) for earlier, later in pairwise(counters)]
        # On a machine too busy to encode its first pictures in time the publisher leaves some out, and says so.
        assert sum(steps) - len(steps) <= publisher.stats()["skipped"]
        await publisher.close()
        await watched.until(lambda: not watched.room.peers)
        assert watched.of(PeerLeft)[-1] == PeerLeft("ada", "left")


async def test_same_peer_coming_again_replaces_itself_and_keeps_its_place(loops: Loops) -> None:
    async with open_room() as watched:
        first = Publisher(person(0), watched.url, **loops(0))
        other = Publisher(person(1), watched.url, **loops(1))
        await first.open()
        await watched.until(lambda: len(watched.room.tracks) == 2)
        await other.open()
        await watched.until(lambda: len(watched.room.tracks) == 4)
        before = set(watched.room.tracks)
        again = Publisher(person(0), watched.url, **loops(0))
        await again.open()
        await watched.until(lambda: len(watched.of(TrackPublished)) == 6)
        assert list(watched.room.peers) == ["ada", "grace"]
        assert len(watched.room.tracks) == 4
        assert len(watched.of(PeerJoined)) == 2 and not watched.of(PeerLeft)
        assert len(watched.of(TrackUnpublished)) == 2
        new = set(watched.room.tracks) - before
        await watched.until(lambda: all(watched.frames[track] for track in new))
        for publisher in (first, again, other):
            await publisher.close()
        await watched.until(lambda: not watched.room.peers)


async def test_mute_is_told_and_the_next_picture_after_it_is_a_keyframe(loops: Loops) -> None:
    async with open_room() as watched:
        publisher = Publisher(person(0), watched.url, **loops(0))
        await publisher.open()
        await watched.until(lambda: (video := _video(watched, "ada")) and len(watched.frames[video]) > 5)
        video = _video(watched, "ada") or ""
        publisher.send("video", False)
        await watched.until(lambda: watched.room.tracks[video].muted)
        count = len(watched.frames[video])
        publisher.send("video", True)
        await watched.until(lambda: not watched.room.tracks[video].muted and len(watched.frames[video]) > count)
        assert watched.frames[video][count].key
        assert [event.muted for event in watched.of(TrackMuted) if event.track == video][:2] == [True, False]
        await publisher.close()
        await watched.until(lambda: not watched.room.peers)


async def test_peer_that_vanishes_without_goodbye_is_gone_in_the_end(loops: Loops) -> None:
    async with open_room() as watched:
        publisher = Publisher(person(0), watched.url, **loops(0))
        await publisher.open()
        await watched.until(lambda: len(watched.room.tracks) == 2)
        await publisher.drop()
        await watched.until(lambda: not watched.room.peers)
        assert "heard" in watched.of(PeerLeft)[0].reason


async def test_screen_is_published_beside_the_camera_by_the_same_peer(loops: Loops) -> None:
    async with open_room() as watched:
        camera = Publisher(person(0), watched.url, **loops(0))
        screen = Publisher(person(0), f"{watched.url}?source=screen", clip=loops(0)["clip"])
        await camera.open()
        await screen.open()
        await watched.until(lambda: len(watched.room.tracks) == 3)
        assert sorted(track.source for track in watched.room.tracks.values()) == ["camera", "mic", "screen"]
        await screen.close()
        await watched.until(lambda: len(watched.room.tracks) == 2)
        assert list(watched.room.peers) == ["ada"]
        await camera.close()
        await watched.until(lambda: not watched.room.peers)


async def test_many_come_at_once_and_the_house_is_full_at_its_limit(loops: Loops) -> None:
    async with open_room(publishers="6") as watched:
        publishers = [Publisher(person(who), watched.url, sound=loops(0)["sound"]) for who in range(6)]
        await asyncio.gather(*(publisher.open() for publisher in publishers))
        await watched.until(lambda: len(watched.room.tracks) == 6)
        with pytest.raises(RoomUnreachable, match="is full: 6 publish"):
            await Publisher(person(7), watched.url, sound=loops(0)["sound"]).open()
        await publishers[0].close()
        await watched.until(lambda: len(watched.room.peers) == 5)
        late = Publisher(person(7), watched.url, sound=loops(0)["sound"])
        await late.open()
        await watched.until(lambda: person(7).id in watched.room.peers)
        await asyncio.gather(*(publisher.close() for publisher in (*publishers[1:], late)))
        await watched.until(lambda: not watched.room.peers)


async def test_wrong_token_is_refused_and_the_right_one_taken(loops: Loops) -> None:
    async with open_room(token="sesame") as watched:
        with pytest.raises(RoomRefused, match=r"\(401\): the bearer token"):
            await Publisher(person(0), watched.url, token="wrong", sound=loops(0)["sound"]).open()
        publisher = Publisher(person(0), watched.url, token="sesame", sound=loops(0)["sound"])
        await publisher.open()
        await watched.until(lambda: watched.room.tracks)
        await publisher.close()
        await watched.until(lambda: not watched.room.peers)


async def _offer() -> str:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("video", direction="sendonly")
    connection.addTransceiver("audio", direction="sendonly")
    await connection.setLocalDescription(await connection.createOffer())
    sdp: str = connection.localDescription.sdp
    await connection.close()
    return sdp


async def test_offers_that_cannot_be_used_are_400_with_the_reason_and_harm_nobody(loops: Loops) -> None:
    sdp = await _offer()
    without_ice = "\r\n".join(line for line in sdp.splitlines() if not line.startswith("a=ice-")) + "\r\n"
    without_print = "\r\n".join(line for line in sdp.splitlines() if "fingerprint" not in line) + "\r\n"
    async with open_room() as watched:
        publisher = Publisher(person(0), watched.url, **loops(0))
        await publisher.open()
        await watched.until(lambda: len(watched.room.tracks) == 2)
        async with httpx.AsyncClient(trust_env=False) as client:
            bad = {
                "cut in a line": sdp[: sdp.index("a=ice-pwd") + 4],
                "nothing but a beginning": "v=0\r\n",
                "empty": "",
                "no SDP": '{"type": "offer"}',
                "no ICE": without_ice,
                "no fingerprint": without_print,
                "no media": sdp[: sdp.index("m=")],
                "binary": "\x00\x01\x02" * 100,
            }
            for name, body in bad.items():
                response = await client.post(watched.url, content=body, headers={"Content-Type": "application/sdp"})
                assert response.status_code == 400, (name, response.status_code, response.text)
                assert len(response.text) > 20, name
                assert "ice-ufrag" in response.text if name == "no ICE" else True
        video = _video(watched, "ada") or ""
        count = len(watched.frames[video])
        await watched.until(lambda: len(watched.frames[video]) > count + 5)
        assert list(watched.room.peers) == ["ada"]
        await publisher.close()
        await watched.until(lambda: not watched.room.peers)


async def test_publisher_that_never_connects_never_appears() -> None:
    async with open_room() as watched, httpx.AsyncClient(trust_env=False) as client:
        headers = {"Content-Type": "application/sdp"}
        response = await client.post(watched.url, content=await _offer(), headers=headers)
        assert response.status_code == 201
        resource = httpx.URL(watched.url).join(response.headers["location"])
        assert (await client.delete(resource)).status_code == 200
        assert (await client.delete(resource)).status_code == 404
    assert [type(event) for event in watched.events] == [RoomClosed]


async def test_publisher_who_cannot_be_reached_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.rooms.local._CONNECT_TIMEOUT", SECOND)
    async with open_room() as watched, httpx.AsyncClient(trust_env=False) as client:
        headers = {"Content-Type": "application/sdp"}
        url = f"{watched.url}?peer=ghost&name=Ghost"
        assert (await client.post(url, content=await _offer(), headers=headers)).status_code == 201
        await watched.until(lambda: watched.of(RoomWarning))
    assert watched.of(RoomWarning)[0].message == "Ghost could not publish: no connection within 1 s"
    assert not watched.of(PeerJoined) and not watched.of(PeerLeft)


async def test_leaving_the_room_ends_every_publication(loops: Loops) -> None:
    async with open_room() as watched:
        publisher = Publisher(person(0), watched.url, **loops(0))
        await publisher.open()
        await watched.until(lambda: len(watched.room.tracks) == 2)
    assert [type(event) for event in watched.events[-2:]] == [PeerLeft, RoomClosed]
    async with asyncio.timeout(PATIENCE):
        while publisher.alive:
            await asyncio.sleep(0.1)
    await publisher.drop()


async def test_libavformat_publishes_by_its_own_whip_muxer() -> None:
    async with open_room(token="sesame") as watched:
        # In a process of its own: libavformat holds the GIL while it waits for this room's answer.
        url = f"{watched.url}?peer=ffmpeg&role=guest"
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.libav_publisher", url, "sesame")
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
        await watched.until(lambda: watched.of(TrackPublished))
        video = next(event.track.id for event in watched.of(TrackPublished) if event.track.kind == "video")
        await watched.until(lambda: not watched.room.peers)
        assert watched.of(PeerJoined)[0].peer.id == "ffmpeg"
        frames = watched.frames[video]
        assert len(frames) >= 35
        counters = _counters(frames)
        assert counters == list(range(counters[0], counters[0] + len(counters)))


_PUBLISH_IN_A_PAGE = """async (url) => {
  const media = await navigator.mediaDevices.getUserMedia({audio: true, video: {width: 640, height: 360}});
  const pc = window.pc = new RTCPeerConnection({iceServers: [], bundlePolicy: 'max-bundle'});
  for (const track of media.getTracks()) pc.addTransceiver(track, {direction: 'sendonly', streams: [media]});
  await pc.setLocalDescription(await pc.createOffer());
  while (pc.iceGatheringState !== 'complete') await new Promise(done => setTimeout(done, 20));
  const headers = {'Content-Type': 'application/sdp', 'Authorization': 'Bearer sesame'};
  const answer = await fetch(url, {method: 'POST', headers, body: pc.localDescription.sdp});
  const place = new URL(answer.headers.get('Location'), url).href;
  await pc.setRemoteDescription({type: 'answer', sdp: await answer.text()});
  window.leave = async () => (await fetch(place, {method: 'DELETE', headers})).status;
  return [answer.status, place];
}"""


async def test_chromium_publishes_from_a_page_of_another_origin(component: Callable[[str], Path]) -> None:
    component("chromium")

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Closed with something unread, a connection is reset, and the browser may not get the answer.
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<title>other</title>")
        await writer.drain()
        writer.close()

    site = await asyncio.start_server(page, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{site.sockets[0].getsockname()[1]}/"
    async with open_room(token="sesame") as watched, chromium() as browser:
        tab = await browser.new_page()
        await tab.goto(origin)
        status, place = await tab.evaluate(_PUBLISH_IN_A_PAGE, f"{watched.url}?peer=tab&name=Browser")
        assert status == 201 and place.startswith(watched.url + "/")
        await watched.until(lambda: (video := _video(watched, "tab")) and len(watched.frames[video]) > 20)
        await watched.until(lambda: len(watched.frames[watched.room.tracks_of("tab", "audio")[0].id]) > 20)
        assert watched.room.peers["tab"].name == "Browser"
        assert await tab.evaluate("window.leave()") == 200
        await watched.until(lambda: not watched.room.peers)
    site.close()


async def test_participants_play_their_plan_in_the_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGRESS_CLIPS", str(tmp_path))
    world = World.everyone(3, 7, size=SIZE, fps=FPS, codecs=(Codec.VP8, Codec.H264))
    world = world.mutes(0, "video", 2.5, 4.5).away(1, 2.5, 4.5).camera_off(2).late(2, 1.5)
    async with open_room("plan") as watched, world.perform(watched.url) as cast:
        assert await asyncio.wait_for(cast.finished(), PATIENCE) == 0
        await watched.until(lambda: not watched.room.peers)
    said = [type(event).__name__ for event in watched.events]
    tracks = [event.track for event in watched.of(TrackPublished)]
    assert said.count("PeerJoined") == 4 and said.count("PeerLeft") == 4
    shown = {track.id for track in tracks if track.peer == "ada" and track.kind == "video"}
    assert [event.muted for event in watched.of(TrackMuted) if event.track in shown][:2] == [True, False]
    assert {track.kind for track in tracks if track.peer == "linus"} == {"audio"}
    assert {str(event["type"]) for event in cast.events} == {"ready", "published", "step", "left", "done"}
    for encoded in watched.frames.values():
        assert not any(frame.gap for frame in encoded)


async def test_participants_who_find_no_server_say_so_and_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGRESS_CLIPS", str(tmp_path))
    world = World.everyone(1, 2, size=SIZE, fps=2).camera_off(0)
    async with open_room("real", token="x") as watched:
        async with world.perform(watched.url, token="wrong") as cast:
            assert await asyncio.wait_for(cast.finished(), PATIENCE) == 1
        refused = [event for event in cast.events if event["type"] == "refused"]
        assert "401" in str(refused[0]["reason"])
