"""The service as its web app sees it, without workers: a real store, and jobs that only the store knows of."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from egress.control import admission, job_moves, jobs
from egress.control.jobs import Created, Draft, KeptJob
from egress.control.lives import Live
from egress.control.scheduler import Scheduler
from egress.control.servers import Server
from egress.control.store import Store
from egress.control.tokens import Tokens
from egress.control.updates import Update, Updates
from egress.control.values import micros
from egress.control.worker_logs import WorkerLogs
from egress.model import control
from egress.model.errors import Conflict, Draining, Forbidden, RequestError
from egress.model.job import JobState
from egress.model.request import Caller, JobRequest, read_request
from egress.model.secrets import Secret
from egress.model.settings import Settings
from egress.ordering import new_job_id
from egress.web.service import create_service_app

SECRET = b"s" * 32
OFFER = b"\r\n".join(
    (
        b"v=0",
        b"m=audio 9 UDP/TLS/RTP/SAVPF 111",
        b"a=rtpmap:111 opus/48000/2",
        b"a=ice-ufrag:abcd",
        b"a=ice-pwd:abcdefghijklmnopqrstuvwx",
        b"a=fingerprint:sha-256 " + b":".join([b"AB"] * 32),
    )
)
"""An SDP offer that a worker may take."""
OFFERED = {"Content-Type": "application/sdp"}
ANYBODY = Caller("somebody", frozenset({"admin"}))


@dataclass
class Stand:
    """Stands in for egress.control.service.Service: what the web asks of it, with no worker behind."""

    store: Store
    root: Path
    settings: Settings = field(default_factory=Settings)
    tokens: Tokens = field(default_factory=Tokens)
    draining: bool = False
    commands: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    running: dict[str, Live] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    removed: list[tuple[str, bool]] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=lambda: {"ok": True, "message": "done"})
    callbacks: list[Callable[[str, Mapping[str, Any]], None]] = field(default_factory=list)
    picture: Path | None = None
    holders: dict[str, str] = field(default_factory=dict)
    unreachable: Exception | None = None
    capacity: admission.Room = field(default_factory=lambda: admission.Room(4000, 1000))

    def __post_init__(self) -> None:
        at = micros()
        self.updates = Updates(self.store)
        self.logs = WorkerLogs(self.root, "srv_1", None)  # type: ignore[arg-type]
        self.server = Server("srv_1", "one", "http://127.0.0.1:8080", str(self.root), 4000, False, at, at)

    async def start(
        self, request: JobRequest, caller: Caller, *, idempotency: str | None = None, body: Any = None, **said: Any
    ) -> Created:
        if not caller.may("start") or not caller.may_enter(request.room):
            raise Forbidden("not in this room")
        if self.draining:
            raise Draining("this server is about to end")
        if self.unreachable is not None:
            raise self.unreachable
        if not isinstance(request.pipeline, str | None):
            raise RequestError("pipeline: name one", (("pipeline", "name one"),))
        draft = Draft(
            new_job_id(datetime.now(UTC)),
            request,
            str(request.pipeline or "record-grid"),
            caller.name,
            server=self.server.id,
            idempotency_key=idempotency,
            body_hash=jobs.body_hash(body),
        )
        return await self.store.write(jobs.create, self.store.sealer, draft)

    async def stop(self, job_id: str, reason: str) -> KeptJob:
        return await self.store.write(job_moves.ask_stop, job_id, reason)

    async def command(self, job_id: str, document: dict[str, Any]) -> dict[str, Any]:
        if (await self.store.read(jobs.get, job_id)).is_over:
            raise Conflict("the job takes no commands now")
        control.read(document)
        self.commands.append((job_id, document))
        return self.answer

    async def remove(self, job_id: str, *, artifacts: bool) -> None:
        self.removed.append((job_id, artifacts))
        await self.store.write(jobs.remove, job_id)

    @contextlib.asynccontextmanager
    async def subscribe(self, job: str | None = None) -> AsyncIterator[AsyncIterator[Update]]:
        async with self.updates.subscribe(job) as updates:
            yield updates

    def on_hls(self, callback: Callable[[str, Mapping[str, Any]], None]) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def live(self, name: str) -> Live | None:
        return next((live for live in self.running.values() if name in (live.room_name, live.job)), None)

    def lives(self) -> tuple[Live, ...]:
        return tuple(self.running.values())

    async def open_room(self, name: str, role: str = "guest") -> Live | None:
        self.opened.append(name)
        self.roles.append(role)
        return self.live(name)

    async def thumbnail(self, job_id: str) -> Path | None:
        return self.picture

    async def log(self, job: KeptJob, lines: int) -> str:
        return await self.logs.of(job, lines, shared=False)

    async def holder(self, name: str) -> str | None:
        return self.holders.get(name)

    def run(self, job: KeptJob, *folders: Path, whip: str | None = None, token: Secret | None = None) -> None:
        """Have a job be live."""
        self.running[job.id] = Live(job.id, job.room, job.room_name, folders, whip, token)

    async def job(self, room: str = "local:standup", *, over: bool = False, caller: Caller = ANYBODY) -> KeptJob:
        """A job that runs, or is over."""
        job = (await self.start(read_request({"room": room}), caller)).job
        states = (JobState.RUNNING, JobState.STOPPING, JobState.FINISHED) if over else (JobState.RUNNING,)
        for state in states:
            moved = await self.store.write(job_moves.move, job.id, state)
            assert moved is not None
        return moved


def browser(stand: Stand, key: str | None = None, *, scheduler: Scheduler | None = None) -> httpx.AsyncClient:
    """A client of the app over a stand-in."""
    app = create_service_app(stand, scheduler=scheduler)  # type: ignore[arg-type]
    headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost", headers=headers)
