"""What a refusal of Janus means to the one who has to mend it."""

from __future__ import annotations

from egress.model.errors import RoomError, RoomRefused, RoomUnreachable
from egress.model.janus_address import API_SECRET, PIN, TOKEN, JanusAddress
from egress.rooms.janus_news import Refused


def explain(refused: Refused, address: JanusAddress) -> RoomError:
    """The error for a refusal on joining: what is wrong, which field, and the fix; nothing secret is in it."""
    room, server = f"room {address.room}", address.server
    match refused.code:
        case 426:
            return RoomRefused(
                f"{room} does not exist on {server}: create it first, or check its id"
                + ("" if isinstance(address.room, str) else "; where room ids are text, add ?strings=true")
            )
        case 429 if "pin" in refused.reason.lower():
            return RoomRefused(f"{room} on {server} needs a pin: set {_setting(PIN)}")
        case 433:
            return RoomRefused(f"{room} on {server} does not let us in ({refused.reason}): check {_setting(PIN)}")
        case 430 if "room" in refused.reason.lower():
            fix = "add ?strings=true to the address" if isinstance(address.room, int) else "its room ids are numbers"
            return RoomRefused(f"{server} does not take {room} ({refused.reason}): {fix}")
        case 432:
            return RoomRefused(f"{room} on {server} is full ({refused.reason}): raise the room's `publishers`")
        case 403 | 405:
            return RoomRefused(
                f"{server} does not know us ({refused.reason}): set or mend {_setting(API_SECRET)}, "
                f"or {_setting(TOKEN)} where it asks for tokens"
            )
        case 460:
            return RoomRefused(f"{server} has no VideoRoom ({refused.reason}): enable janus.plugin.videoroom there")
        case 472:
            return RoomUnreachable(f"{server} takes no new sessions ({refused.reason}): try again later")
    return RoomRefused(f"{server} refuses {room}: {refused.reason} (code {refused.code})")


def _setting(name: str) -> str:
    return f"{name} (EGRESS_{name.upper()})"
