"""A template: which rooms are recorded without anybody asking, by whom it begins, made into what, and when it ends."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AfterValidator, BeforeValidator, Field

from egress.model import forms, registry
from egress.model.look import Document
from egress.model.media import SECOND
from egress.model.problems import Problem, did_you_mean, one_of, refuse, shown
from egress.model.request import Destination, Overrides
from egress.model.streams import shown_stream
from egress.model.units import Duration

ROOM = "{room}"
_START = "room, never, or role: and a name, like role:host"


def _start(text: str) -> str:
    role = text.removeprefix("role:") if text.startswith("role:") else None
    if text not in ("room", "never") and (role is None or role != role.strip() or not role):
        raise ValueError(f"{text[:60]!r} must be {_START}")
    return text


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Start = Annotated[str, Field(max_length=100), AfterValidator(_start)]
_Patterns = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=300)], ...],
    BeforeValidator(_one_or_more),
    Field(min_length=1, max_length=32),
]


class EndRule(Document):
    """When a job of the template ends by itself, where that differs from its pipeline."""

    empty_for: Duration | None = Field(None, description="When nobody has been there for this long; 0s never.")
    max: Duration | None = Field(None, description="After this long in any case.")


class TemplateDoc(Document):
    """What to do about rooms of a kind; each pipeline is one job."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="What it is called, like team-meetings.")
    about: str = Field("", max_length=500, description="What it is for, in a sentence.")
    rooms: _Patterns = Field(
        ("*",), description="Names or addresses of rooms it is for: patterns with * and ?, like team-*."
    )
    server: str = Field(
        "local:{room}",
        max_length=2000,
        description="How a room's address is made of its name, like janus+wss://janus.example.org/janus/{room}.",
    )
    roles: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] | None = Field(
        None, max_length=32, description="Only peers in these roles are shown and heard; default the pipeline's."
    )
    pipelines: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
        BeforeValidator(_one_or_more),
        Field(min_length=1, max_length=8),
    ] = Field(description="Names of pipelines, like record-grid; each makes a job of its own.")
    destinations: tuple[
        Annotated[Destination, BeforeValidator(lambda value: {"to": value} if isinstance(value, str) else value)], ...
    ] = Field((), max_length=16, description="External streams beside those of the first pipeline.")
    overrides: Overrides = Field(Overrides(), description="What of the pipelines is otherwise in these jobs.")
    room_options: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=500)]] = Field(
        {}, max_length=16, description="Secrets of the rooms, like pin or token; never shown again."
    )
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=500)]] = Field(
        {}, max_length=32, description="Your own words about its jobs, given back with them."
    )
    start: Start = Field(
        "room",
        description="room: when a room begins; role:NAME: when its first peer of that role joins; never.",
    )
    role_names: dict[
        Annotated[str, Field(min_length=1, max_length=100)],
        Annotated[
            tuple[Annotated[str, Field(min_length=1, max_length=300)], ...],
            BeforeValidator(_one_or_more),
            Field(min_length=1, max_length=32),
        ],
    ] = Field(
        {},
        max_length=32,
        description="Whose names are in which role, where the room server tells names and no roles (Janus): patterns.",
    )
    stop: EndRule = Field(EndRule(), description="When its jobs end by themselves; default the pipeline's rules.")
    one_per_room: bool = Field(True, description="true: no second job in a room while the first one lives.")
    enabled: bool = Field(True, description="false: it starts nothing by itself.")

    @property
    def role(self) -> str | None:
        """The role whose first peer starts it, if one does."""
        return self.start.removeprefix("role:") if self.start.startswith("role:") else None

    def address(self, room: str) -> str:
        """The address of the room of this name."""
        return self.server.replace(ROOM, quote(room, safe=""))

    def fits(self, room: str) -> bool:
        """Whether it is for the room of this name."""
        return any(fnmatchcase(name, pattern) for pattern in self.rooms for name in (room, self.address(room)))

    def starts_on(self, role: str | None) -> bool:
        """Whether it starts when a room begins (`role` None), or its first peer of a role joins; roles are compared in
        small letters."""
        if role is None or self.role is None:
            return self.enabled and role is None and self.start == "room"
        return self.enabled and self.role.lower() == role.strip().lower()

    def role_of(self, name: str) -> str | None:
        """The role somebody of this name is in, as far as names tell."""
        said = name.casefold()
        fitting = (
            role
            for role, patterns in self.role_names.items()
            if any(fnmatchcase(said, pattern.casefold()) for pattern in patterns)
        )
        return next(fitting, None)

    def shown(self) -> dict[str, Any]:
        """The template as it may be kept in the open and shown: no secret in it."""
        kept = self.model_dump(mode="json", exclude={"room_options"})
        kept["destinations"] = [{"to": shown_stream(d.to), "name": d.name} for d in self.destinations]
        return kept


def read_template(data: Any) -> TemplateDoc:
    """The template plain data describes; raises RequestError naming every field that is wrong."""
    doc = forms.read_form(TemplateDoc, data, "the template")
    found: list[Problem] = []
    scheme, colon, rest = doc.server.partition(":")
    known = registry.names("connectors")
    if not colon or scheme not in known:
        hint = did_you_mean(scheme, known)
        found.append(Problem("server", f"nothing serves {shown(scheme)} rooms{hint}; use one of: {one_of(known)}"))
    if rest.count(ROOM) != 1 or re.search(r"[{}]", rest.replace(ROOM, "")):
        found.append(Problem("server", "must have {room} once, where the name of the room goes, like local:{room}"))
    if len(set(doc.pipelines)) < len(doc.pipelines):
        found.append(Problem("pipelines", "names one twice; name each once"))
    if doc.stop.max == 0:
        found.append(Problem("stop.max", "0s is no length; leave it out for the pipeline's"))
    elif doc.stop.max is not None and doc.stop.max < SECOND:
        found.append(Problem("stop.max", "is too short; use 1s or more"))
    if found:
        raise refuse("the template", found)
    return doc
