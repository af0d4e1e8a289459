"""External streams of a whole job: a good one is watched in step, bad ones harm nobody and are told of."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import psutil
import pytest

from tests.recording import UNHURRIED, recording
from tests.rtmp_server import NginxRtmp, refusing_port, silent_server
from tests.srt_server import SrtListener
from tests.world import World

pytestmark = pytest.mark.beside

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
                failed = await job.until(told(job, "failed", port), 180)
                assert failed["reason"] and failed["blame"] == "destination"
            failed = await job.until(told(job, "failed", frozen.port), 180)
            assert failed["blame"] == "destination"
            assert await job.stop() == 0, job.ending
        frozen.thaw()
        assert KEY not in json.dumps(job.events)
        assert KEY not in canaries
        assert not [path for path in tmp_path.glob("out/**/*.json") if KEY in path.read_text()]
        (streamed,) = [row for row in job.ending["artifacts"] if f":{good.port}/" in row["location"]]
        good.over(KEY)
        products = [(job.artifact("mp4"), 0.0), (job.artifact("hls"), 0.0)]
        products += [(file, streamed["begin"]) for file in whole(good.recordings(KEY), streamed)]
        for product, begin in products:
            report = await job.judge(product, world, cast, begin=begin)
            assert not report.violations(UNHURRIED), report.table()


async def test_streams_come_and_go_while_nobody_else_notices(tmp_path, component):
    component("nginx-rtmp")
    (tmp_path / "good").mkdir()
    (tmp_path / "strict").mkdir()
    world = World.everyone(2, 24)
    passphrase = f"pass-{KEY}"
    with (
        NginxRtmp(tmp_path / "good") as good,
        NginxRtmp(tmp_path / "strict", authorise=lambda _: 403) as strict,
        SrtListener(tmp_path / "srt", passphrase=passphrase) as srt,
        SrtListener(tmp_path / "closed", passphrase="another-passphrase", enforced_encryption="1") as closed,
    ):
        words = ["--control", "--rtmp", good.url("first-" + KEY), "--rtmp", strict.url("bad-" + KEY)]
        async with recording(tmp_path, *words) as job:
            async with world.perform(job.whip) as cast:
                await cast.until(5)
                added = (
                    await job.say(command="add-destination", to=good.url("second-" + KEY), name="second"),
                    await job.say(command="add-destination", to=srt.url(passphrase=passphrase), name="over srt"),
                    await job.say(command="add-destination", to=closed.url(passphrase=passphrase), name="wrong"),
                )
                assert [answer["message"] for answer in added] == [
                    "connecting to second",
                    "connecting to over srt",
                    "connecting to wrong",
                ]
                for name in ("second", "over srt"):
                    await job.until(_is(name, "live"))
                refused = await job.say(command="add-destination", to=good.url("second-" + KEY))
                assert not refused["ok"] and [row["field"] for row in refused["details"]["problems"]] == ["to"]
                failed = await job.until(told(job, "failed", strict.port), 180)
                assert failed["blame"] == "request" and "stream key right" in failed["reason"]
                failed = await job.until(_is("wrong", "failed"), 180)
                assert failed["blame"] == "request" and "passphrase" in failed["reason"]
                await cast.until(13)
                canaries = _traces(job.worker) + "".join(path.read_text() for path in job.spool.glob("*/job.json"))
                assert (await job.say(command="remove-destination", destination="wrong"))["ok"]
                shown = f"rtmp://127.0.0.1:{good.port}/live/…9930"
                assert (await job.say(command="remove-destination", destination=shown))["ok"]
                await job.until(_is(shown, "ended"))
                unknown = await job.say(command="remove-destination", destination=good.url("third-" + KEY))
                assert not unknown["ok"] and "over srt, " in unknown["message"]
                assert await cast.finished() == 0
            status = [event for event in job.events if event["type"] == "alive"][-1]["sinks"]
            assert [row["name"] for row in status if row["sink"].startswith("srt")] == ["over srt"]
            assert await job.stop() == 0, job.ending
        srt.ended()
        manifest = next((tmp_path / "out").rglob("*manifest.json")).read_text()
        for text in (json.dumps(job.events), canaries, manifest):
            assert KEY not in text
        made = {row["name"]: row for row in job.ending["artifacts"] if row["kind"] in ("rtmp", "srt")}
        assert set(made) == {shown, "second", "over srt"} and set(made) <= _names(json.loads(manifest))
        assert made["second"]["begin"] >= 5, "a stream that is added is not sent what was before"
        assert made[shown]["begin"] < made["second"]["begin"]
        for key, name in (("first-", shown), ("second-", "second")):
            good.over(key + KEY)
            for file in whole(good.recordings(key + KEY), made[name]):
                _unbroken(file, made[name])
        for file in whole(srt.files, made["over srt"]):
            _unbroken(file, made["over srt"])
        for product in (job.artifact("mp4"), job.artifact("hls")):
            report = await job.judge(product, world, cast)
            assert not report.violations(UNHURRIED), report.table()


def whole(files, row):
    """The file of a stream that came without a break; none where the machine was too slow for that, as its row says."""
    assert files
    return files if len(files) == 1 and not row["retries"] and not any(row["dropped"].values()) else []


def _is(name, state):
    """An event that says a destination of this name is in a state."""
    return lambda event: event.get("type") == "destination" and event["name"] == name and event["state"] == state


def _names(manifest):
    return {row.get("name") for row in manifest["artifacts"]}


def _unbroken(file: Path, row: dict[str, Any]) -> None:
    """No picture is missing of all that was sent, and it begins near time 0 with a keyframe."""
    with av.open(str(file)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.dts is not None]
    times = [float(packet.pts * packet.time_base) for packet in packets]
    assert packets[0].is_keyframe
    assert times[-1] - times[0] >= row["duration"] - 0.5 > 0
    assert max(b - a for a, b in pairwise(times)) < 1.5 / 30, "a picture is missing"
    if file.suffix == ".flv":
        assert 0 <= times[0] < 0.1


def _traces(worker: psutil.Process) -> str:
    """Command lines and environments of the worker and its senders."""
    traces = []
    for process in (worker, *worker.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            traces.append(str(process.cmdline()) + str(process.environ()))
    assert len(traces) >= 3
    return " ".join(traces)
