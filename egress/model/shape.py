"""What a pipeline document is made of: which model, kind and field stands where pydantic says an error is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag

from egress.model.pipeline import Pipeline

KEY = "[key]"
"""How pydantic ends the location of a mapping's key."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a pipeline document.

    `path` is the way there as the document's author knows it, without the kinds pydantic puts in between. `type` is
    the annotation of what belongs there, None where nothing is known; `kinds` are the documents of the union that the
    mapping here was one of, and `kind` which one.
    """

    path: tuple[str | int, ...]
    type: Any
    kind: str = ""
    kinds: Mapping[str, type[BaseModel]] = field(default_factory=dict)

    @property
    def model(self) -> type[BaseModel] | None:
        """The document that belongs here, when there is one of them."""
        known = models(self.type)
        return next(iter(known.values())) if len(known) == 1 else None

    @property
    def words(self) -> tuple[str, ...]:
        """The words that may stand here, where only some may."""
        literals = [choice for _, choice in _choices(self.type) if get_origin(choice) is Literal]
        return tuple(str(word) for literal in literals for word in get_args(literal))


def spot(location: Sequence[str | int], root: type[BaseModel] = Pipeline) -> Spot:
    """The place at a location as pydantic gives it in an error about a document, a Pipeline unless `root` says."""
    path: list[str | int] = []
    here: Any = root
    kind, kinds = "", dict[str, type[BaseModel]]()
    for step in location:
        known = models(here)
        if len(known) > 1:
            kind, kinds, here = str(step), known, known.get(str(step))
            continue
        kind, kinds = "", {}
        if step == KEY:
            here = str
            continue
        here = _inside(here, step)
        path.append(step)
    # Keys of mappings are words, whatever YAML took them for.
    if location and location[-1] == KEY:
        path[-1] = str(path[-1])
    return Spot(tuple(path), here, kind, kinds)


def models(annotation: Any) -> dict[str, type[BaseModel]]:
    """The documents an annotation allows by their kind; a single one has the kind ''."""
    found = [(tag, choice) for tag, choice in _choices(annotation) if _is_model(choice)]
    if len(found) == 1:
        return {"": found[0][1]}
    return {tag or _kind_of(model): model for tag, model in found}


@cache
def all_models() -> tuple[type[BaseModel], ...]:
    """Every model a pipeline document can hold, the document itself first."""
    found: dict[type[BaseModel], None] = {}
    _collect(Pipeline, found)
    return tuple(found)


def _collect(annotation: Any, into: dict[type[BaseModel], None]) -> None:
    for _, choice in _choices(annotation):
        if not _is_model(choice):
            for argument in get_args(choice):
                _collect(argument, into)
        elif choice not in into:
            into[choice] = None
            for item in choice.model_fields.values():
                _collect(item.annotation, into)


def _inside(annotation: Any, step: str | int) -> Any:
    for _, choice in _choices(annotation):
        if _is_model(choice):
            item = choice.model_fields.get(str(step))
            return item.annotation if item else None
        if get_origin(choice) is tuple:
            return get_args(choice)[0]
        if get_origin(choice) is dict:
            return get_args(choice)[1]
    return None


def _choices(annotation: Any, tag: str | None = None) -> Iterator[tuple[str | None, Any]]:
    """What an annotation allows beside None, each with its tag in a union."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *notes = get_args(annotation)
        yield from _choices(inner, next((note.tag for note in notes if isinstance(note, Tag)), tag))
    elif origin in (Union, UnionType):
        for choice in get_args(annotation):
            yield from _choices(choice, tag)
    elif annotation not in (NoneType, None):
        yield tag, annotation


def _is_model(choice: Any) -> bool:
    return isinstance(choice, type) and issubclass(choice, BaseModel)


def _kind_of(model: type[BaseModel]) -> str:
    return str(get_args(model.model_fields["kind"].annotation)[0])
