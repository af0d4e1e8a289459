"""A worker dies while people watch: the same playlists go on, in every size, with captions, and break no rule."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.flashes import served
from tests.hls_checker import examine
from tests.recording import recording
from tests.world import World

PIPELINE = """
name: resumed
video: {size: 320x180, bitrate: 400k, ladder: [{size: 160x90, bitrate: 120k}]}
sinks:
  - {kind: hls, to: live/, segment: 2s, audio_only: true, captions: [{language: en}]}
"""


async def broken(url: str) -> list[str]:
    """What must not be of a presentation."""
    return [str(violation) for violation in (await asyncio.to_thread(examine, url)).broken]


async def test_a_stream_goes_on_in_the_same_playlists_when_its_worker_is_killed(tmp_path: Path) -> None:
    world = World.everyone(1, 30)
    async with recording(tmp_path, "--control", pipeline=PIPELINE) as job:
        folder, url = tmp_path / "out" / "live", f"{job.url}/live/stage/index.m3u8"
        async with world.perform(job.whip) as cast:
            await cast.until(5)
            assert (await job.say(command="caption", text="before", duration="2s"))["ok"]
            await cast.until(9)
            job.worker.kill()
            await job.until(lambda event: event["type"] == "ready" and event["attempt"] == 2)
        async with World.everyone(1, 10).unsure(-30, 0).perform(job.whip) as cast:
            await cast.until(4)
            assert (await job.say(command="caption", text="after", duration="2s"))["ok"]
            await cast.until(8)
            assert await broken(url) == []
            assert await job.stop() == 0
        playlists = {path.stem: path.read_text() for path in folder.glob("*.m3u8")}
        media = playlists.keys() - {"index"}
        assert media == {"video", "video-1", "audio", "iframes", "iframes-1", "captions-en"}
        joined = {name: playlists[name].count("#EXT-X-DISCONTINUITY\n") for name in media}
        assert set(joined.values()) == {1}, joined
        assert all(playlists[name].endswith("#EXT-X-ENDLIST\n") for name in media)
        words = "".join(path.read_text() for path in sorted((folder / "captions-en").glob("seg-?.vtt")))
        assert re.search(r"before.*after", words, re.S)
        assert [row["kind"] for row in job.ending["artifacts"]] == ["hls"]
        assert not any(job.spool.iterdir())
    found = await asyncio.to_thread(_served, folder)
    assert found == []


def _served(folder: Path) -> list[str]:
    with served(folder) as address:
        return [str(violation) for violation in examine(f"{address}/index.m3u8").broken]
