import json
import subprocess
import sys

import pytest

from egress.model.errors import DestinationError, Fault
from egress.model.order import JobOrder
from egress.model.pipeline import Pipeline
from egress.storage.receipt import keep_receipt
from egress.storage.spool import Spool


def order(folder, job="job-1"):
    pipeline = Pipeline(
        name="both",
        sinks=[{"kind": "mp4", "to": "/out/a.mp4"}, {"kind": "rtmp", "to": "rtmp://host/live/SECRETKEY"}],
    )
    return JobOrder(
        id=job,
        room="local:standup",
        title="Standup",
        pipeline=pipeline,
        folder=str(folder),
        manifest="/out/manifest.json",
        whip_token="SECRETTOKEN",
    )


def test_a_job_folder_keeps_the_order_without_its_secrets(tmp_path):
    folder = Spool(tmp_path).folder("job-1")
    folder.create(order(folder.path))
    text = folder.document.read_text()
    assert "SECRET" not in text
    kept = folder.order()
    assert kept.pipeline.sinks[0].to == "/out/a.mp4"
    assert [sink.kind for sink in kept.pipeline.sinks] == ["mp4", "rtmp"]


def test_the_spool_lists_only_folders_with_a_job(tmp_path):
    spool = Spool(tmp_path)
    assert Spool(tmp_path / "none").folders() == ()
    (tmp_path / "stray").mkdir()
    folder = spool.folder("job-1")
    folder.create(order(folder.path))
    assert [found.path.name for found in spool.folders()] == ["job-1"]
    folder.remove()
    assert spool.folders() == ()


def test_a_job_held_by_a_living_process_is_not_given_away_and_a_dead_ones_is(tmp_path):
    folder = Spool(tmp_path).folder("job-1")
    folder.create(order(folder.path))
    code = (
        "import sys,time;from pathlib import Path;from egress.storage.spool import JobFolder\n"
        f"with JobFolder(Path({str(folder.path)!r})).held() as mine:\n print(mine,flush=True);time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline().strip() == "True"
        with folder.held() as mine:
            assert not mine
        holder.kill()
        holder.wait()
        with folder.held() as mine:
            assert mine
    finally:
        holder.kill()
        holder.wait()


def test_a_spool_that_cannot_be_written_is_the_destinations_fault(tmp_path):
    (tmp_path / "file").write_text("")
    folder = Spool(tmp_path / "file").folder("job-1")
    with pytest.raises(DestinationError, match="--spool"):
        folder.create(order(folder.path))
    with pytest.raises(DestinationError, match="--spool"), folder.held():
        pass


def test_an_unreadable_document_says_which(tmp_path):
    folder = Spool(tmp_path).folder("job-1")
    folder.create(order(folder.path))
    folder.document.write_text(json.dumps({"id": "?"}))
    with pytest.raises(Fault, match=r"job\.json"):
        folder.order()


def test_a_folder_being_begun_is_not_seen_by_recovery_and_one_that_is_gone_not_made_again(tmp_path):
    spool = Spool(tmp_path)
    folder = spool.folder("job-1")
    with folder.held() as mine:
        assert mine and spool.folders() == ()
        folder.create(order(folder.path))
        with folder.seized() as taken:
            assert not taken
        folder.remove()
    with folder.seized() as taken:
        assert not taken
    assert not folder.path.exists()


def test_what_has_no_receipt_is_undelivered(tmp_path):
    folder = Spool(tmp_path).folder("job-1")
    for name in ("0-mp4", "1-hls", "2-rtmp"):
        (folder.path / name).mkdir(parents=True)
    (folder.path / "0-mp4" / "recording.mp4").write_bytes(b"x")
    (folder.path / "1-hls" / "marks.jsonl").write_bytes(b"x")
    keep_receipt(folder.path / "1-hls", ())
    assert folder.undelivered() == (folder.path / "0-mp4",)


def test_a_folder_whose_document_is_gone_is_still_seen(tmp_path):
    spool = Spool(tmp_path)
    (tmp_path / "job-1" / "0-mp4").mkdir(parents=True)
    assert spool.strays() == ()
    (tmp_path / "job-1" / "0-mp4" / "recording.mp4").write_bytes(b"media")
    assert spool.strays() == (tmp_path / "job-1",)


def test_nobody_else_can_read_a_jobs_folder(tmp_path):
    folder = Spool(tmp_path).folder("job-1")
    with folder.held():
        assert folder.path.stat().st_mode & 0o077 == 0


def test_an_order_that_cannot_be_read_says_which_field_is_strange_to_this_version(tmp_path):
    folder = Spool(tmp_path).folder("job-1")
    folder.create(order(folder.path))
    kept = folder.document.read_text()
    folder.document.write_text(json.dumps({**json.loads(kept), "hologram": "SECRETKEY"}))
    with pytest.raises(Fault, match="is of another version of Egress \\(hologram: ") as strange:
        folder.order()
    assert "SECRET" not in strange.value.message
    folder.document.write_text(kept[:40])
    with pytest.raises(Fault, match="is damaged; what the job made is beside it"):
        folder.order()
