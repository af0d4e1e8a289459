"""Tracks kept as they were sent, by real WebRTC publishers: what is in the files, how well they align, what a crash
costs."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

import av
import pytest

from egress.model.media import SECOND, Codec
from egress.model.trackfiles import TrackFiles
from tests.e2e.test_crash import recover
from tests.lossy_whip import lossy
from tests.recording import recording
from tests.relay import Link
from tests.s3_server import BUCKET, S3Server
from tests.tracks import Events, document, events
from tests.world import World

PIPELINE = "name: tracks\nsinks:\n  - kind: tracks\n    to: tracks/\n    per: {per}\n"
BESIDE = (
    "name: both\nvideo: {{size: 640x360}}\nsinks:\n  - kind: mp4\n    to: a.mp4\n" + PIPELINE.partition("sinks:\n")[2]
)


def aligned(found: Events, people: int) -> None:
    """Flashes and beeps of one instant are one instant, of each and of all."""
    for who in range(people):
        offsets = found.offsets(who)
        assert len(offsets) >= 3
        assert abs(statistics.median(offsets)) <= 0.020, offsets
    if people > 1:
        # How long a busy machine keeps a single picture or sound waiting, the worst ones show; all of them do not.
        spreads = list(found.spreads())
        assert len(spreads) >= 3
        assert statistics.median(spreads) <= 0.020, spreads
        assert found.p95() <= 0.150, spreads


@pytest.mark.parametrize(
    ("per", "pipeline"),
    [("track", PIPELINE), ("participant", PIPELINE), ("track", BESIDE)],
    ids=["track", "participant", "beside an MP4"],
)
async def test_every_track_is_kept_and_aligned(tmp_path, per, pipeline):
    world = World.everyone(2, 13, codecs=(Codec.VP8, Codec.H264)).mutes(0, "video", 4.5, 6.5).away(1, 6.5, 8.5)
    async with recording(tmp_path, pipeline=pipeline.format(per=per)) as job, world.perform(job.whip) as cast:
        await cast.until(12)
        assert await job.stop() == 0, job.ending
    folder = job.out / "tracks"
    rows = {row.name: row for row in document(folder).files}
    if per == "track":
        wanted = {"ada-camera-1.webm", "ada-mic-1.webm"}
        wanted |= {f"grace-{what}" for what in ("camera-1.mp4", "camera-2.mp4", "mic-1.webm", "mic-2.webm")}
    else:
        wanted = {"ada-1.webm", "grace-1.mp4", "grace-2.mp4"}
    assert set(rows) == wanted
    ada = next(s for row in rows.values() if row.peer.name == "Ada" for s in row.streams if s.kind == "video")
    began = (job.origin - cast.zero) / SECOND
    # A publisher who is held up sends nothing for a moment either.
    muted = [(span.since + began, span.to + began) for span in ada.muted]
    assert any(abs(since - 4.5) <= 0.7 and abs(to - 6.5) <= 0.7 for since, to in muted), muted
    assert all(s.lost.gaps == 0 for row in rows.values() for s in row.streams)
    for found in (events(folder), events(folder, refined=False)):
        aligned(found, 2)
        for at in found.flashes[0]:
            assert not 5 <= at + began <= 6
    last = [event for event in job.events if event["type"] == "alive"][-1]
    if pipeline is PIPELINE:
        assert last["ticks"] == 0 and "decoded" not in last["intake"] and not last["encoders"]
    else:
        assert last["intake"]["decoded"] > 0
        assert (await job.judge(job.artifact("mp4"), world, cast)).present >= 0.9


@pytest.mark.beside
async def test_a_pause_is_in_no_track(tmp_path):
    world = World.everyone(1, 14)
    async with (
        recording(tmp_path, "--control", pipeline=PIPELINE.format(per="participant")) as job,
        world.perform(job.whip) as cast,
    ):
        await cast.until(4.5)
        assert (await job.say(command="pause"))["ok"]
        await cast.until(8.5)
        assert (await job.say(command="resume"))["ok"]
        await cast.until(12)
        assert await job.stop() == 0, job.ending
    began = (job.origin - cast.zero) / SECOND
    pauses = [event["at"] + began for event in job.events if event["type"] == "pause"]
    first, second = document(job.out / "tracks").files
    assert first.end + began == pytest.approx(pauses[0], abs=0.1)
    assert pauses[1] - 0.01 <= second.start + began <= pauses[1] + 1.0
    found = events(job.out / "tracks")
    assert [round(at + began) for at in found.beeps[0] if 5 <= at + began <= 8] == []
    aligned(found, 1)


@pytest.mark.beside
async def test_a_killed_job_loses_two_seconds_at_most_and_recovery_makes_its_files_whole(tmp_path):
    world = World.everyone(2, 30, codecs=(Codec.VP8, Codec.H264))
    async with recording(tmp_path, pipeline=PIPELINE.format(per="participant")) as job, world.perform(job.whip) as cast:
        await cast.until(8)
        worker = job.worker
        seen = len(job.events)
        await job.until(lambda event: event["type"] == "alive" and event in job.events[seen:])
        job.process.kill()
        worker.kill()
        killed = (time.monotonic_ns() - job.origin) / SECOND
        (told,) = [event for event in job.events if event["type"] == "alive"][-1]["sinks"]
        unrepaired = [path for path in job.spool.rglob("*") if path.suffix in (".webm", ".mp4")]
        there = {path.name: await asyncio.to_thread(frames, path) for path in unrepaired}
    status, said = await recover(job.spool)
    assert status == 0, said
    rows = {row.name: row for row in document(job.out / "tracks").files}
    assert set(rows) == {"ada-1.webm", "grace-1.mp4"}
    made = {name: frames(job.out / "tracks" / name) for name in rows}
    for kept in (there, made):
        # Two people, 30 pictures and 50 packets of sound a second each: by what the job said it had, a moment before.
        assert told["frames"] - sum(kept.values()) <= 2.0 * 2 * (30 + 50), (told, kept)
        assert max(kept.values()) - min(kept.values()) <= 2.0 * (30 + 50), "each loses as little"
    for name, row in rows.items():
        assert row.recovered
        assert row.end <= killed
        with av.open(str(job.out / "tracks" / name)) as container:
            assert float(container.duration or 0) / av.time_base == pytest.approx(row.end - row.start, abs=0.1)
            container.seek(2 * av.time_base)
            assert next(container.decode(video=0)).time <= 2.1
    aligned(events(job.out / "tracks"), 2)
    assert not any(job.spool.iterdir())


def frames(path: Path) -> int:
    """How many pictures that decode, and packets of sound, are in a file."""
    with av.open(str(path)) as container:
        pictures = sum(1 for _ in container.decode(video=0))
    with av.open(str(path)) as container:
        return pictures + sum(1 for packet in container.demux(audio=0) if packet.dts is not None)


@pytest.mark.beside
async def test_a_worker_that_dies_leaves_its_tracks_beside_those_of_the_next(tmp_path):
    world = World.everyone(1, 30)
    async with recording(tmp_path, pipeline=PIPELINE.format(per="participant")) as job:
        async with world.perform(job.whip) as cast:
            await cast.until(6)
            job.worker.kill()
            await job.until(lambda event: event.get("type") == "ready" and event["attempt"] == 2)
        async with world.perform(job.whip) as cast:
            await cast.until(5)
            assert await job.stop() == 0, job.ending
    folders = [job.out / "tracks", job.out / "tracks-2"]
    assert [document(folder).attempt for folder in folders] == [1, 2]
    for folder, recovered in zip(folders, (True, False), strict=True):
        assert {row.recovered for row in document(folder).files} == {recovered}
        aligned(events(folder), 1)
    made = [row for row in job.ending["artifacts"] if row["kind"] == "tracks"]
    assert [Path(row["location"]) for row in made] == folders
    assert not any(job.spool.iterdir())


async def test_on_a_bad_network_pictures_go_on_at_keyframes_and_the_losses_are_told(tmp_path):
    world = World.everyone(2, 16, codecs=(Codec.VP8, Codec.H264))
    links: dict[str, Link] = {}

    def network(peer: str) -> tuple[Link, Link]:
        return links.setdefault(peer, Link(loss=0.05, delay=0.02, jitter=0.02)), Link(loss=0.05, delay=0.02)

    async with (
        recording(tmp_path, pipeline=PIPELINE.format(per="track")) as job,
        lossy(job.whip, network) as whip,
        world.perform(whip) as cast,
    ):
        await cast.until(7)
        before = {peer: link.dropped for peer, link in links.items()}
        for link in links.values():
            link.outages = [(0.0, 1e9)]
        await cast.until(7.6)
        async with asyncio.timeout(60):
            # So much of everybody that some of each of their tracks is among it.
            while any(link.dropped < before[peer] + 50 for peer, link in links.items()):
                await asyncio.sleep(0.02)
        for link in links.values():
            link.outages = []
        await cast.until(15)
        assert await job.stop() == 0, job.ending
    streams = [s for row in document(job.out / "tracks").files for s in row.streams]
    assert all(s.lost.gaps and s.gaps for s in streams), "an outage is a gap of every track"
    found = events(job.out / "tracks")
    for who in (0, 1):
        # A beep whose first packet is lost begins late: that is no matter of alignment, so the median judges.
        assert abs(statistics.median(found.offsets(who))) <= 0.020
        assert len(found.flashes[who]) >= 9


@pytest.mark.beside
async def test_tracks_go_to_a_store_as_well(tmp_path, monkeypatch):
    with S3Server(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        pipeline = PIPELINE.format(per="participant").replace("to: tracks/", f"to: s3://{BUCKET}/{{job}}/tracks/")
        world = World.everyone(1, 8)
        async with recording(tmp_path, pipeline=pipeline) as job, world.perform(job.whip) as cast:
            await cast.until(5)
            assert await job.stop() == 0, job.ending
        there = {key.rpartition("/")[2]: server.read(key) for key in server.objects() if "/tracks/" in key}
    assert set(there) == {"ada-1.webm", "tracks.json"}
    (row,) = TrackFiles.model_validate_json(there["tracks.json"]).files
    assert row.bytes == len(there["ada-1.webm"])
    assert not any(job.spool.iterdir())
