"""Where a room of a Janus server is: `janus+wss://HOST[:PORT][/PATH]/ROOM`, read without loading any media module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from egress.model.problems import Problem, did_you_mean, one_of, refuse

SCHEMES = ("janus+ws", "janus+wss", "janus+http", "janus+https")
PIN, TOKEN, API_SECRET = "janus_pin", "janus_token", "janus_api_secret"
"""Settings, and names of Identity.options, that hold what must not stand in an address."""

_OPTIONS = ("strings", "audiobridge")
_SECRETS = {
    "pin": PIN,
    "room_pin": PIN,
    "token": TOKEN,
    "secret": API_SECRET,
    "apisecret": API_SECRET,
    "api_secret": API_SECRET,
    **{name: name for name in (PIN, TOKEN, API_SECRET)},
}
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_LARGEST_ROOM = (1 << 63) - 1
_LONGEST_ROOM = 256


@dataclass(frozen=True, slots=True)
class JanusAddress:
    """One room of one server: `url` is the server's API, `room` as Janus knows it, a number or text."""

    transport: Literal["ws", "http"]
    url: str
    room: int | str

    @property
    def server(self) -> str:
        """The server's address as an operator knows it; there is nothing secret in it."""
        return self.url


def read(text: str) -> JanusAddress:
    """The parts of an address; raises RequestError with every problem and its fix, repeating no secret."""
    problems: list[Problem] = []
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise refuse("room", [Problem("room", f"is no address: {error}")]) from None
    transport = parts.scheme.removeprefix("janus+")
    path, _, last = parts.path.rstrip("/").rpartition("/")
    name = unquote(last)
    options = _options(parts.query, problems)
    if parts.scheme not in SCHEMES:
        problems.append(Problem("room", f"has an unknown scheme; use one of: {one_of(SCHEMES)}"))
    if parts.username is not None or parts.password is not None:
        problems.append(Problem("room", _move("a user name or password", API_SECRET)))
    if not parts.hostname:
        problems.append(Problem("room", "names no host; write it like janus+ws://127.0.0.1:8188/1234"))
    if parts.fragment:
        problems.append(Problem("room", "has a '#'; write %23 where it belongs to the room's name"))
    room: int | str = name
    if not name.strip() or len(name) > _LONGEST_ROOM or not name.isprintable():
        problems.append(
            Problem("room", f"names no room; end it with its id, like /1234, of {_LONGEST_ROOM} characters at most")
        )
    elif name.isascii() and name.isdecimal() and not options.get("strings"):
        if 0 < int(name[:32]) <= _LARGEST_ROOM:
            room = int(name)
        else:
            problems.append(
                Problem("room", "is a number Janus cannot have; where room ids are text, add ?strings=true")
            )
    if problems:
        raise refuse("room", problems)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    if transport.startswith("http") and not path:
        path = "/janus"
    url = f"{transport}://{host}{f':{port}' if port is not None else ''}{path}"
    return JanusAddress("ws" if transport.startswith("ws") else "http", url, room)


def _move(what: str, setting: str) -> str:
    return (
        f"carries {what}, which anybody can read in the list of processes; "
        f"set {setting} in egress.toml or EGRESS_{setting.upper()} instead"
    )


def _options(query: str, problems: list[Problem]) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if (setting := _SECRETS.get(key.lower())) is not None:
            problems.append(Problem("room", _move(f"?{key}=", setting)))
        elif key not in _OPTIONS:
            problems.append(
                Problem("room", f"unknown option ?{key[:40]}={did_you_mean(key, _OPTIONS)}; known: {one_of(_OPTIONS)}")
            )
        elif key == "audiobridge" and value.lower() in _YES:
            problems.append(
                Problem("room", "?audiobridge=on is not served: sound is taken from the VideoRoom itself; leave it out")
            )
        elif value.lower() not in (*_YES, *_NO):
            problems.append(Problem("room", f"?{key}= must be true or false"))
        else:
            found[key] = value.lower() in _YES
    return found
