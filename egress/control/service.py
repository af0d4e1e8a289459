"""The service: the one object the web, the scheduler and triggers talk to; jobs begin, change and end through it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from egress.control import admission, commission, entry, events, job_moves, jobs, removal, servers, upkeep
from egress.control.errands import Errands
from egress.control.first_template import furnish
from egress.control.following import PICTURE, THUMBNAILS
from egress.control.holders import Holders
from egress.control.jobs import Created, Draft, KeptJob
from egress.control.lives import Live, Lives
from egress.control.outbox import Outbox
from egress.control.scheduler import Scheduler
from egress.control.servers import Server
from egress.control.store import Store
from egress.control.supervisor import Supervisor
from egress.control.tasks import end, lasting
from egress.control.triggers import Triggers
from egress.control.updates import Update, Updates
from egress.control.values import Micros, micros
from egress.control.whereabouts import addresses
from egress.control.worker_logs import ASKED, WorkerLogs
from egress.model import control
from egress.model.errors import Conflict, Draining, EgressError, Forbidden
from egress.model.internet import anywhere, public
from egress.model.job import JobState
from egress.model.providers import cautions
from egress.model.request import Caller, JobRequest
from egress.model.settings import Settings
from egress.ordering import check_writable

OPEN_WITHIN = 10.0
"""Seconds a room has to open that a publisher asked for."""

GUEST = "guest"
"""The role of publishers who say none."""

Event = dict[str, Any]
Opener = Callable[[str, str], Awaitable[str | None]]
"""Starts what is to run in the local room of this name for somebody in a role; gives the job, None when nothing is to.
"""


class Service:
    """One server. Made by `open`; everything is called on its loop, and what blocks runs on threads."""

    def __init__(self, store: Store, settings: Settings, root: Path, server: Server) -> None:
        self.store = store
        self.settings = settings
        self.root = root.absolute()
        self.server = server
        self.tokens = entry.tokens_of(settings)
        self.triggers = Triggers(self)
        self.opener: Opener = self.triggers.open_room
        """Asked when somebody publishes to a room nobody holds."""
        self._updates = Updates(store)
        self._lives = Lives()
        self._hls: list[Callable[[str, Event], None]] = []
        self.supervisor = Supervisor(store, settings, server, self._updates, self._tell_hls, self._lives.ended)
        self.scheduler = Scheduler(self)
        self.outbox = Outbox(store, server.id, judge=anywhere if settings.webhook_private else public)
        self._errands = Errands(store, server.id, self._asked)
        self._logs = WorkerLogs(settings.spool, server.id, self._errands)
        self.holder = Holders(store, server.id, time.monotonic).of
        """Gives where another server is reached that holds the room or job of a name."""
        self._opening: dict[tuple[str, str], asyncio.Task[str | None]] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, settings: Settings, root: Path, *, url: str = "", name: str = "", exposed: bool = False
    ) -> AsyncIterator[Service]:
        """A server that runs for the length of the context; `root` is the output folder, `url` where it is reached.

        What it was running when it ended goes on. Leaving the context leaves workers running for the next one: `drain`
        or `stop_all` before. Raises RequestError naming the setting that is wrong; with `exposed`, also when there is
        nothing by which friends could be told from strangers.
        """
        spool = settings.spool
        await asyncio.to_thread(_check_folders, spool, root)
        for folder in (spool, spool / commission.LOGS, spool / THUMBNAILS):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = await asyncio.to_thread(Store.open, settings.database, spool, settings.secret_key)
        try:
            if exposed:
                await store.read(entry.check_exposed, settings)
            identity = await asyncio.to_thread(upkeep.identify, spool, alone=not store.is_shared)
            try:
                now = micros()
                server = Server(
                    id=identity.id,
                    name=name or socket.gethostname(),
                    url=url,
                    spool=str(spool),
                    capacity_milli=admission.capacity(settings.capacity),
                    draining=False,
                    started=now,
                    heartbeat=now,
                    advertised=settings.advertise,
                )
                await store.write(servers.enter, server)
                service = cls(store, settings, root, server)
                async with service._running():
                    yield service
            finally:
                identity.release()
        finally:
            await asyncio.to_thread(store.close)

    @property
    def draining(self) -> bool:
        """Whether it takes no jobs any more."""
        return self.supervisor.draining

    @property
    def capacity(self) -> admission.Room:
        """Thousandths of a core there are for jobs, and how many are in use."""
        return self.supervisor.room

    async def start(
        self,
        request: JobRequest,
        caller: Caller,
        *,
        idempotency: str | None = None,
        body: Any = None,
        trigger: str | None = None,
        template: str | None = None,
        schedule: str | None = None,
        fire_at: Micros | None = None,
    ) -> Created:
        """Begin a job; returns once it is kept and its worker is being started.

        `body` is the request's JSON as it came, by which a repeated one is known under the key `idempotency`. Raises
        Forbidden, Draining, NoCapacity, RequestError with every problem, RoomTaken, Conflict; then nothing has begun.
        """
        if not caller.may("start"):
            raise Forbidden("starting jobs needs the scope start")
        if not caller.may_enter(request.room):
            raise Forbidden(f"this key or token is not for the room {request.room[:200]}")
        hash_ = jobs.body_hash(body if body is not None else request.model_dump(mode="json"))
        if idempotency is not None:
            made = await self.store.read(jobs.repeated, caller.name, idempotency, hash_)
            if made is not None:
                return Created(await self.store.read(jobs.get, made), True)
        if self.draining:
            raise Draining("this server is about to end and takes no jobs; ask another, or try again in a moment")
        plan = await self.store.read(commission.plan, self.store.sealer, self.settings, request, template)
        order = await asyncio.to_thread(commission.order, plan, self.settings, self.root)
        cost = admission.estimate(order.pipeline)
        draft = Draft(
            id=order.id,
            request=plan.request,
            pipeline=order.pipeline.name,
            caller=caller.name,
            cost_milli=cost,
            server=self.server.id,
            template=plan.template,
            trigger=trigger,
            schedule=schedule,
            fire_at=fire_at,
            unique_room=plan.unique_room,
            pipeline_doc=commission.kept(order),
            idempotency_key=idempotency,
            body_hash=hash_,
        )

        def create(c: Connection) -> Created:
            created = jobs.create(c, self.store.sealer, draft)
            if not created.repeated:
                job_moves.begin_attempt(c, draft.id, self.server.id)
                job_moves.set_live(c, draft.id, addresses(order))
                for text in cautions(order.pipeline):
                    events.append(c, "warning", {"message": text}, job=draft.id)
            return Created(jobs.get(c, created.job.id), created.repeated)

        async with self.supervisor.admitted(order, cost):
            created = await self.store.write(create)
            if not created.repeated:
                self.supervisor.launch(created.job, order)
        return created

    async def stop(self, job_id: str, reason: str = "asked to stop") -> KeptJob:
        """Have a job end cleanly, wherever it runs; once it is over, or asked, nothing happens. Raises NotFound."""
        job = await self.store.write(job_moves.ask_stop, job_id, reason[:200])
        self.supervisor.stop(job_id, job.reason or reason)
        return job

    async def command(self, job_id: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """What a running job's worker answers to a command (egress.model.control): {id, command, ok, message, details}.

        A job of another server is reached by way of the database. Raises NotFound, RequestError with its problems when
        it is refused, Conflict when the job takes none now.
        """
        said = control.read(document)
        job = await self.store.read(jobs.get, job_id)
        if isinstance(said, control.Stop):
            if job.is_over:
                raise _not_now(f"it is {job.state}")
            await self.stop(job_id, said.reason)
            return {"id": said.id, "command": said.command, "ok": True, "message": "stopping", "details": {}}
        if job.is_over:
            raise _not_now(f"it is {job.state}")
        if job.server != self.server.id and job_id not in self.supervisor.followers:
            return await self._errands.ask(job, document)
        return await self._obey(job_id, document)

    async def remove(self, job_id: str, *, artifacts: bool = False) -> None:
        """Forget a job that is over, with its log and picture; with `artifacts` also what it made, here and in stores.

        Raises NotFound, Conflict while the job lives, and when something of it could not be taken away: with a problem
        for each, named by its place, and the job as it was, so that one may ask again.
        """
        job = await self.store.read(jobs.get, job_id)
        if artifacts and job.is_over:
            places = await self.store.read(removal.places, self.store.sealer, job)
            options = self.settings.storage_options()
            holder = "" if job.server == self.server.id else str(job.server)
            spooled = self.settings.spool / job_id
            left = await asyncio.to_thread(
                removal.remove, places, self.root, job_id, options, spooled=spooled, holder=holder
            )
            if left:
                what = "could not be taken away; ask again, or remove the job alone"
                raise Conflict(f"{len(left)} of {len(places)} things the job made {what}", tuple(left))
        await self.store.write(jobs.remove, job_id)
        await asyncio.to_thread(upkeep.erase, self.settings.spool, job_id, unfinished=artifacts)

    @contextlib.asynccontextmanager
    async def subscribe(self, job: str | None = None) -> AsyncIterator[AsyncIterator[Update]]:
        """What happens from now on, to one job or to all, on all servers of the database; bounded."""
        async with self._updates.subscribe(job) as updates:
            yield updates

    def on_hls(self, callback: Callable[[str, Event], None]) -> Callable[[], None]:
        """Have every `hls` event of a worker here given to `callback(job, event)` at once; gives what ends that."""
        self._hls.append(callback)
        return lambda: self._hls.remove(callback)

    def live(self, name: str) -> Live | None:
        """What may be watched or published to by this name, a room's or a job's id."""
        return self._lives.find(name, self.supervisor.followers.values(), asyncio.get_running_loop().time())

    def lives(self) -> tuple[Live, ...]:
        """All of them."""
        return self._lives.all(self.supervisor.followers.values(), asyncio.get_running_loop().time())

    async def open_room(self, name: str, role: str = GUEST) -> Live | None:
        """The local room of this name, begun if its template says so for somebody in this role; None when nothing is to
        run there.

        Raises what starting a job raises.
        """
        found = self.live(name)
        if found is not None and not found.over:
            return await self._opened(found)
        # Several publishers who come at once begin one job.
        task = self._opening.get((name, role))
        if task is None:
            task = self._opening[name, role] = asyncio.ensure_future(self.opener(name, role))
            task.add_done_callback(lambda _: self._opening.pop((name, role), None))
        job = await asyncio.shield(task)
        found = self.live(job) if job is not None else None
        return await self._opened(found) if found is not None else None

    async def thumbnail(self, job_id: str) -> Path | None:
        """The newest small picture of a job's programme; None when there is none."""
        follower = self.supervisor.followers.get(job_id)
        places = [self.settings.spool / THUMBNAILS / f"{job_id}.jpg"]
        if follower is not None:
            places.insert(0, Path(follower.order.folder) / PICTURE)
        found: Path | None = await asyncio.to_thread(lambda: next(filter(Path.is_file, places), None))
        return found

    async def log(self, job: KeptJob, lines: int) -> str:
        """The last lines of what a job's workers logged, wherever it runs or ran; raises NotFound."""
        return await self._logs.of(job, lines, shared=self.store.is_shared)

    async def drain(self, within: float) -> bool:
        """Take no more jobs, and give those that run so many seconds to end; whether all did.

        Those that did not are left running for the next server to adopt.
        """
        self.supervisor.draining = True
        with contextlib.suppress(EgressError):
            await self.store.note(servers.beat, self.server.id, draining=True)
        try:
            async with asyncio.timeout(within):
                await self.supervisor.empty()
        except TimeoutError:
            return False
        return True

    async def stop_all(self, reason: str) -> None:
        """Take no more jobs, and have all end cleanly; returns when they have."""
        self.supervisor.draining = True
        for id_ in tuple(self.supervisor.followers):
            await self.stop(id_, reason)
        await self.supervisor.empty()

    async def _asked(self, job_id: str, document: Mapping[str, Any]) -> Event:
        """What another server is answered."""
        if document.get("command") == ASKED:
            return await self._logs.answer(job_id, document)
        return await self._obey(job_id, document)

    async def _obey(self, job_id: str, document: Mapping[str, Any]) -> Event:
        """What the worker of a job of this server answers."""
        follower = self.supervisor.followers.get(job_id)
        if follower is None:
            raise _not_now("it has ended, or is being taken up; look at its state, and try again in a moment")
        if follower.state is not JobState.RUNNING:
            raise _not_now(f"it is {follower.state}")
        return await follower.command(document)

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        await self._updates.begin()
        await self.store.write(furnish, self.store.sealer)
        tasks = [
            lasting("updates", self._updates.run),
            lasting("supervisor", self.supervisor.run),
            lasting("upkeep", upkeep.Upkeep(self.store, self.settings.spool).run),
        ]
        try:
            await self.supervisor.adopt_all()
            tasks += [lasting("scheduler", self.scheduler.run), lasting("triggers", self.triggers.run)]
            tasks.append(lasting("outbox", self.outbox.run))
            if self.store.is_shared:
                tasks.append(lasting("errands", self._errands.run))
            yield
        finally:
            self._updates.close()
            await self.supervisor.close()
            await end(*tasks)
            with contextlib.suppress(EgressError):
                if not self.supervisor.left:
                    await self.store.write(servers.leave, self.server.id)

    async def _opened(self, found: Live) -> Live | None:
        """The room once its worker takes publishers; None when it does not in time."""
        follower = self.supervisor.followers.get(found.job)
        if follower is None:
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPEN_WITHIN):
                await follower.ready.wait()
        live = self.live(found.job)
        return live if live is not None and live.whip else None

    def _tell_hls(self, job: str, event: Event) -> None:
        for callback in tuple(self._hls):
            callback(job, event)


def _check_folders(spool: Path, root: Path) -> None:
    check_writable("spool", spool)
    check_writable("to", root)


def _not_now(why: str) -> Conflict:
    return Conflict(f"the job takes no commands now: {why}", (("command", f"comes at a wrong time: {why}"),))
