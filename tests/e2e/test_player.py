"""The watch page in a real Chromium plays what the origin serves, live and afterwards."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from egress.control.tokens import Tokens
from egress.model.media import SECOND, Size
from egress.model.outputs import CaptionsDoc, HlsDoc
from egress.model.pipeline import RungDoc
from egress.sinks.base import CAPTION, METADATA, Mark
from egress.sinks.hls import HlsSink
from egress.web.app import create_app
from egress.web.origin import Origin
from egress.web.playback import Playback
from egress.web.server import WebServer
from tests.broadcast import Broadcast
from tests.browser import chromium, watch
from tests.flashes import context, programme
from tests.hls_checker import examine


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as made:
        yield made


def make_vod(folder: Path) -> None:
    """Ten seconds of test picture and tone as fMP4 HLS with a separate audio rendition."""
    folder.mkdir(parents=True)
    command = [
        *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"),
        *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "10"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "60", "-c:a", "aac", "-ac", "2"),
        *("-f", "hls", "-hls_segment_type", "fmp4", "-hls_time", "2", "-hls_playlist_type", "vod"),
        *("-master_pl_name", "index.m3u8", "-var_stream_map", "v:0,agroup:a a:0,agroup:a"),
        *("-hls_fmp4_init_filename", "init-%v.mp4", "-hls_segment_filename", str(folder / "s%v-%d.m4s")),
        str(folder / "v%v.m3u8"),
    ]
    subprocess.run(command, check=True)


def listened(app: ASGIApp, asked: list[str], failed: list[tuple[str, int]]) -> ASGIApp:
    """The app, noting the query of every request for a media playlist, and every answer that is a failure.

    404 is none: the page asks for a stream that has not begun, and for hinted parts that the end has overtaken.
    """

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400 and message["status"] != 404:
                failed.append((scope["path"], message["status"]))
            await send(message)

        if scope["type"] == "http" and scope["path"].endswith(("/video.m3u8", "/audio.m3u8")):
            asked.append(scope["query_string"].decode())
        await app(scope, receive, answering if scope["type"] == "http" else send)

    return listening


async def test_plays_a_recording_with_sound(browser: Browser, tmp_path: Path) -> None:
    await asyncio.to_thread(make_vod, tmp_path / "hls")
    app = create_app(origins={"talk": Origin(tmp_path / "hls")}, whip=lambda room: None)
    async with WebServer(app) as server:
        tab = await watch(browser, f"{server.url}/live/talk/")
        await tab.until("playing", lambda told: told.get("time", 0) > 2 and told["audioBytes"] > 10_000)
        told = await tab.told()
        assert (told["width"], told["height"]) == (640, 360)
        assert told["state"] == "ended, recorded" and not told["live"]
        assert told["muted"] and await tab.page.locator("#unmute").is_visible()
        await tab.page.locator("#unmute").click()
        assert not (await tab.told())["muted"]
        aborted = "{type: 'otherError', details: 'aborted', fatal: false, error: new Error('aborted')}"
        await tab.page.evaluate(f"window.player.hls.trigger('hlsError', {aborted})")
        await tab.page.evaluate("window.player.video.currentTime = 9")
        await tab.until("the end", lambda told: told["state"] == "ended")
        assert not tab.complaints and not (await tab.told())["errors"]


async def test_plays_below_a_token_where_not_everybody_may_watch(browser: Browser, tmp_path: Path) -> None:
    await asyncio.to_thread(make_vod, tmp_path / "hls")
    tokens = Tokens([b"s" * 32])
    app = create_app(
        origins={"talk": Origin(tmp_path / "hls")}, whip=lambda room: None, playback=Playback(tokens.playback)
    )
    token = tokens.mint("playback", "viewer", seconds=600, rooms=("talk",))
    async with WebServer(app) as server:
        tab = await watch(browser, f"{server.url}/live/talk/~{token}/")
        await tab.until("playing", lambda told: told.get("time", 0) > 1 and told["audioBytes"] > 10_000)
        assert await tab.page.locator("#title").text_content() == "talk"
        assert not tab.complaints and not (await tab.told())["errors"]
        refused = await (await browser.new_page()).goto(f"{server.url}/live/talk/")
        assert refused is not None and refused.status == 403


async def test_waits_for_a_stream_that_has_not_begun(browser: Browser, tmp_path: Path) -> None:
    app = create_app(origins={"talk": Origin(tmp_path / "hls")}, whip=lambda room: None)
    async with WebServer(app) as server:
        tab = await watch(browser, f"{server.url}/live/talk/")
        await tab.until("waiting", lambda told: told.get("state") == "starting")
        await asyncio.to_thread(make_vod, tmp_path / "making")
        (tmp_path / "making").rename(tmp_path / "hls")
        told = await tab.until("playing", lambda told: told["time"] > 0.5)
        assert told["errors"] == []
        assert not [complaint for complaint in tab.complaints if "404" not in complaint]


async def test_plays_live_a_few_parts_behind_and_goes_on_as_a_recording(browser: Browser, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    folder = tmp_path / "hls"
    origin = Origin(folder)
    asked: list[str] = []
    failed: list[tuple[str, int]] = []
    app = listened(create_app(origins={"talk": origin}, whip=lambda room: None), asked, failed)
    broadcast = Broadcast(folder, lambda event: loop.call_soon_threadsafe(origin.announce, event))
    async with WebServer(app) as server:
        broadcast.start()
        try:
            tab = await watch(browser, f"{server.url}/live/talk/")
            told = await tab.until("playing live", lambda told: told.get("time", 0) > 1 and told["live"])
            started = told["time"]
            told = await tab.until("going on", lambda told: told["time"] > started + 8)
            assert (told["width"], told["height"]) == (320, 180)
            assert told["audioBytes"] > 10_000
            # Three parts, and at most a target duration more after stalls; without parts it would be 6 s.
            assert 1.4 < told["targetLatency"] < 3.6 and told["latency"] > 0
            blocking = [query for query in asked if "_HLS_msn" in query]
            # The page looks whether the stream has begun, and the player's first look at each playlist can not block.
            assert blocking and len(blocking) >= 0.9 * len(asked[asked.index(blocking[0]) :])
            assert origin.waiting <= 4
        finally:
            await asyncio.to_thread(broadcast.stop)
        told = await tab.until("the recording", lambda told: not told["live"])
        await tab.until("the end", lambda told: told["state"] == "ended")
        assert failed == [] and told["errors"] == []
        assert not [complaint for complaint in tab.complaints if "404" not in complaint]


async def test_changes_between_the_sizes_of_a_ladder(browser: Browser, tmp_path: Path) -> None:
    origins = {"talk": (origin := Origin(folder := tmp_path / "hls"))}
    loop = asyncio.get_running_loop()
    rungs = (RungDoc(size=Size(192, 108), bitrate=120_000), RungDoc(size=Size(128, 72), bitrate=60_000))
    broadcast = Broadcast(
        folder, lambda event: loop.call_soon_threadsafe(origin.announce, event), behind=6.0, rungs=rungs
    )
    async with WebServer(create_app(origins=origins, whip=lambda room: None)) as server:
        broadcast.start()
        try:
            tab = await watch(browser, f"{server.url}/live/talk/")
            await tab.until("playing live", lambda told: told.get("time", 0) > 1 and told["live"])
            heights = await tab.page.evaluate("window.player.hls.levels.map((level) => level.height)")
            assert sorted(heights) == [72, 108, 180], "the player itself leaves the sound alone out"
            for height, width in ((72, 128), (180, 320), (108, 192)):
                # With what is loaded next, as the player itself changes: `nextLevel` throws loaded pictures away at
                # once, at any picture, and a slow machine then plays into the hole up to the next keyframe.
                await tab.page.evaluate(f"window.player.hls.loadLevel = {heights.index(height)}")
                began = (await tab.told())["time"]
                await tab.until(f"{height} lines", lambda told, width=width: told["width"] == width)
                await tab.until("going on", lambda told, began=began: told["time"] > began + 1)
            assert not await asyncio.to_thread(broken, f"{server.url}/live/talk/index.m3u8")
        finally:
            await asyncio.to_thread(broadcast.stop)
        assert (await tab.told())["errors"] == []
        assert not await asyncio.to_thread(broken, f"{server.url}/live/talk/index.m3u8")


SAID = """() => {
    const { video, hls } = window.player;
    const texts = [...video.textTracks].filter((track) => track.mode === "showing" && track.kind === "subtitles");
    const shown = texts.flatMap((track) => [...(track.activeCues ?? [])]);
    const held = texts.flatMap((track) => [...(track.cues ?? [])]);
    return { time: video.currentTime, cues: shown.map((cue) => [cue.startTime, cue.text]),
             held: held.map((cue) => [cue.startTime, cue.text]),
             tracks: hls.subtitleTracks.map((track) => [track.lang, track.name]) };
}"""


NOTE_CAPTIONS = """() => {
    const { video, hls } = window.player;
    const shown = (window.shown = {});
    const note = (track) => track.addEventListener("cuechange", () => {
        for (const cue of track.kind === "subtitles" ? track.activeCues ?? [] : []) shown[cue.text] = cue.startTime;
    });
    [...video.textTracks].forEach(note);
    video.textTracks.addEventListener("addtrack", (event) => note(event.track));
    video.pause();
    hls.subtitleTrack = 0;
    hls.subtitleDisplay = true;
}"""
"""Has the player stand still with captions on, and note in the page what it shows: nobody need look in time."""


def unbroken(cues: Collection[str]) -> int:
    """How many captions there are one after the other, each being named by its number."""
    numbers = {int(text.split()[1]) for text in cues}
    return max((next(n for n in count() if first + n not in numbers) for first in numbers), default=0)


@pytest.mark.parametrize("single_file", [False, True], ids=["files", "one file"])
async def test_captions_are_shown_live_with_the_picture_they_belong_to(
    browser: Browser, tmp_path: Path, single_file: bool
) -> None:
    origins = {"talk": (origin := Origin(folder := tmp_path / "hls"))}
    loop = asyncio.get_running_loop()
    captions = (CaptionsDoc(language="en", name="English"), CaptionsDoc(language="de"))
    broadcast = Broadcast(
        folder,
        lambda event: loop.call_soon_threadsafe(origin.announce, event),
        behind=6.0,
        captions=captions,
        single_file=single_file,
    )
    async with WebServer(create_app(origins=origins, whip=lambda room: None)) as server:
        broadcast.start()
        try:
            tab = await watch(browser, f"{server.url}/live/talk/")
            await tab.until("playing live", lambda told: told.get("time", 0) > 1 and told["live"])
            await tab.page.evaluate("window.player.hls.subtitleTrack = 0, window.player.hls.subtitleDisplay = true")
            seen: dict[str, float] = {}
            held: dict[str, float] = {}
            for _ in range(300):
                said = await tab.page.evaluate(SAID)
                seen |= {text: start for start, text in said["cues"]}
                held |= {text: start for start, text in said["held"]}
                if len(seen) >= 5 and unbroken(held) >= 6:
                    break
                await asyncio.sleep(0.2)
            assert len(seen) >= 5, said
            # A player that is too far behind leaves some out, and then goes on without a gap.
            assert unbroken(held) >= 6, held
            assert said["tracks"] == [["en", "English"], ["de", "de"]]
            assert seen.keys() <= held.keys()
            assert all(abs(start - int(text.split()[1])) < 0.05 for text, start in held.items())
            await tab.page.screenshot(path=str(tmp_path / "captions.png"))
            assert not await asyncio.to_thread(broken, f"{server.url}/live/talk/index.m3u8")
        finally:
            await asyncio.to_thread(broadcast.stop)
        assert (await tab.told())["errors"] == []
        assert not await asyncio.to_thread(broken, f"{server.url}/live/talk/index.m3u8")


def make_resumed(folder: Path) -> None:
    """Two attempts of one job, each with a caption at its second 1: 4.6 s, then after 9 s 4 s more."""
    folder.parent.joinpath("spool").mkdir()
    doc = HlsDoc(kind="hls", to="x", segment="2s", captions=(CaptionsDoc(),), id3=True)
    told = context(folder.parent / "spool", folder)
    for number, (since, seconds) in enumerate(((0, 4.6), (9, 4)), 1):
        sink = HlsSink(doc, replace(told, attempt=number, started=told.started + timedelta(seconds=since)))
        sink.open(programme(seconds).streams)
        sink.mark(Mark(SECOND, CAPTION, f"attempt {number}", 2 * SECOND))
        sink.mark(Mark(SECOND, METADATA, f"payload {number}"))
        for packet in programme(seconds).packets:
            sink.write(packet)
    sink.close()


async def test_plays_on_over_the_place_where_a_worker_died(browser: Browser, tmp_path: Path) -> None:
    await asyncio.to_thread(make_resumed, tmp_path / "hls")
    app = create_app(origins={"talk": Origin(tmp_path / "hls")}, whip=lambda room: None)
    async with WebServer(app) as server:
        tab = await watch(browser, f"{server.url}/live/talk/")
        await tab.until("ready", lambda told: told.get("time", 0) > 0.1)
        await tab.page.evaluate(NOTE_CAPTIONS)
        async with asyncio.timeout(60):
            while len((await tab.page.evaluate(SAID))["held"]) < 2:
                await asyncio.sleep(0.1)
        await tab.page.evaluate("window.player.video.currentTime = 0, window.player.video.play()")
        told = await tab.until("the end", lambda told: told["state"] == "ended")
        seen = await tab.page.evaluate("window.shown")
        # The first attempt ends with its last whole part, 4.5 s after its beginning.
        assert seen == {"attempt 1": pytest.approx(1, abs=0.05), "attempt 2": pytest.approx(5.5, abs=0.05)}
        assert told["state"] == "ended" and told["errors"] == [] and not tab.complaints
        assert told["time"] == pytest.approx(8.5, abs=0.1)
        tags = await tab.page.evaluate(
            "[...window.player.video.textTracks].filter((track) => track.kind === 'metadata')"
            ".flatMap((track) => [...track.cues]).filter((cue) => cue.value?.key === 'TXXX')"
            ".map((cue) => [cue.startTime, cue.value.data])"
        )
        assert tags == [[pytest.approx(1, abs=0.05), "payload 1"], [pytest.approx(5.5, abs=0.05), "payload 2"]]
        ranges = await tab.page.evaluate(
            "Object.values(window.player.hls.latestLevelDetails.dateRanges)"
            ".map((range) => [range.class, decodeURIComponent(range.attr['X-PAYLOAD'])])"
        )
        assert ranges == [["egress.metadata", "payload 1"], ["egress.metadata", "payload 2"]]


def broken(url: str) -> list[str]:
    """What must not be of a presentation."""
    return [str(violation) for violation in examine(url).broken]


@pytest.mark.parametrize("path", ["/live/nothing/", "/live/nothing/index.m3u8"])
async def test_a_stream_that_does_not_exist_is_said_so(browser: Browser, path: str) -> None:
    async with WebServer(create_app(origins={}, whip=lambda room: None)) as server:
        page = await browser.new_page()
        answer = await page.goto(server.url + path)
        assert answer is not None and answer.status == 404
        assert "no live stream called 'nothing'" in await page.content()
