"""The RTMP(S) sink: a live destination that may be slow, gone or hung without the worker noticing more than a count."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from egress.model.address import RtmpAddress, shown
from egress.model.errors import Blame, DestinationError, Fault, RequestError
from egress.model.job import Artifact
from egress.model.media import MILLISECOND, Codec, Packet, StreamInfo
from egress.model.outputs import SinkDoc
from egress.model.secrets import redact
from egress.sinks.backlog import Backlog
from egress.sinks.backoff import Backoff
from egress.sinks.base import Sink, SinkContext
from egress.sinks.destination import Destination, DestinationState, Patience
from egress.sinks.flv import Track, header
from egress.sinks.rtmp_protocol import Trouble
from egress.sinks.sender_feed import END, Frame, Limits, Order
from egress.sinks.sender_process import SenderProcess
from egress.sinks.stamps import Stamper

_HUNG = 10.0
"""A sender reports every second; one that says nothing for this long is killed."""
_CLOSE = 5.0
_BURST = 256
"""Units handed over in one call: what waited goes out fast, and yet a call stays short."""
_CARRIED = {"video": Codec.H264, "audio": Codec.AAC}


class RtmpSink(Sink):
    """Publishes the programme to one RTMP(S) server by a sender process of its own.

    All of it happens inside `write` without waiting: queue the packet, hear the sender, start another one when it is
    time, hand over what it takes. Nothing raises while the job runs: a destination that fails is announced
    (`destination` events), tried again ever more slowly, and counted; `close` raises DestinationError when it has
    failed. One audio (AAC) and one video (H.264) stream at most.
    """

    def __init__(
        self,
        doc: SinkDoc,
        context: SinkContext,
        *,
        limits: Limits | None = None,
        patience: Patience | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        super().__init__(doc, context)
        self._limits = limits or Limits()
        self._patience = patience or Patience()
        self._backoff = backoff or Backoff()
        self._public = shown(context.to)
        self._secrets: tuple[str, ...] = ()
        self._order = b""
        self._stamper: Stamper
        self._backlog: Backlog
        self._destination: Destination
        self._child: SenderProcess | None = None
        self._heard = 0.0
        self._feeding = False
        self._shift: int | None = None
        self._first: int | None = None
        self._last = 0
        self._sent = 0
        self._sent_before = 0
        self._told: tuple[Any, ...] = ()
        self._status: Mapping[str, Any] = {"state": DestinationState.CONNECTING.value, "to": self._public}

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Check the address and the programme, and begin to connect; raises RequestError."""
        try:
            address = RtmpAddress.parse(self.context.to)
            tracks = _tracks(programme)
        except RequestError as error:
            self._announce(DestinationState.FAILED, error.message, Blame.REQUEST)
            raise
        self._secrets = address.secrets
        self._order = Order(self.context.to, tracks, self._limits).encode()
        self._stamper = Stamper(programme)
        self._backlog = Backlog([info.kind for info in programme])
        self._destination = Destination(time.monotonic(), self._backoff, self._patience)
        self._supervise()

    def write(self, packet: Packet) -> None:
        """Queue one packet, and hand over whatever the sender takes now; never waits."""
        self._backlog.push(self._stamper.stamp(packet))
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
                child.send(END)
                farewell = True
            child.wait(0.05)
            self._supervise(restart=False)
        self._drop_child()
        self._destination.end()
        self._tell()
        if self._failed:
            raise DestinationError(f"{self._public}: {self._destination.reason}")
        return self._artifacts()

    def abort(self) -> Sequence[Artifact]:
        """Kill the sender at once."""
        self._drop_child()
        return self._artifacts()

    def status(self) -> Mapping[str, Any]:
        """State, bytes sent, retries, what was dropped, the last error; and the sender's process id."""
        return self._status

    @property
    def _failed(self) -> bool:
        return self._destination.state is DestinationState.FAILED

    def _supervise(self, *, restart: bool = True) -> None:
        now = time.monotonic()
        if self._child is None and restart and now >= self._destination.retry_at:
            try:
                self._child = SenderProcess(self._order)
                self._heard = now
            except OSError as error:
                self._destination.lost(now, Trouble.SENDER, f"no sender could be started: {error.strerror}")
        if self._child is not None:
            self._hear(self._child, now)
        self._destination.tick(now)
        self._tell()

    def _hear(self, child: SenderProcess, now: float) -> None:
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
            self._lose(now, Trouble.SENDER, f"the sender died: {child.last_words or 'without a word'}")
        elif now - self._heard > _HUNG:
            self._lose(now, Trouble.SENDER, "the sender hung and was killed", now - self._heard)

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
        for _ in range(_BURST):
            if not child.ready or (unit := self._backlog.pop(final=final)) is None:
                return
            self._last = unit.at
            at = max(0, unit.at + cast(int, self._shift))
            child.send(Frame(unit.stream, unit.key, at, unit.composition, unit.data).encode())

    def _begin(self) -> bool:
        start = self._backlog.begin()
        if start is None:
            return False
        if self._shift is None:
            self._shift = self._stamper.shift(start)
            self._first = start
        self._feeding = True
        return True

    def _tell(self) -> None:
        destination = self._destination
        self._status = {
            "state": destination.state.value,
            "to": self._public,
            "bytes": self._sent_before + self._sent,
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
        event: dict[str, Any] = {"type": "destination", "to": self._public, "state": state.value}
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
            "rtmp",
            self._public,
            size=self._sent_before,
            duration=(self._last - self._first) * MILLISECOND,
            details={"retries": self._destination.retries, "dropped": dict(self._backlog.dropped)},
        )
        return (made,)


def _tracks(programme: Sequence[StreamInfo]) -> tuple[Track, ...]:
    if not programme:
        raise RequestError("an RTMP stream needs a picture or sound, and the programme has neither")
    tracks = []
    for info in programme:
        if info.codec is not _CARRIED[info.kind]:
            fix = f"set {info.kind}.codec to {_CARRIED[info.kind].value}"
            problem = f"RTMP does not carry {info.codec.value} {info.kind}; {fix}"
            raise RequestError(problem, ((f"{info.kind}.codec", problem),))
        if sum(other.kind == info.kind for other in programme) > 1:
            raise RequestError(f"RTMP carries one {info.kind} stream, and the programme has several")
        size, fps = info.size, info.fps
        track = Track(
            kind=info.kind,
            extradata=info.extradata,
            bitrate=info.bitrate,
            width=size.width if size is not None else 0,
            height=size.height if size is not None else 0,
            fps=fps or 1 / info.time_base,
            rate=info.rate,
            channels=info.channels,
        )
        try:
            header(track)
        except Fault as error:
            raise RequestError(f"{error}: its encoder must write a global header") from None
        tracks.append(track)
    return tuple(tracks)
