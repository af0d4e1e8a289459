"""How one live destination is doing: when it counts as failed, and when it is tried again. No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from egress.model.errors import Blame
from egress.sinks.backoff import Backoff
from egress.sinks.rtmp_protocol import Trouble


class DestinationState(StrEnum):
    """What an operator is told."""

    CONNECTING = "connecting"
    LIVE = "live"
    RETRYING = "retrying"
    FAILED = "failed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Patience:
    """When a destination counts as failed, in seconds (and tries). It is tried again even then."""

    dead: float = 45.0
    """Without a steady connection for this long: failed. Less than a minute by what noticing a freeze may take."""
    steady: float = 12.0
    """Live for this long: steady. Longer than a stall takes to notice, lest a server that only says hello counts."""
    rejections: int = 3
    """Refused this often in a row: failed, as an address or key that never worked will not begin to."""
    held: float = 20.0
    """After a break a server may hold the name for this long and refuse us for it."""


class Destination:
    """The state of one destination. Times are monotonic seconds, given by the caller."""

    def __init__(self, now: float, backoff: Backoff, patience: Patience) -> None:
        self.state = DestinationState.CONNECTING
        self.reason = ""
        self.code: Trouble | None = None
        self.retries = 0
        self.retry_at = now
        self._backoff = backoff
        self._patience = patience
        self._dead_since: float | None = now
        self._live_since: float | None = None
        self._rejections = 0
        self._was_live = False
        self._lived = 0.0

    @property
    def blame(self) -> Blame | None:
        """Who has to mend it: the request where the address or key never worked, ourselves, or the destination."""
        if self.code is None:
            return None
        if self.code is Trouble.SENDER:
            return Blame.US
        wrong = self.code in (Trouble.REJECTED, Trouble.DNS) and not self._was_live
        return Blame.REQUEST if wrong else Blame.DESTINATION

    @property
    def connected(self) -> bool:
        """Whether a server takes the stream right now."""
        return self._live_since is not None

    def live(self, now: float) -> None:
        """The server has taken the stream. One that had failed is said to be live when it has been so steadily."""
        if self.state is not DestinationState.FAILED:
            self.state = DestinationState.LIVE
        self._live_since = now
        self._was_live = True

    def live_for(self, now: float) -> float:
        """Seconds a server has taken the stream, all connections together."""
        return self._lived + (now - self._live_since if self._live_since is not None else 0.0)

    def lost(self, now: float, code: Trouble, reason: str, idle: float = 0.0) -> None:
        """The connection ended or did not come about; nothing had gone through for `idle` seconds already."""
        self.tick(now - idle)
        was_steady = self._dead_since is None
        self.code, self.reason = code, reason
        self.retries += 1
        self._lived = self.live_for(now - idle)
        self._live_since = None
        self._dead_since = now - idle if self._dead_since is None else self._dead_since
        self._rejections = self._rejections + 1 if code is Trouble.REJECTED else 0
        self.retry_at = now if code is Trouble.MOVED and was_steady else now + self._backoff.next()
        if self.state is not DestinationState.FAILED:
            self.state = DestinationState.RETRYING
        self.tick(now)

    def tick(self, now: float) -> None:
        """Let time pass."""
        if self._live_since is not None:
            if now - self._live_since >= self._patience.steady and self._dead_since is not None:
                self._dead_since = None
                self._rejections = 0
                self._backoff.reset()
                self.state = DestinationState.LIVE
            return
        if self._dead_since is None:
            return
        dead = now - self._dead_since
        refused = self._rejections >= self._patience.rejections
        if dead >= self._patience.dead or (refused and (not self._was_live or dead >= self._patience.held)):
            self._fail("no answer")

    def end(self) -> None:
        """The stream is over; a destination that failed or never was live has failed for good."""
        if not self._was_live:
            self._fail("it ended before the server had taken the stream")
        elif self.state is not DestinationState.FAILED:
            self.state = DestinationState.ENDED

    def _fail(self, reason: str) -> None:
        self.state = DestinationState.FAILED
        self.reason = self.reason or reason
        self.code = self.code or Trouble.TIMEOUT
