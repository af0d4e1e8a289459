"""Lines of a pipe as they come."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Iterator


def read_lines(handle: int, *, longest: int) -> Iterator[bytes]:
    """Lines of a descriptor until its end, unbuffered: a buffered file that a thread waits in is fatal at exit.

    Of a line that has more than `longest` bytes only one more is kept: whoever reads it can tell, and refuse it.
    """
    return split_lines(lambda: os.read(handle, 65536), longest=longest)


def split_lines(read: Callable[[], bytes], *, longest: int) -> Iterator[bytes]:
    """Lines of what `read` gives, b"" being the end; long ones are kept as `read_lines` does."""
    rest = b""
    while chunk := read():
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line[: longest + 1] for line in whole)
        rest = rest[: longest + 1]
    if rest:
        yield rest


def hand_over(lines: Iterable[bytes], loop: asyncio.AbstractEventLoop, take: Callable[[bytes], object]) -> None:
    """Have `take` called on the loop for each line that says something; runs on a thread of its own, until they end.

    The next line is read only when the one before was taken, so that whoever writes faster waits, and the loop gets to
    everything else meanwhile. Returns when the loop is closed.
    """
    for line in lines:
        if not line.strip():
            continue
        taken = threading.Event()
        try:
            loop.call_soon_threadsafe(_taken, take, line, taken)
        except RuntimeError:
            return
        taken.wait()


def _taken(take: Callable[[bytes], object], line: bytes, taken: threading.Event) -> None:
    try:
        take(line)
    finally:
        taken.set()
