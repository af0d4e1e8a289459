"""What nobody follows is told from what lives, and from what is none of our business."""

from __future__ import annotations

import os
import time
from pathlib import Path

from egress.control.orphans import FRESH, is_alive, is_held, lying, settled, silent_for, tidied
from egress.storage.spool import JobFolder
from tests.unit.test_spool import order


def job(spool: Path, name: str, *, age: float = 1000.0) -> Path:
    """A job's folder whose worker died some seconds ago."""
    folder = JobFolder(spool / name)
    with folder.held():
        folder.create(order(spool).model_copy(update={"id": name, "folder": str(folder.path)}))
    (folder.path / "lock").write_text(f"{os.getpid()} 1\n")
    for path in folder.path.iterdir():
        os.utime(path, (0, time.time() - age))
    return folder.path


def test_a_folder_lives_while_its_lock_is_held(tmp_path: Path) -> None:
    folder = job(tmp_path, "job-1")
    assert not is_held(folder)
    with JobFolder(folder).held():
        assert is_held(folder) and is_alive(folder)
    assert not is_held(folder)
    assert not is_held(tmp_path / "nothing") and not is_alive(tmp_path / "nothing")


def test_a_worker_that_is_another_process_by_now_is_dead(tmp_path: Path) -> None:
    assert not is_alive(job(tmp_path, "job-1"))


async def test_a_dead_worker_was_last_heard_when_its_files_changed(tmp_path: Path) -> None:
    folder = job(tmp_path, "job-1")
    assert 990 < await settled(folder) < 1100
    (folder / "pulse").touch()
    assert silent_for(folder) < 60
    assert silent_for(tmp_path / "nothing") == 0


async def test_a_worker_that_lives_is_waited_for_until_it_listens(tmp_path: Path) -> None:
    folder = job(tmp_path, "job-1")
    (folder / "control.sock").touch()
    with JobFolder(folder).held():
        assert await settled(folder) == 0


def test_what_lies_in_the_spool_for_a_while_and_is_followed_by_nobody_is_found(tmp_path: Path) -> None:
    left = job(tmp_path, "left")
    job(tmp_path, "followed")
    job(tmp_path, "fresh", age=FRESH / 2)
    (tmp_path / "logs").mkdir()
    assert lying(tmp_path, ["followed"]) == [left]


def test_a_folder_without_anything_to_deliver_goes_and_another_stays(tmp_path: Path) -> None:
    empty, full = job(tmp_path, "empty"), job(tmp_path, "full")
    (full / "0-mp4").mkdir()
    (full / "0-mp4" / "media.mp4").write_bytes(b"media")
    assert tidied(empty) and not empty.exists()
    assert not tidied(full) and full.exists()
    with JobFolder(full).held():
        assert not tidied(full)
