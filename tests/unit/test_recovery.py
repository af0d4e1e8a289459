"""Recovery finishes what is left of a job, and neither forgets how it went nor touches what is another's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from egress.berths import sink_folder
from egress.model.errors import Blame
from egress.model.job import Artifact, JobState
from egress.model.media import SECOND
from egress.model.order import JobOrder
from egress.model.outputs import HlsDoc, Mp4Doc
from egress.model.pipeline import Pipeline
from egress.model.room import Peer
from egress.recovery import Recovered, recover
from egress.sinks.base import Sink, SinkContext
from egress.sinks.hls import HlsSink
from egress.sinks.mp4 import Mp4Sink
from egress.storage.attendance import Attendance
from egress.storage.manifest import write_manifest
from egress.storage.receipt import keep_receipt
from egress.storage.spool import JobFolder, Spool
from tests.flashes import STARTED, feed, programme
from tests.manifests import checked

MP4, HLS = Mp4Doc(kind="mp4", to="a.mp4"), HlsDoc(kind="hls", to="hls", segment="2s")
ADA = Peer("ada", "Ada", "host")


def _order(tmp_path: Path, job: str, **changes: Any) -> JobOrder:
    sinks = (
        MP4.model_copy(update={"to": str(tmp_path / "a.mp4")}),
        HLS.model_copy(update={"to": str(tmp_path / "hls")}),
    )
    made = JobOrder(
        id=job,
        room="local:standup",
        title="Standup",
        pipeline=Pipeline(name="both", sinks=sinks),
        folder=str(tmp_path / "spool" / job),
        manifest=str(tmp_path / "manifest.json"),
    )
    return made.model_copy(update=changes)


def _begun(order: JobOrder, kind: str) -> Sink:
    """One of the job's sinks, fed and not closed, as a dead worker leaves it."""
    folder = JobFolder(Path(order.folder))
    if not folder.document.is_file():
        with folder.held():
            folder.create(order)
    index, doc, make = (0, order.pipeline.sinks[0], Mp4Sink) if kind == "mp4" else (1, order.pipeline.sinks[1], HlsSink)
    place = sink_folder(folder.path, index, kind)
    place.mkdir()
    sink = make(doc, SinkContext(order.id, order.room, order.title, STARTED, place, doc.to, lambda event: None))
    feed(sink, programme(4))
    return sink


def _ended(order: JobOrder, state: JobState, reason: str, artifacts: list[Artifact], ended: datetime = STARTED) -> None:
    attendance = Attendance()
    attendance.joined(ADA, SECOND)
    write_manifest(
        order.manifest,
        order,
        state,
        reason,
        started=STARTED,
        ended=ended,
        length=4 * SECOND,
        attendance=attendance,
        artifacts=artifacts,
        figures={"late": 3},
        blame=Blame.DESTINATION,
    )


def _recover(tmp_path: Path) -> Recovered:
    (job,) = recover(Spool(tmp_path / "spool"))
    return job


def test_a_dead_workers_job_is_finished_with_everyone_who_was_there(tmp_path: Path) -> None:
    order = _order(tmp_path, "job-1")
    _begun(order, "mp4")
    _begun(order, "hls")
    attendance = Attendance.of(order)
    attendance.joined(ADA, SECOND)
    attendance.left("ada", 2 * SECOND)
    job = _recover(tmp_path)
    assert not job.problems
    assert [artifact.kind for artifact in job.artifacts] == ["mp4", "hls"]
    manifest = checked(json.loads((tmp_path / "manifest.json").read_text()))
    assert (manifest["state"], manifest["blame"]) == ("failed", "us")
    (visit,) = manifest["peers"]
    assert (visit["id"], visit["name"], visit["role"], visit["joined"], visit["left"]) == ("ada", "Ada", "host", 1, 2)
    assert not any((tmp_path / "spool").iterdir())


def test_a_job_that_had_its_outcome_keeps_it_and_gets_its_artifacts(tmp_path: Path) -> None:
    order = _order(tmp_path, "job-1")
    sink = _begun(order, "mp4")
    stream = Artifact("rtmp", "rtmp://host/***", 9, 4 * SECOND)
    _ended(order, JobState.FAILED, "the disk was full", [*sink.abort(), stream])
    assert "spool" in (tmp_path / "manifest.json").read_text()
    _recover(tmp_path)
    manifest = checked(json.loads((tmp_path / "manifest.json").read_text()))
    assert (manifest["state"], manifest["reason"]) == ("failed", "the disk was full")
    assert manifest["blame"] == "destination"
    assert manifest["figures"] == {"late": 3} and manifest["peers"][0]["name"] == "Ada"
    assert [row["location"] for row in manifest["artifacts"]] == ["rtmp://host/***", str(tmp_path / "a.mp4")]
    assert manifest["recovered"]


def test_a_newer_recording_and_its_manifest_are_not_replaced(tmp_path: Path) -> None:
    old, new = _order(tmp_path, "job-1"), _order(tmp_path, "job-2")
    _begun(old, "mp4")
    newer = _begun(new, "mp4")
    newer.deliver(newer.close())
    _ended(new, JobState.FINISHED, "done", [], ended=datetime.now(UTC) + timedelta(minutes=1))
    JobFolder(Path(new.folder)).remove()
    before = (tmp_path / "a.mp4").read_bytes(), (tmp_path / "manifest.json").read_bytes()
    (artifact,) = _recover(tmp_path).artifacts
    assert artifact.location == str(tmp_path / "a-job-1.mp4")
    assert Path(artifact.location).is_file()
    assert ((tmp_path / "a.mp4").read_bytes(), (tmp_path / "manifest.json").read_bytes()) == before
    assert json.loads((tmp_path / "manifest-job-1.json").read_text())["job"] == "job-1"


def test_what_was_delivered_before_the_worker_died_is_found_again_and_nobody_elses(tmp_path: Path) -> None:
    order = _order(tmp_path, "job-1")
    sink = _begun(order, "mp4")
    (made,) = sink.deliver(sink.close())
    (artifact,) = _recover(tmp_path).artifacts
    assert (artifact.location, artifact.size) == (made.location, made.size)
    again = _order(tmp_path, "job-3")
    (tmp_path / "a.mp4").unlink()
    other = _begun(again, "mp4")
    other.deliver(other.close())
    place = sink_folder(Path(again.folder), 0, "mp4")
    assert Mp4Sink.recover(place, str(tmp_path / "a.mp4"))
    (tmp_path / "a.mp4").write_bytes(b"another's")
    (place / "delivered.jsonl").unlink()
    assert Mp4Sink.recover(place, str(tmp_path / "a.mp4")) == ()


def test_another_jobs_live_playlists_are_left_alone(tmp_path: Path) -> None:
    _begun(_order(tmp_path, "job-1"), "hls")
    live = _order(tmp_path, "job-2", folder=str(tmp_path / "elsewhere" / "job-2"), overwrite=True)
    place = sink_folder(Path(live.folder), 1, "hls")
    place.mkdir(parents=True)
    doc = live.pipeline.sinks[1]
    options = {"overwrite": "yes"}
    context = SinkContext("job-2", live.room, live.title, STARTED, place, doc.to, lambda event: None, options)
    feed(HlsSink(doc, context), programme(4))
    before = {path: path.read_bytes() for path in (tmp_path / "hls").rglob("*") if path.is_file()}
    assert _recover(tmp_path).artifacts == ()
    assert {path: path.read_bytes() for path in (tmp_path / "hls").rglob("*") if path.is_file()} == before
    assert "#EXT-X-ENDLIST" not in (tmp_path / "hls" / "video.m3u8").read_text()


def test_what_cannot_be_delivered_stays_and_the_rest_is_not_done_twice(tmp_path: Path) -> None:
    order = _order(tmp_path, "job-1")
    blocked = order.pipeline.sinks[0].model_copy(update={"to": str(tmp_path / "plain" / "a.mp4")})
    order = order.model_copy(
        update={"pipeline": order.pipeline.model_copy(update={"sinks": (blocked, order.pipeline.sinks[1])})}
    )
    (tmp_path / "plain").write_text("not a folder")
    _begun(order, "mp4")
    _begun(order, "hls")
    job = _recover(tmp_path)
    assert ["mp4" in problem for problem in job.problems] == [True]
    assert [artifact.kind for artifact in job.artifacts] == ["hls"]
    assert [path.name for path in JobFolder(Path(order.folder)).undelivered()] == ["0-mp4"]
    (tmp_path / "plain").unlink()
    job = _recover(tmp_path)
    assert not job.problems
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [row["kind"] for row in manifest["artifacts"]] == ["mp4", "hls"]


def test_a_delivered_sink_is_taken_from_its_receipt(tmp_path: Path) -> None:
    order = _order(tmp_path, "job-1")
    _begun(order, "mp4")
    made = Artifact("mp4", "/elsewhere/a.mp4", 5, SECOND, "ab", {"chapters": []})
    keep_receipt(sink_folder(Path(order.folder), 0, "mp4"), (made,))
    assert _recover(tmp_path).artifacts == (made,)
    assert not (tmp_path / "a.mp4").exists()


def test_a_living_workers_job_is_not_touched(tmp_path: Path) -> None:
    order = _order(tmp_path, "job-1")
    _begun(order, "mp4")
    with JobFolder(Path(order.folder)).held():
        assert list(recover(Spool(tmp_path / "spool"))) == []
    assert len(list(recover(Spool(tmp_path / "spool")))) == 1
