"""RTMP's chunk stream (Adobe RTMP 1.0, section 5.3): messages to bytes and back, without any I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

_EXTENDED = 0xFFFFFF
_WRAP = 1 << 32
_HEADER = (11, 7, 3, 0)
"""Bytes of the message header by chunk format."""


class Kind(IntEnum):
    """What a message is about; a message of another kind is passed on as it is."""

    SET_CHUNK_SIZE = 1
    ABORT = 2
    ACKNOWLEDGEMENT = 3
    USER_CONTROL = 4
    WINDOW_SIZE = 5
    PEER_BANDWIDTH = 6
    AUDIO = 8
    VIDEO = 9
    COMMAND_AMF3 = 17
    DATA = 18
    COMMAND = 20


class ChunkError(ValueError):
    """Bytes that are not an RTMP chunk stream."""


@dataclass(frozen=True, slots=True)
class Message:
    """One RTMP message; `timestamp` is milliseconds, of which 32 bits travel."""

    kind: int
    timestamp: int
    stream: int
    payload: bytes


class ChunkWriter:
    """Messages to chunks. Each chunk stream begins with a full header, then carries time differences."""

    def __init__(self, size: int = 128) -> None:
        self._size = size
        self._last: dict[int, tuple[int, int]] = {}

    def resize(self, size: int) -> None:
        """Chunks are this large from now on; tell the other side first by a SET_CHUNK_SIZE message."""
        self._size = size

    def write(self, channel: int, message: Message) -> bytes:
        """One message as chunks of chunk stream `channel` (2 to 63)."""
        stamp = message.timestamp % _WRAP
        stream, before = self._last.get(channel, (None, 0))
        step = (stamp - before) % _WRAP
        full = stream != message.stream or step >= _WRAP // 2
        self._last[channel] = (message.stream, stamp)
        value = stamp if full else step
        extension = value.to_bytes(4) if value >= _EXTENDED else b""
        out = bytearray((channel if full else 0x40 | channel,))
        out += min(value, _EXTENDED).to_bytes(3) + len(message.payload).to_bytes(3) + bytes((message.kind,))
        if full:
            out += message.stream.to_bytes(4, "little")
        out += extension
        more = bytes((0xC0 | channel,)) + extension
        view = memoryview(message.payload)
        out += view[: self._size]
        for at in range(self._size, len(view), self._size):
            out += more
            out += view[at : at + self._size]
        return bytes(out)


class _Channel:
    __slots__ = ("extended", "kind", "length", "parts", "stamp", "step", "stream")

    def __init__(self) -> None:
        self.stamp = self.step = self.length = self.kind = self.stream = 0
        self.extended = False
        self.parts = bytearray()


class ChunkReader:
    """Chunks to messages; follows the sender's SET_CHUNK_SIZE and ABORT. A message may be at most `most` bytes."""

    def __init__(self, most: int = 1 << 20) -> None:
        self._most = most
        self._size = 128
        self._data = bytearray()
        self._channels: dict[int, _Channel] = {}

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take bytes as they come and give every message that is complete; raises ChunkError."""
        self._data += data
        while (taken := self._chunk()) is not None:
            used, message = taken
            del self._data[:used]
            if message is not None:
                yield message

    def _chunk(self) -> tuple[int, Message | None] | None:
        data = self._data
        if not data:
            return None
        form, number, at = data[0] >> 6, data[0] & 0x3F, 1
        if number < 2:
            at = 2 + number
            if len(data) < at:
                return None
            number = 64 + int.from_bytes(data[1:at], "little")
        channel = self._channels.get(number)
        if channel is None:
            if form > 1:
                raise ChunkError(f"chunk stream {number} begins without a header")
            channel = self._channels.setdefault(number, _Channel())
        head = at
        at += _HEADER[form]
        if len(data) < at:
            return None
        value = int.from_bytes(data[head : head + 3]) if form < 3 else 0
        extended = value == _EXTENDED if form < 3 else channel.extended
        if extended:
            at += 4
            if len(data) < at:
                return None
            value = int.from_bytes(data[at - 4 : at])
        length = int.from_bytes(data[head + 3 : head + 6]) if form < 2 else channel.length
        if length > self._most:
            raise ChunkError(f"a message of {length} bytes; at most {self._most} are taken")
        begins = not channel.parts
        end = at + min(self._size, length - len(channel.parts))
        if end < at or (not begins and form != 3):
            raise ChunkError(f"a message on chunk stream {number} is cut by another")
        if len(data) < end:
            return None
        if form < 2:
            channel.length, channel.kind = length, data[head + 6]
        if form == 0:
            channel.stream = int.from_bytes(data[head + 7 : head + 11], "little")
        channel.extended = extended
        if begins:
            if form < 3:
                channel.step = value
            channel.stamp = value if form == 0 else (channel.stamp + channel.step) % _WRAP
        channel.parts += data[at:end]
        if len(channel.parts) < length:
            return end, None
        payload = bytes(channel.parts)
        channel.parts.clear()
        message = Message(channel.kind, channel.stamp, channel.stream, payload)
        self._follow(message)
        return end, message

    def _follow(self, message: Message) -> None:
        if message.kind not in (Kind.SET_CHUNK_SIZE, Kind.ABORT):
            return
        if len(message.payload) < 4:
            raise ChunkError("a protocol control message is cut")
        value = int.from_bytes(message.payload[:4])
        if message.kind == Kind.SET_CHUNK_SIZE:
            self._size = value & 0x7FFFFFFF
            if not self._size:
                raise ChunkError("a chunk size of 0")
        elif (channel := self._channels.get(value)) is not None:
            channel.parts.clear()
