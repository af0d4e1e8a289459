"""The seam of every sink, and the thread each one runs on."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from egress.model.errors import DestinationError, EgressError, Fault
from egress.model.job import Artifact
from egress.model.media import MILLISECOND, SECOND, Nanos, Packet, StreamInfo
from egress.model.outputs import SinkDoc
from egress.model.passing import Passed


@dataclass(frozen=True, slots=True)
class Backup:
    """Where files go that their target will not have: like a target an absolute path or an address, and what the
    storage of it is told, secrets among that."""

    to: str
    storage: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What a sink may know about its job.

    `folder` is the sink's own folder in the spool (exists, private to it); `to` is the resolved target: an absolute
    path for files, an address for servers. `announce` publishes an event (a JSON-able dict with a `type`) from any
    thread. `started` is the wall-clock time (UTC) of session time 0, and so of pts 0. `storage` is what the
    storage of `to` is told, secrets among them. `attempt` counts the workers of the job: those before this one died.
    `backup` is the place for files that `to` will not have.
    """

    job: str
    room: str
    title: str
    started: datetime
    folder: Path
    to: str
    announce: Callable[[dict[str, Any]], None]
    options: Mapping[str, str] = field(default_factory=dict)
    storage: Mapping[str, str] = field(default_factory=dict, repr=False)
    attempt: int = 1
    backup: Backup | None = None


END = "end"
"""The kind of mark that says: nobody was there after it. A file ends there; what viewers saw live stays."""

PAUSE, RESUME = "pause", "resume"
"""Kinds of marks between which a file leaves everything out, while viewers see a card. Both come before the packets of
their time, and in the picture there is a keyframe at each."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a session time and deserves a chapter or date range: join, leave, gap, mark; or where
    a pause begins or ends, or the whole."""

    at: Nanos
    kind: str
    text: str
    duration: Nanos = 0
    """Of what has one: timed metadata, captions."""
    language: str = ""
    """Of a caption."""


SPEAKER = "speaker"
"""The kind of marks for who watches that say who has the floor, until the next of them; without text nobody has."""

METADATA, CAPTION = "metadata", "caption"
"""Kinds of marks made by commands, for who watches: what players hand to their page, and what is written over the
picture by them."""


LULL: Nanos = 200 * MILLISECOND
"""The `lull` of sinks that nobody waits for."""


class Sink(ABC):
    """One output. All methods but status and interrupt are called on one thread.

    They come as open, write and mark, close, deliver; or abort.
    """

    resumes: ClassVar[bool] = False
    """Whether the sink of a later attempt goes on in the folder, and at the target, of those before it, and makes one
    product of all. Of others each attempt has a folder of its own and makes a product of its own."""

    backlog: ClassVar[int] = 4096
    """Items that may wait for it: packets, marks, and batches of frames."""

    lull: Nanos = 0
    """How long it may rest when it has taken all there was, so that it then takes several at once: whoever is woken
    for each packet pays for that what the packet itself costs several times over. 0: every packet counts at once."""

    passes: ClassVar[bool] = False
    """Whether it takes tracks as they were sent, through `pass_on`."""

    def __init__(self, doc: SinkDoc, context: SinkContext) -> None:
        self.doc = doc
        self.context = context

    @classmethod
    def takes(cls, info: StreamInfo) -> bool:
        """Whether a stream of the programme is for this kind of sink: most take no smaller pictures beside the one."""
        return info.rung == 0

    @abstractmethod
    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Get ready to write these streams; raises DestinationError."""

    @abstractmethod
    def write(self, packet: Packet) -> None:
        """Take one packet; packets of one stream come in dts order, streams roughly interleaved."""

    def mark(self, mark: Mark) -> None:  # noqa: B027
        """Note a chapter-worthy event."""

    def pass_on(self, passed: Passed) -> None:  # noqa: B027
        """Take frames and news of tracks as they were sent; only if it `passes`."""

    @abstractmethod
    def close(self) -> Sequence[Artifact]:
        """Finish within seconds, whatever the length, and say what was made, which may lie in the spool yet."""

    def deliver(self, made: Sequence[Artifact]) -> Sequence[Artifact]:
        """Bring what `close` made to its place, and say where it is; takes the time its size takes.

        Raises DestinationError, and then all of it still is in the spool. `status` shows progress meanwhile.
        """
        return made

    @abstractmethod
    def abort(self) -> Sequence[Artifact]:
        """Give up fast; keep what is on disk, and say what is there."""

    def interrupt(self) -> None:  # noqa: B027
        """The sink was given up: end what takes long and would not look by itself; called from any thread."""

    def status(self) -> Mapping[str, Any]:
        """Counters and state for operators; called from any thread."""
        return {}

    @classmethod
    def recover(
        cls, folder: Path, to: str, storage: Mapping[str, str] | None = None, backup: Backup | None = None
    ) -> Sequence[Artifact]:
        """Finish what a dead process left in `folder` (the sink's spool folder) for target `to`.

        `storage` is what the storage of `to` is told; `backup` as in SinkContext.
        """
        return ()


class SinkState(StrEnum):
    """Where a sink stands: `delivering` once it has closed, `closed` when all of it is at its place."""

    OPENING = "opening"
    RUNNING = "running"
    DELIVERING = "delivering"
    CLOSED = "closed"
    FAILED = "failed"


_CROWD = 64
"""So many items waiting end a rest: a programme that is made faster than real time is not to wait for its sinks."""


class SinkThread:
    """Runs one sink on one thread behind a bounded queue whose `offer` never waits.

    When the queue is full the sink has failed: its destination cannot keep up with the programme. (A sink that can
    shed load, like RTMP, does so inside `write` and never lets the queue fill.)
    """

    def __init__(self, name: str, sink: Sink, programme: Sequence[StreamInfo], *, size: int | None = None) -> None:
        self.name = name
        self.sink = sink
        self.state = SinkState.OPENING
        self.error: EgressError | None = None
        self.artifacts: tuple[Artifact, ...] = ()
        self.refused = 0
        self._programme = tuple(info for info in programme if sink.takes(info))
        self._streams = frozenset(info.id for info in self._programme)
        self._size = size or sink.backlog
        self._queue: queue.SimpleQueue[Packet | Mark | Passed | None] = queue.SimpleQueue()
        self._resting = False
        self._roused = threading.Event()
        self._aborted = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)
        self._thread.start()

    def offer(self, item: Packet | Mark | Passed) -> bool:
        """Queue a packet, a mark, or frames of tracks; False when the sink has failed or cannot keep up. Streams and
        tracks it does not take are left out."""
        if self.state is SinkState.FAILED:
            return False
        if isinstance(item, Packet) and item.stream not in self._streams:
            return True
        if isinstance(item, Passed) and not self.sink.passes:
            return True
        # Several threads offer, so there may be one or two more in it than it has room for.
        waiting = self._queue.qsize()
        if waiting >= self._size:
            self.refused += 1
            self._fail(DestinationError(f"{self.name} cannot keep up: {waiting} items waiting"))
            self._abort()
            return False
        self._queue.put(item)
        if self._resting and waiting >= _CROWD:
            self._roused.set()
        return True

    def finish(self, timeout: float = 20.0) -> bool:
        """No more packets will come: wait for the sink to write those queued and close; False when it did not in time.

        What it made is then on its way to its place, which `join` waits for.
        """
        self._queue.put(None)
        self._roused.set()
        return self._closed.wait(timeout)

    def give_up(self, reason: str) -> None:
        """Count the sink as failed, and have it stop as soon as the current call returns."""
        self._fail(DestinationError(reason))
        self._abort()
        self.sink.interrupt()

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end; False when it did not."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def depth(self) -> int:
        """How many items wait."""
        return self._queue.qsize()

    def _abort(self) -> None:
        self._aborted.set()
        self._roused.set()

    def _fail(self, error: EgressError) -> None:
        with self._lock:
            if self.error is None and self.state is not SinkState.CLOSED:
                self.error = error
                self.state = SinkState.FAILED

    def _become(self, state: SinkState) -> None:
        with self._lock:
            if self.state is not SinkState.FAILED:
                self.state = state

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._closed.set()

    def _work(self) -> None:
        try:
            self.sink.open(self._programme)
            self._become(SinkState.RUNNING)
            while not self._aborted.is_set():
                self._rest()
                try:
                    item = self._queue.get(timeout=0.2)
                except queue.Empty:
                    continue
                if item is None:
                    made = self.sink.close()
                    if self._aborted.is_set():
                        break
                    self._become(SinkState.DELIVERING)
                    self._closed.set()
                    self.artifacts = tuple(self.sink.deliver(made))
                    self._become(SinkState.CLOSED)
                    return
                if isinstance(item, Mark):
                    self.sink.mark(item)
                elif isinstance(item, Passed):
                    self.sink.pass_on(item)
                else:
                    self.sink.write(item)
            self._fail(DestinationError(f"{self.name} was given up before it had finished"))
        except EgressError as error:
            self._fail(error)
        except OSError as error:
            self._fail(DestinationError(f"{self.name}: {error.strerror or error}"))
        except Exception as error:
            self._fail(Fault(f"{self.name}: {type(error).__name__}: {error}"))
        try:
            self.artifacts = tuple(self.sink.abort())
        except Exception as error:
            self._fail(Fault(f"{self.name} could not be put away: {error}"))

    def _rest(self) -> None:
        """Let the sink's lull pass, and another one as long as nothing came meanwhile."""
        while self.sink.lull and self._queue.empty() and not self._aborted.is_set():
            self._resting = True
            self._roused.wait(self.sink.lull / SECOND)
            self._resting = False
            self._roused.clear()
