"""What the CPU of a worker goes to: every thread's share, read from outside it, by the stage it works for."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from egress.model.media import MILLISECOND, Nanos

STAGES: Final = ("receive", "decode", "compose", "mix", "encode", "sinks", "other")
"""`receive` is the event loop: network, decryption, frames put together, and all that waits for something. `decode`:
pictures decoded and scaled. `compose`: the canvas. `mix`: sound decoded, mixed, measured. `encode`: all encoders.
`sinks`: containers, files, uploads; not the processes that send streams. `other`: start-up, and what has no name."""

_THREADS: Mapping[str, str] = MappingProxyType(
    {
        "intake-": "decode",
        "programme": "compose",
        "loudness": "mix",
        "encode-": "encode",
        "sink-": "sinks",
        "mirror": "sinks",
        "follow": "sinks",
    }
)
"""Beginnings of the names of threads."""

_PER_THREAD = 4 | 2
"""CPUCLOCK_PERTHREAD_MASK and CPUCLOCK_SCHED of Linux: with a thread's number, its CPU clock. Other than
time.pthread_getcpuclockid, which looks into a thread's memory, this is safe when the thread has just ended."""


class Exertion:
    """CPU milliseconds by stage since the process began; all methods are called on the loop's thread.

    What a thread did between the last reading and its end is in no stage.
    """

    def __init__(self) -> None:
        """What this process has used so far was its start."""
        self._main = threading.get_native_id()
        self._begun = time.thread_time_ns()
        self._seen: dict[int, tuple[str, Nanos]] = {}
        self._ended: dict[str, Nanos] = dict.fromkeys(STAGES, 0)

    def read(self, mixed: Nanos = 0) -> dict[str, int]:
        """Read every thread; `mixed` is how much of the programme's own thread went into sound."""
        stages = {thread.native_id: _stage(thread.name) for thread in threading.enumerate()}
        stages[self._main] = "receive"
        seen: dict[int, tuple[str, Nanos]] = {}
        for task in Path("/proc/self/task").iterdir():
            number = int(task.name)
            try:
                spent = time.clock_gettime_ns(~number << 3 | _PER_THREAD)
            except OSError:
                continue  # it has ended
            before = self._seen.get(number, ("encode", 0))
            # Python forgets a thread a moment before it has ended. Those it never knew are the encoders' own: no other
            # library here starts any that work.
            seen[number] = stages.get(number, before[0] if spent >= before[1] else "encode"), spent
        for number, (stage, spent) in self._seen.items():
            if number not in seen or seen[number][1] < spent:
                self._ended[stage] += spent
        self._seen = seen
        totals = dict(self._ended)
        for stage, spent in seen.values():
            totals[stage] += spent
        totals["receive"] -= self._begun
        totals["other"] += self._begun
        mixed = min(mixed, totals["compose"])
        totals["compose"] -= mixed
        totals["mix"] += mixed
        return {stage: spent // MILLISECOND for stage, spent in totals.items()}


def _stage(name: str) -> str:
    return next((stage for beginning, stage in _THREADS.items() if name.startswith(beginning)), "other")
