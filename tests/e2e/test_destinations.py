"""External streams of a whole job: a good one is watched in step, bad ones harm nobody and are told of."""

from __future__ import annotations

import json

import psutil

from tests.recording import UNHURRIED, recording
from tests.rtmp_server import NginxRtmp, refusing_port, silent_server
from tests.world import World

KEY = "canary-58c1d2-9930"


def told(job, state, port):
    """An event that says a destination on this port is in a state."""
    return lambda event: event.get("type") == "destination" and event["state"] == state and f":{port}/" in event["to"]


async def test_good_and_bad_servers_at_once(tmp_path, component):
    component("nginx-rtmp")
    (tmp_path / "good").mkdir()
    (tmp_path / "frozen").mkdir()
    world = World.everyone(2, 30)
    with (
        NginxRtmp(tmp_path / "good") as good,
        NginxRtmp(tmp_path / "frozen") as frozen,
        silent_server() as silent,
        refusing_port() as refusing,
    ):
        bad = [f"rtmp://127.0.0.1:{port}/live/{KEY}-{port}" for port in (silent, refusing)]
        words = [word for url in (good.url(KEY), frozen.url(KEY), *bad) for word in ("--rtmp", url)]
        async with recording(tmp_path, *words) as job:
            async with world.perform(job.whip) as cast:
                await cast.until(6)
                frozen.freeze()
                canaries = _traces(job.worker)
                assert await cast.finished() == 0
            for port in (silent, refusing):
                failed = await job.until(told(job, "failed", port), 75)
                assert failed["reason"] and failed["blame"] == "destination"
            failed = await job.until(told(job, "failed", frozen.port), 90)
            assert failed["blame"] == "destination"
            assert await job.stop() == 0, job.ending
        frozen.thaw()
        assert KEY not in json.dumps(job.events)
        assert KEY not in canaries
        assert not [path for path in tmp_path.glob("out/**/*.json") if KEY in path.read_text()]
        (recorded,) = good.recordings(KEY)
        for product in (job.artifact("mp4"), job.artifact("hls"), recorded):
            report = await job.judge(product, world, cast)
            assert not report.violations(UNHURRIED), report.table()


def _traces(worker: psutil.Process) -> str:
    """Command lines and environments of the worker and its senders."""
    processes = [worker, *worker.children(recursive=True)]
    assert len(processes) >= 3
    return " ".join(str(process.cmdline()) + str(process.environ()) for process in processes)
