"""The publish page in a real Chromium comes into a local room through the front door, mutes, leaves and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from egress.model.media import Codec, EncodedFrame
from egress.model.room import PeerLeft, Room, RoomEvent, TrackSource
from egress.rooms.base import Identity, RoomSession, RoomURL
from egress.rooms.local import LocalConnector
from egress.web.app import create_app
from egress.web.server import WebServer
from tests.browser import PATIENCE, chromium, publish

pytestmark = pytest.mark.beside


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as made:
        yield made


@dataclass
class Stage:
    """A local room behind the web app, folded as a job would."""

    session: RoomSession
    url: str
    room: Room = field(default_factory=lambda: Room("standup"))
    events: list[RoomEvent] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self) -> None:
        async for event in self.session.events():
            async with self.changed:
                self.room = self.room.after(event)
                self.events.append(event)
                self.changed.notify_all()

    async def until_tracks(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(lambda: len(self.room.tracks) == count)

    async def until_muted(self, track: str, muted: bool) -> None:
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(lambda: self.room.tracks[track].muted is muted)

    def track(self, source: TrackSource) -> str:
        return next(track.id for track in self.room.tracks.values() if track.source is source)

    async def frames(self, track: str, count: int) -> list[EncodedFrame]:
        source = self.session.source(track)
        async with asyncio.timeout(PATIENCE):
            return [await source.recv() for _ in range(count)]


@asynccontextmanager
async def stage(token: str = "") -> AsyncIterator[Stage]:
    options = {"token": token} if token else {}
    async with LocalConnector().join(RoomURL.parse("local:standup"), Identity(options=options)) as session:
        whip = {"standup": session.info()["whip"]}
        async with WebServer(create_app(origins={}, whip=whip.get)) as server:
            made = Stage(session, server.url)
            listener = asyncio.create_task(made.listen())
            yield made
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)


@pytest.mark.parametrize(("codec", "expected"), [("vp8", Codec.VP8), ("h264", Codec.H264)])
async def test_publishes_picture_and_sound(browser: Browser, codec: str, expected: Codec) -> None:
    async with stage("sesame") as room:
        url = f"{room.url}/publish/standup"
        tab = await publish(browser, url, name="Ada", role="host", codec=codec, test=True, token="sesame")
        await room.until_tracks(2)
        (peer,) = room.room.peers.values()
        assert (peer.name, peer.role) == ("Ada", "host")
        frames = await room.frames(room.track(TrackSource.CAMERA), 30)
        assert {frame.codec for frame in frames} == {expected} and any(frame.key for frame in frames)
        sound = await room.frames(room.track(TrackSource.MIC), 20)
        assert {frame.codec for frame in sound} == {Codec.OPUS}
        await tab.until("counting", lambda told: told["bitrate"] > 0 and told["codec"].lower() == f"video/{codec}")
        assert not tab.complaints

        await tab.page.locator("#toggle").click()
        await room.until_tracks(0)
        assert any(isinstance(event, PeerLeft) for event in room.events)
        await tab.until("stopping", lambda told: told["state"] == "idle")


async def test_the_camera_of_the_browser_works_and_leaving_the_page_leaves_the_room(browser: Browser) -> None:
    async with stage() as room:
        tab = await publish(browser, f"{room.url}/publish/standup", name="Grace")
        await room.until_tracks(2)
        assert await room.frames(room.track(TrackSource.CAMERA), 10)
        await tab.page.goto("about:blank")
        await room.until_tracks(0)


async def test_a_muted_camera_sends_nothing_and_comes_back(browser: Browser) -> None:
    async with stage() as room:
        tab = await publish(browser, f"{room.url}/publish/standup", name="Linus", test=True)
        await room.until_tracks(2)
        camera = room.track(TrackSource.CAMERA)
        await room.frames(camera, 5)
        await tab.page.locator("#camera").click()
        await room.until_muted(camera, True)
        await tab.page.locator("#camera").click()
        await room.until_muted(camera, False)


async def test_a_wrong_token_is_said_and_not_tried_again(browser: Browser) -> None:
    async with stage("sesame") as room:
        tab = await publish(browser, f"{room.url}/publish/standup", name="Mallory", test=True, token="wrong")
        told = await tab.until("the refusal", lambda told: told.get("state") == "idle" and bool(told["errors"]))
        assert "401" in told["errors"][0] and told["attempts"] == 0
        assert not room.room.peers


async def test_comes_back_by_itself_when_the_connection_is_lost(browser: Browser) -> None:
    async with stage() as room:
        tab = await publish(browser, f"{room.url}/publish/standup", name="Margaret", test=True)
        await room.until_tracks(2)
        first = set(room.room.tracks)
        resource = (await tab.told())["resource"]
        # The room drops the publisher as a restart would; the page only sees its connection die.
        await tab.page.evaluate("url => fetch(url, {method: 'DELETE'})", resource)
        async with asyncio.timeout(PATIENCE), room.changed:
            await room.changed.wait_for(lambda: len(room.room.tracks) == 2 and not first & set(room.room.tracks))
        (peer,) = room.room.peers.values()
        assert peer.name == "Margaret"
