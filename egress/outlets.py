"""The sinks of one job: opened together, fed from one encode, ended within a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from egress.model import registry
from egress.model.errors import EgressError
from egress.model.job import Artifact
from egress.model.media import Packet, StreamInfo
from egress.model.order import JobOrder
from egress.model.pipeline import RtmpDoc
from egress.model.secrets import redact_url
from egress.sinks.base import Mark, SinkContext, SinkState, SinkThread

DEADLINE = 20.0
"""Seconds the sinks have to close, all together; whoever is not done is given up and keeps what is on disk."""


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
        self._told: set[str] = set()
        self._threads: list[tuple[SinkThread, bool]] = []
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
                options={"overwrite": "yes"} if order.overwrite else {},
            )
            sink = registry.load("sinks", doc.kind)(doc, context)
            shown = redact_url(doc.to) if isinstance(doc, RtmpDoc) else doc.to
            self._threads.append((SinkThread(f"{doc.kind} {shown}", sink, programme), doc.required))

    def write(self, packet: Packet) -> None:
        """Offer one packet to every sink; never waits; called from the encoders' threads."""
        for thread, _ in self._threads:
            thread.offer(packet)

    def mark(self, mark: Mark) -> None:
        """Tell every sink of a join, leave or gap."""
        for thread, _ in self._threads:
            thread.offer(mark)

    def failures(self) -> tuple[tuple[str, EgressError, bool], ...]:
        """(name, error, required) of the sinks that have failed; each is announced once."""
        failed = []
        for thread, required in self._threads:
            error = thread.error
            if error is None:
                continue
            failed.append((thread.name, error, required))
            if thread.name not in self._told:
                self._told.add(thread.name)
                self._announce(
                    {
                        "type": "sink",
                        "sink": thread.name,
                        "state": "failed",
                        "required": required,
                        "reason": error.message,
                        "blame": str(error.blame),
                    }
                )
        return tuple(failed)

    @property
    def all_failed(self) -> bool:
        """Whether nothing is being written any more."""
        return all(thread.state is SinkState.FAILED for thread, _ in self._threads)

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
            for thread, _ in self._threads
        ]

    async def close(self) -> tuple[Artifact, ...]:
        """Finish every sink at once, give up those past the deadline, and say what was made."""
        limit = time.monotonic() + DEADLINE
        await asyncio.gather(*(asyncio.to_thread(self._finish, thread, limit) for thread, _ in self._threads))
        return tuple(artifact for thread, _ in self._threads for artifact in thread.artifacts)

    @staticmethod
    def _finish(thread: SinkThread, limit: float) -> None:
        thread.finish()
        if not thread.join(max(0.1, limit - time.monotonic())):
            thread.abort()
            thread.join(5.0)


def sink_folder(job: Path, index: int, kind: str) -> Path:
    """Where sink number `index` of a job keeps its files in the spool."""
    return job / f"{index}-{kind}"
