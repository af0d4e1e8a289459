"""Lists of jobs: filtered, in pages, the latest first; and counts of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, tuple_

from egress.control.jobs import COLUMNS, KeptJob, kept
from egress.control.tables import jobs
from egress.control.values import Micros, Page, paged, read_cursor
from egress.model.job import ENDED, JobState


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs: those that fit everything said here.

    `room` is an address or a name; `rooms` are a caller's patterns (* ? [abc] as fnmatch has them), () is all;
    `since` and `until` are about when they were made; `text` stands in id, room, template, pipeline or metadata.
    """

    states: tuple[JobState, ...] = ()
    room: str | None = None
    rooms: tuple[str, ...] = ()
    template: str | None = None
    pipeline: str | None = None
    schedule: str | None = None
    server: str | None = None
    since: Micros | None = None
    until: Micros | None = None
    text: str | None = None


_J = jobs.c
_LIVING = tuple(sorted(state.value for state in JobState if state not in ENDED))
_PAGE = select(*COLUMNS).order_by(_J.created.desc(), _J.id.desc())


def page(
    connection: Connection, only: JobFilter = JobFilter(), *, limit: int = 50, after: str | None = None
) -> Page[KeptJob]:
    """Jobs, the latest first; `after` is the `next` of the page before. Raises RequestError when it is none."""
    statement = _filtered(connection, _PAGE, only).limit(limit + 1)
    if after is not None:
        statement = statement.where(tuple_(_J.created, _J.id) < read_cursor(after, int, str))
    found = [kept(row) for row in connection.execute(statement)]
    return paged(found, limit, lambda job: (job.created, job.id))


def living(connection: Connection, server: str | None = None) -> tuple[KeptJob, ...]:
    """All jobs that are not over, of one server if said, the oldest first."""
    statement = select(*COLUMNS).where(_J.state.in_(_LIVING)).order_by(_J.created, _J.id)
    if server is not None:
        statement = statement.where(_J.server == server)
    return tuple(kept(row) for row in connection.execute(statement))


def in_room(connection: Connection, room: str, template: str | None = None) -> tuple[KeptJob, ...]:
    """Jobs that are not over in a room given by its address, of one template if said."""
    statement = select(*COLUMNS).where(_J.room == room, _J.state.in_(_LIVING)).order_by(_J.created, _J.id)
    if template is not None:
        statement = statement.where(_J.template == template)
    return tuple(kept(row) for row in connection.execute(statement))


def cost(connection: Connection, server: str) -> int:
    """Thousandths of a core that a server's jobs are expected to need together."""
    statement = select(func.coalesce(func.sum(_J.cost_milli), 0)).where(_J.server == server, _J.state.in_(_LIVING))
    return int(connection.execute(statement).scalar_one())


def counts(connection: Connection) -> dict[tuple[str, str | None], int]:
    """How many jobs there are, by state and blame."""
    statement = select(_J.state, _J.blame, func.count()).group_by(_J.state, _J.blame)
    return {(state, blame): number for state, blame, number in connection.execute(statement)}


def in_rooms(connection: Connection, patterns: Iterable[str]) -> ColumnElement[bool]:
    """Whether a job's room fits one of a caller's patterns, by its address or its name."""
    is_sqlite = connection.dialect.name == "sqlite"
    return or_(*(_fits(name, pattern, is_sqlite) for pattern in patterns for name in (_J.room, _J.room_name)))


def _filtered(connection: Connection, statement: Select[Any], only: JobFilter) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = []
    if only.states:
        states = [state.value for state in only.states]
        conditions.append(_J.state.in_(states) if len(states) > 1 else _J.state == states[0])
    if only.room is not None:
        conditions.append(or_(_J.room == only.room, _J.room_name == only.room))
    if only.rooms:
        conditions.append(in_rooms(connection, only.rooms))
    for column, value in (
        (_J.template, only.template),
        (_J.pipeline, only.pipeline),
        (_J.schedule, only.schedule),
        (_J.server, only.server),
    ):
        if value is not None:
            conditions.append(column == value)
    if only.since is not None:
        conditions.append(_J.created >= only.since)
    if only.until is not None:
        conditions.append(_J.created < only.until)
    if only.text:
        places = (_J.id, _J.room, _J.room_name, _J.template, _J.pipeline, _J.metadata)
        conditions.append(or_(*(column.icontains(only.text, autoescape=True) for column in places)))
    return statement.where(and_(*conditions)) if conditions else statement


def _fits(column: ColumnElement[str], pattern: str, is_sqlite: bool) -> ColumnElement[bool]:
    """Whether a column fits a pattern of fnmatch, capitals told from small letters."""
    return column.bool_op("GLOB")(_glob(pattern)) if is_sqlite else column.bool_op("~")(_regular(pattern))


_PART = re.compile(r"(?P<any>\*+)|(?P<one>\?)|\[(?P<set>!?\]?[^\]]*)\]|(?P<char>.)", re.DOTALL)


def _glob(pattern: str) -> str:
    """A pattern of fnmatch in the words of SQLite, which writes ^ where fnmatch has !, and knows no lone [."""

    def part(match: re.Match[str]) -> str:
        if (inside := match["set"]) is not None:
            return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
        return "[[]" if match["char"] == "[" else match[0]

    return _PART.sub(part, pattern)


def _regular(pattern: str) -> str:
    """A pattern of fnmatch as an advanced regular expression of PostgreSQL."""

    def part(match: re.Match[str]) -> str:
        if match["any"]:
            return ".*"
        if match["one"]:
            return "."
        if (inside := match["set"]) is not None:
            inside = inside.replace("\\", "\\\\")
            return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
        return match[0] if match[0].isalnum() or match[0] in "_ " else f"\\{match[0]}"

    return f"^(?:{_PART.sub(part, pattern)})$"
