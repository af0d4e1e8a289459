"""A request for a job, as an API call, a schedule or a template says it: which room, made into what, sent where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from egress.model import forms
from egress.model.look import Document
from egress.model.places import room_name
from egress.model.secrets import redact_url
from egress.model.streams import shown_stream
from egress.model.units import Duration

Scope = Literal["read", "start", "stop", "admin"]
"""What a caller may do; `admin` includes the others."""

_Text = Annotated[str, Field(max_length=500)]


class Destination(Document):
    """One external stream to send to as well."""

    to: str = Field(min_length=1, max_length=2000, description="An rtmp(s):// or srt:// address, or youtube://KEY.")
    name: str = Field("", max_length=64, description="What to call it; default the address without its key.")


class Overrides(Document):
    """What of the pipeline is otherwise in this one job."""

    layout: Any = Field(None, description="As in a pipeline, or the name of a layout.")
    theme: Any = Field(None, description="As in a pipeline.")
    tiles: Any = Field(None, description="As in a pipeline.")
    overlays: Any = Field(None, description="As in a pipeline.")
    title: str | None = Field(None, max_length=200, description="The text of the title overlay.")
    stop: Any = Field(None, description="As in a pipeline: empty_for, lost_for, max.")
    seconds: float | None = Field(None, gt=0, description="End after this much of the programme.")
    to: dict[str, str] | None = Field(
        None, max_length=32, description="Other targets, by the kind of a sink or its number from 0."
    )


class JobRequest(Document):
    """A job somebody wants; `room_options` are secrets and are never shown again."""

    room: str = Field(min_length=1, max_length=2000, description="The address of a room, like local:standup.")
    pipeline: str | dict[str, Any] | None = Field(
        None, description="The name of a pipeline, or a whole document; default the template's."
    )
    template: str | None = Field(None, max_length=63, description="The name of a template that says the rest.")
    destinations: tuple[
        Annotated[Destination, BeforeValidator(lambda value: {"to": value} if isinstance(value, str) else value)], ...
    ] = Field((), max_length=16, description="External streams beside the pipeline's own.")
    overrides: Overrides = Field(Overrides(), description="What of the pipeline is otherwise in this job.")
    room_options: dict[Annotated[str, Field(max_length=64)], _Text] = Field(
        {}, max_length=16, description="Secrets of the room, like pin or token."
    )
    metadata: dict[Annotated[str, Field(max_length=64)], _Text] = Field(
        {}, max_length=32, description="The caller's own words about the job, given back with it."
    )
    duration: Duration | None = Field(None, description="End after this long; default the pipeline's rules.")

    def shown(self) -> dict[str, Any]:
        """The request as it may be kept in the open and shown: no secret in it."""
        kept = self.model_dump(mode="json", exclude={"room_options"}, exclude_defaults=True)
        if self.destinations:
            kept["destinations"] = [{"to": shown_stream(d.to), "name": d.name} for d in self.destinations]
        if isinstance(self.pipeline, dict):
            kept["pipeline"] = _public(self.pipeline)
        return kept | {"room": self.room}


def read_request(data: Any) -> JobRequest:
    """The request plain data describes; raises RequestError naming every field that is wrong."""
    return forms.read_form(JobRequest, data, "the job")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what it may do; `rooms` are patterns (* and ?) over addresses and names of rooms, () is all."""

    name: str
    scopes: frozenset[str] = field(default_factory=frozenset)
    rooms: tuple[str, ...] = ()

    def may(self, scope: Scope) -> bool:
        """Whether it may do what needs this scope, in rooms that are its own."""
        return scope in self.scopes or "admin" in self.scopes

    def may_enter(self, room: str) -> bool:
        """Whether a room, given by its address, is one of its own."""
        names = (room, room_name(room))
        return not self.rooms or any(fnmatchcase(name, pattern) for pattern in self.rooms for name in names)


def _public(pipeline: Mapping[str, Any]) -> dict[str, Any]:
    """An inline pipeline with the addresses of its streams redacted."""
    sinks = pipeline.get("sinks")
    if not isinstance(sinks, list):
        return dict(pipeline)
    return {**pipeline, "sinks": [_public_sink(sink) for sink in sinks]}


def _public_sink(sink: Any) -> Any:
    if not isinstance(sink, dict) or not isinstance(to := sink.get("to"), str):
        return sink
    return {**sink, "to": shown_stream(to) if sink.get("kind") in ("rtmp", "srt") else redact_url(to)}
