"""Recordings into a real S3 server: whole after a kill at any moment, while the store is away, and refused in time."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from egress.disk import read_json, write_json
from egress.model.order import JobOrder
from egress.model.outputs import Mp4Doc
from egress.model.pipeline import Pipeline
from egress.storage.spool import JobFolder
from tests.janus_proxy import TcpProxy
from tests.recording import recording
from tests.s3_server import BUCKET, REGION, S3Server
from tests.world import World

pytestmark = pytest.mark.beside

PIPELINE = f"""
name: to-s3
video: {{size: 640x360, bitrate: 6M, preset: ultrafast}}
sinks:
  - kind: mp4
    to: s3://{BUCKET}/{{job}}/{{room}}.mp4
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """A store, and an environment whose settings lead there."""
    with S3Server(tmp_path) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def uploaded(least: int) -> Callable[[dict[str, object]], bool]:
    """Fits an event that says so many bytes are in the store."""

    def fits(event: dict[str, object]) -> bool:
        sinks = event.get("sinks")
        return isinstance(sinks, list) and any(sink.get("uploaded", 0) >= least for sink in sinks)

    return fits


async def recovered(spool: Path) -> str:
    """What `egress recover` says; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "egress.cli", "recover", str(spool), "--json", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


def seconds_of(path: Path) -> float:
    with av.open(str(path)) as container:
        assert container.duration is not None
        return container.duration / av.time_base


def manifest_in(server: S3Server) -> dict[str, object]:
    (name,) = [name for name in server.objects() if name.endswith(".manifest.json")]
    document: dict[str, object] = json.loads(server.read(name))
    return document


def keep(server: S3Server, folder: Path) -> tuple[str, Path]:
    """The key of the one recording in the store, and its bytes as a file."""
    (name,) = [name for name in server.objects() if name.endswith(".mp4")]
    path = folder / "fetched.mp4"
    path.write_bytes(server.read(name))
    return name, path


async def test_a_recording_goes_up_while_it_is_made_and_secrets_stay_home(tmp_path, server):
    world = World.everyone(2, 60)
    async with recording(tmp_path, pipeline=PIPELINE) as job, world.perform(job.whip):
        await job.until(uploaded(1 << 20))
        assert server.secret_key not in f"{job.worker.cmdline()} {job.worker.environ()}"
        kept = "".join(path.read_text(errors="replace") for path in job.spool.rglob("*.json"))
        assert server.secret_key not in kept and server.access_key not in kept
        assert await job.stop() == 0
    name, path = keep(server, tmp_path)
    (row,) = job.ending["artifacts"]
    assert row["location"] == f"s3://{BUCKET}/{name}"
    assert (row["size"], row["sha256"]) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    assert abs(seconds_of(path) - row["duration"]) < 0.1
    (listed,) = manifest_in(server)["artifacts"]
    assert {**listed, **row} == listed, "the manifest says the same, and its bitrate"
    assert server.uploads() == [] and not any(job.spool.iterdir())
    assert server.secret_key not in json.dumps(job.events)


LIVE = f"""
name: live-to-s3
video: {{size: 640x360, preset: ultrafast}}
sinks:
  - kind: hls
    segment: 2s
    to: s3://{BUCKET}/{{job}}/live
  - kind: mp4
    to: s3://not-there-any-more/{{job}}.mp4
    backup: kept/{{job}}.mp4
"""


async def test_a_stream_is_live_in_the_store_and_a_file_its_bucket_refuses_is_kept(tmp_path, server):
    client = server.client()
    client.create_bucket(Bucket="not-there-any-more", CreateBucketConfiguration={"LocationConstraint": REGION})
    async with recording(tmp_path, pipeline=LIVE) as job, World.everyone(2, 60).perform(job.whip):
        client.delete_bucket(Bucket="not-there-any-more")
        await job.until(uploaded(200_000))
        assert await job.stop() == 0
    names = server.objects()
    live, file = job.ending["artifacts"]
    (index,) = [name for name in names if name.endswith("live/index.m3u8")]
    assert live["location"] == f"s3://{BUCKET}/{index}"
    assert index.replace("index", "manifest").replace(".m3u8", ".json") in names
    text = server.read(index.replace("index", "video")).decode()
    assert "#EXT-X-ENDLIST" in text and "#EXT-X-PART:" not in text
    assert file["backup"] is True and "no bucket" in file["primary_error"]
    assert abs(seconds_of(Path(file["location"])) - file["duration"]) < 0.1
    assert any(event.get("type") == "warning" and "backup" in event["message"] for event in job.events)
    assert not any(job.spool.iterdir())


async def test_a_worker_killed_while_it_records_loses_no_more_than_on_a_disk(tmp_path, server):
    world = World.everyone(2, 60)
    async with recording(tmp_path, pipeline=PIPELINE) as job, world.perform(job.whip):
        await job.until(uploaded(1 << 20))
        elapsed = [event for event in job.events if event.get("type") == "alive"][-1]["elapsed"]
        job.worker.kill()
        await job.until(lambda event: event.get("type") == "ready" and event.get("attempt") == 2)
        await job.until(lambda event: event.get("type") == "alive" and event.get("attempt") == 2)
        await job.stop()
    _, path = keep(server, tmp_path)
    assert seconds_of(path) > elapsed - 3.5
    assert [attempt["number"] for attempt in manifest_in(server)["attempts"]] == [1, 2]
    assert server.uploads() == [] and not any(job.spool.iterdir())


async def test_a_kill_at_any_moment_of_an_upload_ends_in_the_same_object(tmp_path, server):
    """A closed recording on its way to the store, killed on the way, and brought there by the next recovery."""
    chance, halfway = random.Random(7), 0
    for number in range(6):
        data = chance.randbytes((12 << 20) + number)
        key = f"killed/{number}.mp4"
        source = closed_recording(tmp_path / "spool", f"job{number}", f"s3://{BUCKET}/{key}", data)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "egress.cli", "recover", str(tmp_path / "spool")), stdout=asyncio.subprocess.DEVNULL
        )
        want = number * 2
        while process.returncode is None and source.exists() and parts_of(source) < want:
            await asyncio.sleep(0.001)
        await asyncio.sleep(chance.random() * 0.03)
        if process.returncode is None:
            process.kill()
        await process.wait()
        halfway += source.exists() and parts_of(source) > 0
        await recovered(tmp_path / "spool")
        assert server.read(key) == data
        assert server.uploads() == []
        assert not any((tmp_path / "spool").iterdir())
    assert halfway >= 2
    made = [name for name in server.objects() if name.endswith(".mp4")]
    assert made == [f"killed/{number}.mp4" for number in range(6)]


def closed_recording(spool: Path, job: str, to: str, data: bytes) -> Path:
    """A job in the spool whose worker died between closing its file and delivering it; the file."""
    made = JobOrder(
        id=job,
        room="local:stage",
        title="Stage",
        pipeline=Pipeline(name="p", sinks=(Mp4Doc(kind="mp4", to=to),)),
        folder=str(spool / job),
        manifest=to.replace(".mp4", ".manifest.json"),
    )
    folder = JobFolder(spool / job)
    with folder.held():
        folder.create(made)
    source = spool / job / "0-mp4" / "recording.mp4"
    write_json(source.with_name("recording.json"), {"job": job, "length": 1_000_000_000})
    source.write_bytes(data)
    return source


def parts_of(source: Path) -> int:
    return len(read_json(source.with_name(source.name + ".upload.json")).get("parts", ()))


async def test_a_store_that_is_away_while_a_job_ends_gets_everything_when_it_is_back(tmp_path, server, monkeypatch):
    world = World.everyone(2, 60)
    async with TcpProxy(server.port) as proxy:
        monkeypatch.setenv("EGRESS_S3_ENDPOINT", f"http://127.0.0.1:{proxy.port}")
        async with recording(tmp_path, pipeline=PIPELINE) as job, world.perform(job.whip):
            await job.until(uploaded(1 << 20))
            proxy.cut()
            await job.until(lambda event: any("does not answer" in s["upload_problem"] for s in sinks_of(event)))
            job.process.send_signal(2)
            await job.until(lambda event: any(s["state"] == "delivering" for s in sinks_of(event)))
            await asyncio.sleep(3)
            await proxy.mend()
            assert await job.ended() == 0
    name, path = keep(server, tmp_path)
    (row,) = job.ending["artifacts"]
    assert row["location"].endswith(name)
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert server.uploads() == []


def sinks_of(event: dict[str, object]) -> list[dict[str, str]]:
    sinks = event.get("sinks")
    return [sink for sink in sinks if "upload_problem" in sink] if isinstance(sinks, list) else []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"EGRESS_S3_SECRET_KEY": "wrong-secret-key"}, "s3_secret_key: "),
        ({"BUCKET": "nobodys-bucket"}, "sinks[0].to: "),
        ({"EGRESS_S3_ENDPOINT": "http://127.0.0.1:9"}, "s3_endpoint: "),
    ],
    ids=["secret", "bucket", "endpoint"],
)
async def test_a_store_that_will_not_have_it_is_refused_before_anything_starts(
    changes, words, tmp_path, server, monkeypatch
):
    bucket = changes.pop("BUCKET", BUCKET)
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(PIPELINE.replace(BUCKET, bucket))
    command = ["record", "local:stage", "--pipeline", str(pipeline), "--to", str(tmp_path / "out")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "egress.cli", *command, "--spool", str(tmp_path / "spool")),
        stderr=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    assert process.returncode == 2
    assert words in said.decode()
    assert server.secret_key not in said.decode() and "wrong-secret-key" not in said.decode()
    assert not list((tmp_path / "spool").iterdir())
