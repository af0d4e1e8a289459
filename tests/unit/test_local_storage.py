"""Finished files reach their place whole, checked, or not at all."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from egress.model.errors import DestinationError
from egress.storage.local import LocalStorage

DATA = bytes(range(256)) * 9000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "spool" / "file.mp4"
    path.parent.mkdir()
    path.write_bytes(DATA)
    return path


@pytest.fixture
def other_disk(tmp_path: Path) -> Path:
    """A folder on another filesystem than tmp_path."""
    folder = Path("/dev/shm") if tmp_path.stat().st_dev != Path("/dev/shm").stat().st_dev else Path("/var/tmp")
    assert folder.stat().st_dev != tmp_path.stat().st_dev
    return folder


def test_a_file_is_moved_with_its_size_and_checksum(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "deep" / "file.mp4"
    stored = LocalStorage().put(source, str(target))
    assert target.read_bytes() == DATA
    assert not source.exists()
    assert (stored.location, stored.size) == (str(target), len(DATA))
    assert stored.sha256 == hashlib.sha256(DATA).hexdigest()


def test_a_file_is_copied_to_another_disk_and_compared(source: Path, other_disk: Path) -> None:
    folder = other_disk / f"egress-{source.stat().st_ino}"
    try:
        stored = LocalStorage().put(source, str(folder / "file.mp4"))
        assert (folder / "file.mp4").read_bytes() == DATA
        assert [path.name for path in folder.iterdir()] == ["file.mp4"]
        assert stored.sha256 == hashlib.sha256(DATA).hexdigest()
        assert not source.exists()
    finally:
        (folder / "file.mp4").unlink(missing_ok=True)
        folder.rmdir()


def test_an_earlier_file_is_replaced_at_once(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "file.mp4"
    target.write_bytes(b"earlier")
    LocalStorage().put(source, str(target))
    assert target.read_bytes() == DATA


def test_the_spool_copy_stays_when_the_target_cannot_be_written(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(DestinationError, match="cannot be written"):
        LocalStorage().put(source, str(tmp_path / "file" / "out.mp4"))
    assert source.read_bytes() == DATA


def test_a_full_disk_leaves_the_spool_copy_and_no_half_file(source: Path, other_disk: Path) -> None:
    folder = other_disk / f"egress-full-{source.stat().st_ino}"
    folder.mkdir()
    try:
        # What is written beside the target ends up on a device that is always full.
        (folder / ".out.mp4.part").symlink_to("/dev/full")
        with pytest.raises(DestinationError, match="No space left on device"):
            LocalStorage().put(source, str(folder / "out.mp4"))
        assert source.read_bytes() == DATA
        assert list(folder.iterdir()) == []
    finally:
        folder.rmdir()


def test_a_relative_address_is_refused(source: Path) -> None:
    with pytest.raises(DestinationError, match="not an absolute path"):
        LocalStorage().put(source, "out.mp4")


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="cannot be written") as caught:
        LocalStorage().put(tmp_path / "none", str(tmp_path / "out.mp4"))
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOENT


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same disk", "other disk"])
def test_with_a_place_beside_nothing_is_replaced(
    source: Path, tmp_path: Path, other_disk: Path, elsewhere: bool
) -> None:
    folder = (other_disk if elsewhere else tmp_path) / f"egress-beside-{source.stat().st_ino}"
    folder.mkdir()
    try:
        target, beside = folder / "file.mp4", folder / "file-job.mp4"
        target.write_bytes(b"another's")
        stored = LocalStorage().put(source, str(target), beside=str(beside))
        assert stored.location == str(beside)
        assert target.read_bytes() == b"another's" and beside.read_bytes() == DATA
        assert not source.exists()
        target.unlink()
        beside.unlink()
        source.write_bytes(DATA)
        assert LocalStorage().put(source, str(target), beside=str(beside)).location == str(target)
        assert target.read_bytes() == DATA and not source.exists()
        assert [path.name for path in folder.iterdir()] == ["file.mp4"]
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def test_progress_is_told_while_a_file_is_on_its_way(source: Path, other_disk: Path) -> None:
    target = other_disk / f"egress-progress-{source.stat().st_ino}"
    told: list[int] = []
    try:
        LocalStorage().put(source, str(target), moved=told.append)
        assert sum(told) == 2 * len(DATA), "written and read back"
        assert len(told) > 2
    finally:
        target.unlink(missing_ok=True)
