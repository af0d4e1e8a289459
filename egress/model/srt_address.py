"""Where an SRT stream goes: `srt://host:port?streamid=…&passphrase=…&latency=…`, taken apart and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, urlsplit

from egress.model.errors import RequestError
from egress.model.problems import did_you_mean, one_of
from egress.model.secrets import HIDDEN

_FORM = "write it like srt://host:9000?streamid=publish:room&latency=200"
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_KNOWN = ("mode", "streamid", "passphrase", "pbkeylen", "latency")
_SECRET = ("streamid", "passphrase")
_LATENCY = (20, 16_000)
"""Milliseconds; libsrt's own default is 120."""
_PASSPHRASE = (10, 79)
"""Bytes (libsrt, SRTO_PASSPHRASE)."""
_STREAM_ID = 512
"""Bytes (libsrt, SRTO_STREAMID)."""


@dataclass(frozen=True, slots=True)
class SrtAddress:
    """One SRT listener; `latency` in ms, `key_length` in bytes (0: as the listener has it). `public` may be shown."""

    host: str
    port: int
    latency: int
    key_length: int
    public: str
    stream_id: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> SrtAddress:
        """Take an address apart; raises RequestError (naming the fix, never a secret)."""
        public = shown_srt(url)
        if _CONTROL.search(url):
            raise _wrong(public, "holds a space or control character")
        try:
            parts = urlsplit(url, allow_fragments=False)
            port = parts.port
        except ValueError:
            raise _wrong(public, "has no readable host and port") from None
        if parts.scheme != "srt":
            raise _wrong(public, "does not begin with srt://")
        if not parts.hostname or not port:
            raise _wrong(public, "has no host and port" if not parts.hostname else "has no port")
        if parts.username is not None or parts.path.strip("/"):
            raise _wrong(public, "has a user name or path, which SRT has no place for; put a stream id into streamid=")
        said = _options(parts, public)
        if said.get("mode", "caller") != "caller":
            raise _wrong(public, "has another mode than caller; Egress calls, and the other side listens")
        return cls(
            parts.hostname,
            port,
            _whole(said, "latency", 120, range(_LATENCY[0], _LATENCY[1] + 1), public, "milliseconds, 20 to 16000"),
            _whole(said, "pbkeylen", 0, (16, 24, 32), public, "16, 24 or 32 bytes"),
            public,
            _text(said, "streamid", 1, _STREAM_ID, public),
            _text(said, "passphrase", *_PASSPHRASE, public),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must not be shown, for `redact`."""
        return tuple(text for text in (self.stream_id, self.passphrase) if len(text) > 3)

    @property
    def place(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def shown_srt(url: str) -> str:
    """What may be shown of an address meant for SRT, right or wrong: host, port and what is no secret."""
    try:
        parts = urlsplit(url, allow_fragments=False)
        port = parts.port
    except ValueError:
        return f"srt://{HIDDEN}"
    if parts.scheme != "srt" or not parts.hostname or _CONTROL.search(parts.hostname):
        return f"srt://{HIDDEN}"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = f"{host}:{port}" if port is not None else host
    names = dict(parse_qsl(parts.query, keep_blank_values=True))
    words = [f"{name}={HIDDEN}" for name in _SECRET if names.get(name)]
    return f"srt://{place}{'?' if words else ''}{'&'.join(words)}"


def _options(parts: SplitResult, public: str) -> dict[str, str]:
    # What is no name=value may be half a secret, so it is not repeated; nor is a value.
    said: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _KNOWN:
            guess = did_you_mean(name, _KNOWN) if value else ""
            raise _wrong(public, f"has an option that is not known{guess}; known: {one_of(_KNOWN)}")
        if name in said:
            raise _wrong(public, f"says {name} twice")
        said[name] = value
    return said


def _whole(
    said: dict[str, str], name: str, default: int, allowed: range | tuple[int, ...], public: str, is_: str
) -> int:
    text = said.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) not in allowed:
        raise _wrong(public, f"has a {name} that is not {is_}")
    return int(text)


def _text(said: dict[str, str], name: str, least: int, most: int, public: str) -> str:
    text = said.get(name, "")
    size = len(text.encode())
    if name in said and not least <= size <= most:
        raise _wrong(public, f"has a {name} of {size} bytes; it takes {least} to {most}")
    # They reach the sender a line each.
    if any(char in text for char in "\r\n\0"):
        raise _wrong(public, f"has a line break in its {name}")
    return text


def _wrong(public: str, problem: str) -> RequestError:
    return RequestError(f"the SRT address {public} {problem}; {_FORM}", (("to", f"{problem}; {_FORM}"),))
