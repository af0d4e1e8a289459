"""Lists of jobs: filtered, in pages, the latest first; and counts of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Text, bindparam, func, or_, select, tuple_

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
    given = _given(connection, only) | {"limit": limit + 1}
    if after is not None:
        given["after_created"], given["after_id"] = read_cursor(after, int, str)
    rows = connection.execute(_statement(_shape(connection, only, given)), given).fetchall()
    found = [kept(row) for row in rows]
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
    fits, written = _fitting(connection)
    return or_(*(column.bool_op(fits)(written(pattern)) for pattern in patterns for column in (_J.room, _J.room_name)))


@dataclass(frozen=True, slots=True)
class _Shape:
    """What filters have in common whose statements differ in values only; to build one costs more than to run it."""

    fits: str
    states: int
    rooms: int
    names: frozenset[str]


def _given(connection: Connection, only: JobFilter) -> dict[str, Any]:
    """The values of a filter by the names they have in its statement."""
    written = _fitting(connection)[1]
    given: dict[str, Any] = {
        name: value
        for name in ("room", "template", "pipeline", "schedule", "server", "since", "until")
        if (value := getattr(only, name)) is not None
    }
    given |= {f"state_{index}": state.value for index, state in enumerate(only.states)}
    given |= {f"rooms_{index}": written(pattern) for index, pattern in enumerate(only.rooms)}
    if only.text:
        given["text"] = _SPECIAL.sub(r"/\1", only.text)
    return given


def _shape(connection: Connection, only: JobFilter, given: Iterable[str]) -> _Shape:
    return _Shape(_fitting(connection)[0], len(only.states), len(only.rooms), frozenset(given))


@lru_cache(maxsize=256)
def _statement(shape: _Shape) -> Select[Any]:
    has = shape.names.__contains__
    conditions: list[ColumnElement[bool]] = []
    if shape.states == 1:
        conditions.append(_J.state == bindparam("state_0"))
    elif shape.states:
        conditions.append(_J.state.in_([bindparam(f"state_{index}") for index in range(shape.states)]))
    if has("room"):
        conditions.append(or_(_J.room == bindparam("room"), _J.room_name == bindparam("room")))
    if shape.rooms:
        given = [bindparam(f"rooms_{index}", type_=Text) for index in range(shape.rooms)]
        conditions.append(
            or_(*(column.bool_op(shape.fits)(one) for one in given for column in (_J.room, _J.room_name)))
        )
    names = ("template", "pipeline", "schedule", "server")
    conditions += [_J[name] == bindparam(name) for name in names if has(name)]
    if has("since"):
        conditions.append(_J.created >= bindparam("since"))
    if has("until"):
        conditions.append(_J.created < bindparam("until"))
    if has("text"):
        searched = (_J.id, _J.room, _J.room_name, _J.template, _J.pipeline, _J.metadata)
        text = bindparam("text", type_=Text)
        conditions.append(or_(*(column.icontains(text, escape="/") for column in searched)))
    if has("after_id"):
        conditions.append(tuple_(_J.created, _J.id) < tuple_(bindparam("after_created"), bindparam("after_id")))
    return _PAGE.where(*conditions).limit(bindparam("limit"))


def _fitting(connection: Connection) -> tuple[str, Callable[[str], str]]:
    """The operator by which a column fits a pattern of fnmatch, capitals told from small letters, and how it has that
    pattern written."""
    return ("GLOB", _glob) if connection.dialect.name == "sqlite" else ("~", _regular)


_SPECIAL = re.compile(r"([%_/])")
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
