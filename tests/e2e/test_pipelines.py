"""Every pipeline that ships makes what it says, from a real room."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from egress import pipelines
from tests.recording import recording
from tests.rtmp_server import NginxRtmp
from tests.world import World

pytestmark = pytest.mark.beside


def streams(path: Path) -> set[str]:
    """The kinds of streams in a file, each with something to play."""
    found = set()
    with av.open(str(path)) as container:
        for stream in container.streams:
            if next(container.decode(stream), None) is not None:
                found.add(stream.type)
    return found


@pytest.mark.parametrize("name", pipelines.names())
async def test_a_shipped_pipeline_runs(tmp_path, name, component):
    document = pipelines.load(name)
    world = World.everyone(2, 4)
    external = any(sink.kind == "rtmp" for sink in document.sinks)
    component("nginx-rtmp")
    (tmp_path / "rtmp").mkdir()
    with NginxRtmp(tmp_path / "rtmp") as server:
        words = ["--rtmp", server.url("key")] if external else []
        async with recording(tmp_path, *words, pipeline=name) as job:
            async with world.perform(job.whip) as cast:
                assert await cast.finished() == 0
            assert await job.stop() == 0, job.ending
        kinds = {"audio"} if document.video is None else {"audio", "video"}
        for artifact in job.ending["artifacts"]:
            if artifact["kind"] in ("mp4", "hls"):
                assert streams(Path(artifact["location"])) == kinds
                assert artifact["duration"] >= 2
        made = {artifact["kind"] for artifact in job.ending["artifacts"]}
        assert {sink.kind for sink in document.sinks} - {"rtmp"} <= made
        if external:
            assert [streams(path) for path in server.recordings("key")] == [kinds]
