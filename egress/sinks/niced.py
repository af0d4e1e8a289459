"""Entry of a process that becomes another program: one that yields to everything else, and ends with its parent.

python -m egress.sinks.niced PARENT PROGRAM ARGUMENT...
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys

from egress.sinks.sender import die_with

_NICEST = 19
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
"""The system call by machine; glibc has no function for it (ioprio_set(2))."""
_THIS_PROCESS, _IDLE = 1, 3 << 13


def main(words: list[str]) -> None:
    """Give way and become `words[1:]`, or say on stderr why not."""
    die_with(int(words[0]))
    with contextlib.suppress(OSError):
        os.nice(_NICEST)
    if number := _IOPRIO_SET.get(platform.machine()):
        # A disk that cannot be told does as it does for everyone.
        ctypes.CDLL(None).syscall(number, _THIS_PROCESS, 0, _IDLE)
    try:
        os.execv(words[1], words[1:])
    except OSError as error:
        sys.exit(f"{words[1]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
