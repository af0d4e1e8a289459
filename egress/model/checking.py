"""From a pipeline's text to a Pipeline, or to ALL that is wrong with it in words a newcomer can act on."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from egress.model import rules
from egress.model.document import parse
from egress.model.look import LAYOUTS, LayoutDoc, Palette
from egress.model.pipeline import Pipeline
from egress.model.problems import Finding, Problem, path_text, refuse
from egress.model.shape import KEY, spot
from egress.model.wording import COLOUR, problem

PARTS = ("select", "layout", "tiles", "theme", "overlays", "cards", "roles")
"""What may be changed by itself, also while a job runs."""

_ROUNDS = 4
"""How often what cannot be read is taken out: a kind that is wrong hides what is wrong with its fields."""


def read(text: str | bytes, name: str) -> Pipeline:
    """The pipeline a YAML text describes; raises RequestError with every problem. `name` is for its messages."""
    document = parse(text, name)
    pipeline, problems = examine(document.data)
    problems = (*problems, *_swallowed(document.data))
    if pipeline is None or problems:
        raise refuse(name, [document.with_line(found) for found in problems])
    return pipeline


def examine(data: Mapping[str, Any]) -> tuple[Pipeline | None, tuple[Problem, ...]]:
    """The pipeline that plain data describes (None when it describes none), and all problems with it."""
    pipeline, findings = _examine(data)
    return pipeline, tuple(dict.fromkeys(finding.problem for finding in findings))


def examine_part(name: str, data: Any, pipeline: Pipeline) -> tuple[Any, tuple[Problem, ...]]:
    """One part (of PARTS) that plain data describes, in place of the pipeline's own, and all problems with it.

    The value is what the field of the pipeline may become, like `ThemeDoc` for `theme` or a tuple for `overlays`; it
    is None when there are problems. Paths begin with the part (`overlays[0].text`), or with another one the new part
    does not go with. Pictures and placeholders are as the author wrote them: look_images and look_texts resolve them.
    """
    if name not in PARTS:
        raise ValueError(f"{name!r} is none of {PARTS}")
    whole = pipeline.model_dump(mode="json", exclude={"sinks", name})
    # Where the sinks of a running job write is resolved already, and nothing of the picture depends on it.
    changed, findings = _examine({**whole, "sinks": [_SINK], name: data})
    problems = tuple(
        dict.fromkeys(
            finding.problem
            for finding in findings
            if any(_touches(path, name) for path in (finding.problem.path, *finding.reads))
        )
    )
    return (None if problems or changed is None else getattr(changed, name)), problems


def with_layout(pipeline: Pipeline, kind: str) -> Pipeline:
    """The pipeline with another kind of layout, which keeps what was said about the old one and it knows as well.

    Raises RequestError when there is no such layout, or it needs more than its name.
    """
    if kind == pipeline.layout.kind:
        return pipeline
    model = LAYOUTS.get(kind, LayoutDoc)
    said = pipeline.layout.model_dump(mode="json", exclude_unset=True, exclude={"kind"})
    data = {"kind": kind} | {name: value for name, value in said.items() if name in model.model_fields}
    layout, problems = examine_part("layout", data, pipeline)
    if lost := [problem.path.removeprefix("layout.") for problem in problems if problem.path != "layout.kind"]:
        # A value may be fine for one layout and too much for another: 20 tiles in a grid, but not 20 columns.
        data = {name: value for name, value in data.items() if name not in lost}
        layout, problems = examine_part("layout", data, pipeline)
    if problems:
        raise refuse(f"layout {kind}", problems)
    return pipeline.model_copy(update={"layout": layout})


def _examine(data: Mapping[str, Any]) -> tuple[Pipeline | None, tuple[Finding, ...]]:
    try:
        pipeline = Pipeline.model_validate(data)
    except ValidationError as error:
        details = _own(error.errors(include_url=False))
        found = [Finding(problem(detail)) for detail in details]
        return None, (*found, *_beyond(data, details))
    return pipeline, rules.check(pipeline)


def _own(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Errors without those that only follow from others: a list is "too short" once its faulty items are taken out."""
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(other is not detail and other["loc"][: len(detail["loc"])] == detail["loc"] for other in details)
    ]


def _beyond(data: Mapping[str, Any], details: Sequence[ErrorDetails]) -> list[Finding]:
    """What the rules say about the fields that could be read, unread ones left at their defaults."""
    mended = copy.deepcopy(dict(data))
    broken: set[str] = set()
    for _ in range(_ROUNDS):
        broken |= {path_text(spot(detail["loc"]).path) for detail in details}
        for detail in sorted(details, key=lambda d: len(d["loc"]), reverse=True):
            _mend(mended, detail)
        try:
            pipeline = Pipeline.model_validate(mended)
        except ValidationError as error:
            details = _own(error.errors(include_url=False))
            continue
        return [
            finding
            for finding in rules.check(pipeline)
            if not any(_touches(path, lost) for path in (finding.problem.path, *finding.reads) for lost in broken)
        ]
    return []


def _touches(path: str, lost: str) -> bool:
    return path == lost or path.startswith((f"{lost}.", f"{lost}["))


_SINK = {"kind": "mp4", "to": "unnamed.mp4"}
_BOX = {"x": 0, "y": 0, "width": 1, "height": 1}
_ITEMS: Mapping[str, Any] = {
    "sinks": _SINK,
    "boxes": _BOX,
    "overlays": {"kind": "watermark", "text": "unnamed"},
    "sources": "camera",
}
"""What stands for an item of a list that cannot be read; else a word."""

_STAND_INS: Mapping[str, Any] = {
    **_BOX,
    "name": "unnamed",
    "kind": "mp4",
    "to": "unnamed.mp4",
    "text": "unnamed",
    "title": "unnamed",
    "image": "unnamed.png",
    "boxes": [_BOX],
    "sinks": [_SINK],
}
"""What stands for a required field that cannot be read."""


def _mend(data: Any, detail: ErrorDetails) -> None:
    """Take an unreadable field out, or put a stand-in where one is required."""
    place = spot(detail["loc"])
    *parents, last = place.path or ("",)
    for step in parents:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(data, list) and isinstance(last, int) and last < len(data):
        data[last] = copy.deepcopy(_ITEMS.get(str(parents[-1]), "unnamed"))
    elif not isinstance(data, dict):
        return
    elif detail["loc"][-1] == KEY:
        data.pop(detail["loc"][-2], None)
    elif _is_required(detail):
        data[last] = copy.deepcopy(_STAND_INS.get(str(last), "unnamed"))
    else:
        data.pop(last, None)


def _is_required(detail: ErrorDetails) -> bool:
    parent = spot(detail["loc"][:-1]).model
    field = parent.model_fields.get(str(detail["loc"][-1])) if parent else None
    return field is not None and field.is_required()


def _swallowed(data: Mapping[str, Any]) -> list[Problem]:
    """Colours written without quotes: YAML takes what follows the # for a comment, and the field for empty."""
    places: list[tuple[tuple[str, ...], Any, tuple[str, ...]]]
    places = [(("theme",), data.get("theme"), tuple(Palette.__dataclass_fields__))]
    places += [(("roles", str(name)), role, ("accent",)) for name, role in _items(data.get("roles"))]
    return [
        Problem(path_text((*path, name)), f"is empty, for YAML takes an unquoted # for a comment; it {COLOUR}")
        for path, part, names in places
        for name, value in _items(part)
        if name in names and value is None
    ]


def _items(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else []
