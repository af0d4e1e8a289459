"""Templates as they are kept: by name, with a version that goes up with every change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from egress.control.sealing import Sealer
from egress.control.tables import templates
from egress.control.values import Micros, Page, canonical, cursor, micros, read_cursor
from egress.model.errors import Conflict, NotFound
from egress.model.template import TemplateDoc, read_template


@dataclass(frozen=True, slots=True)
class KeptTemplate:
    """One template as everyone may see it; `open_template` gives the one with its secrets."""

    name: str
    document: dict[str, Any]
    enabled: bool
    created: Micros
    updated: Micros
    version: int


_T = templates.c
_COLUMNS = (_T.name, _T.document, _T.enabled, _T.created, _T.updated, _T.version)


def put(
    connection: Connection, sealer: Sealer, doc: TemplateDoc, *, version: int | None = None, now: Micros | None = None
) -> tuple[KeptTemplate, bool]:
    """Keep a template in place of the one of its name, if there is one; gives it, and whether it is the first.

    `version`: only if it is still the one that is kept (0 none at all); raises Conflict when it is not.
    """
    at = micros() if now is None else now
    before = connection.execute(select(_T.version).where(_T.name == doc.name)).scalar_one_or_none()
    if version is not None and version != (before or 0):
        raise changed("template", doc.name, before)
    values = {
        "document": canonical(doc.shown()),
        "sealed": sealer.seal(canonical(doc.model_dump(mode="json")), f"template:{doc.name}"),
        "enabled": int(doc.enabled),
        "updated": at,
        "version": (before or 0) + 1,
    }
    if before is None:
        connection.execute(insert(templates).values(name=doc.name, created=at, **values))
    else:
        connection.execute(update(templates).where(_T.name == doc.name).values(**values))
    return get(connection, doc.name), before is None


def get(connection: Connection, name: str) -> KeptTemplate:
    """One template; raises NotFound."""
    row = connection.execute(select(*_COLUMNS).where(_T.name == name)).one_or_none()
    if row is None:
        raise _missing(name)
    return _template(row)


def open_template(connection: Connection, sealer: Sealer, name: str) -> TemplateDoc:
    """The template with its secrets; raises NotFound."""
    sealed = connection.execute(select(_T.sealed).where(_T.name == name)).scalar_one_or_none()
    if sealed is None:
        raise _missing(name)
    return _opened(sealer, name, sealed)


def open_enabled(connection: Connection, sealer: Sealer) -> tuple[TemplateDoc, ...]:
    """All templates that start something by themselves, with their secrets, by name."""
    statement = select(_T.name, _T.sealed).where(_T.enabled == 1).order_by(_T.name)
    return tuple(_opened(sealer, name, sealed) for name, sealed in connection.execute(statement).all())


def page(connection: Connection, *, limit: int = 50, after: str | None = None) -> Page[KeptTemplate]:
    """Templates by name."""
    statement = select(*_COLUMNS).order_by(_T.name).limit(limit + 1)
    if after is not None:
        statement = statement.where(_T.name > read_cursor(after, str)[0])
    found = [_template(row) for row in connection.execute(statement)]
    return Page(tuple(found[:limit]), cursor(found[limit - 1].name) if len(found) > limit else None)


def remove(connection: Connection, name: str) -> None:
    """Forget a template; its jobs go on. Raises NotFound."""
    if not connection.execute(delete(templates).where(_T.name == name)).rowcount:
        raise _missing(name)


def changed(what: str, name: str, version: int | None) -> Conflict:
    """The error about a document that is not what the writer took it for."""
    how = f"is at version {version} meanwhile" if version else "is not there any more"
    return Conflict(f"{what} {name!r} {how}; look at it again", (("version", f"{how}; look at it again"),))


def _opened(sealer: Sealer, name: str, sealed: str) -> TemplateDoc:
    return read_template(json.loads(sealer.open(sealed, f"template:{name}").reveal()))


def _template(row: Sequence[Any]) -> KeptTemplate:
    name, document, enabled, created, updated, version = row
    return KeptTemplate(name, json.loads(document), bool(enabled), created, updated, version)


def _missing(name: str) -> NotFound:
    return NotFound(f"there is no template {name[:60]!r}", (("template", "is no template's name"),))
