"""The publisher's side of RTMP, from transcripts: what it says to what a server says."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from egress.sinks import amf0
from egress.sinks.rtmp_chunks import ChunkReader, ChunkWriter, Kind, Message
from egress.sinks.rtmp_protocol import Publisher, RtmpError, Stage, Trouble

KEY = "abcdefgh-ijkl"


class Server:
    """The other side of one publisher."""

    def __init__(self) -> None:
        self.publisher = Publisher("live", "rtmp://host/live", KEY, window=1000)
        self.reader, self.writer = ChunkReader(), ChunkWriter()
        hello = self.publisher.start()
        assert len(hello) == 1537 and hello[0] == 3
        self.hello = hello

    def shake(self) -> list[Message]:
        theirs = bytes(range(256)) * 6
        data = b"\x03" + theirs + self.hello[1:]
        assert self.publisher.receive(data[:700]) == b""
        answer = self.publisher.receive(data[700:])
        assert answer[:1536] == theirs
        return list(self.reader.feed(answer[1536:]))

    def say(self, *messages: Message) -> list[Message]:
        data = b"".join(self.writer.write(3, message) for message in messages)
        return list(self.reader.feed(self.publisher.receive(data)))

    def command(self, *values: Any) -> list[list[Any]]:
        said = self.say(Message(Kind.COMMAND, 0, 0, amf0.encode(*values)))
        return [amf0.decode(message.payload) for message in said if message.kind == Kind.COMMAND]

    def until(self, stage: Stage) -> Server:
        self.shake()
        if stage is Stage.CONNECT:
            return self
        self.command("_result", 1, {}, {"code": "NetConnection.Connect.Success"})
        if stage is Stage.CREATE:
            return self
        self.command("_result", 4, None, 7)
        if stage is Stage.PUBLISH:
            return self
        self.command("onStatus", 0, None, {"level": "status", "code": "NetStream.Publish.Start"})
        assert self.publisher.stage is Stage.LIVE
        return self


def test_a_publish_from_handshake_to_farewell() -> None:
    server = Server()
    said = server.shake()
    assert [message.kind for message in said] == [Kind.SET_CHUNK_SIZE, Kind.COMMAND]
    name, number, hello = amf0.decode(said[1].payload)
    assert (name, number, hello["app"], hello["tcUrl"]) == ("connect", 1, "live", "rtmp://host/live")
    answers = server.command("_result", 1, {}, {"code": "NetConnection.Connect.Success"})
    assert [answer[0] for answer in answers] == ["releaseStream", "FCPublish", "createStream"]
    assert server.command("_error", 2, None, {"code": "whatever"}) == [], "releaseStream may fail"
    assert server.command("_result", 4, None, 7) == [["publish", 5, None, KEY, "live"]]
    server.command("onStatus", 0, None, {"level": "status", "code": "NetStream.Publish.Start"})
    body = bytes(9000)
    (media,) = server.reader.feed(server.publisher.media(Kind.VIDEO, 40, body))
    assert media == Message(Kind.VIDEO, 40, 7, body)
    farewell = [amf0.decode(message.payload) for message in server.reader.feed(server.publisher.farewell())]
    assert [values[0] for values in farewell] == ["FCUnpublish", "deleteStream"]
    assert farewell[1][3] == 7


def test_the_key_is_not_sent_before_the_server_has_accepted_the_application() -> None:
    server = Server()
    assert all(KEY.encode() not in message.payload for message in server.shake())


def test_pings_and_windows_are_answered() -> None:
    server = Server().until(Stage.LIVE)
    (pong,) = server.say(Message(Kind.USER_CONTROL, 0, 0, struct.pack(">HI", 6, 1234)))
    assert (pong.kind, pong.payload) == (Kind.USER_CONTROL, struct.pack(">HI", 7, 1234))
    (window,) = server.say(Message(Kind.PEER_BANDWIDTH, 0, 0, struct.pack(">IB", 5000, 2)))
    assert (window.kind, window.payload) == (Kind.WINDOW_SIZE, struct.pack(">I", 1000))
    (acknowledged,) = server.say(Message(Kind.WINDOW_SIZE, 0, 0, struct.pack(">I", 100)))
    assert acknowledged.kind == Kind.ACKNOWLEDGEMENT
    assert acknowledged.payload == struct.pack(">I", server.publisher.received)


def test_acknowledgements_are_counted() -> None:
    server = Server().until(Stage.LIVE)
    server.say(*[Message(Kind.ACKNOWLEDGEMENT, 0, 0, struct.pack(">I", 1000 * n)) for n in range(3)])
    assert server.publisher.acknowledged == 3


CONNECT, PUBLISH = "NetConnection.Connect.", "NetStream.Publish."


def _status(code: str, **more: str) -> tuple[Any, ...]:
    return ("onStatus", 0, None, {"code": code, **more})


@pytest.mark.parametrize(
    ("stage", "values", "code", "words"),
    [
        (Stage.CONNECT, ("_error", 1, None, {"code": CONNECT + "Rejected"}), "rejected", "connect"),
        (Stage.CREATE, ("_error", 4, None, None), "rejected", "no reason given"),
        (Stage.PUBLISH, _status(PUBLISH + "BadName", level="error"), "rejected", "BadName"),
        (Stage.PUBLISH, _status(PUBLISH + "Denied", description="full"), "rejected", "full"),
        (Stage.LIVE, _status("X", level="error"), "rejected", "go on"),
        (Stage.LIVE, _status("NetStream.Unpublish.Success"), "closed", "ended"),
        (Stage.LIVE, _status(CONNECT + "ReconnectRequest"), "moved", "new connection"),
        (Stage.CONNECT, ("close", 0, None), "closed", "closed"),
        (Stage.CREATE, ("_result", 4, None, None), "protocol", "stream number"),
    ],
)
def test_refusals_and_endings_have_a_code_and_a_reason(
    stage: Stage, values: tuple[Any, ...], code: str, words: str
) -> None:
    server = Server().until(stage)
    with pytest.raises(RtmpError, match=words) as caught:
        server.command(*values)
    assert caught.value.code == Trouble(code)


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n", b"\x06" + bytes(3072)])
def test_a_server_of_another_kind_is_told_at_the_handshake(data: bytes) -> None:
    with pytest.raises(RtmpError, match="does not speak RTMP"):
        Server().publisher.receive(data)


@pytest.mark.parametrize(
    "message",
    [
        Message(Kind.COMMAND, 0, 0, b"\x02\xff\xff"),
        Message(Kind.USER_CONTROL, 0, 0, b"\0"),
        Message(Kind.WINDOW_SIZE, 0, 0, b"\0"),
    ],
)
def test_broken_messages_end_the_connection_with_a_reason(message: Message) -> None:
    with pytest.raises(RtmpError, match="rightly"):
        Server().until(Stage.LIVE).say(message)


def test_empty_and_unknown_commands_are_passed_over() -> None:
    server = Server().until(Stage.LIVE)
    assert server.say(Message(Kind.COMMAND, 0, 0, b""), Message(99, 0, 0, b"x")) == []
    assert server.command("onBWDone", 0, None) == []


def test_media_before_the_server_took_the_stream_is_a_mistake_of_ours() -> None:
    server = Server().until(Stage.PUBLISH)
    with pytest.raises(ValueError, match="before"):
        server.publisher.media(Kind.AUDIO, 0, b"x")
    assert server.publisher.farewell() == b""
