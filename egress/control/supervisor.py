"""The jobs of this server: let in, launched, watched, adopted after a restart, taken over from servers that died."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from egress.control import admission, artifacts, commission, job_lists, job_moves, jobs, orphans, servers
from egress.control.attempts import Attempts
from egress.control.following import Follower
from egress.control.jobs import KeptJob
from egress.control.servers import Server
from egress.control.store import Store
from egress.control.tasks import end
from egress.control.updates import Update, Updates
from egress.control.values import micros
from egress.model.errors import Blame, EgressError, NotFound
from egress.model.job import ENDED, JobState
from egress.model.order import JobOrder
from egress.model.settings import Settings

PULSE = 1.0
"""Seconds between two looks at every job: its deadline, its figures."""

LOOK_EVERY = 2
"""Pulses between two looks at what is wanted of jobs by way of another server."""

BEAT_EVERY = 5
COST_EVERY = 30

FORSAKEN = 600_000_000
"""Microseconds a server must be gone before a job is given up that only it can reach."""

_log = logging.getLogger(__name__)

Event = dict[str, Any]


class Supervisor:
    """Followers of this server's jobs, and the tasks that look after them."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        server: Server,
        updates: Updates,
        on_hls: Callable[[str, Event], None],
        on_end: Callable[[Follower, float], None],
    ) -> None:
        """`on_end` hears of every job that is no longer followed, and when (the loop's time)."""
        self.followers: dict[str, Follower] = {}
        self.draining = False
        self.capacity = server.capacity_milli
        self.left = False
        """Whether jobs were left running for the next server."""
        self.pulses = 0
        self._store = store
        self._settings = settings
        self._server = server
        self._updates = updates
        self._on_hls = on_hls
        self._on_end = on_end
        self._reserved: dict[str, tuple[int, Mapping[Path, int]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def room(self) -> admission.Room:
        """What of this server's capacity is in use."""
        reserved = sum(cost for id_, (cost, _) in self._reserved.items() if id_ not in self.followers)
        return admission.Room(self.capacity, reserved + sum(one.cost for one in self.followers.values()))

    @contextlib.asynccontextmanager
    async def admitted(self, order: JobOrder, cost: int) -> AsyncIterator[None]:
        """Keep a place for a job until it is launched within; raises NoCapacity when there is none."""
        admission.check_cpu(cost, self.room)
        mine = admission.growth(order)
        others = [growth for id_, (_, growth) in self._reserved.items() if id_ not in self.followers]
        others += [admission.growth(one.order) for one in self.followers.values()]
        places = (self._settings.spool, Path(order.manifest).parent)
        self._reserved[order.id] = (cost, mine)
        try:
            await asyncio.to_thread(admission.check_disks, others, mine, places)
            yield
        finally:
            del self._reserved[order.id]

    def launch(self, job: KeptJob, order: JobOrder) -> Follower:
        """Start the first worker of a job, whose attempt was counted."""
        return self._follow(job, order, Attempts(order, detached=True))

    async def adopt(self, job: KeptJob) -> None:
        """Go on with a job of this server that nobody follows: its worker lives, or another begins, or it is finished.

        Nobody is sent to a room again where nothing was heard of the job for too long.
        """
        try:
            _, document = await self._store.read(jobs.request, self._store.sealer, job.id)
            wishes = await self._store.read(jobs.wishes, self._store.sealer, job.id)
            order = commission.restored(document or {}, self._settings)
        except (EgressError, ValueError) as error:
            # pydantic's message would repeat secrets.
            why = error.message if isinstance(error, EgressError) else "its order cannot be read"
            await self._give_up(job, f"it cannot be gone on with: {why}", Blame.US)
            return
        attempts = Attempts.adopting(order, since=int(job.live.get("told", 0)), wishes=wishes)
        away = await orphans.settled(Path(order.folder))
        if job.desired == "stop" or job.state is JobState.STOPPING:
            attempts.ask_to_stop(job.reason or "asked to stop")
        elif away > orphans.AWAY:
            attempts.ask_to_stop(f"its worker and its server were away for {away / 60:.0f} minutes")
        self._follow(job, order, attempts)

    async def adopt_all(self) -> None:
        """Adopt every living job of this server, as it left them."""
        for job in await self._store.read(job_lists.living, self._server.id):
            await self.adopt(job)
        self._start(self._finish_orphans(), "finish orphans")

    def stop(self, id_: str, reason: str) -> None:
        """Have a job end that is followed here; others' servers see by themselves what is wanted."""
        if (follower := self.followers.get(id_)) is not None:
            follower.ask_to_stop(reason)

    async def empty(self) -> None:
        """Wait until no job is followed."""
        while self.followers:
            await next(iter(self.followers.values())).over.wait()
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Look after everything for as long as the server runs."""
        while True:
            await asyncio.sleep(PULSE)
            self.pulses += 1
            try:
                await self._pulse()
            except EgressError as error:
                _log.warning("jobs cannot be looked after: %s", error.message)
            except Exception:
                # Others would take us for dead.
                _log.exception("jobs cannot be looked after")

    async def close(self) -> None:
        """Leave all jobs as they are: their workers go on, and the next server adopts them."""
        self.left = bool(self.followers)
        await end(*self._tasks)

    def _follow(self, job: KeptJob, order: JobOrder, attempts: Attempts) -> Follower:
        follower = Follower(self._store, self._server.id, job, order, attempts, self._on_hls)
        self.followers[job.id] = follower
        self._start(self._life(follower), f"job {job.id}")
        return follower

    async def _life(self, follower: Follower) -> None:
        try:
            await follower.run()
        finally:
            del self.followers[follower.id]
            if follower.state in ENDED:
                self._on_end(follower, asyncio.get_running_loop().time())

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.error("%s failed", name, exc_info=error)

        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(ended)

    async def _pulse(self) -> None:
        now = asyncio.get_running_loop().time()
        figures = {}
        for follower in self.followers.values():
            follower.watch(now)
            if (told := follower.told_figures()) is not None:
                figures[follower.id] = told
                data = {"id": follower.id, "figures": told[1], "destinations": follower.destinations}
                self._updates.tell(Update("figures", self._updates.seq, follower.id, data, follower.room))
        if figures:
            await self._store.note(job_moves.set_figures, figures)
        if self.pulses % LOOK_EVERY == 0:
            await self._look()
        if self.pulses % BEAT_EVERY == 0:
            await self._beat()
        if self.pulses % COST_EVERY == 0:
            await self._store.note(_keep_costs, {one.id: one.cost for one in self.followers.values()})

    async def _look(self) -> None:
        """See what others want of our jobs, and whether they are still ours."""
        mine = {job.id: job for job in await self._store.read(job_lists.living, self._server.id)}
        for id_, follower in tuple(self.followers.items()):
            if (job := mine.get(id_)) is not None and job.desired == "stop":
                follower.ask_to_stop(job.reason or "asked to stop")
        await self._tell_others()
        for id_, job in mine.items():
            if id_ not in self.followers and id_ not in self._reserved and job.created < micros() - 60_000_000:
                await self.adopt(job)

    async def _tell_others(self) -> None:
        """Tell the figures of other servers' jobs, as they wrote them down, if anybody listens."""
        if not self._store.is_shared or not self._updates.subscribers:
            return
        for job in await self._store.read(job_lists.living):
            if job.server != self._server.id and job.figures_json:
                figures, destinations = json.loads(job.figures_json), job.live.get("destinations", [])
                data = {"id": job.id, "figures": figures, "destinations": destinations}
                self._updates.tell(Update("figures", self._updates.seq, job.id, data, job.room))

    async def _beat(self) -> None:
        """Say that we live, and take over what servers left that do not."""
        if not await self._store.note(servers.beat, self._server.id, draining=self.draining):
            await self._store.write(servers.enter, self._server)
        if self.draining or not self._store.is_shared:
            return
        left = await self._store.read(servers.left_alone)
        known = {one.id: one for one in await self._store.read(servers.all_servers)} if left else {}
        for job in left:
            if job.server == self._server.id:
                continue
            gone = known.get(job.server or "")
            folder = self._settings.spool / job.id
            if gone is not None and gone.spool == self._server.spool:
                # On another machine its worker may live, whom only that machine's server can reach.
                if gone.name != self._server.name and await asyncio.to_thread(orphans.is_held, folder):
                    continue
                if await self._store.write(job_moves.take_over, job.id, self._server.id, job.server):
                    _log.warning("job %s of server %s, which is gone, goes on here", job.id, gone.name)
                    await self.adopt(await self._store.read(jobs.get, job.id))
            elif (gone is None or gone.heartbeat < micros() - FORSAKEN) and await self._store.write(
                job_moves.take_over, job.id, self._server.id, job.server
            ):
                where = f" on {gone.name}; `egress recover` there saves what was recorded" if gone else ""
                await self._give_up(job, f"its server is gone{where}", Blame.US)

    async def _give_up(self, job: KeptJob, reason: str, blame: Blame) -> None:
        def give_up(c: Any) -> None:
            gone = dict.fromkeys(("worker", "whip", "publish", "live", "manifest"))
            job_moves.set_live(c, job.id, {**job.live, **gone})
            job_moves.move(c, job.id, JobState.FAILED, reason=reason, blame=blame)

        _log.error("job %s: %s", job.id, reason)
        await self._store.write(give_up)

    async def _finish_orphans(self) -> None:
        """Finish what lies in the spool and is nobody's."""
        spool = self._settings.spool
        living = {job.id for job in await self._store.read(job_lists.living)}
        for folder in await asyncio.to_thread(orphans.lying, spool, tuple(living)):
            try:
                await self._store.read(jobs.get, folder.name)
                ours = True
            except NotFound:
                ours = False
            if await asyncio.to_thread(orphans.is_held, folder):
                if ours:
                    await orphans.end_stray(folder)
                continue
            if ours and await asyncio.to_thread(orphans.tidied, folder):
                continue
            saved = await orphans.recover(folder)
            for problem in saved.problems:
                _log.warning("%s is not recovered: %s", folder, problem)
            if ours and (saved.rows or saved.manifest):
                await self._store.write(_keep_saved, folder.name, saved)


def _keep_costs(connection: Any, costs: Mapping[str, int]) -> None:
    for id_, cost in costs.items():
        job_moves.set_cost(connection, id_, cost)


def _keep_saved(connection: Any, id_: str, saved: orphans.Saved) -> None:
    if saved.manifest is not None:
        job_moves.set_live(connection, id_, {**jobs.get(connection, id_).live, "manifest": saved.manifest})
    for row in saved.rows:
        artifacts.add(connection, id_, artifacts.of_row(row))
