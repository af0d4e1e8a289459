"""Servers that share the database: which are alive, what they can carry, and whose jobs are left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from egress.control.jobs import COLUMNS, KeptJob, kept
from egress.control.tables import jobs, servers
from egress.control.values import Micros, micros
from egress.model.job import ENDED, JobState

DEAD_AFTER = 30_000_000
"""Microseconds without a heartbeat after which a server counts as gone."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server; `spool` tells which others can reach its files, `capacity_milli` is thousandths of a core,
    `advertised` where people reach it, if that is known."""

    id: str
    name: str
    url: str
    spool: str
    capacity_milli: int
    draining: bool
    started: Micros
    heartbeat: Micros
    advertised: str | None = None


_S = servers.c
_COLUMNS = (
    *(_S.id, _S.name, _S.url, _S.spool, _S.capacity_milli, _S.draining, _S.started, _S.heartbeat, _S.advertised),
)
_LIVING = tuple(sorted(state.value for state in JobState if state not in ENDED))


def enter(connection: Connection, server: Server) -> None:
    """Say that a server is there; one of the same id is it, started again."""
    values = {name: getattr(server, name) for name in Server.__slots__} | {"draining": int(server.draining)}
    if not connection.execute(update(servers).where(_S.id == server.id).values(**values)).rowcount:
        connection.execute(insert(servers).values(**values))


def beat(connection: Connection, id_: str, *, draining: bool = False, now: Micros | None = None) -> bool:
    """Say that a server lives; False when it was taken for dead and forgotten. For `Store.note`."""
    at = micros() if now is None else now
    statement = update(servers).where(_S.id == id_).values(heartbeat=at, draining=int(draining))
    return connection.execute(statement).rowcount == 1


def leave(connection: Connection, id_: str) -> None:
    """Say that a server is gone, on purpose."""
    connection.execute(delete(servers).where(_S.id == id_))


def all_servers(connection: Connection) -> tuple[Server, ...]:
    """Every server that is known, by name."""
    return tuple(_server(row) for row in connection.execute(select(*_COLUMNS).order_by(_S.name, _S.id)))


def alive(connection: Connection, *, now: Micros | None = None) -> tuple[Server, ...]:
    """Servers that have beaten lately."""
    at = micros() if now is None else now
    return tuple(server for server in all_servers(connection) if server.heartbeat > at - DEAD_AFTER)


def left_alone(connection: Connection, *, now: Micros | None = None) -> tuple[KeptJob, ...]:
    """Living jobs of servers that are not alive, or of none; `job_moves.take_over` decides who gets each."""
    at = micros() if now is None else now
    living = select(_S.id).where(_S.heartbeat > at - DEAD_AFTER)
    orphaned = jobs.c.server.is_(None) | jobs.c.server.not_in(living)
    statement = select(*COLUMNS).where(jobs.c.state.in_(_LIVING), orphaned).order_by(jobs.c.created, jobs.c.id)
    return tuple(kept(row) for row in connection.execute(statement))


def prune(connection: Connection, before: Micros) -> int:
    """Forget servers that have not beaten since; gives how many."""
    return connection.execute(delete(servers).where(_S.heartbeat < before)).rowcount


def _server(row: Sequence[Any]) -> Server:
    id_, name, url, spool, capacity, draining, started, heartbeat, advertised = row
    return Server(id_, name, url, spool, capacity, bool(draining), started, heartbeat, advertised)
