"""Pipelines of users beside the shipped ones: the text as written, sealed whole, for it may hold stream keys."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from egress import pipelines as shipped
from egress.control.sealing import Sealer
from egress.control.tables import pipelines
from egress.control.templates import changed
from egress.control.values import Micros, micros
from egress.model import checking
from egress.model.errors import Conflict, NotFound
from egress.model.pipeline import Pipeline
from egress.model.problems import did_you_mean, one_of

RESERVED = ("check", "schema")
"""Words that stand in the API where names of pipelines do."""


@dataclass(frozen=True, slots=True)
class KeptPipeline:
    """One pipeline of a user's own."""

    name: str
    about: str
    created: Micros
    updated: Micros
    version: int


_P = pipelines.c
_COLUMNS = (_P.name, _P.about, _P.created, _P.updated, _P.version)


def put(
    connection: Connection,
    sealer: Sealer,
    name: str,
    text: str,
    *,
    version: int | None = None,
    now: Micros | None = None,
) -> tuple[KeptPipeline, bool]:
    """Keep a pipeline (YAML or JSON) under a name, which must be its own; gives it, and whether it is the first.

    Raises RequestError with all that is wrong with the text; Conflict when a shipped one has the name, or `version` is
    not the one that is kept (0: none at all).
    """
    at = micros() if now is None else now
    doc = checking.read(text, name)
    if doc.name != name:
        what = f"the document says {doc.name!r}; say {name!r} in both places"
        raise Conflict(f"name: {what}", (("name", what),))
    if name in RESERVED:
        what = f"{name!r} is an address of the API; choose another name"
        raise Conflict(f"name: {what}", (("name", what),))
    if name in shipped.names():
        what = f"{name!r} is a pipeline of Egress itself; choose another name"
        raise Conflict(f"name: {what}", (("name", what),))
    before = connection.execute(select(_P.version).where(_P.name == name)).scalar_one_or_none()
    if version is not None and version != (before or 0):
        raise changed("pipeline", name, before)
    values = {
        "about": doc.about,
        "sealed": sealer.seal(text, f"pipeline:{name}"),
        "updated": at,
        "version": (before or 0) + 1,
    }
    if before is None:
        connection.execute(insert(pipelines).values(name=name, created=at, **values))
    else:
        connection.execute(update(pipelines).where(_P.name == name).values(**values))
    return get(connection, name), before is None


def get(connection: Connection, name: str) -> KeptPipeline:
    """What is known of one; raises NotFound."""
    row = connection.execute(select(*_COLUMNS).where(_P.name == name)).one_or_none()
    if row is None:
        raise _missing(name)
    return KeptPipeline(*row)


def text(connection: Connection, sealer: Sealer, name: str) -> str:
    """The document as its author wrote it, stream keys and all; raises NotFound."""
    sealed = connection.execute(select(_P.sealed).where(_P.name == name)).scalar_one_or_none()
    if sealed is None:
        raise _missing(name)
    return sealer.open(sealed, f"pipeline:{name}").reveal()


def load(connection: Connection, sealer: Sealer, name: str) -> Pipeline:
    """The pipeline of that name, a user's own or a shipped one, checked; raises NotFound, RequestError."""
    try:
        return checking.read(text(connection, sealer, name), name)
    except NotFound:
        if name in shipped.names():
            return shipped.load(name)
        known = sorted({*shipped.names(), *(kept.name for kept in all_pipelines(connection))})
        what = f"there is no pipeline {name[:60]!r}{did_you_mean(name, known)}; known: {one_of(known)}"
        raise NotFound(what, (("pipeline", what),)) from None


def all_pipelines(connection: Connection) -> tuple[KeptPipeline, ...]:
    """All that users put here, by name."""
    return tuple(KeptPipeline(*row) for row in connection.execute(select(*_COLUMNS).order_by(_P.name)))


def remove(connection: Connection, name: str) -> None:
    """Forget one; jobs that were made of it go on. Raises NotFound."""
    if not connection.execute(delete(pipelines).where(_P.name == name)).rowcount:
        raise _missing(name)


def _missing(name: str) -> NotFound:
    return NotFound(f"there is no pipeline {name[:60]!r}", (("pipeline", "is no pipeline's name"),))
