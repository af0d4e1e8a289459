"""What room servers say of their rooms, as triggers: Janus, LiveKit, 100ms, and whoever says it our way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from egress.control.trigger import Kind, Trigger
from egress.control.values import Micros, canonical, new_id, since_epoch
from egress.model import forms
from egress.model.errors import RequestError
from egress.model.look import Document

_VIDEOROOM = "janus.plugin.videoroom"
_PLUGIN_EVENT = 64
_JANUS: Mapping[str, Kind] = {"joined": "peer_joined", "published": "peer_joined", "destroyed": "room_ended"}
"""A room that was only `created` may stay empty for days: it begins with the first who joins."""

_LIVEKIT: Mapping[str, Kind] = {
    "room_started": "room_started",
    "participant_joined": "peer_joined",
    "room_finished": "room_ended",
}
_PEOPLE = (None, "STANDARD", "SIP", "INGRESS", 0, 1, 3)
"""Kinds of participants of LiveKit that are publishers; the others are recorders and agents."""

_HUNDREDMS: Mapping[str, Kind] = {
    "session.open.success": "room_started",
    "peer.join.success": "peer_joined",
    "session.close.success": "room_ended",
}
_OURS: Mapping[str, Kind] = {"room.started": "room_started", "peer.joined": "peer_joined", "room.ended": "room_ended"}
_LONGEST = 300


class RoomEvent(Document):
    """What happened in a room, told by a program of one's own."""

    type: Literal["room.started", "peer.joined", "room.ended"] = Field(description="What happened.")
    room: str = Field(min_length=1, max_length=_LONGEST, description="The room's name.")
    id: str = Field("", max_length=200, description="The event's own id: it is the same when it is sent again.")
    role: str | None = Field(None, max_length=100, description="The role of who joined.")
    session: str = Field("", max_length=200, description="What tells this meeting in the room from the next one.")
    server: str = Field("", max_length=500, description="How the addresses of the room's server begin.")
    at: datetime | None = Field(None, description="When it happened, like 2026-12-24T18:00:00Z; default now.")


def of_janus(body: Any, now: Micros) -> tuple[Trigger, ...]:
    """Events of the VideoRoom plugin as Janus's event handlers send them, one or a list.

    https://janus.conf.meetecho.com/docs/eventhandlers.html: type 64 is of plugins, timestamps are microseconds. Janus
    gives its events no ids, the lives of a room no names and peers no roles, only what they are called (`display`).
    """
    found = []
    for said in body if isinstance(body, list) else [body]:
        event = _object(said).get("event")
        data = _object(_object(event).get("data"))
        kind = _JANUS.get(str(data.get("event")))
        room = _name(data.get("room"))
        is_ours = _object(said).get("type") == _PLUGIN_EVENT and _object(event).get("plugin") == _VIDEOROOM
        if not is_ours or kind is None or not room:
            continue
        stamp = said.get("timestamp")
        marks = [stamp, said.get("session_id"), said.get("handle_id"), data.get("event"), room, data.get("id")]
        id_ = hashlib.sha256(canonical(marks).encode()).hexdigest()[:32]
        at = stamp if isinstance(stamp, int) and 0 < stamp < 1 << 60 else now
        emitter = _name(said.get("emitter"))[:60]
        source, name = f"janus:{emitter}".rstrip(":"), _name(data.get("display"))
        found.append(Trigger(source, id_, kind, room, at, server="janus+", name=name))
    return tuple(found)


def of_livekit(body: Any, now: Micros) -> tuple[Trigger, ...]:
    """A webhook of LiveKit (livekit_webhook.proto as JSON); the role is an attribute, or in the metadata."""
    said = _object(body)
    kind, room, who = _LIVEKIT.get(str(said.get("event"))), _object(said.get("room")), _object(said.get("participant"))
    name, id_ = _name(room.get("name")), _name(said.get("id"))
    if kind is None or not name or not id_ or who.get("kind") not in _PEOPLE:
        return ()
    role = _object(who.get("attributes")).get("role") or _object(_parsed(who.get("metadata"))).get("role")
    stamp = str(said.get("createdAt") or said.get("created_at") or "")
    at = int(stamp) * 1_000_000 if stamp.isdecimal() and len(stamp) < 12 else now
    return (Trigger("livekit", id_, kind, name, at, role=_name(role) or None, session=_name(room.get("sid"))),)


def of_hundredms(body: Any, now: Micros) -> tuple[Trigger, ...]:
    """A webhook of 100ms, version 2.0."""
    said = _object(body)
    kind, data = _HUNDREDMS.get(str(said.get("type"))), _object(said.get("data"))
    name, id_ = _name(data.get("room_name")) or _name(data.get("room_id")), _name(said.get("id"))
    if kind is None or not name or not id_:
        return ()
    role, session = _name(data.get("role")) or None, _name(data.get("session_id"))
    return (Trigger("100ms", id_, kind, name, _time(said.get("timestamp"), now), role=role, session=session),)


def of_room(body: Any, now: Micros, message: str = "") -> tuple[Trigger, ...]:
    """A RoomEvent, or one as the data of an envelope of Standard Webhooks; `message` is the envelope's id.

    Raises RequestError with what is wrong.
    """
    said = _object(body)
    if isinstance(said.get("data"), dict):
        said = {"type": said.get("type"), "at": said.get("timestamp"), **said["data"]}
    event = forms.read_form(RoomEvent, said, "the event")
    id_ = message or event.id or new_id("trg")
    at = now if event.at is None else since_epoch(event.at if event.at.tzinfo else event.at.replace(tzinfo=UTC))
    kind = _OURS[event.type]
    return (Trigger("room", id_, kind, event.room, at, event.role, event.session, event.server),)


def parsed(body: bytes) -> Any:
    """The JSON of a body; raises RequestError."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError("the body is not JSON", (("body", "is not JSON"),)) from None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _name(value: Any) -> str:
    """Text or a number as a name; nothing else, and nothing that cannot be kept."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if len(text) <= _LONGEST and text.isprintable() else ""


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def _time(value: Any, now: Micros) -> Micros:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        return now if at is None else since_epoch(at if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return now
