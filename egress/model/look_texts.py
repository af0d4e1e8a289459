"""Texts shown in the picture: titles, lower thirds, watermarks and cards, and what stands for their placeholders."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeVar, cast

from pydantic import BaseModel

from egress.model.look import CardDoc, CardsDoc, OverlayDoc
from egress.model.pipeline import Pipeline
from egress.model.places import PLACEHOLDERS, template_problems
from egress.model.problems import Problem

FIELDS = ("title", "subtitle", "text")
"""Fields of overlays and cards that are shown as they are written, placeholders filled."""

Part = TypeVar("Part")
_BRACES = re.compile(r"\{([^{}]*)\}")


def text_problems(pipeline: Pipeline) -> Iterator[Problem]:
    """Texts that hold unknown placeholders or characters that cannot be shown."""
    for place, doc in _documents(pipeline):
        for name in _shown_fields(doc):
            text, path = getattr(doc, name), f"{place}.{name}"
            yield from template_problems(text, path)
            if any(_unseen(char) for char in text):
                yield Problem(path, "holds a line break or a control character; write it in one line")


def values(*, room: str, job: str, pipeline: str, started: datetime) -> Mapping[str, str]:
    """What each placeholder stands for in a text, as people write it; `room` is its name, `started` an aware time."""
    utc = started.astimezone(UTC)
    known = {
        "room": "".join(" " if _unseen(char) else char for char in room).strip(),
        "job": job,
        "started": f"{utc:%Y-%m-%d %H:%M} UTC",
        "date": f"{utc:%Y-%m-%d}",
        "time": f"{utc:%H:%M} UTC",
        "pipeline": pipeline,
    }
    assert known.keys() == PLACEHOLDERS.keys()
    return known


def filled(part: Part, known: Mapping[str, str]) -> Part:
    """A part of a pipeline (overlays, cards, or the whole) with its placeholders filled; what is too long is cut."""
    if isinstance(part, tuple):
        return cast(Part, tuple(filled(item, known) for item in part))
    if isinstance(part, Pipeline):
        update = {"overlays": filled(part.overlays, known), "cards": filled(part.cards, known)}
        return cast(Part, part.model_copy(update=update))
    if isinstance(part, CardsDoc):
        return cast(Part, part.model_copy(update={name: filled(card, known) for name, card in part}))
    if isinstance(part, OverlayDoc | CardDoc):
        texts = {name: _fill(part, name, known) for name in _shown_fields(part)}
        return cast(Part, part.model_copy(update=texts))
    return part


def _fill(doc: BaseModel, name: str, known: Mapping[str, str]) -> str:
    text = _BRACES.sub(lambda match: known.get(match[1], match[0]), getattr(doc, name))
    notes = type(doc).model_fields[name].metadata
    longest = next(note.max_length for note in notes if getattr(note, "max_length", None) is not None)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _documents(pipeline: Pipeline) -> Iterator[tuple[str, BaseModel]]:
    for index, overlay in enumerate(pipeline.overlays):
        yield f"overlays[{index}]", overlay
    for name, card in pipeline.cards:
        if card is not None:
            yield f"cards.{name}", card


def _shown_fields(doc: BaseModel) -> list[str]:
    return [name for name in type(doc).model_fields if name in FIELDS]


def _unseen(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
