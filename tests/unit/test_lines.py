from __future__ import annotations

import os
import threading

import pytest

from egress.lines import read_lines


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
