"""The manifest: what a job made and who was there, written last, as JSON; a copy in the spool outlives its worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from egress import __version__
from egress.disk import read_json, write_json
from egress.model.errors import Blame
from egress.model.job import Artifact, JobState
from egress.model.media import Nanos
from egress.model.order import JobOrder
from egress.storage.attendance import Attendance, in_seconds
from egress.storage.receipt import keep_receipt

_FOLDER, _OUTCOME = "manifest", "outcome.json"


def artifact_row(artifact: Artifact) -> dict[str, Any]:
    """An artifact as the manifest and events show it."""
    return {
        "kind": artifact.kind,
        "location": artifact.location,
        "size": artifact.size,
        "duration": in_seconds(artifact.duration),
        "sha256": artifact.sha256,
        **artifact.details,
    }


def write_manifest(
    path: Path,
    order: JobOrder,
    state: JobState,
    reason: str,
    *,
    started: datetime,
    ended: datetime,
    length: Nanos,
    attendance: Attendance,
    artifacts: Sequence[Artifact],
    figures: Mapping[str, Any],
    blame: Blame | None = None,
) -> Path:
    """Write the manifest whole or not at all, first into the job's spool folder; says where it is. Raises OSError.

    It replaces an earlier job's, but not that of one which ended after this one had begun.
    """
    document = {
        "egress": __version__,
        "job": order.id,
        "room": order.room,
        "title": order.title,
        "pipeline": order.pipeline.name,
        "state": str(state),
        "reason": reason,
        "blame": str(blame) if blame else None,
        "started": started.isoformat(),
        "ended": ended.isoformat(),
        "duration": in_seconds(length),
        "peers": attendance.table(),
        "uncounted_visits": attendance.refused,
        "gaps": attendance.spans("gap"),
        "pauses": attendance.spans("pause"),
        "artifacts": [artifact_row(artifact) for artifact in artifacts],
        "figures": dict(figures),
    }
    if Path(order.folder).is_dir():
        write_json(_outcome(order), document)
    return _deliver(path, order, document)


def outcome(order: JobOrder) -> dict[str, Any]:
    """How a dead worker's job ended, as its manifest says or would have said; {} when it never came to that."""
    return read_json(_outcome(order))


def complete_manifest(order: JobOrder, document: Mapping[str, Any], artifacts: Sequence[Artifact]) -> Path:
    """Write the manifest of a job that ended before all was delivered, with what has been by now; raises OSError.

    How the job went stays as it was; what lies in the spool gives way to where it went.
    """
    spool = f"{order.folder}/"
    places = {artifact.location for artifact in artifacts}
    rows = [
        row
        for row in document.get("artifacts", ())
        if row["location"] not in places and not row["location"].startswith(spool)
    ]
    rows += [artifact_row(artifact) for artifact in artifacts]
    whole = {**document, "artifacts": rows, "recovered": datetime.now(UTC).isoformat()}
    write_json(_outcome(order), whole)
    return _deliver(Path(order.manifest), order, whole)


def _deliver(path: Path, order: JobOrder, document: Mapping[str, Any]) -> Path:
    there = read_json(path)
    if there.get("job", order.id) != order.id and str(there.get("ended")) > str(document["started"]):
        path = path.with_name(f"{path.stem}-{order.id}{path.suffix}")
    write_json(path, document)
    if Path(order.folder).is_dir():
        keep_receipt(_outcome(order).parent, (Artifact("manifest", str(path)),))
    return path


def _outcome(order: JobOrder) -> Path:
    return Path(order.folder) / _FOLDER / _OUTCOME
