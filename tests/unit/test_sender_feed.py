"""Orders and frames survive the pipe; nonsense on it is an error."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import pytest

from egress.sinks.flv import Track
from egress.sinks.sender_feed import END, FeedError, Frame, Limits, Order, read_frame


def _reader(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def test_an_order_comes_back_and_does_not_show_its_key() -> None:
    tracks = (
        Track("video", b"\0\1\xff", 3_000_000, 1280, 720, Fraction(30000, 1001)),
        Track("audio", b"\x11\x90", 128_000, rate=48000, channels=2),
    )
    order = Order("rtmp://host/live/sekret", tracks, Limits(connect=1.5))
    line = order.encode()
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert Order.decode(line) == order
    assert "sekret" not in repr(order)


@pytest.mark.parametrize("line", [b"", b"{}", b"[1]", b'{"url": "x", "tracks": [{}], "limits": {}}', b"\xff"])
def test_a_line_that_is_no_order_is_an_error(line: bytes) -> None:
    with pytest.raises(FeedError):
        Order.decode(line)


async def test_frames_come_back_until_the_end() -> None:
    frames = [Frame(0, True, 0, 67, b"x" * 100_000), Frame(1, False, 1 << 40, -5, b"")]
    reader = _reader(b"".join(frame.encode() for frame in frames) + END)
    assert [await read_frame(reader), await read_frame(reader)] == frames
    assert await read_frame(reader) is None


async def test_a_pipe_that_ends_without_an_end_means_the_sink_is_gone() -> None:
    with pytest.raises(EOFError):
        await read_frame(_reader(Frame(0, True, 0, 0, b"abc").encode()[:-1]))


async def test_nonsense_is_an_error() -> None:
    with pytest.raises(FeedError):
        await read_frame(_reader(b"nonsense" * 8))
