"""Where a composition goes: through the sink of a live job, and into its place only when it is whole."""

from __future__ import annotations

import gc
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from egress.composing.plan import JOB, Plan, cannot_write
from egress.composing.projection import Projection
from egress.model import registry
from egress.model.errors import DestinationError, EgressError
from egress.model.job import Artifact
from egress.model.media import SECOND, Nanos, Packet
from egress.sinks.base import SinkContext, SinkState, SinkThread

WAITING = 1_000
"""Packets that may wait for the sink before the ticks wait for it: ten seconds of a programme, or so."""
CLOSING = 600.0
"""Seconds the sink may take for what waits, and to close."""
TELL_EVERY = 0.5
"""Seconds between two looks at how far it has come."""

_COLLECT_AFTER = 20_000

Event = dict[str, Any]


def make(plan: Plan, announce: Callable[[Event], None], ffmpeg: str) -> Artifact:
    """Compose what is planned and put it in its place, telling how it goes by events; raises EgressError.

    Whatever ends it early, an interrupt too, nothing is left behind.
    """
    try:
        beside = Path(tempfile.mkdtemp(prefix=f".{plan.out.name}.", dir=plan.out.parent))
    except OSError as error:
        raise cannot_write(plan.out, error) from None
    try:
        # As large as the outcome may be, nothing of it is copied: it lies on the disk it goes to.
        with _settled():
            made = _Making(plan, beside, announce, ffmpeg).run()
        _move(beside / plan.out.name, plan.out, beside / "replaced")
        return replace(made, location=made.location.replace(str(beside / plan.out.name), str(plan.out)))
    except OSError as error:
        raise cannot_write(plan.out, error) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def _settled() -> Iterator[None]:
    """Leave out of every collection what is there for good; what is made meanwhile has hardly a circle."""
    before = gc.get_threshold()
    gc.freeze()
    gc.enable()
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def _move(made: Path, out: Path, aside: Path) -> None:
    """Put what was made in its place; what was there is gone only then."""
    if out.is_dir():
        out.rename(aside)
    made.replace(out)


class _Making:
    """One composition on its way."""

    def __init__(self, plan: Plan, beside: Path, announce: Callable[[Event], None], ffmpeg: str) -> None:
        self._plan = plan
        self._announce = announce
        self._bytes = 0
        self._sink: SinkThread | None = None
        footage, doc = plan.footage, plan.sink
        self._projection = Projection(plan.pipeline, footage, self._write, self._warn, self._crowded)
        folder = beside / "spool"
        folder.mkdir()
        context = SinkContext(
            job=f"{JOB}-{secrets.token_hex(3)}",
            room=footage.room,
            title=footage.title,
            started=footage.started,
            folder=folder,
            to=str(beside / plan.out.name),
            announce=self._hear,
            options={"overwrite": "yes", "ffmpeg": ffmpeg},
        )
        sink = registry.load("sinks", doc.kind)(doc, context)
        self._sink = SinkThread(doc.kind, sink, self._projection.infos)

    def run(self) -> Artifact:
        """Make it; raises EgressError."""
        assert self._sink is not None
        began = told = time.monotonic()
        self._announce(
            {
                "type": "ready",
                "started": self._plan.footage.started.isoformat(),
                "seconds": round(self._projection.length / SECOND, 3),
            }
        )
        try:
            for position in self._projection.run():
                if (now := time.monotonic()) - told >= TELL_EVERY:
                    told = now
                    self._tell(position, now - began)
                self._check()
            self._tell(self._projection.position, time.monotonic() - began)
            self._end()
        finally:
            self._projection.close()
            if self._sink.state is not SinkState.CLOSED:
                self._sink.give_up("the composition was ended early")
                self._sink.join(CLOSING)
        return self._sink.artifacts[0]

    def _end(self) -> None:
        assert self._sink is not None
        if not self._sink.finish(CLOSING):
            self._check()
            raise DestinationError(f"{self._plan.out} could not be ended within {CLOSING:g} s")
        while not self._sink.join(TELL_EVERY):
            status = self._sink.sink.status()
            if "percent" in status:
                self._announce({"type": "transcoding", "percent": status["percent"]})
        self._check()

    def _check(self) -> None:
        if self._sink is not None and (error := self._sink.error) is not None:
            raise error if isinstance(error, EgressError) else DestinationError(str(error))

    def _tell(self, position: Nanos, wall: float) -> None:
        length = self._projection.length
        self._announce(
            {
                "type": "alive",
                "elapsed": round(position / SECOND, 3),
                "share": round(min(1.0, position / length), 4),
                "speed": round(position / SECOND / max(wall, 0.001), 2),
                "participants": self._projection.participants,
                "bytes": self._bytes,
                **self._projection.figures(),
            }
        )

    def _write(self, packet: Packet) -> None:
        self._bytes += len(packet.data)
        if self._sink is not None:
            self._sink.offer(packet)

    def _crowded(self) -> bool:
        return self._sink is not None and self._sink.depth > WAITING and self._sink.error is None

    def _warn(self, message: str) -> None:
        self._announce({"type": "warning", "message": message})

    def _hear(self, event: Event) -> None:
        """What a sink announces is for viewers of a live stream, but for warnings."""
        if event.get("type") == "warning":
            self._announce(event)
