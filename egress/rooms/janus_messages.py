"""What a Janus VideoRoom says, read leniently: fields may be missing or of the wrong type, lists may be endless."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from egress.model.media import Codec

Feed = int | str
"""A publisher's id: a number, or text where the server is set to string_ids."""

MOST_PARTICIPANTS = 256
MOST_STREAMS = 512
_LONGEST_TEXT = 256


@dataclass(frozen=True, slots=True)
class Participant:
    """One line of `listparticipants`; `talking` is None where the server does not say."""

    feed: Feed
    display: str
    publishes: bool
    talking: bool | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream a feed publishes; `mid` is the publisher's own. `muted`: switched off by a moderator or its sender."""

    feed: Feed
    mid: str
    kind: Literal["audio", "video"]
    codec: str
    description: str = ""
    muted: bool = False

    @property
    def supported(self) -> bool:
        """Whether we can take it."""
        return self.codec in ((Codec.OPUS,) if self.kind == "audio" else (Codec.VP8, Codec.H264))

    @property
    def screen(self) -> bool:
        """Whether its publisher says that it is a shared screen."""
        return "screen" in self.description.lower()


@dataclass(frozen=True, slots=True)
class Line:
    """One section of our subscription: our `mid`, the stream of which feed it carries, whether in several layers."""

    mid: str
    feed: Feed
    stream: str
    simulcast: bool = False


def mapping(value: object) -> Mapping[str, Any]:
    """`value` where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """`value` where it is text, cut to a sane length, else ''."""
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """`value` where it is a whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def feed_of(value: object) -> Feed | None:
    """A feed id; None for anything that is none."""
    if isinstance(value, str):
        return value if 0 < len(value) <= _LONGEST_TEXT else None
    return number(value)


def error_of(message: Mapping[str, Any]) -> tuple[int, str] | None:
    """(code, reason) of a message that reports an error, of the core or of the plugin."""
    if message.get("janus") == "error":
        error = mapping(message.get("error"))
        return number(error.get("code")) or 0, text(error.get("reason")) or "no reason given"
    data = body_of(message)
    if "error_code" in data or "error" in data:
        return number(data.get("error_code")) or 0, text(data.get("error")) or "no reason given"
    return None


def body_of(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the plugin says."""
    return mapping(mapping(message.get("plugindata")).get("data"))


def offer_of(message: Mapping[str, Any]) -> str | None:
    """The SDP offer in a message, where there is one."""
    jsep = mapping(message.get("jsep"))
    sdp = jsep.get("sdp")
    return sdp if jsep.get("type") == "offer" and isinstance(sdp, str) else None


def participants(body: Mapping[str, Any]) -> tuple[Participant, ...] | None:
    """Who is in the room, each feed once; None when the message holds no such list."""
    found: dict[Feed, Participant] = {}
    if (items := _list(body.get("participants"), MOST_PARTICIPANTS)) is None:
        return None
    for item in items:
        feed = feed_of(item.get("id"))
        if feed is not None and feed not in found:
            talking = item.get("talking")
            publishes = item.get("publisher", True) is True
            found[feed] = Participant(
                feed, text(item.get("display")), publishes, talking if isinstance(talking, bool) else None
            )
    return tuple(found.values())


def streams(body: Mapping[str, Any]) -> tuple[Stream, ...]:
    """The streams an `attached` event describes, each once."""
    found: dict[tuple[Feed, str], Stream] = {}
    for item in _list(body.get("streams"), MOST_STREAMS) or ():
        feed, mid, kind = feed_of(item.get("feed_id")), text(item.get("feed_mid")), item.get("type")
        if feed is None or not mid or (kind != "audio" and kind != "video") or item.get("active") is False:
            continue
        muted = item.get("moderated") is True or item.get("disabled") is True
        codec, description = text(item.get("codec")).lower(), text(item.get("feed_description"))
        found.setdefault((feed, mid), Stream(feed, mid, kind, codec, description, muted))
    return tuple(found.values())


def lines(body: Mapping[str, Any]) -> tuple[Line, ...]:
    """The sections in use of our subscription."""
    found: dict[str, Line] = {}
    for item in _list(body.get("streams"), MOST_STREAMS) or ():
        mid, feed, stream = text(item.get("mid")), feed_of(item.get("feed_id")), text(item.get("feed_mid"))
        if mid and feed is not None and stream and item.get("active") is not False:
            found.setdefault(mid, Line(mid, feed, stream, isinstance(item.get("simulcast"), dict)))
    return tuple(found.values())


def _list(value: object, most: int) -> Iterable[Mapping[str, Any]] | None:
    return [item for item in value[:most] if isinstance(item, dict)] if isinstance(value, list) else None
