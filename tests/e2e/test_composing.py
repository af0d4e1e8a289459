"""Composed after the fact, by real WebRTC publishers' tracks: as the live recording of the same room, and in step."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import av
import pytest

from egress.model.media import Codec
from tests.recording import UNHURRIED, recording
from tests.world import World

pytestmark = pytest.mark.beside

SAMPLE = Path(__file__).parents[2] / "samples" / "recut" / "run.py"

PIPELINE = """\
name: both
video: {size: 640x360, preset: ultrafast}
sinks:
  - kind: mp4
    to: live.mp4
  - kind: tracks
    to: tracks/
    per: participant
"""


async def compose(*words: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run the command; its exit status, what it told, and what it said on stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "egress.cli",
        "compose",
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


async def test_tracks_of_a_job_become_what_was_recorded_live(tmp_path: Path) -> None:
    world = World.everyone(2, 12, codecs=(Codec.VP8, Codec.H264)).mutes(0, "video", 3.5, 5.5).away(1, 5.5, 7.5)
    pipeline = tmp_path / "pipeline.yaml"
    async with recording(tmp_path, pipeline=PIPELINE) as job, world.perform(job.whip) as cast:
        await cast.until(11)
        assert await job.stop() == 0, job.ending
        live = await job.judge(job.artifact("mp4"), world, cast)
        (manifest,) = job.out.glob("*manifest.json")
        out = tmp_path / "anew.mp4"
        status, told, said = await compose(str(manifest), "--pipeline", str(pipeline), "--json", "--out", str(out))
        assert status == 0, said
        anew = await job.judge(out, world, cast)
    (row,) = told[-1]["artifacts"]
    assert (row["kind"], row["location"]) == ("mp4", str(out))
    assert told[-1]["state"] == "finished"
    assert not [event for event in told if event["type"] == "warning"]
    assert not anew.violations(UNHURRIED), anew.table()
    assert anew.present == 1.0 or (anew.held_up and anew.present >= live.present), anew.table()
    assert anew.video_seconds == pytest.approx(live.video_seconds, abs=0.1)
    for before, after in zip(live.people, anew.people, strict=True):
        assert after.offset_median is not None
        assert before.offset_median is not None
        assert abs(after.offset_median) <= (0.1 if anew.held_up else 0.020)
        assert after.offset_median == pytest.approx(before.offset_median, abs=0.1 if anew.held_up else 0.020)


async def test_the_sample_records_a_call_and_makes_films_of_it(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SAMPLE), "--to", str(tmp_path), "--listen", "127.0.0.1:0", "--seconds", "9"),
        env={**os.environ, "EGRESS_SPOOL": str(tmp_path / "spool")},
        stdout=asyncio.subprocess.PIPE,
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0
    films = [tmp_path / f"{layout}.mp4" for layout in ("grid", "speaker")]
    assert output.splitlines() == [f"composed {film}" for film in films]
    for film in films:
        with av.open(str(film)) as container:
            assert sum(1 for _ in container.decode(video=0)) >= 3.5 * 30
