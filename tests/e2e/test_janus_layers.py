"""Simulcast in a real Janus: the layer that fits the tile is asked for, and what cannot be recorded is said."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from egress.demo import clip as clips
from egress.demo.people import person
from egress.demo.picture import LOOP_SECONDS
from egress.model.clock import monotonic
from egress.model.media import SECOND, Codec, Size
from tests.browser import chromium
from tests.held_up import job_held_up
from tests.janus_browser import Caller, janus_page
from tests.janus_front import BARS, JanusFront
from tests.janus_server import JanusRoom, JanusServer
from tests.janus_simulcast import TROUPE
from tests.probe import probe
from tests.recording import Event, recording
from tests.world import World

ROOM = 1001


async def until_substreams(janus: JanusServer, wanted: list[int]) -> None:
    """Wait until Janus sends these layers to the recorder."""
    found: list[int] = []
    try:
        async with asyncio.timeout(60):
            while (found := await janus.substreams()) != wanted:
                # Asked much oftener about handles that come and go, Janus has stood still for good.
                await asyncio.sleep(1)
    except TimeoutError:
        raise AssertionError(f"Janus sends {found}: {await janus.subscribers()}") from None


async def test_chromium_sends_the_layer_that_fits_and_what_cannot_be_recorded_is_said(tmp_path):
    seconds = 7
    callers = (Caller(0, simulcast=True), Caller(1, "H264", size=Size(640, 360)), Caller(2, "VP9", size=Size(640, 360)))
    async with (
        JanusServer(tmp_path, rooms=[JanusRoom(ROOM, codec="vp8,h264,vp9")]) as janus,
        chromium() as browser,
        janus_page(browser) as page,
        recording(tmp_path, room=janus.url(ROOM), pipeline="record-grid") as job,
    ):
        await page.publish(janus, ROOM, *callers)
        # The tile is half as wide as the camera's picture; layers come down with patience.
        await until_substreams(janus, [1])
        zero = -(-monotonic() // SECOND) * SECOND
        await page.slowest()
        await asyncio.sleep((zero - monotonic()) / SECOND + seconds + 0.2)
        await until_substreams(janus, [1])
        sent = {layer["frameWidth"] for layer in await page.layers(0)}
        slowest = await page.slowest()
        assert sent == {320, 640, 1280}, "a browser that could not send all layers proves nothing"
        assert await job.stop() == 0, job.ending
    world = World.everyone(3, seconds).camera_off(2).unsure(-1000, 1).unsure(seconds, 1000)
    began = (job.origin - zero) / SECOND
    report = await asyncio.to_thread(probe, job.artifact("mp4"), world=world, zero=zero, began=began)
    late = (f"the page took {slowest:.1f} s for a picture",) if slowest > 0.3 else ()
    report = replace(report, held_up=(*job_held_up(job.events), *late))
    bars = replace(BARS, distinct=10.0, freeze=1.0, offset_median=0.1, offset_p95=0.15, cadence_p95=0.15)
    assert not report.violations(bars), report.table()
    (warning,) = {
        event["message"] for event in job.events if event["type"] == "warning" and "vp9" in str(event).lower()
    }
    assert person(2).name in warning


def with_nine(events: list[Event]) -> list[Event]:
    """What the job says of itself while all are there."""
    return [event for event in events if event["type"] == "alive" and event["participants"] == 9]


async def test_nine_publishers_with_three_layers_are_all_seen(tmp_path):
    size = Size(1280, 720)
    world = World.everyone(9, 120, size=size)
    async with (
        JanusServer(tmp_path) as janus,
        JanusFront(janus) as front,
        recording(tmp_path, room=janus.url(ROOM), pipeline="record-grid") as job,
        world.perform(front.whip(ROOM), troupe=TROUPE) as cast,
    ):
        # A tile of 426x240 is more than the lowest layer's 320x180 and less than the middle one's 640x360.
        await until_substreams(janus, 9 * [1])
        shown, begun = (monotonic() - cast.zero) / SECOND, len(job.events)
        await cast.until(shown + 10)
        await job.until(lambda _: len(with_nine(job.events[begun:])) > 3)
        assert await job.stop() == 0, job.ending
    report = await job.judge(job.artifact("mp4"), world.unsure(0, shown + 2), cast)
    assert min(one.required for one in report.people) >= 4, report.table()
    # Nine publishers of three layers, and who records them: a busy machine may have time for none of their pictures.
    busy = list(job_held_up(job.events))
    bars = replace(BARS, distinct=20.0)
    bars = replace(bars, present=None, offset_median=None) if busy else bars
    assert busy or report.present >= 0.8, report.table()
    assert not report.violations(bars), report.table()
    first, *_, last = with_nine(job.events[begun:])
    rate = 8 * (last["network"]["bytes"] - first["network"]["bytes"]) / (last["elapsed"] - first["elapsed"]) / 9
    whole = 8 * sum(map(len, clips.video(person(0), size, 30, Codec.VP8).frames)) / LOOP_SECONDS
    assert rate < whole / 2, "only the layer shown should be sent"
