"""What the conversation with a Janus VideoRoom gives: messages to send, and news of the room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from egress.rooms.janus_messages import Feed, Line, Participant, Stream

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Send:
    """A message for the server."""

    message: Message


@dataclass(frozen=True, slots=True)
class Entered:
    """The room is there and lets us in."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Who is in the room now."""

    participants: tuple[Participant, ...]


@dataclass(frozen=True, slots=True)
class Scouted:
    """What the feeds asked about publish now."""

    feeds: tuple[Feed, ...]
    streams: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer to be answered with `answered`; `lines` are all sections in use from then on."""

    sdp: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another candidate of the server."""

    text: str


@dataclass(frozen=True, slots=True)
class Switched:
    """The server sends this substream on our section `mid` now."""

    mid: str
    substream: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The server says no; `code` is Janus's."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """This conversation cannot go on; another one may."""

    reason: str


@dataclass(frozen=True, slots=True)
class Destroyed:
    """The room is over."""

    reason: str


Output = Send | Entered | Listed | Scouted | Offered | Candidate | Switched | Refused | Lost | Destroyed
