"""One job run to its end: a worker that dies is followed by another, until one ends well or too many have died."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egress.control import orphans
from egress.control.detached_run import DetachedRun, said_its_end
from egress.control.processes import Process
from egress.control.wishes import Wishes
from egress.control.worker_run import WorkerRun
from egress.disk import read_json
from egress.model import control
from egress.model.errors import Fault, RequestError
from egress.model.order import JobOrder
from egress.storage.attempts import AttemptLog
from egress.storage.event_log import FINAL, read_events
from egress.storage.spool import JobFolder

DELAYS = (0.0, 1.0, 2.0, 4.0)
"""Seconds before a worker follows one that died, by how many have died lately; the last for all further ones."""

MOST_DEATHS, WITHIN = 5, 600.0
"""So many deaths within so many seconds, and what there is is recovered: the next worker would die as well."""

_FREE_WITHIN = 10.0
"""Seconds a killed worker may take to be gone."""

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended: `state` is finished, failed or aborted; `event` is what said so, with the artifacts."""

    state: str
    reason: str
    event: Event

    @property
    def exit_status(self) -> int:
        """0 done, 1 not."""
        return 0 if self.state == "finished" else 1


class Attempts:
    """Runs one order to its final state. `events` is followed once, to its end; then `ending` says how it went.

    Each event says in which `attempt` it happened; {"type": "restart", "attempt", "reason", "after"} says that a worker
    died and another begins in so many seconds. Workers die with us, or with `detached` outlive us: whoever comes next
    gives the same order, and the number of the last event it knows (`since`), to `adopting`.
    """

    def __init__(self, order: JobOrder, *, detached: bool = False, wishes: Sequence[str] = ()) -> None:
        """`wishes` are commands that were obeyed before we came (`wishes`), for the next worker to obey too."""
        self.order = order
        self.ending: Ending | None = None
        self.number = order.attempt
        self.since = 0
        self.ready = False
        self._detached = detached
        self._adopting = False
        self._run: WorkerRun | DetachedRun | None = None
        self._folder = Path(order.folder)
        self._stopping: str | None = None
        self._killed = False
        self._woken = asyncio.Event()
        self._told: list[Event] = []
        self._deaths: deque[float] = deque(maxlen=MOST_DEATHS)
        self._wishes = Wishes(wishes)

    @classmethod
    def adopting(cls, order: JobOrder, *, since: int = 0, wishes: Sequence[str] = ()) -> Attempts:
        """Go on with a job whose service died: follow its worker, or start another, or say how it ended."""
        made = cls(order, detached=True, wishes=wishes)
        made.since, made._adopting = since, True
        return made

    @property
    def pid(self) -> int | None:
        """The living worker's process id."""
        return self._run.pid if self._run is not None else None

    @property
    def wishes(self) -> tuple[str, ...]:
        """Commands that the next worker is told again, as lines; they hold secrets."""
        return self._wishes.lines

    async def events(self) -> AsyncIterator[Event]:
        """Everything that happens, over all attempts. Leaving it early leaves a detached worker running."""
        run: WorkerRun | DetachedRun | None = None
        following: WorkerRun | DetachedRun | None = None
        why = ""
        if self._adopting:
            run, why = await self._found()
        for event in self._missed() if self._adopting and run is None else ():
            yield event
        if self.ending is not None:
            return
        while True:
            if not why:
                try:
                    following = run or await self._launch()
                except (OSError, Fault) as error:
                    why = f"it could not be started: {error}"
                    following = None
            if not why and following is not None:
                last: Event = {}
                async for event in self._followed(following):
                    last = event if event.get("type") == "state" else last
                    if not self._fruitless(event):
                        yield event
                if isinstance(following, DetachedRun) and following.replaced:
                    return
                why = following.killed_for(await following.wait())
                # What it has started must not go on without it.
                following.kill(why)
                self._run = run = None
                if last.get("state") in FINAL:
                    if not self._fruitless(last):
                        self.ending = Ending(str(last["state"]), str(last.get("reason") or ""), last)
                        return
                    why = str(last.get("reason"))
                    if last.get("blame") != "room":
                        break
            AttemptLog(self._folder).died(why)
            delay = self._delay()
            if delay is None:
                break
            yield {"type": "restart", "attempt": self.number + 1, "reason": why, "after": delay}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._woken.wait()
            for event in self._said():
                yield event
            if self._stopping is not None:
                break
            self.number, why = self.number + 1, ""
        self.ending = await self._recovered(why)
        yield self.ending.event

    def _fruitless(self, event: Event) -> bool:
        """Whether an event is the end of a worker that never came to recording, while others before it did.

        What those recorded is still to be put together, so it is not the end of the job.
        """
        over = event.get("type") == "state" and event.get("state") in FINAL
        return over and self.number > 1 and not self.ready

    def ask_to_stop(self, reason: str) -> None:
        """Have the job end cleanly."""
        self._stopping = self._stopping or reason
        self._woken.set()
        if self._run is not None:
            self._run.ask_to_stop(reason)

    def command(self, line: str | bytes) -> bool:
        """Pass on what an operator says, one line of JSON (egress.model.control); a `control` event answers it.

        False when nobody takes it now.
        """
        if self._run is not None:
            self._wishes.hear(line)
            return self._run.command(line)
        with contextlib.suppress(RequestError):
            said = control.parse(line)
            if isinstance(said, control.Stop):
                self._told.append(control.answer(said, message="stopping"))
                self.ask_to_stop(said.reason)
                return True
        return False

    def kill(self, reason: str) -> None:
        """End the worker at once; none follows it, and what was recorded is recovered."""
        self._stopping = self._stopping or reason
        self._woken.set()
        if self._run is not None:
            self._run.kill(reason)

    def replace(self, reason: str) -> None:
        """End the worker at once, for another to follow it."""
        if self._run is not None:
            self._run.kill(reason)

    def leave(self) -> None:
        """Be done with the job: a detached worker goes on without us, another ends at once."""
        if isinstance(self._run, DetachedRun):
            self._run.leave()
        elif self._run is not None:
            self._run.kill("its parent is done with it")
        self._run = None

    def release(self) -> None:
        """The job's end has been noted for good: take its folder away if nothing in it is wanted any more."""
        folder = JobFolder(self._folder)
        if self._detached and self.ending is not None and folder.path.is_dir() and not folder.undelivered():
            folder.remove()

    async def _launch(self) -> WorkerRun | DetachedRun:
        order = self.order.model_copy(update={"attempt": self.number})
        self.ready = False
        return await (DetachedRun.launch(order, self.since) if self._detached else WorkerRun.launch(order))

    async def _followed(self, run: WorkerRun | DetachedRun) -> AsyncIterator[Event]:
        """One worker's events; what operators wanted of those before it is asked of it again."""
        self._run = run
        if self._stopping is not None:
            run.ask_to_stop(self._stopping)
        async for event in run.events():
            told = {**event, "attempt": self.number}
            self.since = max(self.since, int(event.get("seq", 0)))
            if event.get("type") == "ready":
                self.ready = True
                if self.number > 1:
                    self._wishes.again()
            if event.get("type") == "state" and event.get("state") == "stopping":
                self._stopping = self._stopping or str(event.get("reason"))
            lines, mine = self._wishes.take(event)
            for line in lines:
                run.command(line)
            if not mine:
                yield told

    async def _found(self) -> tuple[DetachedRun | None, str]:
        """The worker that lives, and else why it is dead: "" when there never was one, or all is over."""
        self.number = int(read_json(self._folder / "job.json").get("attempt", self.order.attempt))
        run = await DetachedRun.adopt(self._folder, self.since)
        if run is not None:
            self.ready = run.hello.get("ready") is not None
            return run, ""
        if not (self._folder / "job.json").is_file():
            return None, ""
        await self._end_silent()
        return None, "it died while nobody looked"

    async def _end_silent(self) -> None:
        """Kill a worker that holds the job and does not answer; its lock is then free."""
        folder, limit = JobFolder(self._folder), asyncio.get_running_loop().time() + _FREE_WITHIN
        while True:
            with folder.seized() as mine:
                if mine:
                    return
            worker = Process(*held) if (held := folder.holder()) else None
            if worker is not None:
                worker.kill_session()
            if asyncio.get_running_loop().time() > limit:
                raise Fault(f"{self._folder} is held by a process that cannot be ended")
            await asyncio.sleep(0.02)

    def _missed(self) -> list[Event]:
        """What a worker that is dead had noted; if that is the job's end, there is nothing more to do."""
        events = read_events(self._folder, self.since)
        self.since = max([self.since, *(int(event["seq"]) for event in events)])
        end = said_its_end(self._folder)
        if end is not None and end.get("attempt") == self.number:
            self.ending = Ending(str(end["state"]), str(end.get("reason") or ""), end)
        return events

    def _said(self) -> list[Event]:
        told, self._told = self._told, []
        return told

    def _delay(self) -> float | None:
        """Seconds to wait before the next worker; None when there is to be none."""
        if self._stopping is not None:
            return None
        now = asyncio.get_running_loop().time()
        self._deaths.append(now)
        lately = sum(now - at < WITHIN for at in self._deaths)
        return DELAYS[min(lately, len(DELAYS)) - 1] if lately < MOST_DEATHS else None

    async def _recovered(self, why: str) -> Ending:
        """No worker is to follow: finish what there is, in a process of its own, for media modules stay out of here."""
        saved = await orphans.recover(Path(self.order.folder))
        if saved.problems:
            how = f"its recording is kept in {self.order.folder}, not recovered: {'; '.join(saved.problems)}"
        else:
            how = "its recording was recovered up to that moment"
        count = f" {self.number} times, the last time" if self.number > 1 else ""
        reason = f"the worker died{count} ({why}); {how}"
        state = {"type": "state", "state": "failed", "reason": reason, "blame": "us", "artifacts": list(saved.rows)}
        return Ending("failed", reason, {**state, "manifest": saved.manifest, "attempt": self.number})
