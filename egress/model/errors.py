"""Errors with blame: who has to do something about it decides exit code, HTTP status and log level, once."""

from __future__ import annotations

from enum import StrEnum


class Blame(StrEnum):
    """Whose fault a failure is."""

    REQUEST = "request"
    ROOM = "room"
    DESTINATION = "destination"
    US = "us"


class EgressError(Exception):
    """Base of every error Egress raises on purpose; `message` says what is wrong and how to mend it."""

    blame = Blame.US

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestError(EgressError):
    """The request or pipeline is wrong: `problems` lists (path of the field, what is wrong and the fix)."""

    blame = Blame.REQUEST

    def __init__(self, message: str, problems: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class NotFound(RequestError):
    """There is no such thing."""


class Conflict(RequestError):
    """It cannot be done as things stand: something else has the place, or moved on meanwhile."""


class Unauthorized(RequestError):
    """Nobody knows who asks: no key or token came with the request, or none that is valid."""


class Forbidden(RequestError):
    """Who asks is known, and may not do this."""


class TooMany(RequestError):
    """It was asked too often; `after` is how many seconds to wait."""

    def __init__(self, message: str, after: float) -> None:
        super().__init__(message)
        self.after = after


class NoCapacity(EgressError):
    """This server cannot carry another job without harming those it has."""


class Draining(NoCapacity):
    """This server is about to end, and takes no jobs."""


class RoomError(EgressError):
    """The room or its server failed."""

    blame = Blame.ROOM


class RoomRefused(RoomError):
    """The room server answered and said no; trying again does not help."""


class RoomUnreachable(RoomError):
    """The room server did not answer; trying again may help."""


class DestinationError(EgressError):
    """A destination (file, store, RTMP server) failed."""

    blame = Blame.DESTINATION


class Fault(EgressError):
    """A failure of Egress itself."""


class EndOfTrack(Exception):
    """Raised by MediaSource.recv when the track has ended for good."""
