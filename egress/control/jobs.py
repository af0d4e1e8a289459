"""Jobs as they are kept: made once, whatever is repeated; looked up; forgotten with all they left in the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Table, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from egress.control import events
from egress.control.sealing import Sealer
from egress.control.tables import idempotency, job_requests, jobs
from egress.control.values import Micros, canonical, micros
from egress.model.errors import Blame, Conflict, NotFound
from egress.model.job import ENDED, JobState
from egress.model.places import room_name
from egress.model.request import JobRequest, read_request

Desired = Literal["run", "stop"]


@dataclass(frozen=True, slots=True)
class KeptJob:
    """One job; fields that end in `_json` are JSON as text, which most readers only pass on.

    `moved` is when it came into its state, `attempts` how often a worker was started, `cost_milli` thousandths of a
    core it is expected to need, `fire_at` the time its schedule says it is for.
    """

    id: str
    room: str
    room_name: str
    template: str | None
    pipeline: str
    state: JobState
    desired: Desired
    reason: str
    blame: Blame | None
    attempts: int
    cost_milli: int
    server: str | None
    created: Micros
    moved: Micros
    started: Micros | None
    ended: Micros | None
    duration_ns: int
    schedule: str | None
    fire_at: Micros | None
    trigger: str | None
    caller: str
    metadata_json: str
    live_json: str | None
    figures_json: str | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED

    @property
    def live(self) -> dict[str, Any]:
        """Where it is to be reached while it runs, as `job_moves.set_live` was told."""
        live: dict[str, Any] = json.loads(self.live_json) if self.live_json else {}
        return live


@dataclass(frozen=True, slots=True)
class Draft:
    """A job to be made. `pipeline` is the name people see; `pipeline_doc` the document it began with, if it is kept.

    `unique_room` is what no other living job may have (`unique_key`); `trigger` says what started it, if not a caller.
    """

    id: str
    request: JobRequest
    pipeline: str
    caller: str
    cost_milli: int = 0
    server: str | None = None
    template: str | None = None
    trigger: str | None = None
    schedule: str | None = None
    fire_at: Micros | None = None
    unique_room: str | None = None
    pipeline_doc: Mapping[str, Any] | None = None
    idempotency_key: str | None = None
    body_hash: str = field(default="")


@dataclass(frozen=True, slots=True)
class Created:
    """The job, and whether the same request had made it before."""

    job: KeptJob
    repeated: bool


class RoomTaken(Conflict):
    """A living job has the room already; `job` is its id."""

    def __init__(self, job: str) -> None:
        super().__init__(
            f"job {job} is in that room for the same template; stop it first, or say one_per_room: false",
            (("room", f"job {job} is there already"),),
        )
        self.job = job


_J = jobs.c
COLUMNS = (
    *(_J.id, _J.room, _J.room_name, _J.template, _J.pipeline, _J.state, _J.desired, _J.reason, _J.blame),
    *(_J.attempts, _J.cost_milli, _J.server, _J.created, _J.moved, _J.started, _J.ended, _J.duration_ns),
    *(_J.schedule, _J.fire_at, _J.trigger, _J.caller, _J.metadata, _J.live, _J.figures),
)
"""What a KeptJob is made of, in order."""

_GET = select(*COLUMNS).where(_J.id == bindparam("job"))
_STATES = {state.value: state for state in JobState}
_BLAMES: Mapping[str | None, Blame | None] = {None: None, **{blame.value: blame for blame in Blame}}


def kept(row: Sequence[Any]) -> KeptJob:
    """A row of COLUMNS as a job."""
    id_, room, name, template, pipeline, state, desired, reason, blame, *rest = row
    return KeptJob(id_, room, name, template, pipeline, _STATES[state], desired, reason, _BLAMES[blame], *rest)


def unique_key(template: str, room: str, pipeline: str) -> str:
    """What two jobs have in common of which a template that says one_per_room wants only one."""
    return canonical([template, room, pipeline])


def body_hash(body: Any) -> str:
    """The digest of a request's JSON, by which a repeated one is told from another under the same key."""
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def create(connection: Connection, sealer: Sealer, draft: Draft, *, now: Micros | None = None) -> Created:
    """Keep a job in state starting, with its event; or give the one that the same request made before.

    Raises Conflict when the idempotency key was used for another request, RoomTaken when `unique_room` is taken.
    """
    at = micros() if now is None else now
    key = draft.idempotency_key
    if key is not None and (made := repeated(connection, draft.caller, key, draft.body_hash)) is not None:
        return Created(get(connection, made), True)
    request = draft.request
    values = {
        "id": draft.id,
        "room": request.room,
        "room_name": room_name(request.room),
        "template": draft.template,
        "pipeline": draft.pipeline,
        "state": JobState.STARTING.value,
        "desired": "run",
        "reason": "",
        "attempts": 0,
        "cost_milli": draft.cost_milli,
        "server": draft.server,
        "created": at,
        "moved": at,
        "duration_ns": 0,
        "schedule": draft.schedule,
        "fire_at": draft.fire_at,
        "trigger": draft.trigger,
        "caller": draft.caller,
        "unique_room": draft.unique_room,
        "metadata": canonical(dict(request.metadata)),
    }
    if not insert_new(connection, jobs, values, "unique_room"):
        raise RoomTaken(connection.execute(select(_J.id).where(_J.unique_room == draft.unique_room)).scalar_one())
    whole = {"request": request.model_dump(mode="json"), "pipeline_doc": draft.pipeline_doc}
    shown = {
        "job": draft.id,
        "request": canonical(request.shown()),
        "sealed": sealer.seal(canonical(whole), f"job:{draft.id}"),
    }
    connection.execute(job_requests.insert().values(**shown))
    if key is not None:
        row = {"caller": draft.caller, "key": key, "request_hash": draft.body_hash}
        connection.execute(idempotency.insert().values(**row, job=draft.id, created=at))
    job = get(connection, draft.id)
    events.append(connection, "job.starting", happened(job), job=job.id, at=at)
    return Created(job, False)


def get(connection: Connection, id_: str) -> KeptJob:
    """One job; raises NotFound."""
    row = connection.execute(_GET, {"job": id_}).one_or_none()
    if row is None:
        raise missing(id_)
    return kept(row)


def shown_request(connection: Connection, id_: str) -> dict[str, Any]:
    """What was asked for, as it may be shown; raises NotFound."""
    text = connection.execute(select(job_requests.c.request).where(job_requests.c.job == id_)).scalar_one_or_none()
    if text is None:
        raise missing(id_)
    shown: dict[str, Any] = json.loads(text)
    return shown


def request(connection: Connection, sealer: Sealer, id_: str) -> tuple[JobRequest, dict[str, Any] | None]:
    """What was asked for, secrets and all, and the pipeline's document if it was kept; raises NotFound."""
    whole = _opened(connection, sealer, id_)
    return read_request(whole["request"]), whole["pipeline_doc"]


def keep_wishes(connection: Connection, sealer: Sealer, id_: str, lines: Sequence[str]) -> None:
    """Keep commands a job obeys, as lines, sealed beside its request, for whoever starts its next worker."""
    whole = _opened(connection, sealer, id_) | {"wishes": list(lines)}
    sealed = sealer.seal(canonical(whole), f"job:{id_}")
    connection.execute(job_requests.update().where(job_requests.c.job == id_).values(sealed=sealed))


def wishes(connection: Connection, sealer: Sealer, id_: str) -> tuple[str, ...]:
    """The commands that `keep_wishes` kept; raises NotFound."""
    return tuple(_opened(connection, sealer, id_).get("wishes", ()))


def remove(connection: Connection, id_: str) -> None:
    """Forget a job with its events and artifacts; raises NotFound, Conflict while it is not over.

    The event job.removed, which is of no job, stays.
    """
    job = get(connection, id_)
    if not job.is_over:
        raise Conflict(f"job {id_} is not over; stop it first", (("id", "is not over; stop it first"),))
    connection.execute(delete(jobs).where(_J.id == id_))
    events.append(connection, "job.removed", happened(job))


def forget_keys(connection: Connection, before: Micros) -> int:
    """Forget idempotency keys older than that, whose requests then make jobs of their own; gives how many."""
    return connection.execute(delete(idempotency).where(idempotency.c.created < before)).rowcount


def happened(job: KeptJob) -> dict[str, Any]:
    """What an event says about a job: who it is and how it stands."""
    return {
        "job": job.id,
        "room": job.room,
        "room_name": job.room_name,
        "template": job.template,
        "pipeline": job.pipeline,
        "state": job.state.value,
        "desired": job.desired,
        "reason": job.reason,
        "blame": job.blame.value if job.blame else None,
        "attempts": job.attempts,
        "duration": job.duration_ns / 1e9,
        "metadata": json.loads(job.metadata_json),
    }


def missing(id_: str) -> NotFound:
    """The error about a job there is not."""
    return NotFound(f"there is no job {id_[:60]!r}", (("id", "is no job's"),))


def insert_new(connection: Connection, table: Table, values: Mapping[str, Any], *unique: str) -> bool:
    """Insert a row unless one has the same `unique` columns; whether it did.

    An error about the second one would end the whole transaction on PostgreSQL.
    """
    made = sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
    only = made.values(**values).on_conflict_do_nothing(index_elements=list(unique))
    return connection.execute(only.returning(*table.primary_key.columns)).first() is not None


def repeated(connection: Connection, caller: str, key: str, hash_: str) -> str | None:
    """The job that this caller's idempotency key made; raises Conflict when that was another request."""
    mine = (idempotency.c.caller == caller, idempotency.c.key == key)
    row = connection.execute(select(idempotency.c.request_hash, idempotency.c.job).where(*mine)).one_or_none()
    if row is None:
        return None
    if row.request_hash != hash_:
        what = "was used for another request; use a key of its own for each"
        raise Conflict(f"the idempotency key {what}", (("Idempotency-Key", what),))
    job: str = row.job
    return job


def _opened(connection: Connection, sealer: Sealer, id_: str) -> dict[str, Any]:
    sealed = connection.execute(select(job_requests.c.sealed).where(job_requests.c.job == id_)).scalar_one_or_none()
    if sealed is None:
        raise missing(id_)
    whole: dict[str, Any] = json.loads(sealer.open(sealed, f"job:{id_}").reveal())
    return whole
