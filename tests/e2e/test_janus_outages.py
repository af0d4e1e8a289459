"""A Janus that dies, freezes or loses our connection in mid-recording: one MP4, one HLS, and all in step afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from egress.model.media import SECOND
from tests.janus_front import BARS, JanusFront
from tests.janus_proxy import TcpProxy
from tests.janus_server import JanusServer
from tests.recording import Event, recording
from tests.world import World

pytestmark = pytest.mark.beside

ROOM = 1001


def busy(events: Sequence[Event]) -> bool:
    """Whether the job says that the machine held it up."""
    told = [event for event in events if event["type"] == "alive"][-1]
    return bool(told["late"] or told["repeated"] or told["refused"] or any(told["degraded"].values()))


async def test_a_killed_and_restarted_janus_leaves_a_gap_and_no_more(tmp_path, capfd):
    world = World.everyone(2, 120)
    killed, down, after = 6.5, 5.0, 12
    async with JanusServer(tmp_path) as janus, JanusFront(janus) as front:
        async with recording(tmp_path, room=janus.url(ROOM)) as job:
            async with world.perform(front.whip(ROOM)) as cast:
                await cast.until(killed)
                begun = len(job.events)
                janus.kill()
                await cast.until(killed + down)
                await janus.start()

                def seen() -> list[float]:
                    """When the job said of each track that it is there again, in seconds of the plan."""
                    said = list(zip(job.events, job.heard, strict=False))[begun:]
                    return [
                        (heard - cast.zero) / SECOND
                        for event, heard in said
                        if event["type"] == "room" and event["event"] == "published"
                    ]

                await job.until(lambda _: len(seen()) >= 4)
                again = max(seen())
                await cast.until(again + after)
                assert await job.stop() == 0, job.ending
            published = [float(str(event["at"])) for event in cast.events if event["type"] == "published"]
        await janus.left()
    # Publishers notice after some seconds of silence, and come back by themselves as applications do.
    assert len(published) == 4 and max(published) < again, published
    held_up = busy(job.events)
    assert again - max(published) <= 5 or held_up, "it was late to see them, and does not say that it was held up"
    # What was sent last may have died with Janus; who is back is seen from the next keyframe on.
    as_seen = world.unsure(killed - 1, again + 2)
    bars = replace(BARS, present=0.7, distinct=None, freeze=None, cadence_p95=None) if held_up else BARS
    for kind in ("mp4", "hls"):
        report = await job.judge(job.artifact(kind), as_seen, cast)
        assert min(one.required for one in report.people) >= after, report.table()
        assert not report.violations(bars), f"by the bars of a machine that was busy: {held_up}\n{report.table()}"
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
        await janus.left()
    report = await job.judge(job.artifact("mp4"), world, cast)
    assert not report.violations(replace(BARS, freeze=4.0)), report.table()
