"""A Janus that dies, freezes or loses our connection in mid-recording: one MP4, one HLS, and all in step afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.janus_front import BARS, JanusFront
from tests.janus_proxy import TcpProxy
from tests.janus_server import JanusServer
from tests.recording import recording
from tests.world import World

pytestmark = pytest.mark.beside

ROOM = 1001


async def test_a_killed_and_restarted_janus_leaves_a_gap_and_no_more(tmp_path, capfd):
    world = World.everyone(2, 21)
    killed, back, again = 5.5, 10.5, 16.5
    async with JanusServer(tmp_path) as janus, JanusFront(janus) as front:
        async with recording(tmp_path, room=janus.url(ROOM)) as job:
            async with world.perform(front.whip(ROOM)) as cast:
                await cast.until(killed)
                janus.kill()
                await cast.until(back)
                await janus.start()
                assert await cast.finished() == 0
            published = [float(str(event["at"])) for event in cast.events if event["type"] == "published"]
            assert await job.stop() == 0, job.ending
        assert await janus.sessions() == []
    # Publishers notice after some seconds of silence, and come back by themselves as applications do.
    assert len(published) == 4 and max(published) < again - 1, published
    as_seen = world.unsure(killed, again)
    for kind in ("mp4", "hls"):
        report = await job.judge(job.artifact(kind), as_seen, cast)
        assert not report.violations(BARS), report.table()
    told = capfd.readouterr().err
    assert "Traceback" not in told and "ERROR" not in told, told


async def test_a_lost_connection_to_a_living_janus_costs_little(tmp_path):
    world = World.everyone(2, 14)
    async with JanusServer(tmp_path) as janus, JanusFront(janus) as front, TcpProxy(janus.ws_port) as proxy:
        async with recording(tmp_path, room=janus.url(ROOM, proxy.port), pipeline="record-grid") as job:
            async with world.perform(front.whip(ROOM)) as cast:
                await cast.until(4.5)
                proxy.cut()
                await cast.until(6.5)
                await proxy.mend()
                assert await cast.finished() == 0
            assert await job.stop() == 0, job.ending
        assert proxy.visits > 1
        assert await janus.sessions() == []
    report = await job.judge(job.artifact("mp4"), world, cast)
    assert not report.violations(replace(BARS, freeze=4.0)), report.table()
