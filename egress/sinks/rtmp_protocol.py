"""The publishing side of RTMP without any I/O: bytes in, bytes out (Adobe RTMP 1.0; one stream, one connection)."""

from __future__ import annotations

import os
import struct
from enum import StrEnum
from typing import Any

from egress.sinks import amf0
from egress.sinks.rtmp_chunks import ChunkError, ChunkReader, ChunkWriter, Kind, Message

CHUNK_SIZE = 4096
AGENT = "FMLE/3.0 (compatible; Egress)"
_HANDSHAKE = 1536
_CONTROL_CHANNEL, _COMMAND_CHANNEL, _STREAM_CHANNEL, _AUDIO_CHANNEL, _VIDEO_CHANNEL = 2, 3, 8, 4, 6
_CHANNELS = {Kind.AUDIO: _AUDIO_CHANNEL, Kind.VIDEO: _VIDEO_CHANNEL, Kind.DATA: _AUDIO_CHANNEL}
_PING, _PONG = 6, 7
_CONNECT, _RELEASE, _PREPARE, _CREATE, _PUBLISH = 1, 2, 3, 4, 5
"""Transaction numbers, in the order the commands are sent."""


class Trouble(StrEnum):
    """Why a connection did not come about or ended."""

    DNS = "dns"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    TIMEOUT = "timeout"
    REJECTED = "rejected"
    CLOSED = "closed"
    STALLED = "stalled"
    MOVED = "moved"
    PROTOCOL = "protocol"
    SENDER = "sender"


class RtmpError(Exception):
    """A connection is over; `code` is what a program asks, the text is for people (and may quote the server)."""

    def __init__(self, code: Trouble, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Stage(StrEnum):
    """How far a publisher has come."""

    HANDSHAKE = "handshake"
    CONNECT = "connect"
    CREATE = "createStream"
    PUBLISH = "publish"
    LIVE = "live"


class Publisher:
    """One publishing connection: give it what the server sent, send what it returns.

    `window` is how many bytes the server shall take before it acknowledges them. `acknowledged` counts those
    acknowledgements, `received` the bytes that came in.
    """

    def __init__(self, app: str, tc_url: str, key: str, *, window: int = 250_000) -> None:
        self.stage = Stage.HANDSHAKE
        self.acknowledged = 0
        self.received = 0
        self._app = app
        self._tc_url = tc_url
        self._key = key
        self._window = window
        self._reader = ChunkReader()
        self._writer = ChunkWriter()
        self._greeting = bytearray()
        self._stream = 0
        self._their_window = 0
        self._told = 0

    def start(self) -> bytes:
        """C0 and C1 of the handshake."""
        return b"\x03" + bytes(8) + os.urandom(_HANDSHAKE - 8)

    def receive(self, data: bytes) -> bytes:
        """Take what the server sent; returns what to answer; raises RtmpError when the connection is over."""
        self.received += len(data)
        out = bytearray()
        if self.stage is Stage.HANDSHAKE:
            self._greeting += data
            if self._greeting and self._greeting[0] != 3:
                raise RtmpError(Trouble.PROTOCOL, "the server does not speak RTMP (wrong handshake version)")
            if len(self._greeting) < 1 + 2 * _HANDSHAKE:
                return b""
            out += self._greeting[1 : 1 + _HANDSHAKE]
            data = bytes(self._greeting[1 + 2 * _HANDSHAKE :])
            out += self._connect()
        try:
            for message in self._reader.feed(data):
                out += self._handle(message)
        except (ChunkError, amf0.Amf0Error, struct.error) as error:
            raise RtmpError(Trouble.PROTOCOL, f"the server does not speak RTMP rightly: {error}") from None
        if self._their_window and self.received - self._told >= self._their_window:
            self._told = self.received
            out += self._control(Kind.ACKNOWLEDGEMENT, struct.pack(">I", self.received & 0xFFFFFFFF))
        return bytes(out)

    def media(self, kind: Kind, timestamp: int, payload: bytes) -> bytes:
        """One FLV tag body (AUDIO, VIDEO or DATA) as bytes to send; only once live."""
        if self.stage is not Stage.LIVE:
            raise ValueError("media before the server took the stream")
        return self._writer.write(_CHANNELS[kind], Message(kind, timestamp, self._stream, payload))

    def farewell(self) -> bytes:
        """End the stream in good order: FCUnpublish and deleteStream."""
        if self.stage is not Stage.LIVE:
            return b""
        return self._command(0, "FCUnpublish", 6, None, self._key) + self._command(
            0, "deleteStream", 7, None, self._stream
        )

    def _connect(self) -> bytes:
        self.stage = Stage.CONNECT
        hello = {"app": self._app, "type": "nonprivate", "flashVer": AGENT, "tcUrl": self._tc_url}
        out = self._control(Kind.SET_CHUNK_SIZE, struct.pack(">I", CHUNK_SIZE))
        self._writer.resize(CHUNK_SIZE)
        return out + self._command(0, "connect", _CONNECT, hello)

    def _handle(self, message: Message) -> bytes:
        payload = message.payload
        match message.kind:
            case Kind.ACKNOWLEDGEMENT:
                self.acknowledged += 1
            case Kind.USER_CONTROL:
                event, value = struct.unpack_from(">HI", payload)
                if event == _PING:
                    return self._control(Kind.USER_CONTROL, struct.pack(">HI", _PONG, value))
            case Kind.WINDOW_SIZE:
                (self._their_window,) = struct.unpack_from(">I", payload)
            case Kind.PEER_BANDWIDTH:
                return self._control(Kind.WINDOW_SIZE, struct.pack(">I", self._window))
            case Kind.COMMAND:
                return self._answer(amf0.decode(payload))
            case Kind.COMMAND_AMF3:
                return self._answer(amf0.decode(payload[1:]))
        return b""

    def _answer(self, values: list[Any]) -> bytes:
        name, number = values[0] if values else "", int(values[1]) if len(values) > 1 and values[1] else 0
        info = values[3] if len(values) > 3 else None
        match name:
            case "_result":
                return self._result(number, info)
            case "_error" if number in (_CONNECT, _CREATE, _PUBLISH):
                raise RtmpError(Trouble.REJECTED, f"the server refused {self._step()}: {_said(info)}")
            case "onStatus":
                return self._status(info if isinstance(info, dict) else {})
            case "close":
                raise RtmpError(Trouble.CLOSED, "the server closed the connection")
        return b""

    def _result(self, number: int, info: Any) -> bytes:
        if number == _CONNECT and self.stage is Stage.CONNECT:
            self.stage = Stage.CREATE
            return (
                self._control(Kind.WINDOW_SIZE, struct.pack(">I", self._window))
                + self._command(0, "releaseStream", _RELEASE, None, self._key)
                + self._command(0, "FCPublish", _PREPARE, None, self._key)
                + self._command(0, "createStream", _CREATE, None)
            )
        if number == _CREATE and self.stage is Stage.CREATE:
            if not isinstance(info, float):
                raise RtmpError(Trouble.PROTOCOL, "the server gave no stream number")
            self.stage = Stage.PUBLISH
            self._stream = int(info)
            return self._command(self._stream, "publish", _PUBLISH, None, self._key, "live")
        return b""

    def _status(self, info: dict[str, Any]) -> bytes:
        code = str(info.get("code", ""))
        if code == "NetStream.Publish.Start" and self.stage is Stage.PUBLISH:
            self.stage = Stage.LIVE
        elif code == "NetConnection.Connect.ReconnectRequest":
            raise RtmpError(Trouble.MOVED, "the server asked for a new connection")
        elif info.get("level") == "error" or code.endswith((".Rejected", ".Denied", ".BadName", ".Failed")):
            raise RtmpError(Trouble.REJECTED, f"the server refused {self._step()}: {_said(info)}")
        elif code == "NetStream.Unpublish.Success" and self.stage is Stage.LIVE:
            raise RtmpError(Trouble.CLOSED, "the server ended the stream")
        return b""

    def _step(self) -> str:
        return "to go on with the stream" if self.stage is Stage.LIVE else f"the {self.stage} command"

    def _control(self, kind: Kind, payload: bytes) -> bytes:
        return self._writer.write(_CONTROL_CHANNEL, Message(kind, 0, 0, payload))

    def _command(self, stream: int, name: str, number: int, *values: Any) -> bytes:
        channel = _STREAM_CHANNEL if stream else _COMMAND_CHANNEL
        return self._writer.write(channel, Message(Kind.COMMAND, 0, stream, amf0.encode(name, number, *values)))


def _said(info: Any) -> str:
    if not isinstance(info, dict):
        return "no reason given"
    words = [str(info[name]) for name in ("code", "description") if info.get(name)]
    return ", ".join(words)[:300] or "no reason given"
