"""From a pipeline's text to a Pipeline, or to ALL that is wrong with it in words a newcomer can act on."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from egress.model import registry, rules
from egress.model.document import Document, parse
from egress.model.pipeline import HlsDoc, Mp4Doc, OtherSinkDoc, Pipeline, RtmpDoc
from egress.model.problems import Problem, did_you_mean, one_of, path_text, refuse, shown

_SINKS: Mapping[str, type[BaseModel]] = {"mp4": Mp4Doc, "hls": HlsDoc, "rtmp": RtmpDoc, "other": OtherSinkDoc}
_ROOM = "a pipeline says how, not where: give the room when the job starts (egress record ROOM) and remove this"
_FORMS = {
    "name": "must be lower-case letters, digits and dashes, at most 63, like live-hls",
    "layout.background": "must be a colour like #101418",
}


def read(text: str | bytes, name: str) -> Pipeline:
    """The pipeline a YAML text describes; raises RequestError with every problem. `name` is for its messages."""
    document = parse(text, name)
    pipeline, problems = examine(document.data)
    if pipeline is None or problems:
        raise refuse(name, [_with_line(problem, document) for problem in problems])
    return pipeline


def examine(data: Mapping[str, Any]) -> tuple[Pipeline | None, tuple[Problem, ...]]:
    """The pipeline that plain data describes (None when it describes none), and all problems with it."""
    try:
        pipeline = Pipeline.model_validate(data)
    except ValidationError as error:
        details = _own(error.errors(include_url=False))
        found = [_problem(detail, data) for detail in details]
        broken = {path_text(_location(detail)) for detail in details}
        found.extend(_beyond(data, details, broken))
        return None, tuple(dict.fromkeys(found))
    return pipeline, tuple(finding.problem for finding in rules.check(pipeline))


def _own(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Errors without those that only follow from others: a list is "too short" once its faulty items are taken out."""
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(other is not detail and other["loc"][: len(detail["loc"])] == detail["loc"] for other in details)
    ]


def _beyond(data: Mapping[str, Any], details: Sequence[ErrorDetails], broken: set[str]) -> list[Problem]:
    """What the rules say about the fields that could be read, unread ones left at their defaults."""
    mended = copy.deepcopy(dict(data))
    for detail in sorted(details, key=lambda d: len(d["loc"]), reverse=True):
        _mend(mended, _location(detail), detail["type"])
    try:
        pipeline = Pipeline.model_validate(mended)
    except ValidationError:
        return []
    return [
        finding.problem
        for finding in rules.check(pipeline)
        if not any(_touches(path, lost) for path in (finding.problem.path, *finding.reads) for lost in broken)
    ]


def _touches(path: str, lost: str) -> bool:
    return path == lost or path.startswith((f"{lost}.", f"{lost}["))


_STAND_INS = {"name": "unnamed", "kind": "mp4", "to": "unnamed.mp4"}


def _mend(data: Any, location: Sequence[str | int], kind: str) -> None:
    """Take an unreadable field out, or put a stand-in where one is required."""
    *parents, last = location or ("",)
    for step in parents:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(data, list) and isinstance(last, int) and last < len(data):
        data[last] = {"kind": "mp4", "to": f"unnamed-{last}.mp4"} if "sinks" in parents else "unnamed"
    elif isinstance(data, dict):
        if last == "sinks":
            data[last] = [{"kind": "mp4", "to": "unnamed.mp4"}]
        elif last in _STAND_INS and kind != "extra_forbidden":
            data[last] = _STAND_INS[str(last)]
        else:
            data.pop(last, None)


def _location(detail: ErrorDetails) -> tuple[str | int, ...]:
    """Where the error is in the document: pydantic's location without the tag of the sink's kind."""
    location = detail["loc"]
    if len(location) > 2 and location[0] == "sinks" and location[2] in _SINKS:
        return (*location[:2], *location[3:])
    return location


def _problem(detail: ErrorDetails, data: Mapping[str, Any]) -> Problem:
    location = _location(detail)
    path = path_text(location)
    kind, value, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    if kind == "extra_forbidden":
        return Problem(path, _unknown_key(detail["loc"]))
    if kind == "missing":
        return Problem(path, _missing(location))
    if path in _FORMS and kind in ("string_pattern_mismatch", "string_type"):
        return Problem(path, f"{shown(value)} {_FORMS[path]}")
    return Problem(path, _message(kind, value, context, detail))


def _message(kind: str, value: Any, context: Mapping[str, Any], detail: ErrorDetails) -> str:
    model = _model_at(detail["loc"])
    match kind:
        case "model_type" | "model_attributes_type" | "dict_type":
            keys = f" with keys {one_of(model.model_fields)}" if model else ""
            return f"{shown(value)} must be a mapping{keys}"
        case "literal_error":
            return f"{shown(value)} must be {str(context.get('expected', '')).replace(chr(39), '')}"
        case "greater_than_equal":
            return f"{shown(value)} is too small; use {context['ge']} or more"
        case "less_than_equal":
            return f"{shown(value)} is too big; use {context['le']} or less"
        case "int_type" | "int_parsing" | "int_from_float":
            return f"{shown(value)} must be a whole number"
        case "bool_type" | "bool_parsing":
            return f"{shown(value)} must be true or false"
        case "string_type":
            return f"{shown(value)} must be text; put it in quotes"
        case "tuple_type" | "list_type":
            return f"{shown(value)} must be a list: [one, another]"
        case "string_too_short" | "too_short":
            return "is empty; give at least one"
        case "string_too_long":
            return f"is too long; at most {context['max_length']} characters"
    text = detail["msg"].removeprefix("Value error, ")
    return text if len(text) <= 300 else f"{shown(value)} is not what belongs here"


def _missing(location: Sequence[str | int]) -> str:
    match location[-1]:
        case "kind":
            return f"is required: one of {one_of(registry.names('sinks'))}"
        case "to":
            return "is required: where this sink writes, like recordings/{room}.mp4"
        case "sinks":
            return "is required: at least one output, like - {kind: mp4, to: 'recordings/{room}.mp4'}"
        case "name":
            return "is required: what this pipeline is called, like live-hls"
    return "is required"


def _unknown_key(location: Sequence[str | int]) -> str:
    key = str(location[-1])
    if len(location) == 1 and key in ("room", "url", "room_url", "address"):
        return _ROOM
    model = _model_at(location[:-1])
    known = tuple(model.model_fields) if model else ()
    return f"unknown key{did_you_mean(key, known)}; known: {one_of(known)}"


def _model_at(location: Sequence[str | int]) -> type[BaseModel] | None:
    """The model that describes the mapping at pydantic's location."""
    if not location:
        return Pipeline
    if location[0] == "sinks":
        return _SINKS.get(str(location[2])) if len(location) == 3 else None
    field = Pipeline.model_fields.get(str(location[0])) if len(location) == 1 else None
    choices = (field.annotation, *get_args(field.annotation)) if field else ()
    return next((c for c in choices if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _with_line(problem: Problem, document: Document) -> Problem:
    """The problem with the line of its field, or of the mapping the field is missing from."""
    path = problem.path
    while path and path not in document.lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return Problem(problem.path, f"{problem.message} (line {document.lines.get(path, 1)})")
