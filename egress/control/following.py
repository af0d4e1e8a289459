"""One job of the service from its first worker to its end: what its workers tell is written down, once and in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from sqlalchemy import Connection

from egress.control import admission, artifacts, events, job_moves, jobs
from egress.control.attempts import Attempts, Ending
from egress.control.figures import Figures
from egress.control.jobs import KeptJob
from egress.control.store import Store
from egress.control.tasks import end
from egress.control.whereabouts import addresses, told_of
from egress.control.wishes import layout_in
from egress.model.errors import Blame, Conflict, EgressError, Fault, RequestError
from egress.model.job import ENDED, TRANSITIONS, JobState
from egress.model.media import SECOND
from egress.model.order import JobOrder
from egress.model.outputs import HlsDoc
from egress.model.places import room_name
from egress.model.targets import scheme_of

PICTURE = "latest.jpg"
"""The newest picture of the programme, in a job's folder; its worker writes it."""

THUMBNAILS = "thumbnails"
"""The folder in the spool with a picture of each job that is over."""

ANSWER_WITHIN = 5.0
"""Seconds a worker has to answer a command."""

STARTING_WITHIN = 15.0
CLOSING_WITHIN = 90.0
"""Seconds from being told to stop until sinks have closed; deliveries take as long as they make progress."""
STANDSTILL = 660.0
"""Seconds without any change of its sinks after which a stopping worker is ended. It gives up deliveries by itself
before that, and then keeps what it has."""
RECOVERING_WITHIN = 3600.0
"""Seconds that finishing what dead workers left may take; what is not done by then stays in the spool."""
OVERTIME = 120.0
"""Seconds a job may run beyond the longest its pipeline allows."""

_WAITING = 1000
"""Things to be written down, after which its worker is heard no further until they are."""
_AGAIN = 1.0

_KEPT = {"room": "event", "destination": "state", "sink": "state"}
"""Events whose type gets what happened added: room.joined, destination.live, sink.failed."""
_PLAIN = ("control", "warning", "thumbnail", "pause", "overload")

_log = logging.getLogger(__name__)

Event = dict[str, Any]
Work = Callable[[Connection], object]


class Follower:
    """Runs one job of this server to its end; `run` is its whole life. All methods are called on the loop."""

    def __init__(
        self,
        store: Store,
        server: str,
        job: KeptJob,
        order: JobOrder,
        attempts: Attempts,
        on_hls: Callable[[str, Event], None],
    ) -> None:
        self.id, self.room, self.order = job.id, job.room, order
        self.state = job.state
        self.created = job.created
        self.cost = job.cost_milli
        self.expected = admission.estimate(order.pipeline)
        self.figures = Figures()
        self.live: dict[str, Any] = {**addresses(order), **job.live}
        self.ready = asyncio.Event()
        self.over = asyncio.Event()
        self._store = store
        self._server = server
        self._attempts = attempts
        self._on_hls = on_hls
        self._todo: list[Work] = []
        self._written = asyncio.Condition()
        self._numbers = count(1)
        self._answers: dict[str, asyncio.Future[Event]] = {}
        self._wishes: tuple[str, ...] = attempts.wishes
        self._task: asyncio.Task[Any] | None = None
        self._late: Fault | None = None
        self._watched: tuple[JobState, int | None] | None = None
        self._since = asyncio.get_running_loop().time()
        if self.live.get("worker"):
            self.ready.set()

    @property
    def whip(self) -> str | None:
        """Where its worker takes publishers, while there is a local room."""
        return self.live.get("worker") if self.state not in ENDED else None

    @property
    def hls(self) -> tuple[Path, ...]:
        """The folders of its live streams on this machine."""
        sinks = self.order.pipeline.sinks
        return tuple(Path(s.to) for s in sinks if isinstance(s, HlsDoc) and scheme_of(s.to) == "file")

    @property
    def destinations(self) -> list[dict[str, Any]]:
        """Its external streams, with the latest figures of each."""
        told = {sink.get("name"): sink for sink in self.figures.shown.get("sinks", ()) if sink.get("name")}
        names = ("state", "bytes", "bitrate", "retries")
        return [
            {**one, **{name: told[one["name"]][name] for name in names if name in told.get(one["name"], ())}}
            for one in self.live.get("destinations", ())
        ]

    @property
    def pid(self) -> int | None:
        """Its living worker's process id."""
        return self._attempts.pid

    async def run(self) -> None:
        """Follow it to its end, which is then written down; cancelled, it leaves the worker to whoever comes next."""
        writer = asyncio.create_task(self._write(), name=f"write {self.id}")
        self._task = asyncio.current_task()
        structlog.contextvars.bind_contextvars(job=self.id)
        try:
            async for event in self._attempts.events():
                await self._take(event)
            if (ending := self._attempts.ending) is not None:
                await self._end(ending)
        except asyncio.CancelledError:
            if self._late is None:
                raise
            await self._fail(self._late)
        except EgressError as error:
            _log.warning("job %s: %s", self.id, error.message)
            await self._fail(error)
        except OSError as error:
            _log.exception("job %s", self.id)
            await self._fail(Fault(f"its worker could not be started: {error}"))
        finally:
            self._attempts.leave()
            for future in self._answers.values():
                future.cancel()
            await end(writer)
            self.ready.set()
            self.over.set()

    def ask_to_stop(self, reason: str) -> None:
        """Have it end cleanly."""
        self._attempts.ask_to_stop(reason)

    async def command(self, document: Mapping[str, Any]) -> Event:
        """What the worker answers to a command; raises RequestError when it refuses, Conflict when it cannot take it.

        The command must have been checked. What it says of destinations is kept, sealed, for the next worker.
        """
        id_ = f"api-{next(self._numbers)}"
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._answers[id_] = future
        try:
            if not self._attempts.command(json.dumps({**document, "id": id_})):
                raise _not_now("it is between two workers, or ending; try again in a moment")
            async with asyncio.timeout(ANSWER_WITHIN):
                answer = await future
        except TimeoutError:
            raise _not_now(f"its worker has not answered within {ANSWER_WITHIN:g} s; try again") from None
        except asyncio.CancelledError:
            if future.cancelled():
                raise _not_now("it has ended") from None
            raise
        finally:
            self._answers.pop(id_, None)
        answer = {name: value for name, value in answer.items() if name not in ("type", "seq", "attempt")}
        if not answer.get("ok"):
            problems = tuple((p["field"], p["message"]) for p in answer.get("details", {}).get("problems", ()))
            raise RequestError(str(answer.get("message")), problems)
        return {**answer, "id": document.get("id")}

    def watch(self, now: float) -> None:
        """Hold it to the deadline of the state it is in; called about once a second."""
        at = (self.state, self.pid)
        if at != self._watched:
            self._watched, self._since = at, now
        spent = now - self._since
        match self.state:
            case JobState.STARTING | JobState.RECOVERING:
                if self.pid is not None and spent > STARTING_WITHIN:
                    self._since = now
                    self._attempts.replace(f"it did not join its room within {STARTING_WITHIN:g} s")
                elif self.pid is None and spent > RECOVERING_WITHIN and self._task is not None:
                    self._late = Fault(f"it is not finished after {spent:.0f} s; `egress recover` saves what there is")
                    self._task.cancel()
            case JobState.RUNNING:
                longest = self.order.pipeline.stop.max / SECOND + OVERTIME
                if self.figures.elapsed > longest:
                    self.ask_to_stop("the longest a job may run")
            case JobState.STOPPING:
                if spent > CLOSING_WITHIN and self.figures.still(now) > STANDSTILL:
                    self._attempts.kill(f"it was stopping, and nothing moved for {STANDSTILL:g} s")
            case _:
                pass
        self.cost = admission.corrected(self.expected, self.figures.load, self.figures.elapsed)

    def told_figures(self) -> tuple[int, dict[str, Any]] | None:
        """(ns of media so far, figures) since the last time this was asked; None when there are no others."""
        return self.figures.take()

    async def _take(self, event: Event) -> None:
        """Note one event of the worker; waits while too much is still to be written down."""
        kind = event.get("type")
        if kind == "hls":
            self._on_hls(self.id, event)
            return
        if kind == "alive":
            self.figures.note(event, asyncio.get_running_loop().time())
            return
        if "seq" in event:
            self.live["told"] = event["seq"]
        if kind == "pause":
            self.live["paused"] = bool(event.get("paused"))
        if kind == "ready":
            self._ready(event)
        elif kind == "restart":
            self._restarting(event)
        elif kind == "state":
            if event.get("state") == "stopping":
                self._move(JobState.STOPPING, reason=str(event.get("reason") or ""))
        elif kind == "destination":
            self.live["destinations"] = told_of(self.live.get("destinations", ()), event)
            self._append(event)
        elif (kind in _KEPT or kind in _PLAIN) and (kind != "control" or self._answered(event)):
            self._append(event)
        self._set_live()
        async with self._written:
            self._written.notify_all()
            await self._written.wait_for(lambda: len(self._todo) < _WAITING)

    def _ready(self, event: Event) -> None:
        self.live["worker"] = event.get("whip")
        if event.get("whip"):
            name = quote(room_name(self.room), safe="")
            self.live |= {"whip": f"/whip/{name}", "publish": f"/publish/{name}"}
        self._move(JobState.RUNNING)
        self.ready.set()

    def _restarting(self, event: Event) -> None:
        self.live["worker"] = None
        self.ready.clear()
        why = f"its worker died ({event['reason']}), and another follows"
        self._move(JobState.RECOVERING, details={"attempt": event["attempt"], "why": why})
        self._todo.append(lambda c: job_moves.begin_attempt(c, self.id, self._server))

    def _answered(self, event: Event) -> bool:
        """Take the answer to a command; whether it was one that somebody gave."""
        future = self._answers.get(str(event.get("id")))
        if future is not None and not future.done():
            future.set_result(event)
        if self._attempts.wishes != self._wishes:
            wishes = self._wishes = self._attempts.wishes
            self.live["layout"] = layout_in(wishes) or self.live.get("layout")
            self._todo.append(lambda c: jobs.keep_wishes(c, self._store.sealer, self.id, wishes))
        return event.get("id") is not None

    def _append(self, event: Event) -> None:
        """Have an event written down, for subscribers and webhooks."""
        body = {name: value for name, value in event.items() if name not in ("type", "seq", "id")}
        kind = str(event["type"])
        if kind == "pause":
            kind = "pause.began" if event.get("paused") else "pause.ended"
        elif (name := _KEPT.get(kind)) is not None:
            kind = f"{kind}.{event.get(name)}"
        self._todo.append(lambda c: events.append(c, kind, body, job=self.id))

    def _move(self, to: JobState, *, reason: str = "", details: Mapping[str, Any] | None = None) -> None:
        if to in TRANSITIONS[self.state]:
            self.state = to
        self._todo.append(lambda c: job_moves.move(c, self.id, to, reason=reason, server=self._server, details=details))

    def _set_live(self) -> None:
        live = dict(self.live)
        self._todo.append(lambda c: job_moves.set_live(c, self.id, live))

    async def _end(self, ending: Ending) -> None:
        """Write down how it ended, all in one transaction; then its folder may go."""
        event, to = ending.event, JobState(ending.state)
        made = [artifacts.of_row(row) for row in event.get("artifacts", ())]
        blame = Blame(event["blame"]) if event.get("blame") else None
        length = round(event["duration"] * SECOND) if "duration" in event else self.figures.length
        self.live |= {"worker": None, "whip": None, "publish": None, "live": None, "paused": False, "layout": None}
        # Where it was to be, there may be another job's.
        self.live["manifest"] = event.get("manifest")
        live, ended = dict(self.live), dict(self.figures.shown) or None

        def move(c: Connection) -> KeptJob | None:
            return job_moves.move(
                c, self.id, to, reason=ending.reason, blame=blame, duration_ns=length, server=self._server
            )

        def end(c: Connection) -> None:
            for artifact in made:
                artifacts.add(c, self.id, artifact)
            job_moves.set_live(c, self.id, live)
            if ended is not None:
                job_moves.set_figures(c, {self.id: (length, ended)})
            if move(c) is None and job_moves.move(c, self.id, JobState.STOPPING, server=self._server) is not None:
                # Its stopping was not heard of.
                move(c)

        self._todo.append(end)
        await self._drained()
        self.state = to
        await asyncio.to_thread(self._put_away)

    async def _fail(self, error: EgressError) -> None:
        self.state = JobState.FAILED
        self.live["manifest"] = None
        self._set_live()
        self._todo.append(
            lambda c: job_moves.move(
                c, self.id, JobState.FAILED, reason=error.message, blame=error.blame, server=self._server
            )
        )
        await self._drained()

    def _put_away(self) -> None:
        """Keep a picture of what was made, and have the folder go."""
        spool = Path(self.order.folder).parent
        with contextlib.suppress(OSError):
            (spool / THUMBNAILS).mkdir(exist_ok=True)
            shutil.copyfile(Path(self.order.folder) / PICTURE, spool / THUMBNAILS / f"{self.id}.jpg")
        self._attempts.release()

    async def _drained(self) -> None:
        async with self._written:
            self._written.notify_all()
            await self._written.wait_for(lambda: not self._todo)

    async def _write(self) -> None:
        """Write down what is to be, as much at once as has come; a store that fails is asked until it takes it."""
        while True:
            async with self._written:
                await self._written.wait_for(lambda: bool(self._todo))
                batch = list(self._todo)
            try:
                await self._store.write(_all, batch)
            except EgressError as error:
                _log.warning("job %s: what happens cannot be written down yet: %s", self.id, error.message)
                await asyncio.sleep(_AGAIN)
                continue
            async with self._written:
                del self._todo[: len(batch)]
                self._written.notify_all()


def _all(connection: Connection, batch: Sequence[Work]) -> None:
    for work in batch:
        work(connection)


def _not_now(why: str) -> Conflict:
    return Conflict(f"the job takes no commands now: {why}", (("command", f"comes at a wrong time: {why}"),))
