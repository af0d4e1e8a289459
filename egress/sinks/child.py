"""A process that sends for a live sink, on pipes that never make the sink wait."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from egress.sinks.rtmp_protocol import Trouble

_PIPE_SIZE = 1 << 18
_LINE_MOST = 1 << 16
_WORDS_MOST = 2_000

Report = dict[str, Any]


class Child(ABC):
    """One running sender. No method waits, but `wait` (at most the time it is given).

    `ready` says whether the pipe has taken all that was sent; only then may more be sent.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], handles: Sequence[int] = ()) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=dict(environment),
            pass_fds=handles,
            # A Ctrl-C on the terminal is for the worker, which then ends the stream in good order.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._stdin, self._stdout, self._stderr = self._process.stdin, self._process.stdout, self._process.stderr
        for pipe in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(pipe.fileno(), False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._stdin, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        self._left = memoryview(b"")
        self._partial = bytearray()
        self._words = bytearray()

    @abstractmethod
    def reports(self) -> list[Report]:
        """What it has reported since the last time: `live`, `alive` with bytes `sent`, `lost` with `code`, `reason` and
        seconds `idle`, `ended`."""

    @abstractmethod
    def finish(self) -> None:
        """Have it send what it has, say goodbye and end."""

    @abstractmethod
    def death(self) -> tuple[Trouble, str]:
        """Why it ended without having said so."""

    @abstractmethod
    def silence(self) -> tuple[Trouble, str]:
        """What it means that it has reported nothing for too long."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ready(self) -> bool:
        """Whether the pipe has taken all that was sent."""
        self._push()
        return not self._left

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def send(self, data: bytes) -> None:
        """Send bytes as far as the pipe takes them; what is left goes with the next look at `ready`."""
        assert not self._left
        self._left = memoryview(data)
        self._push()

    @property
    def last_words(self) -> str:
        """The last line it wrote to stderr, if any."""
        return self._words.decode(errors="replace").strip().rpartition("\n")[2]

    def wait(self, seconds: float) -> None:
        """Wait until it reports something, takes more of what was sent, or the time is over."""
        # Not select(): a worker may well have more than 1024 files open.
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        if self._left:
            poll.register(self._stdin, select.POLLOUT)
        poll.poll(seconds * 1000)

    def kill(self) -> None:
        """End it at once and let go of its pipes."""
        if self._process.poll() is None:
            self._process.kill()
        for pipe in (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(OSError):
                pipe.close()
        self._left = memoryview(b"")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)

    def _lines(self) -> list[bytes]:
        """Whole lines it has written to stdout; what it writes to stderr is kept as far as it is its last words."""
        self._words += _read(self._stderr.fileno(), _WORDS_MOST)
        del self._words[:-_WORDS_MOST]
        self._partial += _read(self._stdout.fileno(), _LINE_MOST)
        *lines, rest = bytes(self._partial).split(b"\n")
        self._partial = bytearray(rest[:_LINE_MOST])
        return lines

    def _push(self) -> None:
        while self._left:
            try:
                self._left = self._left[os.write(self._stdin.fileno(), self._left) :]
            except BlockingIOError:
                return
            except (OSError, ValueError):
                # It is gone, which `ended` tells; what was meant for it is of no use to anyone.
                self._left = memoryview(b"")


def environment(*more: str) -> dict[str, str]:
    """What a sender needs of the environment; the rest may hold other secrets of the worker."""
    names = ("PATH", "HOME", "TMPDIR", "TZ", "LANG", "LD_LIBRARY_PATH", *more)
    return {name: os.environ[name] for name in names if name in os.environ}


def _read(number: int, most: int) -> bytes:
    try:
        return os.read(number, most)
    except OSError:
        return b""
