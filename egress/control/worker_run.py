"""One worker process as its parent sees it: started with an order, watched by its events, stopped or killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

from egress.control.processes import Process
from egress.model.errors import Fault
from egress.model.order import JobOrder

READY_WITHIN = 10.0
"""Seconds a worker may take to join its room."""

ALIVE_WITHIN = 20.0
"""Seconds of silence after which a worker counts as hung and is killed."""

LINE_LIMIT = 4 << 20

WAITING = 1 << 20
"""Bytes of commands that may wait for the worker to read them."""


class WorkerRun:
    """A running worker. `events` must be followed to its end; it watches over the worker's signs of life."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._worker = Process.of(process.pid)
        self._killed: str | None = None

    @classmethod
    async def launch(cls, order: JobOrder) -> WorkerRun:
        """Start a worker on one order; the order, secrets and all, travels only through its stdin."""
        return cls(await spawn(order))

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """The worker's events until it ends; a worker that shows no life in time is killed."""
        assert self._process.stdout is not None
        patience = READY_WITHIN
        while True:
            try:
                async with asyncio.timeout(patience):
                    line = await self._process.stdout.readline()
            except TimeoutError:
                self.kill(f"no sign of life for {patience:.0f} s")
                patience = ALIVE_WITHIN
                continue
            except ValueError:
                self.kill(f"a line of over {LINE_LIMIT >> 20} MiB is no event")
                continue
            if not line:
                return
            patience = ALIVE_WITHIN
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event

    def ask_to_stop(self, reason: str) -> None:
        """Ask the worker to end its job cleanly."""
        self.command(json.dumps({"command": "stop", "reason": reason[:200]}))

    def command(self, line: str | bytes) -> bool:
        """Pass on what an operator says, one line of JSON (egress.model.control); its `control` event answers it.

        False when the worker takes no more: it is ending, or has not read what waits.
        """
        stdin = self._process.stdin
        assert stdin is not None
        if stdin.is_closing() or stdin.transport.get_write_buffer_size() > WAITING:
            return False
        stdin.write((line.encode() if isinstance(line, str) else line).replace(b"\n", b" ") + b"\n")
        return True

    def kill(self, reason: str) -> None:
        """End the worker and what it has started at once; what it recorded is still in the spool."""
        if self._process.returncode is None:
            self._killed = self._killed or reason
        if self._worker is not None:
            # Also of one that has died: its senders must not go on without it.
            self._worker.kill_session()

    def killed_for(self, status: int) -> str:
        """Why the worker ended without saying how its job went."""
        return self._killed if self._killed is not None else ended_by(status)

    async def wait(self) -> int:
        """The worker's exit status; negative is the signal that ended it."""
        return await self._process.wait()


async def spawn(order: JobOrder) -> asyncio.subprocess.Process:
    """Start a worker on one order; the order, secrets and all, travels only through its stdin.

    Raises OSError when the log cannot be written.
    """
    with _log_of(order) as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "egress.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            limit=LINE_LIMIT,
            env=_environment(),
        )
    assert process.stdin is not None
    try:
        process.stdin.write(order.model_dump_json().encode() + b"\n")
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        if process.returncode is None:
            raise Fault("the worker closed its command channel") from None
    return process


@contextlib.contextmanager
def _log_of(order: JobOrder) -> Iterator[int | None]:
    """Where the worker's standard error goes; None is where ours does."""
    if not order.log:
        yield None
        return
    # Appended to, so that whoever keeps it short may cut it off while it is written.
    handle = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def ended_by(status: int) -> str:
    """An exit status in words; negative is the signal that ended a process."""
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _environment() -> dict[str, str]:
    """Ours without our settings: some are secrets, and the worker learns what it needs from its order.

    Each track is decoded on a thread of its own, and glibc gives every new thread an arena, up to eight a core: while
    participants come and go, each keeps a few freed pictures, 200 MB together after a minute on two cores. Nor does
    numpy's arithmetic of matrices take threads, which would wait for each other by spinning.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith("EGRESS_")}
    return {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1", **ours}
