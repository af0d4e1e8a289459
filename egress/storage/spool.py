"""The spool: one folder a job, holding all that is needed to finish it without the process that began it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from egress.model.errors import DestinationError, Fault
from egress.model.order import JobOrder
from egress.storage.manifest import write_json


class JobFolder:
    """One job's folder: `job.json` without secrets, a lock its worker holds, and a folder a sink."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def document(self) -> Path:
        """The job document."""
        return self.path / "job.json"

    def create(self, order: JobOrder) -> None:
        """Make the folder and keep the order in it; raises DestinationError when the disk will not have it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.document, order.without_secrets())
        except OSError as error:
            raise DestinationError(f"spool {self.path}: {error.strerror}; choose another with --spool") from error

    def order(self) -> JobOrder:
        """The order as kept; raises Fault when it cannot be read."""
        try:
            return JobOrder.model_validate_json(self.document.read_bytes())
        except (OSError, ValueError) as error:
            raise Fault(f"{self.document} cannot be read: {error}") from error

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the job's lock; yields False when another living process holds it. The kernel frees it on any death."""
        self.path.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(handle)

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
        found = [JobFolder(path) for path in self.root.iterdir() if (path / "job.json").is_file()]
        return tuple(sorted(found, key=lambda folder: folder.document.stat().st_mtime))
