"""The picture directed live: shared screens, cameras that are off, operators' commands, pauses cut out of the MP4."""

from __future__ import annotations

import asyncio
import json
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from egress.demo.people import person
from egress.layouts.arranging import tiles
from egress.layouts.base import View
from egress.model.look import PALETTES, ColumnsDoc, GridDoc
from egress.model.media import Size
from tests.listening import beeps, hear
from tests.recording import UNHURRIED, recording
from tests.watching import flashes, room_of, watch
from tests.world import World

CANVAS = Size(640, 360)
PLAIN = "tiles: {radius: 0, transition: 0s}\nvideo: {size: 640x360, bitrate: 1M}\n"
MP4 = "  - {kind: mp4, to: a.mp4}\n"
HLS = "  - {kind: hls, to: hls, segment: 2s}\n"


async def test_a_shared_screen_takes_the_stage_and_gives_it_back(tmp_path: Path) -> None:
    world = World.everyone(3, 11).shares(2, of=0, start=3.5, end=7.5)
    pipeline = f"name: screens\n{PLAIN}sinks:\n{MP4}"
    async with recording(tmp_path, pipeline=pipeline) as job:
        async with world.perform(job.whip) as cast:
            assert await cast.finished() == 0
        assert await job.stop() == 0, job.ending
    path = job.artifact("mp4")
    report = await job.judge(path, world, cast, screens=1, doc=GridDoc())
    assert not report.violations(UNHURRIED), report.table()
    assert [count for _, count in report.arrangements if count in (2, 3)] == [2, 3, 2]
    (stage, *strip) = tiles(View(room_of(2, 1)), CANVAS, GridDoc())
    assert stage.screen and stage.fit == "contain" and stage.box.width > 2 * strip[0].box.width


async def test_operators_direct_pause_and_resume_a_job(tmp_path: Path) -> None:
    world = World.everyone(2, 15).camera_off(1)
    pipeline = f"name: directed\n{PLAIN}sinks:\n{MP4}{HLS}"
    async with recording(tmp_path, "--control", pipeline=pipeline) as job, world.perform(job.whip) as cast:
        await cast.until(3.3)
        assert (await job.say(command="pause"))["ok"]
        await cast.until(6.4)
        assert (await job.say(command="resume"))["ok"]
        refused = await job.say(command="pin", peers=["Nobody"])
        assert not refused["ok"] and refused["details"]["problems"][0]["field"] == "peers[0]"
        await cast.until(7.5)
        asked = time.monotonic()
        assert (await job.say(command="layout", layout="columns"))["ok"]
        await cast.until(9.2)
        assert (await job.say(command="layout", layout="grid"))["ok"]
        columns = time.monotonic() - asked
        assert (await job.say(command="hide", peers=["Grace"]))["ok"]
        await cast.until(11)
        answer = await job.say(command="stop", reason="all is said")
        assert answer["message"] == "stopping"
        assert await job.ended() == 0, job.ending
    assert "all is said" in job.ending["reason"]
    begin, end = (event["at"] for event in job.events if event.get("type") == "pause")
    assert 2 < end - begin < 6
    length = job.ending["duration"] - (end - begin)
    await asyncio.to_thread(_judge_mp4, job.artifact("mp4"), length, begin, columns)
    await asyncio.to_thread(_judge_hls, job.artifact("hls"), job.ending["duration"], begin, end)


def _judge_mp4(path: Path, length: float, cut: float, most: float) -> None:
    """The pause is missing to the picture, nothing else is, and beeps still come with their flashes.

    There were columns for `most` seconds at the most.
    """
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        packets = [p for p in container.demux(video) if p.pts is not None]
        keys = [float(p.pts * p.time_base) for p in packets if p.is_keyframe]
        pictures = sorted(p.pts * p.time_base for p in packets)
    assert pictures[0] == 0 and {two - one for one, two in pairwise(pictures)} == {Fraction(1, 30)}
    assert abs(len(pictures) / 30 - length) < 0.001
    assert any(abs(key - cut) < 0.02 for key in keys), keys
    heard = hear(path, {})
    watched = watch(path, participants=2, doc=GridDoc())
    assert heard is not None and watched is not None
    assert abs(heard.seconds - length) < 0.03
    sounds = [beep.at for beep in beeps(heard.mono(), heard.rate, person(0).tone, heard.start)]
    seen = [flash.at for flash in flashes(watched, 0, 30)]
    apart = [min(abs(flash - beep) for beep in sounds) for flash in seen if 1 < flash < length - 0.5]
    assert len([at for at in seen if at > cut + 0.2]) >= 3
    # One picture or sound a busy machine may keep waiting; after a wrong cut all would be.
    assert sorted(apart)[-2] < 0.1, apart
    # Grace's camera is off: a placeholder stands still in her tile, until she is hidden and Ada has it all.
    came = [peer["name"] for peer in json.loads(path.with_suffix(".manifest.json").read_text())["peers"]]
    box = tiles(View(room_of(2)), CANVAS, GridDoc())[came.index("Grace")].box
    levels = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            tile = frame.to_ndarray(format="gray")[box.y : box.y + box.height, box.x : box.x + box.width]
            levels.append((float(np.median(tile)), float(tile.std())))
    surface = PALETTES["dark"].surface
    luma = 0.2126 * int(surface[1:3], 16) + 0.7152 * int(surface[3:5], 16) + 0.0722 * int(surface[5:7], 16)
    middle = levels[round((cut - 0.5) * 30)]
    assert abs(middle[0] - luma) < 12 and middle[1] > 3, middle
    beside = watch(path, participants=2, doc=ColumnsDoc(kind="columns"))
    assert beside is not None
    columns = {sight.frame for sight in beside.sights[0]} - {sight.frame for sight in watched.sights[0]}
    columns = {frame for frame in columns if frame > (cut + 0.1) * 30}
    assert len(columns) > 30 and max(columns) - min(columns) < (most + 0.3) * 30
    last = watched.sights[0][-1]
    assert last.frame > len(levels) - 20 and watched.arrangements[-1][1] == 1


def _judge_hls(folder: Path, length: float, begin: float, end: float) -> None:
    """Viewers see the card, and hear nothing, for as long as the pause lasts."""
    index = folder if folder.suffix == ".m3u8" else folder / "index.m3u8"
    options = {"live_start_index": "0"}
    watched = watch(index, participants=2, doc=GridDoc(), options=options)
    heard = hear(index, options)
    assert watched is not None and heard is not None
    start = watched.time(0)
    times = [watched.time(sight.frame) - start for sight in watched.sights[0]]
    assert not [at for at in times if begin + 0.05 < at < end - 0.05]
    assert [at for at in times if at < begin - 0.1] and [at for at in times if at > end + 0.1]
    assert abs(watched.seconds - length) < 0.1
    assert "#EXT-X-DISCONTINUITY\n" not in (index.parent / "video.m3u8").read_text()
    mono = heard.mono()
    quiet = mono[round((begin + 0.05) * heard.rate) : round((end - 0.05) * heard.rate)]
    assert float(np.abs(quiet).max()) < 0.01
