"""What jobs made: one row a file or folder, whose place may be a path or an address of a storage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, tuple_, update

from egress.control import events
from egress.control.job_lists import in_rooms
from egress.control.jobs import get as get_job
from egress.control.jobs import insert_new
from egress.control.tables import artifacts, jobs
from egress.control.values import Micros, Page, canonical, micros, new_id, paged, read_cursor
from egress.model.errors import NotFound
from egress.model.job import Artifact
from egress.model.media import SECOND


@dataclass(frozen=True, slots=True)
class KeptArtifact:
    """One thing a job made; as `egress.model.job.Artifact`, with whose it is and since when."""

    id: str
    job: str
    kind: str
    location: str
    size: int
    duration_ns: int
    sha256: str
    details: Mapping[str, Any]
    created: Micros


_A = artifacts.c
_COLUMNS = (_A.id, _A.job, _A.kind, _A.location, _A.size, _A.duration_ns, _A.sha256, _A.details, _A.created)


def add(connection: Connection, job: str, artifact: Artifact, *, now: Micros | None = None) -> KeptArtifact:
    """Keep an artifact, with its event artifact.ready; raises NotFound when there is no such job.

    One of the same kind and place takes the place of what was known of it, without another event: a recovered job
    tells of its files again.
    """
    at = micros() if now is None else now
    get_job(connection, job)
    same = (_A.job == job, _A.kind == artifact.kind, _A.location == artifact.location)
    said = {
        "size": artifact.size,
        "duration_ns": artifact.duration,
        "sha256": artifact.sha256,
        "details": canonical(dict(artifact.details)),
    }
    where = {"job": job, "kind": artifact.kind, "location": artifact.location}
    values = {"id": new_id("art"), **where, **said, "created": at}
    made = insert_new(connection, artifacts, values, *where)
    if not made:
        connection.execute(update(artifacts).where(*same).values(**said))
    kept = _artifact(connection.execute(select(*_COLUMNS).where(*same)).one())
    if made:
        events.append(connection, "artifact.ready", happened(kept), job=job, at=at)
    return kept


def get(connection: Connection, id_: str) -> KeptArtifact:
    """One artifact; raises NotFound."""
    row = connection.execute(select(*_COLUMNS).where(_A.id == id_)).one_or_none()
    if row is None:
        raise NotFound(f"there is no artifact {id_[:60]!r}", (("id", "is no artifact's"),))
    return _artifact(row)


def of_job(connection: Connection, job: str) -> tuple[KeptArtifact, ...]:
    """What a job made, the first first."""
    statement = select(*_COLUMNS).where(_A.job == job).order_by(_A.created, _A.id)
    return tuple(_artifact(row) for row in connection.execute(statement))


def page(
    connection: Connection,
    *,
    job: str | None = None,
    room: str | None = None,
    rooms: Sequence[str] = (),
    kind: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> Page[KeptArtifact]:
    """Artifacts of all jobs, the latest first; `room` is an address or a name, `rooms` patterns, () is all."""
    statement = select(*_COLUMNS).order_by(_A.created.desc(), _A.id.desc()).limit(limit + 1)
    if job is not None:
        statement = statement.where(_A.job == job)
    if kind is not None:
        statement = statement.where(_A.kind == kind)
    if room is not None or rooms:
        statement = statement.join(jobs)
    if room is not None:
        statement = statement.where((jobs.c.room == room) | (jobs.c.room_name == room))
    if rooms:
        statement = statement.where(in_rooms(connection, rooms))
    if after is not None:
        statement = statement.where(tuple_(_A.created, _A.id) < read_cursor(after, int, str))
    found = [_artifact(row) for row in connection.execute(statement)]
    return paged(found, limit, lambda one: (one.created, one.id))


def remove(connection: Connection, id_: str) -> None:
    """Forget an artifact; its files are for whoever asks to take away. Raises NotFound."""
    if not connection.execute(delete(artifacts).where(_A.id == id_)).rowcount:
        raise NotFound(f"there is no artifact {id_[:60]!r}", (("id", "is no artifact's"),))


def happened(artifact: KeptArtifact) -> dict[str, Any]:
    """What an event says about an artifact."""
    return {
        "id": artifact.id,
        "job": artifact.job,
        "kind": artifact.kind,
        "location": artifact.location,
        "size": artifact.size,
        "duration": artifact.duration_ns / 1e9,
        "sha256": artifact.sha256,
    }


def _artifact(row: Sequence[Any]) -> KeptArtifact:
    id_, job, kind, location, size, duration_ns, sha256, details, created = row
    return KeptArtifact(id_, job, kind, location, size, duration_ns, sha256, json.loads(details), created)


def of_row(row: Mapping[str, Any]) -> Artifact:
    """An artifact of a row as the manifest has it."""
    named = ("kind", "location", "size", "duration", "sha256")
    details = {name: value for name, value in row.items() if name not in named}
    return Artifact(
        kind=str(row["kind"]),
        location=str(row["location"]),
        size=int(row.get("size") or 0),
        duration=round((row.get("duration") or 0) * SECOND),
        sha256=str(row.get("sha256") or ""),
        details=details,
    )
