"""The sinks of one job: opened together, fed from one encode, ended within a deadline."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from egress.berths import Berth, backup_of, berth_of, berths
from egress.model import registry
from egress.model.control import AddDestination, RemoveDestination
from egress.model.errors import EgressError, RequestError
from egress.model.job import Artifact
from egress.model.media import Packet, StreamInfo
from egress.model.order import JobOrder
from egress.model.outputs import SinkDoc
from egress.model.passing import Passed
from egress.model.problems import one_of
from egress.model.providers import cautions_for
from egress.model.rules import MAX_SINKS
from egress.model.streams import STREAM_DOCS, check_stream, shown_stream, stream_doc
from egress.model.targets import scheme_of
from egress.sinks.base import Mark, SinkContext, SinkState, SinkThread
from egress.sinks.glance import FILE, Glance
from egress.storage.receipt import keep_receipt, undelivered

DEADLINE = 20.0
"""Seconds the sinks have to close, all together; whoever is not done is given up and keeps what is on disk."""

STANDSTILL = 600.0
"""Seconds a delivery may make no progress. How long it takes in all is for the size of the file to say."""

GRACE = 5.0
"""Seconds a sink that was given up has to put away what it has."""

MOST_SINKS = 200
"""Sinks one job may have had: each leaves an artifact, which is kept in several documents."""

_LOOK = 0.5

_log = logging.getLogger(__name__)


class Outlets:
    """Every sink of the job on a thread of its own; a sink that fails harms no other."""

    def __init__(
        self,
        order: JobOrder,
        started: datetime,
        programme: Sequence[StreamInfo],
        announce: Callable[[dict[str, Any]], None],
    ) -> None:
        self._order = order
        self._started = started
        self._programme = tuple(programme)
        self._announce = announce
        self._told: set[int] = set()
        self._outlets: tuple[_Outlet, ...] = ()
        """Those that are fed. Replaced as a whole: encoders' threads read it at any time."""
        self._all: list[_Outlet] = []
        self._leaving: dict[asyncio.Task[None], _Outlet] = {}
        self._closing = False
        self._glance = self._look() if order.preview else None
        for doc in order.pipeline.sinks:
            self._open(doc)

    def _look(self) -> SinkThread:
        """What keeps the newest picture, which no part of the job depends on."""
        folder = Path(self._order.folder)
        doc = SinkDoc(kind="glance", to=str(folder / FILE), required=False)
        order = self._order
        context = SinkContext(order.id, order.room, order.title, self._started, folder, doc.to, self._announce)
        return SinkThread(doc.kind, Glance(doc, context), self._programme)

    def _open(self, doc: SinkDoc, name: str = "") -> _Outlet:
        order = self._order
        streamed = isinstance(doc, STREAM_DOCS)
        if isinstance(doc, STREAM_DOCS):
            name = name or self._free_name(doc.name or shown_stream(doc.to))
        berth = berth_of(order, len(self._all), doc)
        folder, doc = berth.folder, berth.doc
        folder.mkdir(parents=True, exist_ok=True)
        context = SinkContext(
            job=order.id,
            room=order.room,
            title=order.title,
            started=self._started,
            folder=folder,
            to=doc.to,
            announce=self._announce,
            options=({"overwrite": "yes"} if order.overwrite else {}) | {"ffmpeg": order.ffmpeg, "name": name},
            storage=order.storage_options.get(scheme_of(doc.to), {}),
            backup=backup_of(doc, order.storage_options),
            attempt=order.attempt,
        )
        sink = registry.load("sinks", doc.kind)(doc, context)
        thread = SinkThread(f"{doc.kind} {name if streamed else doc.to}", sink, self._programme)
        outlet = _Outlet(thread, doc, folder, name)
        self._all.append(outlet)
        self._outlets = (*self._outlets, outlet)
        return outlet

    def change(self, command: AddDestination | RemoveDestination) -> str:
        """Begin to stream to one more address, or end a stream; says what is being done.

        Raises RequestError, and then nothing has changed. What is added starts at the next keyframe; what is removed
        ends in good order, and nothing else is touched. To be called on the loop, which it does not hold up.
        """
        if self._closing:
            raise _wrong("command", "comes at a wrong time: the job is ending")
        return self._add(command) if isinstance(command, AddDestination) else self._remove(command)

    def _add(self, command: AddDestination) -> str:
        to, name = command.to.strip(), command.name.strip()
        if not self._programme:
            raise _wrong("to", "has nothing to carry: the pipeline makes no picture and no sound, it only keeps tracks")
        check_stream(to)
        audio = self._order.pipeline.audio.codec
        if audio != "aac":
            raise _wrong("to", f"streams carry aac, and audio.codec of the pipeline is {audio}; set audio.codec: aac")
        there = (*self._outlets, *self._leaving.values())
        for outlet in there:
            if isinstance(outlet.doc, STREAM_DOCS) and outlet.doc.to.strip() == to:
                fix = "remove that first, or use another key" if outlet in self._outlets else "it is about to end, wait"
                raise _wrong("to", f"is streamed to already, as {outlet.name}; {fix}")
        if name and name != self._free_name(name):
            raise _wrong("name", "is that of another stream of this job; choose another, or leave it out")
        if len(there) >= MAX_SINKS:
            raise _wrong("to", f"would be one too many: a job may have {MAX_SINKS} outputs at a time; remove one")
        if len(self._all) >= MOST_SINKS:
            raise _wrong("to", f"would be one too many: this job had {MOST_SINKS} outputs; start another one")
        try:
            outlet = self._open(stream_doc(to), name)
        except OSError as error:
            raise _wrong("to", f"cannot be added: the spool says {error.strerror}") from None
        for caution in cautions_for(to, self._order.pipeline):
            self._announce({"type": "warning", "message": caution})
        return f"connecting to {outlet.name}"

    def _remove(self, command: RemoveDestination) -> str:
        said = command.destination.strip()
        streams = [outlet for outlet in self._outlets if isinstance(outlet.doc, STREAM_DOCS)]
        found = [outlet for outlet in streams if said in (outlet.name, outlet.doc.to.strip())]
        found = found or [outlet for outlet in streams if said == shown_stream(outlet.doc.to)]
        if len(found) > 1:
            raise _wrong("destination", f"stands for several; use a name: {one_of(outlet.name for outlet in found)}")
        if not found:
            # It may be an address with its key, so it is not repeated.
            known = ", ".join(sorted(outlet.name for outlet in streams)) or "none"
            raise _wrong("destination", f"is none of this job's streams, which are: {known}")
        (outlet,) = found
        if all(other.thread.state is SinkState.FAILED for other in self._outlets if other is not outlet):
            raise _wrong("destination", "is the only output that is left; stop the job instead")
        self._outlets = tuple(other for other in self._outlets if other is not outlet)
        task = asyncio.create_task(asyncio.to_thread(outlet.finish), name=f"end {outlet.name}")
        self._leaving[task] = outlet
        task.add_done_callback(self._left)
        return f"ending {outlet.name}"

    async def settled(self) -> None:
        """Wait until everything that was removed has ended."""
        while self._leaving:
            await asyncio.wait(tuple(self._leaving))
            # Callbacks of what has ended run before this goes on.
            await asyncio.sleep(0)

    def _left(self, task: asyncio.Task[None]) -> None:
        outlet = self._leaving.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s did not end well", outlet.name, exc_info=error)

    def _free_name(self, wanted: str) -> str:
        taken = {outlet.name for outlet in (*self._outlets, *self._leaving.values())}
        names = (wanted, *(f"{wanted} ({number})" for number in range(2, len(taken) + 3)))
        return next(name for name in names if name not in taken)

    def write(self, packet: Packet) -> None:
        """Offer one packet to every sink; never waits; called from the encoders' threads."""
        for outlet in self._outlets:
            outlet.thread.offer(packet)
        if packet.key and self._glance is not None:
            self._glance.offer(packet)

    def pass_on(self, passed: Passed) -> None:
        """Offer frames of tracks to the sinks that take them; never waits; called on the loop."""
        for outlet in self._outlets:
            outlet.thread.offer(passed)

    def mark(self, mark: Mark) -> None:
        """Tell every sink of a join, leave, gap or pause, or where the programme's end is to be; from any thread."""
        for outlet in self._outlets:
            outlet.thread.offer(mark)

    def failures(self) -> tuple[tuple[str, EgressError, bool], ...]:
        """(name, error, required) of the sinks that have failed, also if removed since; each is announced once."""
        failed = []
        for index, outlet in enumerate(self._all):
            thread, error = outlet.thread, outlet.thread.error
            if error is None:
                continue
            failed.append((thread.name, error, outlet.doc.required))
            if index not in self._told:
                self._told.add(index)
                self._announce(
                    {
                        "type": "sink",
                        "sink": thread.name,
                        "state": "failed",
                        "required": outlet.doc.required,
                        "reason": error.message,
                        "blame": str(error.blame),
                        "spool": str(outlet.folder) if undelivered(outlet.folder) else None,
                    }
                )
        return tuple(failed)

    @property
    def undelivered(self) -> tuple[tuple[str, Path], ...]:
        """(name, folder in the spool) of the sinks that keep something there: once closed, what was not delivered."""
        return tuple((outlet.thread.name, outlet.folder) for outlet in self._all if undelivered(outlet.folder))

    @property
    def all_failed(self) -> bool:
        """Whether nothing is being written any more."""
        return all(outlet.thread.state is SinkState.FAILED for outlet in self._outlets)

    def status(self) -> list[dict[str, Any]]:
        """State, queue and counters of each sink that is fed or has not yet ended."""
        return [
            {
                "sink": thread.name,
                "state": str(thread.state),
                "waiting": thread.depth,
                "refused": thread.refused,
                **thread.sink.status(),
            }
            for thread in (outlet.thread for outlet in (*self._outlets, *self._leaving.values()))
        ]

    async def close(self) -> tuple[Artifact, ...]:
        """Finish every sink at once, give up those past the deadline, and say what was made.

        The deadline is for closing. Deliveries go on for as long as they make progress. Of those that fail, `failures`
        knows why and `undelivered` where what there is has been kept.
        """
        self._closing = True
        if self._glance is not None:
            self._glance.give_up("the job ends")
        ends = [asyncio.to_thread(outlet.finish) for outlet in self._outlets]
        earlier = asyncio.gather(*(asyncio.to_thread(self._salvage, berth) for berth in self._earlier()))
        await asyncio.gather(self.settled(), *ends)
        salvaged = [artifact for made in await earlier for artifact in made]
        self.failures()
        return (*salvaged, *(artifact for outlet in self._all for artifact in outlet.thread.artifacts))

    def _earlier(self) -> list[Berth]:
        """What workers that died left of sinks that do not go on with it."""
        ours = {outlet.folder for outlet in self._all}
        return [berth for berth in berths(self._order) if berth.folder not in ours and undelivered(berth.folder)]

    def _salvage(self, berth: Berth) -> tuple[Artifact, ...]:
        """Finish what an earlier attempt left; what cannot be is kept for `egress recover`."""
        try:
            return berth.salvage(self._order.storage_options)
        except (EgressError, OSError) as error:
            why = error.message if isinstance(error, EgressError) else error.strerror
            self._announce({"type": "warning", "message": f"{berth.doc.kind} of an earlier attempt: {why}; it is kept"})
            return ()


@dataclass(frozen=True, slots=True)
class _Outlet:
    """One sink on its thread, its document, its folder in the spool, and the name of the stream if it is one."""

    thread: SinkThread
    doc: SinkDoc
    folder: Path
    name: str

    def finish(self) -> None:
        """Have the sink close and deliver, or give it up, and note in its folder that all is done."""
        if not self.thread.finish(DEADLINE):
            self._give_up(f"not done within {DEADLINE:g} s")
        elif not self._delivered():
            self._give_up(f"no progress in delivering it for {STANDSTILL:g} s")
        elif self.thread.state is SinkState.CLOSED:
            try:
                keep_receipt(self.folder, self.thread.artifacts)
            except OSError as error:
                # Without its receipt a delivery counts as none: recovery looks again, and finds it.
                _log.warning("%s: no receipt could be kept: %s", self.folder, error.strerror)

    def _delivered(self) -> bool:
        """Wait for the sink's thread to end; False when its figures have stood still for too long."""
        seen, since = dict(self.thread.sink.status()), time.monotonic()
        while not self.thread.join(_LOOK):
            now = dict(self.thread.sink.status())
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > STANDSTILL:
                return False
        return True

    def _give_up(self, why: str) -> None:
        left = f"; what there is stays in the spool at {self.folder}" if undelivered(self.folder) else ""
        self.thread.give_up(f"{self.thread.name}: {why}{left}")
        self.thread.join(GRACE)


def _wrong(field: str, message: str) -> RequestError:
    """The error of one field of a command."""
    return RequestError(f"{field} {message}", ((field, message),))
