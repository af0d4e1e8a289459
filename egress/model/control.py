"""What may be said to a running job: commands, one JSON line each, and the event that answers every one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails

from egress.model import wording
from egress.model.errors import RequestError
from egress.model.look import AnyLayout, AnyOverlay, AnyTheme, Document, TilesDoc
from egress.model.media import SECOND
from egress.model.problems import Problem, did_you_mean, one_of, path_text, refuse, shown
from egress.model.units import Duration

LONGEST = 64 << 10
"""Bytes one command may have."""

_Peers = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1, max_length=49, description="Ids or names of peers."),
]
_PARTS = ("layout", "theme", "tiles", "overlays")
"""Fields that are the pipeline's of the same name: what is wrong with them is told in the same words."""
_Layout = Annotated[AnyLayout, BeforeValidator(lambda value: {"kind": value} if isinstance(value, str) else value)]


def _own_name(value: Any) -> str | int | None:
    if value is None or (_is_text(value) and len(value) <= 64):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
        return value
    raise ValueError("must be a whole number, or text of at most 64 characters")


def _is_text(value: Any) -> TypeGuard[str]:
    """Whether it is text that can be written: JSON may also hold halves of characters (RFC 8259 8.2)."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


class Command(Document):
    """What every command says; `id` is the sender's own name for it, and comes back with the answer."""

    command: str = Field(description="What to do.")
    id: Annotated[Any, BeforeValidator(_own_name)] = Field(None, description="Echoed in the answer.")


class Stop(Command):
    """End the job."""

    command: Literal["stop"] = "stop"
    reason: str = Field("asked to stop", min_length=1, max_length=200, description="Why, for the manifest.")


class SetLayout(Command):
    """Arrange peers by another layout: a document as in a pipeline, or only its kind."""

    command: Literal["layout"] = "layout"
    layout: _Layout = Field(description="As in a pipeline, or the name of a layout.")


class SetTheme(Command):
    """Take other colours."""

    command: Literal["theme"] = "theme"
    theme: AnyTheme = Field(description="As in a pipeline: dark, light, or colours of your own.")


class SetTiles(Command):
    """Have tiles look otherwise."""

    command: Literal["tiles"] = "tiles"
    tiles: TilesDoc = Field(description="As in a pipeline.")


class SetOverlays(Command):
    """Replace all overlays."""

    command: Literal["overlays"] = "overlays"
    overlays: tuple[AnyOverlay, ...] = Field(max_length=16, description="As in a pipeline; [] for none.")


class SetOverlay(Command):
    """Add one overlay, or replace the one of the same id."""

    command: Literal["overlay"] = "overlay"
    overlay: AnyOverlay = Field(description="As in a pipeline, with an id.")


class RemoveOverlay(Command):
    """Take one overlay away."""

    command: Literal["remove-overlay"] = "remove-overlay"
    overlay: str = Field(description="Its id.")


class SetTitle(Command):
    """Say the title: the text of the title overlay, which is added when there is none; empty takes it away."""

    command: Literal["title"] = "title"
    text: str = Field(max_length=200, description="The title.")


class Pin(Command):
    """Have these peers large, in this order, and nobody else pinned."""

    command: Literal["pin"] = "pin"
    peers: _Peers


class Unpin(Command):
    """Have nobody pinned."""

    command: Literal["unpin"] = "unpin"


class Hide(Command):
    """Do not show these peers; their sound goes on."""

    command: Literal["hide"] = "hide"
    peers: _Peers


class Show(Command):
    """Show these peers again."""

    command: Literal["show"] = "show"
    peers: _Peers


class Pause(Command):
    """Leave out of the recording what follows; who watches live sees a card."""

    command: Literal["pause"] = "pause"


class Resume(Command):
    """End a pause."""

    command: Literal["resume"] = "resume"


class MarkNow(Command):
    """Set a chapter, and a date range of the live stream, here."""

    command: Literal["mark"] = "mark"
    text: str = Field(min_length=1, max_length=120, description="What happens.")


class AddDestination(Command):
    """Stream to one more address from now on."""

    command: Literal["add-destination"] = "add-destination"
    to: str = Field(min_length=1, max_length=2000, description="rtmp(s):// or srt:// address, or youtube://KEY.")
    name: str = Field("", max_length=64, description="What to call it; default the address without its key.")


class RemoveDestination(Command):
    """Stop streaming to an address; what else is made goes on."""

    command: Literal["remove-destination"] = "remove-destination"
    destination: str = Field(min_length=1, max_length=2000, description="Its name, as its events say.")


class TimedMetadata(Command):
    """Hand a text to who watches, with the picture that is seen now."""

    command: Literal["metadata"] = "metadata"
    payload: str = Field(min_length=1, max_length=4000, description="For the players' page: often JSON.")
    duration: Duration = Field(0, description="How long it holds; 0s for an instant.")


class Caption(Command):
    """Write words below the picture of who has captions on."""

    command: Literal["caption"] = "caption"
    text: str = Field(min_length=1, max_length=1000, description="The words.")
    duration: Duration = Field(3 * SECOND, description="How long they stay.")
    language: str = Field("", max_length=35, description="One of the sink's captions; default the first.")


COMMANDS: dict[str, type[Command]] = {
    str(made.model_fields["command"].default): made
    for made in (
        Stop, SetLayout, SetTheme, SetTiles, SetOverlays, SetOverlay, RemoveOverlay, SetTitle, Pin, Unpin, Hide, Show,
        Pause, Resume, MarkNow, AddDestination, RemoveDestination, TimedMetadata, Caption,
    )
}  # fmt: skip
"""Every command by its name."""


def parse(line: str | bytes) -> Command:
    """The command in a line of JSON; raises RequestError naming every field that is wrong, and the fix."""
    size = len(line.encode() if isinstance(line, str) else line)
    if size > LONGEST:
        raise _refuse("", f"{size} bytes are too many for a command; at most {LONGEST}")
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise _refuse("", 'is not JSON; write one object a line, like {"command": "pause"}') from None
    if not isinstance(document, dict):
        raise _refuse("", f'{shown(document)} is not an object; write one, like {{"command": "pause"}}')
    return read(document)


def read(document: Mapping[str, Any]) -> Command:
    """The command that plain data is; raises RequestError as `parse` does."""
    name = document.get("command")
    if name is None:
        raise _refuse("command", f"is required: one of {one_of(COMMANDS)}")
    made = COMMANDS.get(name) if isinstance(name, str) else None
    if made is None:
        guess = did_you_mean(name, COMMANDS) if isinstance(name, str) else ""
        raise _refuse("command", f"unknown command {shown(name)}{guess}; known: {one_of(COMMANDS)}")
    try:
        return made.model_validate(document)
    except ValidationError as error:
        raise refuse(name, [_problem(made, detail) for detail in error.errors(include_url=False)]) from None


def echo(line: str | bytes) -> tuple[str | int | None, str | None]:
    """(id, name) of a command that was refused, as far as they can be told: for its answer."""
    if len(line) > LONGEST:
        return None, None
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(document, dict):
        return None, None
    said, name = document.get("id"), document.get("command")
    try:
        said = _own_name(said)
    except ValueError:
        said = None
    return said, name[:64] if _is_text(name) else None


def answer(
    command: tuple[str | int | None, str | None] | Command,
    *,
    error: RequestError | None = None,
    message: str = "",
    **details: Any,
) -> dict[str, Any]:
    """The event that answers a command: `ok`, and when not, `problems` of (field, what is wrong and the fix)."""
    said, name = (command.id, command.command) if isinstance(command, Command) else command
    if error is not None:
        message = error.message
        details = {"problems": [{"field": field, "message": text} for field, text in error.problems], **details}
    return {"type": "control", "id": said, "command": name, "ok": error is None, "message": message, "details": details}


def _refuse(field: str, message: str) -> RequestError:
    return RequestError(f"{field}: {message}" if field else f"a command {message}", ((field, message),))


def _problem(made: type[Command], detail: ErrorDetails) -> Problem:
    first, *rest = detail["loc"]
    top = detail["type"] == "missing" and not rest
    if first in _PARTS and not top:
        return wording.problem(detail)
    if first == "overlay" and made is SetOverlay and not top:
        found = wording.problem({**detail, "loc": ("overlays", 0, *rest)})
        return Problem(found.path.replace("overlays[0]", "overlay", 1), found.message)
    path, value = path_text(detail["loc"]), detail.get("input")
    if top:
        about = made.model_fields[path].description
        return Problem(path, f"is required: {about}" if about else "is required")
    if detail["type"] == "extra_forbidden":
        known = tuple(made.model_fields)
        return Problem(path, f"unknown key{did_you_mean(path, known)}; known: {one_of(known)}")
    text = detail["msg"].removeprefix("Value error, ")
    _, should, rule = text.partition(" should ")
    return Problem(path, f"{shown(value)} should {rule}" if should else text)
