"""Live sinks: a destination that may be slow, gone or hung without the worker noticing more than a count."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from egress.model.errors import Blame, DestinationError, RequestError
from egress.model.job import Artifact
from egress.model.media import MILLISECOND, Packet, StreamInfo
from egress.model.outputs import SinkDoc
from egress.model.secrets import redact
from egress.model.streams import shown_stream
from egress.sinks.backlog import Backlog
from egress.sinks.backoff import Backoff
from egress.sinks.base import Sink, SinkContext
from egress.sinks.child import Child
from egress.sinks.destination import Destination, DestinationState, Patience
from egress.sinks.meter import Meter
from egress.sinks.rtmp_protocol import Trouble
from egress.sinks.stamps import Stamper, Unit

_HUNG = 10.0
"""A sender reports every second; one that says nothing for this long is killed."""
_CLOSE = 5.0
_ROUND = 0.05
"""Seconds between two looks at the child: what was written meanwhile goes out together, for waking it for each packet
costs more than all the rest."""
_ROW = 65_536
"""Bytes handed over at once, and a unit more at most: what waits in the backlog can still be dropped."""
_BURST = 256
"""Units handed over in one call: what waited goes out fast, and yet a call stays short."""


class LiveSink(Sink):
    """Publishes the programme to one server by a process of its own, the child, of which there may be several in turn.

    All of it happens inside `write` without waiting: queue the packet, and every _ROUND hear the child, start another
    one when it is time, hand over what it takes. Nothing raises while the job runs: a destination that fails is
    announced (`destination` events), tried again ever more slowly, and counted; `close` raises DestinationError when
    it has failed. It begins at the first keyframe it gets, at time 0 or a little later, also in the middle of a
    programme.
    """

    KIND: ClassVar[str]

    def __init__(
        self,
        doc: SinkDoc,
        context: SinkContext,
        *,
        patience: Patience | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        super().__init__(doc, context)
        self._patience = patience or Patience()
        self._backoff = backoff or Backoff()
        self._public = shown_stream(context.to)
        self._name = context.options.get("name") or self._public
        self._secrets: tuple[str, ...] = ()
        self._stamper: Stamper
        self._backlog: Backlog
        self._destination: Destination
        self._child: Child | None = None
        self._heard = 0.0
        self._looked = float("-inf")
        self._feeding = False
        self._shift: int | None = None
        self._first: int | None = None
        self._last = 0
        self._sent = 0
        self._sent_before = 0
        self._meter = Meter()
        self._told: tuple[Any, ...] = ()
        self._status: Mapping[str, Any] = {
            "name": self._name,
            "state": DestinationState.CONNECTING.value,
            "to": self._public,
        }

    @abstractmethod
    def _prepare(self, programme: Sequence[StreamInfo]) -> tuple[str, ...]:
        """Check the address and the programme, and say which texts are secret; raises RequestError."""

    @abstractmethod
    def _start(self) -> Child:
        """Start another child; raises OSError."""

    @abstractmethod
    def _encode(self, unit: Unit, at: int) -> bytes:
        """One unit as the child takes it, with its time in ms; may be empty."""

    def _bid_farewell(self, child: Child) -> None:
        """Nothing more comes."""
        child.finish()

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Check the address and the programme, and begin to connect; raises RequestError."""
        try:
            self._secrets = self._prepare(programme)
        except RequestError as error:
            self._announce(DestinationState.FAILED, error.message, Blame.REQUEST)
            raise
        self._stamper = Stamper(programme)
        self._backlog = Backlog([info.kind for info in programme])
        self._destination = Destination(time.monotonic(), self._backoff, self._patience)
        self._supervise()

    def write(self, packet: Packet) -> None:
        """Queue one packet, and hand over whatever the child takes when it is time for that; never waits."""
        self._backlog.push(self._stamper.stamp(packet))
        now = time.monotonic()
        if now - self._looked >= _ROUND:
            self._looked = now
            self._supervise()
            self._hand_over(final=False)

    def close(self) -> Sequence[Artifact]:
        """Send what is queued and end the stream, within 5 s; raises DestinationError when the destination failed."""
        deadline = time.monotonic() + _CLOSE
        farewell = False
        while self._child is not None and time.monotonic() < deadline and not self._failed:
            self._hand_over(final=True)
            child = self._child
            connected = self._destination.connected
            if connected and child.ready and not farewell and not (self._feeding and len(self._backlog)):
                self._bid_farewell(child)
                farewell = True
            child.wait(0.05)
            self._supervise(restart=False)
        self._drop_child()
        self._destination.end()
        self._tell(time.monotonic())
        if self._failed:
            raise DestinationError(f"{self._name}: {self._destination.reason}")
        return self._artifacts()

    def abort(self) -> Sequence[Artifact]:
        """Kill the child at once."""
        self._drop_child()
        return self._artifacts()

    def status(self) -> Mapping[str, Any]:
        """Name, state, bytes sent, bits per second, seconds live, retries, what was dropped, the last error; and the
        child's process id."""
        return self._status

    @property
    def _failed(self) -> bool:
        return self._destination.state is DestinationState.FAILED

    def _supervise(self, *, restart: bool = True) -> None:
        now = time.monotonic()
        if self._child is None and restart and now >= self._destination.retry_at:
            try:
                self._child = self._start()
                self._heard = now
            except OSError as error:
                self._destination.lost(now, Trouble.SENDER, f"no sender could be started: {error.strerror}")
        if self._child is not None:
            self._hear(self._child, now)
        self._destination.tick(now)
        self._tell(now)

    def _hear(self, child: Child, now: float) -> None:
        gone = child.ended
        for report in child.reports():
            self._heard = now
            self._sent = int(report.get("sent", self._sent))
            match report.get("event"):
                case "live":
                    self._destination.live(now)
                case "lost":
                    self._lose(now, Trouble(report["code"]), str(report["reason"]), float(report["idle"]))
                    return
                case "ended":
                    self._drop_child()
                    return
        if gone:
            self._lose(now, *child.death())
        elif now - self._heard > _HUNG:
            self._lose(now, *child.silence(), now - self._heard)

    def _lose(self, now: float, code: Trouble, reason: str, idle: float = 0.0) -> None:
        self._drop_child()
        self._backlog.break_off()
        self._destination.lost(now, code, redact(reason, *self._secrets), idle)

    def _drop_child(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None
        self._feeding = False
        self._sent_before += self._sent
        self._sent = 0

    def _hand_over(self, *, final: bool) -> None:
        child = self._child
        if child is None or not self._destination.connected:
            return
        if not self._feeding and not self._begin():
            return
        left = _BURST
        while left and child.ready:
            row, size = [], 0
            while left and size < _ROW and (unit := self._backlog.pop(final=final)) is not None:
                left -= 1
                self._last = unit.at
                row.append(self._encode(unit, max(0, unit.at + cast(int, self._shift))))
                size += len(row[-1])
            if not row:
                return
            if size:
                child.send(b"".join(row))

    def _begin(self) -> bool:
        start = self._backlog.begin()
        if start is None:
            return False
        if self._shift is None:
            self._shift = self._stamper.shift(start)
            self._first = start
        self._feeding = True
        return True

    def _tell(self, now: float) -> None:
        destination = self._destination
        sent = self._sent_before + self._sent
        self._meter.note(now, sent)
        self._status = {
            "name": self._name,
            "state": destination.state.value,
            "to": self._public,
            "bytes": sent,
            "bitrate": round(8 * self._meter.rate(now, sent)),
            "live_seconds": round(destination.live_for(now), 1),
            "retries": destination.retries,
            "dropped": dict(self._backlog.dropped),
            "waiting_ms": self._backlog.span,
            "last_error": destination.reason,
            "pid": self._child.pid if self._child is not None else None,
        }
        live = destination.state in (DestinationState.LIVE, DestinationState.ENDED)
        reason = "" if live else destination.reason
        if (destination.state, reason) != self._told:
            self._told = (destination.state, reason)
            self._announce(destination.state, reason, None if live else destination.blame)

    def _announce(self, state: DestinationState, reason: str, blame: Blame | None) -> None:
        event: dict[str, Any] = {
            "type": "destination",
            "name": self._name,
            "to": self._public,
            "state": state.value,
        }
        if reason:
            event["reason"] = reason
        if blame is not None:
            event["blame"] = blame.value
        event |= {name: self._status[name] for name in ("bytes", "retries", "dropped") if name in self._status}
        self.context.announce(event)

    def _artifacts(self) -> Sequence[Artifact]:
        if self._first is None:
            return ()
        made = Artifact(
            self.KIND,
            self._public,
            size=self._sent_before,
            duration=(self._last - self._first) * MILLISECOND,
            details={
                "name": self._name,
                "begin": max(0, self._first) / 1000,
                "retries": self._destination.retries,
                "dropped": dict(self._backlog.dropped),
            },
        )
        return (made,)
