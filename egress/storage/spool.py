"""The spool: one folder a job, holding all that is needed to finish it without the process that began it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from egress.disk import write_json
from egress.model.errors import DestinationError, Fault
from egress.model.order import JobOrder
from egress.storage.receipt import undelivered


class JobFolder:
    """One job's folder: `job.json` without secrets, a lock its worker holds, and a folder a sink."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def document(self) -> Path:
        """The job document."""
        return self.path / "job.json"

    def create(self, order: JobOrder) -> None:
        """Keep the order in the folder, the caller holding it; raises DestinationError when the disk will not have it.

        From now on recovery sees the job.
        """
        try:
            write_json(self.document, order.without_secrets())
        except OSError as error:
            raise self._refused(error) from error

    def order(self) -> JobOrder:
        """The order as kept; raises Fault when it cannot be read."""
        try:
            return JobOrder.model_validate_json(self.document.read_bytes())
        except OSError as error:
            raise Fault(f"{self.document} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            # Values may be anything; names of fields are ours.
            first = error.errors(include_input=False, include_url=False)[0]
            field = ".".join(str(one) for one in first["loc"])
            why = f"is of another version of Egress ({field}: {first['msg']})" if field else "is damaged"
            raise Fault(f"{self.document} {why}; what the job made is beside it") from None

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Make the folder and hold its lock; yields False when another living process does.

        The kernel frees it on any death. Raises DestinationError when the disk will not have it.
        """
        try:
            # What was said in a room is nobody else's on this machine.
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._refused(error) from error
        with _locked(handle) as mine:
            if mine:
                _sign(handle)
            yield mine

    def holder(self) -> tuple[int, int] | None:
        """(process id, when it began in clock ticks) of the worker that held the lock last; it may be dead by now."""
        try:
            pid, began = (self.path / "lock").read_text("ascii").split()
            return int(pid), int(began)
        except (OSError, ValueError):
            return None

    @contextmanager
    def seized(self) -> Iterator[bool]:
        """Hold the lock of a job whose worker is dead; yields False when one lives, or the folder has gone."""
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            yield False
            return
        except OSError as error:
            raise self._refused(error) from error
        with _locked(handle) as mine:
            # It may have been taken away between its being found and its being locked.
            yield mine and self.document.is_file()

    def undelivered(self) -> tuple[Path, ...]:
        """The folders in it that hold what has not reached its place."""
        if not self.path.is_dir():
            return ()
        return tuple(sorted(path for path in self.path.iterdir() if path.is_dir() and undelivered(path)))

    def _refused(self, error: OSError) -> DestinationError:
        return DestinationError(f"spool {self.path}: {error.strerror}; choose another with --spool")

    def remove(self) -> None:
        """Take the folder away: everything in it has been delivered."""
        shutil.rmtree(self.path, ignore_errors=True)


class Spool:
    """The folder of all jobs' folders."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, job: str) -> JobFolder:
        """The folder of one job."""
        return JobFolder(self.root / job)

    def folders(self) -> tuple[JobFolder, ...]:
        """Every job that has not been delivered whole, oldest first."""
        if not self.root.is_dir():
            return ()
        found: list[tuple[float, JobFolder]] = []
        for path in self.root.iterdir():
            folder = JobFolder(path)
            # A worker that has just delivered its job takes the folder away under our eyes.
            with suppress(FileNotFoundError, NotADirectoryError):
                found.append((folder.document.stat().st_mtime, folder))
        return tuple(folder for _, folder in sorted(found, key=lambda entry: entry[0]))

    def strays(self) -> tuple[Path, ...]:
        """Folders that hold files of a job, but no job document to finish it by."""
        if not self.root.is_dir():
            return ()
        folders = [JobFolder(path) for path in sorted(self.root.iterdir()) if path.is_dir()]
        return tuple(folder.path for folder in folders if not folder.document.exists() and folder.undelivered())


def _sign(handle: int) -> None:
    """Note in the lock whose it is: a process id alone may be another's later (proc(5), field 22: when it began)."""
    began = Path("/proc/self/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()[19]
    # A full disk must not keep a job from being run.
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {began}\n".encode(), 0)


@contextmanager
def _locked(handle: int) -> Iterator[bool]:
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
