"""Publishers on bad networks: what the product shows of loss, reordering, jitter and an outage."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from egress.model.media import SECOND
from tests.lossy_whip import lossy
from tests.recording import UNHURRIED, recording
from tests.relay import Link
from tests.world import World

SECONDS = 14


def network(loss=0.0, reorder=0.0, jitter=0.0, outages=()):
    """The same links for every publisher, with a delay that makes a retransmission cost something."""
    return lambda _: (
        Link(loss=loss, reorder=reorder, delay=0.02, jitter=jitter, outages=outages),
        Link(loss=loss, delay=0.02),
    )


@pytest.mark.parametrize(
    ("links", "bars"),
    [
        # Sound is not sent again: a beep whose first packet is lost begins late, which no bar on lip sync means.
        pytest.param(network(loss=0.01), replace(UNHURRIED, damaged=None), id="1 % loss"),
        pytest.param(
            network(loss=0.05),
            replace(UNHURRIED, damaged=None, offset_p95=None, spread_p95=None, cadence_p95=None),
            id="5 % loss",
        ),
        pytest.param(network(jitter=0.05, reorder=0.02), UNHURRIED, id="50 ms jitter"),
    ],
)
async def test_loss_and_disorder_do_not_show(tmp_path, links, bars):
    world = World.everyone(4, SECONDS)
    async with recording(tmp_path, pipeline="record-grid") as job:
        async with lossy(job.whip, links) as whip, world.perform(whip) as cast:
            assert await cast.finished() == 0
        assert await job.stop() == 0, job.ending
    report = await job.judge(job.artifact("mp4"), world, cast)
    assert not report.violations(bars), report.table()


async def test_an_outage_harms_nobody_else_and_ends_in_step(tmp_path):
    world = World.everyone(2, SECONDS)
    unlucky = world.part(1).person.id
    cut = (Link(delay=0.02), Link(delay=0.02))

    def links(peer: str) -> tuple[Link, Link]:
        return cut if peer == unlucky else (Link(delay=0.02), Link(delay=0.02))

    async with recording(tmp_path, pipeline="record-grid") as job:
        async with lossy(job.whip, links) as whip, world.perform(whip) as cast:
            times = []
            for second, outages in ((5.5, [(0.0, 1e9)]), (7.5, [])):
                await cast.until(second)
                for link in cut:
                    link.outages = outages
                times.append((time.monotonic_ns() - cast.zero) / SECOND)
            assert await cast.finished() == 0
        assert await job.stop() == 0, job.ending
    begin, end = times[0] - 0.1, times[1] + 0.4
    world_as_seen = world.mutes(1, "video", begin, end).mutes(1, "audio", begin, end)
    report = await job.judge(job.artifact("mp4"), world_as_seen, cast)
    assert not report.violations(replace(UNHURRIED, damaged=None)), report.table()
