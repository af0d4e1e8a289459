from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest

from egress.lines import hand_over, read_lines


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (b"", []),
        (b"one\ntwo\n", [b"one", b"two"]),
        (b"one\n\ntwo", [b"one", b"", b"two"]),
        (b"x" * 200_000 + b"\nlast\n", [b"x" * 101, b"last"]),
        (b"x" * 200_000, [b"x" * 101]),
    ],
)
def test_lines_come_whole_and_long_ones_are_cut_one_byte_beyond_what_is_allowed(
    written: bytes, lines: list[bytes]
) -> None:
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb", buffering=0) as pipe:
            for start in range(0, len(written), 7_000):
                pipe.write(written[start : start + 7_000])

    thread = threading.Thread(target=write)
    thread.start()
    assert list(read_lines(reader, longest=100)) == lines
    thread.join()
    os.close(reader)


async def test_the_next_line_is_read_only_when_the_one_before_was_taken() -> None:
    read = 0
    taken: list[bytes] = []

    def lines() -> Iterator[bytes]:
        nonlocal read
        for number in range(50):
            assert number == len(taken)
            read += 1
            yield b"%d" % number
            yield b"  "

    await asyncio.to_thread(hand_over, lines(), asyncio.get_running_loop(), taken.append)
    assert taken == [b"%d" % number for number in range(50)] and read == 50


async def test_a_line_that_cannot_be_taken_keeps_nobody_from_the_next() -> None:
    loop = asyncio.get_running_loop()
    taken: list[bytes] = []
    loop.set_exception_handler(lambda _, context: None)

    def take(line: bytes) -> None:
        taken.append(line)
        raise RuntimeError("no")

    await asyncio.to_thread(hand_over, iter([b"a", b"b"]), loop, take)
    assert taken == [b"a", b"b"]


def test_lines_for_a_loop_that_is_over_are_left() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    lines = iter([b"a", b"b"])
    hand_over(lines, loop, lambda _: None)
    assert list(lines) == [b"b"]
