"""What a worker says: to the parent through a pipe, or into a log that outlives it and to whoever is connected."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from egress.lines import split_lines
from egress.storage.event_log import EventLog, line_of

SOCKET = "control.sock"
"""The socket in a job's folder at which a detached worker is reached."""

PASSING = ("alive", "hls")
"""Events that lose their worth with the next one of their type."""

LONGEST = 128 << 10
"""Bytes a line from a client may have; commands are held to less (egress.model.control)."""

WAITING = 10_000
"""Events that may wait for one client; it is let go beyond, and asks for what it missed when it comes back."""

_FLUSH = 5.0

_log = logging.getLogger(__name__)

Event = dict[str, Any]


class Announcer:
    """Passes events on from one thread, so that a parent which stops reading never stops the job.

    Bounded: from three quarters on, `alive` and `hls` events are refused, for the next ones say the same and more;
    when full, all are but `state`, of which a job has a handful. `alive` says how many were `dropped`.
    """

    def __init__(self, out: BinaryIO | Reception, size: int = 10_000) -> None:
        self.dropped = 0
        self._out = out
        self._size = size
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Queue one event; callable from any thread."""
        kind = event.get("type")
        with self._lock:
            room = self._size * 3 // 4 if kind in PASSING else self._size
            if kind != "state" and self._queue.qsize() >= room:
                self.dropped += 1
                return
            self._queue.put({**event, "dropped": self.dropped} if kind == "alive" else event)

    def close(self, timeout: float = _FLUSH) -> None:
        """Write what is queued and end the thread."""
        self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (event := self._queue.get()) is not None:
            try:
                if isinstance(self._out, Reception):
                    self._out.tell(event)
                else:
                    self._out.write(line_of(event))
                    self._out.flush()
            except (BrokenPipeError, ValueError):
                return


class Reception:
    """Where a detached worker is reached: a socket in the job's folder for one client at a time, the last that came.

    A client's first line is {"since": SEQ}; the answer is `hello`, then the events after that number and those that
    come. Further lines are commands, handed on by `commands`. `hello` also holds the last `ready` and `alive`.
    """

    def __init__(self, folder: Path, attempt: int) -> None:
        self._log = EventLog(folder)
        self._attempt = attempt
        self._path = folder / SOCKET
        self._lock = threading.Lock()
        self._client: _Client | None = None
        self._last: dict[str, Event | None] = {"ready": None, "alive": None}
        self._lines: queue.Queue[bytes] = queue.Queue(16)
        self._listener = _listening(self._path)
        threading.Thread(target=self._accept, name="reception", daemon=True).start()

    def tell(self, event: Event) -> None:
        """Keep an event, if it is worth it, and pass it on."""
        event = {**event, "attempt": self._attempt}
        with self._lock:
            if event.get("type") in self._last:
                self._last[event["type"]] = event
            if event.get("type") not in PASSING:
                event = self._log.append(event)
            if self._client is not None and not self._client.give(event):
                self._client = None

    def commands(self) -> Iterator[bytes]:
        """What clients say, a line each; has no end."""
        while True:
            yield self._lines.get()

    def close(self) -> None:
        """Give the client what waits for it, and be reached no more."""
        self._path.unlink(missing_ok=True)
        self._listener.close()
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.finish()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), name="client", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        """Follow one client to its end."""
        lines = split_lines(lambda: connection.recv(65536), longest=LONGEST)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            try:
                since = int(json.loads(next(lines, b""))["since"])
            except (ValueError, KeyError, TypeError):
                return
            client = _Client(connection)
            with self._lock:
                before, self._client = self._client, client
                client.give({**self._hello(), "attempt": self._attempt})
                for event in self._log.since(since):
                    client.give(event)
            if before is not None:
                before.give({"type": "replaced"})
                before.finish()
            for line in lines:
                if line.strip():
                    self._lines.put(line)

    def _hello(self) -> Event:
        told = {"type": "hello", "pid": os.getpid(), "first": self._log.first, "seq": self._log.seq}
        return {**told, **self._last}


class _Client:
    """One connection: events wait for it in a bounded queue, and go out on a thread of its own."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._send, name="client-events", daemon=True)
        self._thread.start()

    def give(self, event: Event) -> bool:
        """Queue an event; False when the client cannot keep up, or has gone."""
        if self._gone.is_set():
            return False
        if self._queue.qsize() >= WAITING and event.get("type") not in ("hello", "replaced"):
            _log.warning("whoever follows this job does not keep up, and is let go")
            self._end()
            return False
        self._queue.put(event)
        return True

    def finish(self) -> None:
        """Send what is queued, and hang up."""
        self._queue.put(None)
        self._thread.join(_FLUSH)
        self._end()

    def _send(self) -> None:
        try:
            while (event := self._queue.get()) is not None:
                self._connection.sendall(line_of(event))
        except OSError:
            self._end()

    def _end(self) -> None:
        self._gone.set()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


def _listening(path: Path) -> socket.socket:
    """Listen at a path, however long; raises OSError.

    The name of a socket may have 107 bytes (unix(7)); through a descriptor of its folder any path is short enough.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Nobody else may so much as try: the folder lets nobody in, and so does the socket.
        before = os.umask(0o177)
        try:
            listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.umask(before)
        listener.listen(4)
    except OSError:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener
