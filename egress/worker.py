"""The worker: one job in a process of its own; the order comes in on stdin, events go out on stdout as JSON lines."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

from egress.lines import hand_over, read_lines
from egress.model.errors import EgressError, Fault, RequestError
from egress.model.job import JobState
from egress.model.order import JobOrder
from egress.storage.manifest import artifact_row
from egress.storage.spool import JobFolder

EXIT = {JobState.FINISHED: 0, JobState.ABORTED: 1, JobState.FAILED: 1}

BAD_ORDER = 2

LONGEST_LINE = 4 << 20
"""Bytes the order may have; commands are held to less (egress.model.control)."""

_PASSING = ("alive", "hls")
"""Events that lose their worth with the next one of their type."""


class Announcer:
    """Writes events to the parent from one thread, so that a parent which stops reading never stops the job.

    Bounded: from three quarters on, `alive` and `hls` events are refused, for the next ones say the same and more;
    when full, all are but `state`, of which a job has a handful. `alive` says how many were `dropped`.
    """

    def __init__(self, out: BinaryIO, size: int = 10_000) -> None:
        self.dropped = 0
        self._out = out
        self._size = size
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)
        self._thread.start()

    def __call__(self, event: dict[str, Any]) -> None:
        """Queue one event; callable from any thread."""
        kind = event.get("type")
        with self._lock:
            room = self._size * 3 // 4 if kind in _PASSING else self._size
            if kind != "state" and self._queue.qsize() >= room:
                self.dropped += 1
                return
            self._queue.put({**event, "dropped": self.dropped} if kind == "alive" else event)

    def close(self, timeout: float = 5.0) -> None:
        """Write what is queued and end the thread."""
        self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (event := self._queue.get()) is not None:
            try:
                text = json.dumps(event, ensure_ascii=False, default=str)
                # What strangers say may hold half a character, which JSON can carry and UTF-8 cannot.
                self._out.write(text.encode(errors="replace") + b"\n")
                self._out.flush()
            except (BrokenPipeError, ValueError):
                return


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
        return _run(order, announce, lines)
    finally:
        announce.close()


def _run(order: JobOrder, announce: Announcer, lines: Iterator[bytes]) -> int:
    folder = JobFolder(_path(order.folder))
    try:
        # Its lock before its document: recovery takes only what has a document and no lock.
        with folder.held() as mine:
            if not mine:
                raise RequestError(f"job {order.id} is being run by another worker")
            try:
                folder.create(order)
                outcome = _outcome(order, announce, lines)
            finally:
                if not folder.undelivered():
                    folder.remove()
    except EgressError as error:
        announce(
            {"type": "state", "state": "failed", "reason": error.message, "blame": str(error.blame), **_spool(folder)}
        )
        return EXIT[JobState.FAILED]
    announce(
        {
            "type": "state",
            "state": str(outcome.state),
            "reason": outcome.reason,
            "blame": str(outcome.blame) if outcome.blame else None,
            "duration": outcome.length / 1e9,
            "artifacts": [artifact_row(artifact) for artifact in outcome.artifacts],
            **_spool(folder),
        }
    )
    return EXIT[outcome.state]


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
