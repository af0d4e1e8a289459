"""Processes that may not be our children, told apart from others that get the same number later."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its number, and when it began, in clock ticks since the machine started (proc(5), field 22)."""

    pid: int
    began: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has a number now; None when there is none."""
        fields = _fields(pid)
        return cls(pid, int(fields[19])) if fields else None

    def handle(self) -> int | None:
        """A descriptor that becomes readable when it ends, and means no other process ever; None when it has ended."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return None
        # Looked at once it is held: from here on the number cannot change hands unseen.
        if Process.of(self.pid) != self or select.select([handle], [], [], 0)[0]:
            os.close(handle)
            return None
        return handle

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        handle = self.handle()
        if handle is not None:
            os.close(handle)
        return handle is not None

    def kill_session(self) -> None:
        """Kill it and every process of its session, also those it has left behind; it must have led one."""
        leader = Process.of(self.pid)
        if leader is not None and leader != self:
            # While anything of the old session lived, its number could not have been given to another process.
            return
        for path in _PROC.iterdir():
            if path.name.isdecimal():
                fields = _fields(int(path.name))
                if fields and int(fields[3]) == self.pid and int(fields[19]) >= self.began:
                    Process(int(path.name), int(fields[19])).kill()

    def kill(self) -> None:
        """Kill it, if it still runs."""
        handle = self.handle()
        if handle is None:
            return
        try:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def _fields(pid: int) -> list[str]:
    """What proc(5) calls fields 3 and on of a process; [] when there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text("utf-8", errors="replace")
    except OSError:
        return []
    # The second field is the name, in brackets, and may hold anything.
    return text.rpartition(")")[2].split()
