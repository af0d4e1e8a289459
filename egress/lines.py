"""Lines of a pipe as they come."""

from __future__ import annotations

import os
from collections.abc import Iterator


def read_lines(handle: int, *, longest: int) -> Iterator[bytes]:
    """Lines of a descriptor until its end, unbuffered: a buffered file that a thread waits in is fatal at exit.

    Of a line that has more than `longest` bytes only one more is kept: whoever reads it can tell, and refuse it.
    """
    rest = b""
    while chunk := os.read(handle, 65536):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line[: longest + 1] for line in whole)
        rest = rest[: longest + 1]
    if rest:
        yield rest
