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

from egress.model import registry
from egress.model.errors import EgressError
from egress.model.job import Artifact
from egress.model.media import Packet, StreamInfo
from egress.model.order import JobOrder
from egress.model.outputs import RtmpDoc
from egress.model.secrets import redact_url
from egress.model.targets import scheme_of
from egress.sinks.base import Mark, SinkContext, SinkState, SinkThread
from egress.storage.receipt import keep_receipt, undelivered

DEADLINE = 20.0
"""Seconds the sinks have to close, all together; whoever is not done is given up and keeps what is on disk."""

STANDSTILL = 600.0
"""Seconds a delivery may make no progress. How long it takes in all is for the size of the file to say."""

GRACE = 5.0
"""Seconds a sink that was given up has to put away what it has."""

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
        self._announce = announce
        self._told: set[int] = set()
        self._outlets: list[_Outlet] = []
        for index, doc in enumerate(order.pipeline.sinks):
            folder = sink_folder(Path(order.folder), index, doc.kind)
            folder.mkdir(parents=True, exist_ok=True)
            context = SinkContext(
                job=order.id,
                room=order.room,
                title=order.title,
                started=started,
                folder=folder,
                to=doc.to,
                announce=announce,
                options=({"overwrite": "yes"} if order.overwrite else {}) | {"ffmpeg": order.ffmpeg},
                storage=order.storage_options.get(scheme_of(doc.to), {}),
            )
            sink = registry.load("sinks", doc.kind)(doc, context)
            shown = redact_url(doc.to) if isinstance(doc, RtmpDoc) else doc.to
            thread = SinkThread(f"{doc.kind} {shown}", sink, programme)
            self._outlets.append(_Outlet(thread, doc.required, folder))

    def write(self, packet: Packet) -> None:
        """Offer one packet to every sink; never waits; called from the encoders' threads."""
        for outlet in self._outlets:
            outlet.thread.offer(packet)

    def mark(self, mark: Mark) -> None:
        """Tell every sink of a join, leave, gap or pause, or where the programme's end is to be; from any thread."""
        for outlet in self._outlets:
            outlet.thread.offer(mark)

    def failures(self) -> tuple[tuple[str, EgressError, bool], ...]:
        """(name, error, required) of the sinks that have failed; each is announced once."""
        failed = []
        for index, outlet in enumerate(self._outlets):
            thread, error = outlet.thread, outlet.thread.error
            if error is None:
                continue
            failed.append((thread.name, error, outlet.required))
            if index not in self._told:
                self._told.add(index)
                self._announce(
                    {
                        "type": "sink",
                        "sink": thread.name,
                        "state": "failed",
                        "required": outlet.required,
                        "reason": error.message,
                        "blame": str(error.blame),
                        "spool": str(outlet.folder) if undelivered(outlet.folder) else None,
                    }
                )
        return tuple(failed)

    @property
    def undelivered(self) -> tuple[tuple[str, Path], ...]:
        """(name, folder in the spool) of the sinks that keep something there: once closed, what was not delivered."""
        return tuple((outlet.thread.name, outlet.folder) for outlet in self._outlets if undelivered(outlet.folder))

    @property
    def all_failed(self) -> bool:
        """Whether nothing is being written any more."""
        return all(outlet.thread.state is SinkState.FAILED for outlet in self._outlets)

    def status(self) -> list[dict[str, Any]]:
        """State, queue and counters of each sink."""
        return [
            {
                "sink": thread.name,
                "state": str(thread.state),
                "waiting": thread.depth,
                "refused": thread.refused,
                **thread.sink.status(),
            }
            for thread in (outlet.thread for outlet in self._outlets)
        ]

    async def close(self) -> tuple[Artifact, ...]:
        """Finish every sink at once, give up those past the deadline, and say what was made.

        The deadline is for closing. Deliveries go on for as long as they make progress. Of those that fail, `failures`
        knows why and `undelivered` where what there is has been kept.
        """
        await asyncio.gather(*(asyncio.to_thread(outlet.finish) for outlet in self._outlets))
        self.failures()
        return tuple(artifact for outlet in self._outlets for artifact in outlet.thread.artifacts)


@dataclass(frozen=True, slots=True)
class _Outlet:
    """One sink on its thread, whether the job needs it, and its folder in the spool."""

    thread: SinkThread
    required: bool
    folder: Path

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


def sink_folder(job: Path, index: int, kind: str) -> Path:
    """Where sink number `index` of a job keeps its files in the spool."""
    return job / f"{index}-{kind}"
