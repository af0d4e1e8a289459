"""Recovery: finish what a dead worker left in the spool, from its files alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from egress.berths import berths
from egress.model.errors import Blame, EgressError
from egress.model.job import Artifact, JobState
from egress.model.order import JobOrder
from egress.storage.attempts import AttemptLog
from egress.storage.attendance import Attendance
from egress.storage.manifest import complete_manifest, outcome, write_manifest
from egress.storage.spool import JobFolder, Spool

_log = logging.getLogger("egress.recovery")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of one orphan: its artifacts, what could not be saved and why, and where its manifest is."""

    job: str
    artifacts: tuple[Artifact, ...]
    problems: tuple[str, ...]
    manifest: str | None = None


Options = Mapping[str, Mapping[str, str]]
"""What storages are told, by the scheme of their addresses: spools keep no secrets."""


def recover(spool: Spool, storage_options: Options | None = None) -> Iterator[Recovered]:
    """Finish every job no living worker holds; a folder is removed only when all of it was delivered."""
    for folder in spool.folders():
        yield from recover_folder(folder, storage_options)
    for path in spool.strays():
        yield Recovered(path.name, (), (f"{path} has no job.json; the files in it have to be saved by hand",))


def recover_folder(folder: JobFolder, storage_options: Options | None = None) -> Iterator[Recovered]:
    """Finish one job, unless a living worker holds it."""
    try:
        with folder.seized() as mine:
            if mine:
                yield recover_job(folder, storage_options)
    except EgressError as error:
        yield Recovered(folder.path.name, (), (error.message,))


def recover_job(folder: JobFolder, storage_options: Options | None = None) -> Recovered:
    """Finish one job from its folder, the caller holding its lock."""
    try:
        order = folder.order()
    except EgressError as error:
        return Recovered(folder.path.name, (), (error.message,))
    told = {scheme: dict(options) for scheme, options in (storage_options or {}).items()}
    order = order.model_copy(update={"storage_options": told})
    artifacts: list[Artifact] = []
    problems: list[str] = []
    for berth in berths(order):
        try:
            artifacts += berth.salvage(told)
        except EgressError as error:
            problems.append(f"{berth.doc.kind}: {error.message}")
        except Exception as error:
            # One file that cannot be saved must not keep the others from being saved; the folder stays for another try.
            _log.exception("recovery of %s failed", berth.folder)
            problems.append(f"{berth.doc.kind}: {type(error).__name__}: {error}")
    manifest = None
    try:
        manifest = _write_manifest(folder, order, artifacts)
    except OSError as error:
        problems.append(f"manifest {order.manifest}: {error.strerror}")
    except EgressError as error:
        problems.append(f"manifest {error.message}")
    if not problems:
        folder.remove()
    return Recovered(order.id, tuple(artifacts), tuple(problems), manifest)


def _write_manifest(folder: JobFolder, order: JobOrder, artifacts: Sequence[Artifact]) -> str:
    """Complete the manifest of a job that got as far as having one; say of another that its worker died.

    Says where it is.
    """
    ended = outcome(order)
    if ended:
        return complete_manifest(order, ended, artifacts)
    log = AttemptLog(folder.path)
    log.died("the worker died")
    longest = max((artifact.duration for artifact in artifacts), default=0)
    return write_manifest(
        order.manifest,
        order,
        JobState.FAILED,
        "the worker died; its recording was recovered",
        started=log.started(datetime.fromtimestamp(folder.document.stat().st_mtime, UTC)),
        ended=datetime.now(UTC),
        length=max(longest, *(row.end for row in log.rows)) if log.rows else longest,
        attempts=log.table(),
        degraded=log.degraded,
        attendance=Attendance.load(order),
        artifacts=artifacts,
        figures={},
        blame=Blame.US,
    )
