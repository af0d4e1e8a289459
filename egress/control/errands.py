"""Commands to jobs that another server holds: left in the database for it, sealed, obeyed there once, and answered."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from egress.control import servers
from egress.control.jobs import KeptJob
from egress.control.sealing import Sealer
from egress.control.servers import Server
from egress.control.store import Store
from egress.control.tables import errands
from egress.control.tasks import end
from egress.control.values import Micros, canonical, micros, new_id
from egress.model.errors import Conflict, EgressError, Fault, Forbidden, NotFound, RequestError

WITHIN = 10.0
"""Seconds the other server has to answer: it looks several times a second, and its worker has half of this."""

LOOK = 0.25
"""Seconds between two looks for what is to be done, and for what was answered."""

MOST = 64
"""Commands a server takes up in one look; the others are taken in the next."""

_KINDS = {kind.__name__: kind for kind in (RequestError, Conflict, NotFound, Forbidden)}
"""Errors that come back as what they were; any other is a Fault."""

_E = errands.c
_log = logging.getLogger(__name__)

Event = dict[str, Any]
Obey = Callable[[str, Mapping[str, Any]], Awaitable[Event]]


class Errands:
    """Those of one server. `obey(job, command)` has a job of this server obey; what it raises is the answer too."""

    def __init__(self, store: Store, server: str, obey: Obey) -> None:
        self._store = store
        self._server = server
        self._obey = obey
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, job: KeptJob, command: Mapping[str, Any]) -> Event:
        """What the server of a job answers to a command; raises what it raised, Conflict naming it when it is silent.

        A command that it did not take up in time is withdrawn.
        """
        holder = await self._store.read(_holder, job.server or "")
        if holder is None:
            raise _not_now(f"its server {job.server} is gone; another takes it up or gives it up within ten minutes")
        where = f"its server {holder.name} ({holder.url or holder.id})"
        if silent := _silent_for(holder):
            raise _not_now(f"{where} has not been heard of for {silent:.0f} s; it records on, start that server again")
        id_, until = new_id("ern"), micros() + round(WITHIN * 1e6)
        await self._store.note(_leave, self._store.sealer, id_, job, command, until)
        try:
            while (answer := await self._store.read(_answer, id_)) is None and micros() < until:
                await asyncio.sleep(LOOK)
        finally:
            taken = await asyncio.shield(self._store.note(_withdraw, id_))
        if answer is None:
            may = "; it was heard, and may be obeyed yet" if taken else ""
            raise _not_now(f"{where} has not answered within {WITHIN:g} s{may}; try again, or ask that server")
        return _read(json.loads(self._store.sealer.open(answer, _about_answer(id_)).reveal()))

    async def run(self) -> None:
        """Have what others ask for obeyed, for as long as the server runs."""
        try:
            while True:
                try:
                    if await self._store.read(_any, self._server):
                        for id_, job, sealed in await self._store.note(_take, self._server, micros()):
                            # One that is slow to answer is in nobody's way; those of one job begin in order.
                            task = asyncio.create_task(self._do(id_, job, sealed), name=f"errand {id_}")
                            self._tasks.add(task)
                            task.add_done_callback(self._tasks.discard)
                except EgressError as error:
                    _log.warning("what other servers ask for cannot be seen: %s", error.message)
                await asyncio.sleep(LOOK)
        finally:
            await end(*self._tasks)

    async def _do(self, id_: str, job: str, sealed: str) -> None:
        try:
            command = json.loads(self._store.sealer.open(sealed, _about(id_)).reveal())
            answer = {"answer": await self._obey(job, command)}
        except EgressError as error:
            answer = _told(error)
        except Exception:
            _log.exception("a command to job %s failed", job)
            answer = _told(Fault("the server that holds the job failed; its log says more"))
        text = self._store.sealer.seal(canonical(answer), _about_answer(id_))
        try:
            await self._store.note(_keep, id_, text)
        except EgressError as error:
            _log.warning("an answer of job %s cannot be kept: %s", job, error.message)


def forget(connection: Connection, before: Micros) -> int:
    """Forget what nobody waits for any more since then; gives how many."""
    return connection.execute(delete(errands).where(_E.until < before)).rowcount


def _holder(connection: Connection, id_: str) -> Server | None:
    return next((one for one in servers.all_servers(connection) if one.id == id_), None)


def _silent_for(holder: Server) -> float:
    """Seconds since a server was heard of that must be taken for dead; 0 of one that lives."""
    silent = micros() - holder.heartbeat
    return silent / 1e6 if silent > servers.DEAD_AFTER else 0


def _leave(
    connection: Connection, sealer: Sealer, id_: str, job: KeptJob, command: Mapping[str, Any], until: Micros
) -> None:
    sealed = sealer.seal(canonical(dict(command)), _about(id_))
    values = {"id": id_, "job": job.id, "server": job.server, "sealed": sealed, "taken": 0, "until": until}
    connection.execute(insert(errands).values(**values))


def _any(connection: Connection, server: str) -> bool:
    return connection.execute(select(_E.id).where(_E.server == server, _E.taken == 0).limit(1)).first() is not None


def _take(connection: Connection, server: str, now: Micros) -> Sequence[tuple[str, str, str]]:
    """Make some this server's to do, the first first; of several that try at once, one gets each."""
    mine = (_E.server == server, _E.taken == 0, _E.until > now)
    rows = connection.execute(select(_E.id, _E.job, _E.sealed).where(*mine).order_by(_E.until, _E.id).limit(MOST))
    claim = update(errands).values(taken=1)
    return [
        (id_, job, sealed)
        for id_, job, sealed in rows.all()
        if connection.execute(claim.where(_E.id == id_, _E.taken == 0)).rowcount
    ]


def _keep(connection: Connection, id_: str, answer: str) -> None:
    connection.execute(update(errands).where(_E.id == id_).values(answer=answer))


def _answer(connection: Connection, id_: str) -> str | None:
    """What was answered, sealed; raises NotFound when the job was removed meanwhile."""
    row = connection.execute(select(_E.answer).where(_E.id == id_)).first()
    if row is None:
        raise NotFound("the job was removed meanwhile", (("id", "is of a job that was removed meanwhile"),))
    return None if row[0] is None else str(row[0])


def _withdraw(connection: Connection, id_: str) -> bool:
    """Forget one; whether it was taken up."""
    return bool(connection.execute(delete(errands).where(_E.id == id_).returning(_E.taken)).scalar_one_or_none())


def _told(error: EgressError) -> Event:
    problems = list(error.problems) if isinstance(error, RequestError) else []
    return {"error": type(error).__name__, "message": error.message, "problems": problems}


def _read(said: Event) -> Event:
    """The answer, or the error that stands in it raised."""
    if "error" not in said:
        answer: Event = said["answer"]
        return answer
    if (kind := _KINDS.get(said["error"])) is None:
        raise Fault(said["message"])
    raise kind(said["message"], tuple((field, what) for field, what in said["problems"]))


def _about(id_: str) -> str:
    return f"errand:{id_}"


def _about_answer(id_: str) -> str:
    return f"answer:{id_}"


def _not_now(why: str) -> Conflict:
    return Conflict(f"the job takes no commands now: {why}", (("command", f"comes at a wrong time: {why}"),))
