"""What a server keeps beside its jobs stays small, and it is the same server when it comes again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from egress.control import upkeep
from egress.control.upkeep import erase, identify, trim_logs
from egress.model.errors import RequestError
from egress.storage.spool import JobFolder


def test_a_server_that_comes_again_is_the_same_and_one_beside_it_is_another(tmp_path: Path) -> None:
    first = identify(tmp_path, alone=False)
    second = identify(tmp_path, alone=False)
    assert first.id != second.id
    with pytest.raises(RequestError, match="another egress serve"):
        identify(tmp_path, alone=True)
    first.release()
    again = identify(tmp_path, alone=True)
    assert again.id == first.id
    again.release()
    second.release()


def test_a_spool_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="--spool"):
        identify(tmp_path / "file", alone=True)


def test_a_log_that_is_too_long_keeps_its_last_lines_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LARGEST_LOG", 1000)
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "job-1.log"
    with log.open("a") as writer:
        writer.writelines(f"line {number:04}\n" for number in range(200))
        writer.flush()
        assert trim_logs(tmp_path) == 1
        writer.write("after\n")
    lines = log.read_text().splitlines()
    assert lines[-2:] == ["line 0199", "after"]
    assert 40 <= len(lines) <= 52 and lines[0].startswith("line ")
    assert trim_logs(tmp_path) == 0


def test_logs_and_pictures_go_when_they_are_old(tmp_path: Path) -> None:
    for name in ("logs/old.log", "thumbnails/old.jpg", "logs/new.log", "logs/other.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        if "new" not in name:
            os.utime(path, (0, time.time() - upkeep.KEPT_FOR - 60))
    assert trim_logs(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["new.log", "other.txt"]


def test_the_log_and_the_picture_of_a_job_go_with_it(tmp_path: Path) -> None:
    for name in ("logs/job-1.log", "thumbnails/job-1.jpg", "logs/job-2.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "job-1" / "mp4").mkdir(parents=True)
    (tmp_path / "job-1" / "job.json").touch()
    erase(tmp_path, "job-1")
    erase(tmp_path, "job-1")
    assert (tmp_path / "job-1").is_dir()
    with JobFolder(tmp_path / "job-1").held() as mine:
        assert mine
        erase(tmp_path, "job-1", unfinished=True)
    assert (tmp_path / "job-1" / "mp4").is_dir(), "a worker still holds it"
    erase(tmp_path, "job-1", unfinished=True)
    assert not (tmp_path / "job-1").exists()
    assert [path.name for path in tmp_path.rglob("*.*")] == ["job-2.log"]
