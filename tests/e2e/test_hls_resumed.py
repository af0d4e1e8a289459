"""A worker dies while people watch: the same playlists go on, in every size, with captions, and break no rule."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from pathlib import Path

import av
import pytest

from egress.model.media import SECOND
from tests.flashes import served
from tests.hls_checker import examine
from tests.hls_live_rules import check_live
from tests.recording import Recording, recording
from tests.world import World

pytestmark = pytest.mark.beside

PIPELINE = """
name: resumed
video: {size: 320x180, bitrate: 400k, ladder: [{size: 160x90, bitrate: 120k}]}
sinks:
  - {kind: hls, to: live/, segment: 2s, audio_only: true, captions: [{language: en}]}
"""


async def broken(url: str) -> list[str]:
    """What must not be of a presentation."""
    return [str(violation) for violation in (await asyncio.to_thread(examine, url)).broken]


async def say(job: Recording, text: str) -> None:
    """Have viewers told something in both ways."""
    assert (await job.say(command="caption", text=text, duration="2s"))["ok"]
    assert (await job.say(command="metadata", payload=text))["ok"]


def reached(job: Recording) -> dict[str, int]:
    """The newest segment the job has told of, by rendition."""
    return {event["rendition"]: event["msn"] for event in job.events if event["type"] == "hls"}


def lasts(index: Path) -> tuple[float, float]:
    """Seconds of pictures and of sound that ffmpeg gets out of a stream."""
    pictures, samples = 0, 0
    with av.open(str(index)) as container:
        for frame in container.decode(container.streams.video[0], container.streams.audio[0]):
            if isinstance(frame, av.AudioFrame):
                samples += frame.samples
            else:
                pictures += 1
    return pictures / 30, samples / 48_000


async def test_a_stream_goes_on_in_the_same_playlists_when_its_worker_is_killed(tmp_path: Path) -> None:
    world = World.everyone(1, 30)
    async with recording(tmp_path, "--control", pipeline=PIPELINE) as job:
        folder, url = tmp_path / "out" / "live", f"{job.url}/live/stage/index.m3u8"
        async with world.perform(job.whip) as cast:
            await cast.until(3)
            await say(job, "before")
            said = reached(job)
            # What was said lies in segments that are whole.
            await job.until(lambda _: said and all(reached(job)[name] >= said[name] + 3 for name in said))
            job.worker.kill()
            ready = await job.until(lambda event: event["type"] == "ready" and event["attempt"] == 2)
        async with World.everyone(1, 30).unsure(-30, 0).perform(job.whip) as cast:
            await cast.until(2)
            await say(job, "after")
            live = await asyncio.to_thread(check_live, url)
            assert live.broken == [] and "B6.2.5b" in live.tried, "the origin waits for the second worker as well"
            assert await broken(url) == []
            assert await job.stop() == 0
        playlists = {path.stem: path.read_text() for path in folder.glob("*.m3u8")}
        media = playlists.keys() - {"index"}
        assert media == {"video", "video-1", "audio", "iframes", "iframes-1", "captions-en"}
        joined = {name: playlists[name].count("#EXT-X-DISCONTINUITY\n") for name in media}
        assert set(joined.values()) == {1}, joined
        assert all(playlists[name].endswith("#EXT-X-ENDLIST\n") for name in media)
        assert {name: re.findall('X-PAYLOAD="(.*)"', playlists[name]) for name in media} == {
            name: ["before", "after"] for name in media
        }
        parts = playlists["video"].split("#EXT-X-DISCONTINUITY\n")
        first, second = ([*map(int, re.findall(r"^video/seg-(\d+)\.m4s$", part, re.M))] for part in parts)
        assert first and second and first + second == list(range(second[-1] + 1)), "numbers go on"
        dates = [datetime.fromisoformat(part.partition("DATE-TIME:")[2][:24]) for part in parts]
        apart = (ready["origin"] - job.origin) / SECOND
        assert abs((dates[1] - dates[0]).total_seconds() - apart) < 0.3, "dates are those of the clock on the wall"
        played = await asyncio.to_thread(lasts, folder / "index.m3u8")
        # What was whole when the worker died may be a part more of the one than of the other.
        listed = [sum(map(float, re.findall("#EXTINF:([0-9.]+)", playlists[name]))) for name in ("video", "audio")]
        assert [abs(one - two) < 0.1 for one, two in zip(played, listed, strict=True)] == [True, True], (played, listed)
        names = re.findall(r"^captions-en/seg-\d+\.vtt$", playlists["captions-en"], re.M)
        words = "".join((folder / name).read_text() for name in names)
        assert re.search(r"before.*after", words, re.S)
        assert [row["kind"] for row in job.ending["artifacts"]] == ["hls"]
        assert not any(job.spool.iterdir())
    found = await asyncio.to_thread(_served, folder)
    # What was published stays: up to the kill one rendition may have a part more than another.
    assert [text for text in found if not text.startswith("A8.2 ")] == []


def _served(folder: Path) -> list[str]:
    with served(folder) as address:
        return [str(violation) for violation in examine(f"{address}/index.m3u8").broken]
