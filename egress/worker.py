"""The worker: one job in a process of its own; the order comes in on stdin, events go out on stdout as JSON lines.

A detached one outlives its parent: it keeps its events in the spool, and takes commands at a socket there.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

from egress.lines import hand_over, read_lines
from egress.model.errors import DestinationError, EgressError, Fault, RequestError
from egress.model.job import JobState
from egress.model.order import JobOrder
from egress.reporting import Announcer, Reception
from egress.storage.manifest import artifact_row
from egress.storage.spool import JobFolder

EXIT = {JobState.FINISHED: 0, JobState.ABORTED: 1, JobState.FAILED: 1}

BAD_ORDER = 2

LONGEST_LINE = 4 << 20
"""Bytes the order may have; commands are held to less (egress.model.control)."""


def main() -> int:
    """Run the one job the parent sends; returns the exit status."""
    out = _private_stdout()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    announce = Announcer(out)
    try:
        lines = read_lines(0, longest=LONGEST_LINE)
        line = next(lines, b"")
        try:
            order = JobOrder.model_validate_json(line)
        except ValueError as error:
            # pydantic's message would repeat the input, and the input holds secrets.
            count = getattr(error, "error_count", lambda: 1)()
            announce({"type": "state", "state": "failed", "reason": f"the order has {count} problems", "blame": "us"})
            return BAD_ORDER
        logging.getLogger().setLevel(order.log_level)
        return _run_detached(order, announce) if order.detached else _run(order, announce, lines)
    finally:
        announce.close()


def _run(order: JobOrder, announce: Announcer, lines: Iterator[bytes]) -> int:
    folder = JobFolder(_path(order.folder))
    try:
        # Its lock before its document: recovery takes only what has a document and no lock.
        with _mine(order, folder):
            try:
                folder.create(order)
                event = _ended(_outcome(order, announce, lines))
            finally:
                if not folder.undelivered():
                    folder.remove()
    except EgressError as error:
        event = _failed(error)
    announce({**event, **_spool(folder)})
    return EXIT[JobState(event["state"])]


def _run_detached(order: JobOrder, parent: Announcer) -> int:
    """Run the job out of the parent's reach, which hears only whether it has begun.

    The folder stays: whoever is responsible for the job takes it away having read how it ended.
    """
    folder = JobFolder(_path(order.folder))
    try:
        with _mine(order, folder):
            folder.create(order)
            try:
                reception = Reception(folder.path, order.attempt)
            except OSError as error:
                raise DestinationError(f"spool {folder.path}: no socket can be made there: {error.strerror}") from error
            parent({"type": "detached"})
            parent.close()
            announce = Announcer(reception)
            try:
                event = _ended(_outcome(order, announce, reception.commands()))
            except EgressError as error:
                event = _failed(error)
            # Said before the lock is free: a job that nobody holds and that has no end counts as died.
            announce({**event, **_spool(folder)})
            announce.close()
            reception.close()
    except EgressError as error:
        event = _failed(error)
        parent({**event, **_spool(folder)})
    return EXIT[JobState(event["state"])]


@contextlib.contextmanager
def _mine(order: JobOrder, folder: JobFolder) -> Iterator[None]:
    with folder.held() as mine:
        if not mine:
            raise RequestError(f"job {order.id} is being run by another worker")
        yield


def _ended(outcome: Any) -> dict[str, Any]:
    return {
        "type": "state",
        "state": str(outcome.state),
        "reason": outcome.reason,
        "blame": str(outcome.blame) if outcome.blame else None,
        "duration": outcome.length / 1e9,
        "artifacts": [artifact_row(artifact) for artifact in outcome.artifacts],
        "manifest": outcome.manifest,
    }


def _failed(error: EgressError) -> dict[str, Any]:
    return {"type": "state", "state": str(JobState.FAILED), "reason": error.message, "blame": str(error.blame)}


def _spool(folder: JobFolder) -> dict[str, Any]:
    """What of a job has stayed in the spool, from where `egress recover` delivers it."""
    kept = folder.undelivered()
    return {"spool": str(folder.path) if kept else None, "undelivered": [str(path) for path in kept]}


def _outcome(order: JobOrder, announce: Announcer, lines: Iterator[bytes]) -> Any:
    # The media modules make long-lived objects by the thousand while they load: out of the collector's way.
    from egress.session import Session

    gc.collect()
    gc.freeze()
    return _loop(order, announce, lines, Session)


def _loop(order: JobOrder, announce: Announcer, lines: Iterator[bytes], session_type: Any) -> Any:
    async def visit() -> Any:
        session = session_type(order, announce)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, session.stop, f"stopped by {number.name}")
        reader = threading.Thread(target=_commands, args=(lines, loop, session), name="commands", daemon=True)
        reader.start()
        try:
            return await session.run()
        except Exception as error:
            logging.getLogger("egress").exception("the session failed")
            raise Fault(f"{type(error).__name__}: {error}") from error

    try:
        import uvloop
    except ImportError:
        return asyncio.run(visit())
    return uvloop.run(visit())


def _commands(lines: Iterator[bytes], loop: asyncio.AbstractEventLoop, session: Any) -> None:
    """Follow the parent's lines; its death (end of input) stops the job, so that no bot is ever left behind.

    Blocked in a read until the process ends, hence a daemon thread and not a task.
    """

    hand_over(lines, loop, session.command)
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(session.stop, "the process that started the job is gone")


def _private_stdout() -> BinaryIO:
    """The real stdout for events only: whatever else prints (libraries, libav) goes to stderr."""
    sys.stdout.flush()
    handle = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(handle, "wb", buffering=0)


def _path(text: str) -> Any:
    from pathlib import Path

    return Path(text)


if __name__ == "__main__":
    sys.exit(main())
