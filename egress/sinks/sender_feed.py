"""What travels on the pipe from a sink to its sender: one JSON line that says where to, then frames."""

from __future__ import annotations

import asyncio
import json
import struct
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, field
from fractions import Fraction

from egress.sinks.flv import Track

_FRAME = struct.Struct(">cBqiI")
_UNIT, _END = b"u", b"e"
_MOST = 64 << 20
LINE_LIMIT = 1 << 18


class FeedError(ValueError):
    """The pipe holds what no sink writes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long (seconds) a sender waits: to be connected, for the handshake, to be allowed to publish, for progress
    while live, and to say goodbye."""

    connect: float = 8.0
    handshake: float = 5.0
    publish: float = 8.0
    stall: float = 10.0
    farewell: float = 4.0


@dataclass(frozen=True, slots=True)
class Order:
    """All a sender needs to know. `url` holds the stream key, which is why this travels on a pipe only."""

    url: str = field(repr=False)
    tracks: tuple[Track, ...]
    limits: Limits = Limits()

    def encode(self) -> bytes:
        """The line that says it."""
        tracks = [asdict(t) | {"extradata": b64encode(t.extradata).decode(), "fps": str(t.fps)} for t in self.tracks]
        return json.dumps({"url": self.url, "tracks": tracks, "limits": asdict(self.limits)}).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Order:
        """The order of a line; raises FeedError."""
        try:
            said = json.loads(line)
            tracks = tuple(
                Track(**t | {"extradata": b64decode(t["extradata"]), "fps": Fraction(t["fps"])}) for t in said["tracks"]
            )
            return cls(said["url"], tracks, Limits(**said["limits"]))
        except (ValueError, KeyError, TypeError):
            raise FeedError("the first line is not an order") from None


@dataclass(frozen=True, slots=True)
class Frame:
    """One access unit to send: track by index, time and composition offset in ms."""

    track: int
    key: bool
    at: int
    composition: int
    data: bytes

    def encode(self) -> bytes:
        """The bytes that say it."""
        flags = self.track << 1 | self.key
        return _FRAME.pack(_UNIT, flags, self.at, self.composition, len(self.data)) + self.data


END = _FRAME.pack(_END, 0, 0, 0, 0)
"""Nothing more comes: send what there is, say goodbye, end."""


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame, None at END; raises EOFError when the sink is gone, FeedError on nonsense."""
    try:
        tag, flags, at, composition, length = _FRAME.unpack(await reader.readexactly(_FRAME.size))
        if tag == _END:
            return None
        if tag != _UNIT or length > _MOST:
            raise FeedError("a frame begins with nonsense")
        return Frame(flags >> 1, bool(flags & 1), at, composition, await reader.readexactly(length))
    except asyncio.IncompleteReadError:
        raise EOFError("the sink is gone") from None
