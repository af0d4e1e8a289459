"""A script: who comes to a previewed room, and what they do when; read and checked like a pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails

from egress.model import control
from egress.model.control import Command
from egress.model.document import MAX_BYTES, Document, parse
from egress.model.errors import RequestError
from egress.model.look import Document as Part
from egress.model.media import Nanos
from egress.model.problems import Problem, did_you_mean, one_of, path_text, refuse, shown
from egress.model.units import Duration

MOST = 64
"""People there may be from the beginning."""

LONGEST: Nanos = 3_600_000_000_000
"""The latest moment of a script: an hour."""

STARTED = datetime(2026, 1, 31, 17, 45, tzinfo=UTC)
"""When a previewed job begins unless its script says otherwise: the same command makes the same picture."""


def _of_our_time(value: datetime) -> datetime:
    if not 1970 <= value.year <= 2199:
        raise ValueError(f"{value.year} must be a year from 1970 to 2199")
    return value


Who = Annotated[str, Field(min_length=1, max_length=100, description="Id of the peer: one word, chosen by join.")]
_Name = Annotated[str, Field(min_length=1, max_length=300)]
_Flag = Literal["leave", "mute", "unmute", "camera-off", "camera-on", "speak", "quiet", "share", "unshare"]


class _Step(Part):
    at: Duration = Field(description="When, since the beginning: 0s, 1500ms, 2m.")


class Join(_Step):
    """Somebody comes in and publishes."""

    do: Literal["join"] = Field(description="This kind of step.")
    who: Who
    name: _Name | None = Field(None, description="Default: the id.")
    role: str = Field("guest", min_length=1, max_length=64, description="Role in the room.")
    camera: bool = Field(True, description="false: comes without a picture.")
    muted: bool = Field(False, description="true: comes with the microphone off.")
    avatar: str | None = Field(None, min_length=1, description="A picture file, beside the script.")


class Rename(_Step):
    """Somebody has another name or role from now on."""

    do: Literal["rename"] = Field(description="This kind of step.")
    who: Who
    name: _Name | None = Field(None, description="The new name.")
    role: str | None = Field(None, min_length=1, max_length=64, description="The new role.")


class Act(_Step):
    """Somebody leaves, mutes, turns the camera off, speaks, shares a screen, or the opposite of it."""

    do: _Flag = Field(description="What happens.")
    who: Who


class Link(_Step):
    """The room cannot be reached (`lost`), or is reached again (`restored`)."""

    do: Literal["lost", "restored"] = Field(description="What happens.")


class Direct(_Step):
    """An operator says something, as to a running job."""

    do: Literal["command"] = Field(description="This kind of step.")
    command: Annotated[
        dict[str, Any], BeforeValidator(lambda value: {"command": value} if isinstance(value, str) else value)
    ] = Field(description="A command of live control; `pause` is short for {command: pause}.")


STEPS: dict[str, type[_Step]] = {
    "join": Join,
    "rename": Rename,
    "command": Direct,
    "lost": Link,
    "restored": Link,
    **dict.fromkeys(("leave", "mute", "unmute", "camera-off", "camera-on", "speak", "quiet", "share", "unshare"), Act),
}
"""The document of each kind of step, by its `do`."""


class _Head(Part):
    room: str = Field("preview", min_length=1, max_length=200, description="What the room is called.")
    started: Annotated[datetime, AfterValidator(_of_our_time)] = Field(
        STARTED, description="When the job began, for clocks and placeholders."
    )
    participants: int = Field(0, ge=0, le=MOST, description="Made-up people who are there from the beginning.")


@dataclass(frozen=True, slots=True)
class Moment:
    """One checked step of a script: its `path` and `line` in the text, and what to do; a command comes parsed."""

    path: str
    line: int
    at: Nanos
    step: Join | Rename | Act | Link | Command


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script; `moments` are in order of time. `name` is what messages call it, `folder` where avatars are."""

    name: str = "the preview"
    folder: Path = Path()
    room: str = "preview"
    started: datetime = STARTED
    participants: int | None = None
    moments: tuple[Moment, ...] = ()

    def refuse(self, moment: Moment, problems: Sequence[tuple[str, str]]) -> RequestError:
        """The error for a moment that cannot happen; `problems` are (field of the step, what is wrong and the fix)."""
        found = [
            Problem(f"{moment.path}.{field}" if field else moment.path, f"{message} (line {moment.line})")
            for field, message in problems
        ]
        return refuse(self.name, found)


def load(path: Path) -> Script:
    """The script in a file; raises RequestError with every problem."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        message = f"cannot read script {path}: {getattr(error, 'strerror', None) or error}"
        raise RequestError(message, (("script", message),)) from None
    return read(text, str(path), path.parent)


def read(text: str | bytes, name: str, folder: Path = Path()) -> Script:
    """The script a YAML text describes; raises RequestError with every problem, its field, line and fix."""
    document = parse(text, name)
    problems: list[Problem] = []
    data = dict(document.data)
    timeline = data.pop("timeline", [])
    head = _checked(_Head, data, (), problems, ("timeline",))
    moments: list[Moment] = []
    if not isinstance(timeline, list):
        problems.append(Problem("timeline", f"{shown(timeline)} must be a list of steps: [{{at: 0s, do: join, …}}]"))
        timeline = []
    for index, step in enumerate(timeline):
        if moment := _moment(index, step, document, problems):
            moments.append(moment)
    if problems or not isinstance(head, _Head):
        raise refuse(name, [document.with_line(problem) for problem in problems])
    moments.sort(key=lambda moment: moment.at)
    given = head.participants if "participants" in data else None
    started = head.started if head.started.tzinfo else head.started.replace(tzinfo=UTC)
    return Script(name, folder, head.room, started, given, tuple(moments))


def _moment(index: int, step: object, document: Document, problems: list[Problem]) -> Moment | None:
    path = path_text(("timeline", index))
    if not isinstance(step, dict):
        problems.append(Problem(path, f"{shown(step)} must be a step like {{at: 2s, do: leave, who: ada}}"))
        return None
    do = step.get("do")
    model = STEPS.get(do) if isinstance(do, str) else None
    if model is None:
        guess = did_you_mean(do, STEPS) if isinstance(do, str) else ""
        what = f"unknown step {shown(do)}{guess}; known: {one_of(STEPS)}" if "do" in step else _NEEDED["do"]
        problems.append(Problem(f"{path}.do", what))
        _checked(_Step, {"at": step["at"]} if "at" in step else {}, ("timeline", index), problems)
        return None
    made = _checked(model, step, ("timeline", index), problems)
    if made is None:
        return None
    if made.at > LONGEST:
        problems.append(Problem(f"{path}.at", f"{shown(step['at'])} is too late; a script ends within an hour"))
    line = document.lines.get(path, 1)
    if not isinstance(made, Direct):
        assert isinstance(made, Join | Rename | Act | Link)
        return Moment(path, line, made.at, made)
    try:
        return Moment(path, line, made.at, control.read(made.command))
    except RequestError as error:
        where = f"{path}.command"
        problems.extend(Problem(f"{where}.{field}" if field else where, message) for field, message in error.problems)
        return None


def _checked(
    model: type[Part],
    data: Mapping[str, Any],
    location: tuple[str | int, ...],
    problems: list[Problem],
    also: tuple[str, ...] = (),
) -> Any:
    """What plain data is, or None; its problems are added to those found. `also` are keys read elsewhere."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        known = (*model.model_fields, *also)
        for detail in error.errors(include_url=False):
            path = path_text((*location, *detail["loc"]))
            problems.append(Problem(path, _message(detail, known)))
        return None


_NEEDED = {
    "at": "is required: when it happens, like 2s",
    "do": f"is required: what happens, one of {one_of(STEPS)}",
    "who": "is required: the id of a peer, like ada",
    "command": "is required: a command of live control, like {command: pause}",
}


def _message(detail: ErrorDetails, known: Sequence[str]) -> str:
    kind, value, key = detail["type"], detail.get("input"), str(detail["loc"][-1]) if detail["loc"] else ""
    context = detail.get("ctx", {})
    match kind:
        case "missing":
            return _NEEDED.get(key, "is required")
        case "extra_forbidden":
            return f"unknown key{did_you_mean(key, known)}; known: {one_of(known)}"
        case "bool_type" | "bool_parsing":
            return f"{shown(value)} must be true or false"
        case "string_type":
            return f"{shown(value)} must be text; put it in quotes"
        case "string_too_short":
            return "is empty; give at least one character"
        case "string_too_long":
            return f"is too long; at most {context['max_length']} characters"
        case "greater_than_equal" | "less_than_equal" | "int_type" | "int_parsing" | "int_from_float":
            return f"{shown(value)} must be a whole number from 0 to {MOST}"
        case "dict_type":
            return f"{shown(value)} must be a command of live control, like {{command: pause}}"
    if kind.startswith(("datetime", "date")):
        return f"{shown(value)} must be a time like 2026-01-31T17:45:00Z"
    return detail["msg"].removeprefix("Value error, ")
