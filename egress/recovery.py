"""Recovery: finish what a dead worker left in the spool, from its files alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from egress.model import registry
from egress.model.errors import EgressError
from egress.model.job import Artifact, JobState
from egress.outlets import sink_folder
from egress.storage.manifest import Attendance, write_manifest
from egress.storage.spool import JobFolder, Spool

_log = logging.getLogger("egress.recovery")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of one orphan: its artifacts, and what could not be saved and why."""

    job: str
    artifacts: tuple[Artifact, ...]
    problems: tuple[str, ...]


def recover(spool: Spool) -> Iterator[Recovered]:
    """Finish every job no living worker holds; a folder is removed only when all of it was delivered."""
    for folder in spool.folders():
        yield from recover_folder(folder)


def recover_folder(folder: JobFolder) -> Iterator[Recovered]:
    """Finish one job, unless a living worker holds it."""
    with folder.held() as mine:
        if mine:
            yield recover_job(folder)


def recover_job(folder: JobFolder) -> Recovered:
    """Finish one job from its folder, the caller holding its lock."""
    try:
        order = folder.order()
    except EgressError as error:
        return Recovered(folder.path.name, (), (error.message,))
    artifacts: list[Artifact] = []
    problems: list[str] = []
    for index, doc in enumerate(order.pipeline.sinks):
        place = sink_folder(folder.path, index, doc.kind)
        if not place.is_dir():
            continue
        try:
            artifacts += registry.load("sinks", doc.kind).recover(place, doc.to)
        except EgressError as error:
            problems.append(f"{doc.kind}: {error.message}")
        except Exception as error:
            # One file that cannot be saved must not keep the others from being saved; the folder stays for another try.
            _log.exception("recovery of %s failed", place)
            problems.append(f"{doc.kind}: {type(error).__name__}: {error}")
    started = datetime.fromtimestamp(folder.document.stat().st_mtime, UTC)
    try:
        write_manifest(
            Path(order.manifest),
            order,
            JobState.FAILED,
            "the worker died; its recording was recovered",
            started=started,
            ended=datetime.now(UTC),
            length=max((artifact.duration for artifact in artifacts), default=0),
            attendance=Attendance(),
            artifacts=artifacts,
            figures={},
        )
    except OSError as error:
        problems.append(f"manifest: {error}")
    if not problems:
        folder.remove()
    return Recovered(order.id, tuple(artifacts), tuple(problems))
