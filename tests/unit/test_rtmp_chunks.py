"""Messages survive being cut into chunks, at every size, split anywhere, beyond 24 and 32 bits of time."""

from __future__ import annotations

import random
import struct

import pytest

from egress.sinks.rtmp_chunks import ChunkError, ChunkReader, ChunkWriter, Kind, Message


def _sent(writer: ChunkWriter, messages: list[tuple[int, Message]]) -> bytes:
    return b"".join(writer.write(channel, message) for channel, message in messages)


@pytest.mark.parametrize("size", [1, 128, 4096])
def test_messages_come_back_whatever_the_chunk_size_and_however_they_arrive(size: int) -> None:
    rng = random.Random(size)
    messages = [
        (channel, Message(kind, 40 * n, 1, rng.randbytes(rng.choice((0, 1, 127, 128, 129, 700)))))
        for n in range(12)
        for channel, kind in ((4, Kind.AUDIO), (6, Kind.VIDEO))
    ]
    writer = ChunkWriter()
    data = writer.write(2, Message(Kind.SET_CHUNK_SIZE, 0, 0, struct.pack(">I", size)))
    writer.resize(size)
    data += _sent(writer, messages)
    reader, found = ChunkReader(), []
    while data:
        cut = rng.randrange(1, 200)
        found += reader.feed(data[:cut])
        data = data[cut:]
    assert found[1:] == [message for _, message in messages]


@pytest.mark.parametrize("start", [0xFFFFFE - 40, 0xFFFFFF, 0x1000000, (1 << 32) - 50])
def test_time_goes_on_past_24_and_32_bits(start: int) -> None:
    stamps = [start, start + 40, start + 80, start + 0x1000080, start + 0x1000080]
    writer = ChunkWriter()
    data = _sent(writer, [(6, Message(Kind.VIDEO, at, 1, bytes(300))) for at in stamps])
    assert [message.timestamp for message in ChunkReader().feed(data)] == [at % (1 << 32) for at in stamps]


def test_time_may_go_back_and_a_channel_may_change_its_stream() -> None:
    messages = [
        Message(Kind.VIDEO, 5000, 1, b"a"),
        Message(Kind.VIDEO, 4000, 1, b"b"),
        Message(Kind.VIDEO, 4001, 2, b"c"),
    ]
    data = _sent(ChunkWriter(), [(6, message) for message in messages])
    assert list(ChunkReader().feed(data)) == messages


def test_interleaved_channels_and_large_channel_numbers_are_read() -> None:
    first = b"\x04" + b"\0\0\5" + b"\0\0\x82" + b"\x08" + b"\1\0\0\0"
    second = b"\x00\x06" + b"\0\0\7" + b"\0\0\1" + b"\x09" + b"\1\0\0\0" + b"v"
    data = first + bytes(128) + second + b"\xc4" + b"ab"
    assert list(ChunkReader().feed(data)) == [
        Message(Kind.VIDEO, 7, 1, b"v"),
        Message(Kind.AUDIO, 5, 1, bytes(128) + b"ab"),
    ]


def test_an_aborted_message_is_forgotten() -> None:
    head = b"\x04" + b"\0\0\5" + b"\0\0\x82" + b"\x08" + b"\1\0\0\0" + bytes(128)
    writer = ChunkWriter()
    abort = writer.write(2, Message(Kind.ABORT, 0, 0, struct.pack(">I", 4)))
    whole = writer.write(4, Message(Kind.AUDIO, 9, 1, b"x"))
    assert list(ChunkReader().feed(head + abort + whole))[1:] == [Message(Kind.AUDIO, 9, 1, b"x")]


@pytest.mark.parametrize(
    "data",
    [
        b"\xc4abc",
        b"\x04" + b"\0\0\0" + b"\xff\xff\xff" + b"\x08" + bytes(4),
        b"\x02" + b"\0\0\0" + b"\0\0\4" + b"\1" + bytes(8),
        b"\x02" + b"\0\0\0" + b"\0\0\2" + b"\1" + bytes(6),
        (b"\x04" + b"\0\0\5" + b"\0\0\x82" + b"\x08" + b"\1\0\0\0" + bytes(128)) * 2,
    ],
    ids=["no header", "too long", "chunk size 0", "cut control", "cut by another"],
)
def test_nonsense_is_an_error(data: bytes) -> None:
    with pytest.raises(ChunkError):
        list(ChunkReader().feed(data))
