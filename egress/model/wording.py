"""What pydantic finds wrong with a pipeline document, in words a newcomer can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from egress.model import registry
from egress.model.look import Colour
from egress.model.pipeline import Pipeline
from egress.model.problems import Problem, did_you_mean, one_of, path_text, shown
from egress.model.shape import Spot, models, spot

ROOM = "a pipeline says how, not where: give the room when the job starts (egress record ROOM) and remove this"
COLOUR = "must be a colour like '#101418', in quotes"
_FORMS = {
    "^[a-z0-9][a-z0-9-]{0,62}$": "must be lower-case letters, digits and dashes, at most 63, like live-hls",
    "^[a-z0-9][a-z0-9-]{0,31}$": "must be lower-case letters, digits and dashes, at most 32, like logo",
    "^#[0-9a-fA-F]{6}$": COLOUR,
}
_REQUIRED = {
    "sinks": "at least one output, like - {kind: mp4, to: 'recordings/{room}.mp4'}",
    "to": "where this sink writes, like recordings/{room}.mp4",
    "name": "what this pipeline is called, like live-hls",
    "text": "what it says",
    "title": "what it says",
    "image": "a PNG, JPEG or WebP file, like logo.png",
    "boxes": "at least one box, like - {x: 0, y: 0, width: 1, height: 1}",
    "x": "the left edge as a part of the canvas, like 0.5",
    "y": "the top edge as a part of the canvas, like 0.5",
    "width": "a part of the canvas, like 0.5",
    "height": "a part of the canvas, like 0.5",
}


def problem(detail: ErrorDetails, root: type[BaseModel] = Pipeline) -> Problem:
    """One error of pydantic about a document, a Pipeline unless `root` says, as a problem of it."""
    place = spot(detail["loc"], root)
    kind = detail["type"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return Problem(path_text((*place.path, "kind")), _kind(place, detail["input"]))
    if kind == "extra_forbidden":
        return Problem(path_text(place.path), _unknown_key(place, spot(detail["loc"][:-1], root), root))
    if kind == "missing":
        return Problem(path_text(place.path), _missing(place, spot(detail["loc"][:-1], root)))
    return Problem(path_text(place.path), _message(kind, detail.get("input"), place, detail))


def _message(kind: str, value: Any, place: Spot, detail: ErrorDetails) -> str:
    context: Mapping[str, Any] = detail.get("ctx", {})
    match kind:
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{shown(value)} must be a mapping{_keys(value, place)}"
        case "literal_error":
            hint = did_you_mean(value, place.words) if isinstance(value, str) else ""
            return f"{shown(value)} must be {str(context.get('expected', '')).replace(chr(39), '')}{hint}"
        case "greater_than_equal":
            return f"{shown(value)} is too small; use {context['ge']:g} or more"
        case "greater_than":
            return f"{shown(value)} is too small; use more than {context['gt']:g}"
        case "less_than_equal":
            return f"{shown(value)} is too big; use {context['le']:g} or less"
        case "less_than":
            return f"{shown(value)} is too big; use less than {context['lt']:g}"
        case "int_type" | "int_parsing" | "int_from_float":
            return f"{shown(value)} must be a whole number"
        case "float_type" | "float_parsing" | "finite_number":
            return f"{shown(value)} must be a number like 0.25"
        case "bool_type" | "bool_parsing":
            return f"{shown(value)} must be true or false"
        case "string_pattern_mismatch" if context.get("pattern") in _FORMS:
            return f"{shown(value)} {_FORMS[context['pattern']]}"
        case "string_type":
            return f"{shown(value)} {COLOUR if _is_colour(place.type) else 'must be text; put it in quotes'}"
        case "tuple_type" | "list_type":
            return f"{shown(value)} must be a list: [one, another]"
        case "string_too_short":
            return "is empty; fill it in"
        case "too_short":
            return "is empty; give at least one"
        case "string_too_long":
            return f"is too long; at most {context['max_length']} characters"
        case "too_long":
            return f"has too many; at most {context['max_length']}"
    text = detail["msg"].removeprefix("Value error, ")
    return text if len(text) <= 300 else f"{shown(value)} is not what belongs here"


def _keys(value: Any, place: Spot) -> str:
    known = place.kinds or models(place.type)
    if isinstance(value, str) and value in known:
        return f"; write {{kind: {value}}}"
    if place.model is None:
        return ": one `name: value` a line"
    return f" with keys {one_of(place.model.model_fields)}"


def _is_colour(annotation: Any) -> bool:
    return annotation == Colour or Colour in get_args(annotation)


def _kind(place: Spot, value: Any) -> str:
    """About a mapping of a kind there is not, or of none."""
    known = models(place.type)
    if not isinstance(value, dict) or value.get("kind") is None:
        return f"is required: one of {one_of(known)}"
    kind = value["kind"]
    hint = did_you_mean(kind, known) if isinstance(kind, str) else ""
    return f"unknown kind {shown(kind)}{hint}; known: {one_of(known)}"


def _missing(place: Spot, parent: Spot) -> str:
    last = str(place.path[-1])
    if last == "kind":
        return f"is required: one of {one_of(registry.names('sinks'))}"
    if last in _REQUIRED:
        return f"is required: {_REQUIRED[last]}"
    field = parent.model.model_fields.get(last) if parent.model else None
    about = (field.description or "") if field else ""
    return f"is required: {about[:1].lower()}{about[1:].rstrip('.')}" if about else "is required"


def _unknown_key(place: Spot, parent: Spot, root: type[BaseModel]) -> str:
    key = str(place.path[-1])
    if root is Pipeline and len(place.path) == 1 and key in ("room", "url", "room_url", "address"):
        return ROOM
    known = tuple(parent.model.model_fields) if parent.model else ()
    if having := [kind for kind, model in parent.kinds.items() if key in model.model_fields]:
        return f"kind {parent.kind} has no {key}, these have: {one_of(having)}; known here: {one_of(known)}"
    hint = did_you_mean(key, known)
    if (
        root is Pipeline
        and not hint
        and (elsewhere := [f"{part}.{key}" for part, model in _parts() if key in model.model_fields])
    ):
        return f"unknown key; write it as {' or '.join(elsewhere)}; known here: {one_of(known)}"
    return f"unknown key{hint}; known: {one_of(known)}"


def _parts() -> list[tuple[str, type[BaseModel]]]:
    """The parts of a document there is one of each."""
    parts = [(name, Spot((), item.annotation).model) for name, item in Pipeline.model_fields.items()]
    return [(name, model) for name, model in parts if model is not None and name not in ("roles", "sinks")]
