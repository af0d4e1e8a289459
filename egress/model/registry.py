"""Which implementations exist: connectors, layouts, sinks and storages, ours and other packages', by entry point."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from egress.model.errors import RequestError

Kind = Literal["connectors", "layouts", "sinks", "storages"]


@cache
def _all() -> Any:
    """Of every package that is installed: looked through once, for that takes several milliseconds."""
    return entry_points()


@cache
def _entries(kind: Kind) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in _all().select(group=f"egress.{kind}")}


def names(kind: Kind) -> tuple[str, ...]:
    """The registered names of one kind, sorted; loads nothing."""
    return tuple(sorted(_entries(kind)))


def load(kind: Kind, name: str) -> Any:
    """The implementation registered under a name; raises RequestError naming what exists."""
    try:
        return _entries(kind)[name].load()
    except KeyError:
        known = ", ".join(names(kind)) or "none (is the package installed?)"
        raise RequestError(f"unknown {kind[:-1]} {name!r}; known: {known}") from None
