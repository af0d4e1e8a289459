"""One stream's packets in order again: bounded in time, asks for what is missing, gives up in time; no I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from egress.model.media import MILLISECOND, Nanos
from egress.rooms.rtp import RtpPacket

WINDOW = 1024
"""Most sequence numbers held open at once; a wider hole is given up at once."""
_TRIES = 10
_PATIENCE_MOST = 40 * MILLISECOND
_RETRY_LEAST = 20 * MILLISECOND
_RETRY_MOST = 150 * MILLISECOND


@dataclass(slots=True)
class _Missing:
    noticed: Nanos
    ask: Nanos
    asked: int = 0


class Reorder:
    """Delivers packets of one stream in order of their unwrapped sequence numbers.

    A missing packet is waited for at most `hold` ns; then `lose(count)` says how many were given up, and delivery goes
    on behind the hole. After a silence longer than `hold` a hole is not waited for at all: what would fill it is too
    old to be of use. All times are monotonic ns handed in by the caller, who calls `expire` now and then while
    `holes` is true.
    """

    def __init__(self, deliver: Callable[[RtpPacket], None], lose: Callable[[int], None], *, hold: Nanos) -> None:
        self._deliver = deliver
        self._lose = lose
        self._hold = hold
        self._next: int | None = None
        self._highest = 0
        self._last_arrival: Nanos = 0
        self._patience: Nanos = 0
        self._repairs_apart = False
        self._waiting: dict[int, RtpPacket] = {}
        self._missing: dict[int, _Missing] = {}
        self._given_up: set[int] = set()
        self.lost = 0
        self.recovered = 0
        self.late = 0
        self.duplicates = 0

    @property
    def holes(self) -> bool:
        """Whether packets are missing that are still waited for."""
        return bool(self._missing)

    def add(self, number: int, packet: RtpPacket, *, repair: bool = False) -> None:
        """Take a packet under its unwrapped sequence number; `repair`: it came as a retransmission."""
        now = packet.arrived
        if number == self._next and not self._waiting:
            self._next = self._highest = number + 1
            self._last_arrival = now
            self._deliver(packet)
            return
        if self._next is None:
            self._next = self._highest = number + 1
            self._last_arrival = now
            self._deliver(packet)
            return
        if number < self._next:
            if number in self._given_up:
                self._given_up.discard(number)
                self.late += 1
            else:
                self.duplicates += 1
            return
        if number in self._waiting:
            self.duplicates += 1
            return
        if number >= self._highest:
            self._open(number, now)
        else:
            self._found(number, now, repair)
        self._waiting[number] = packet
        self._last_arrival = now
        self._drain()

    def _open(self, number: int, now: Nanos) -> None:
        for absent in range(max(self._highest, number - WINDOW), number):
            self._missing[absent] = _Missing(now, now + self._patience)
        hopeless = self._next is not None and number - self._next > WINDOW
        self._highest = number + 1
        if hopeless or now - self._last_arrival > self._hold:
            self._skip_to(number)

    def _found(self, number: int, now: Nanos, repair: bool) -> None:
        missing = self._missing.pop(number, None)
        if missing is None:
            return
        if missing.asked:
            self.recovered += 1
        self._repairs_apart = self._repairs_apart or repair
        if not repair and missing.asked <= int(self._repairs_apart):
            # It was only late on its way: on such a path, wait a little before asking for others. (Where repairs
            # come under the stream's own SSRC, only one never asked for is known not to be a repair.)
            lateness = now - missing.noticed
            self._patience = min(max(self._patience * 7 // 8, lateness), _PATIENCE_MOST)

    def _drain(self) -> None:
        waiting = self._waiting
        while self._next in waiting:
            packet = waiting.pop(self._next)
            self._next += 1
            self._deliver(packet)

    def _skip_to(self, number: int) -> None:
        """Give up everything missing below `number`, delivering what is there on the way."""
        assert self._next is not None
        while self._next < number:
            lost = 0
            while self._next < number and self._next not in self._waiting:
                self._missing.pop(self._next, None)
                if number - self._next <= WINDOW:
                    self._given_up.add(self._next)
                self._next += 1
                lost += 1
            self.lost += lost
            if lost:
                self._lose(lost)
            self._drain()
        if len(self._given_up) > WINDOW:
            floor = self._next - WINDOW
            self._given_up = {n for n in self._given_up if n >= floor}

    def expire(self, now: Nanos) -> None:
        """Give up what has been missing for longer than `hold`."""
        deadline = now - self._hold
        last = None
        for number, missing in self._missing.items():
            if missing.noticed <= deadline:
                last = number if last is None else max(last, number)
        if last is not None:
            self._skip_to(last + 1)

    def to_ask(self, now: Nanos, rtt: Nanos) -> list[int]:
        """Unwrapped numbers to ask for again now, ascending; each is asked for at most ten times, an RTT apart."""
        if not self._missing:
            return []
        retry = min(max(rtt * 3 // 2, _RETRY_LEAST), _RETRY_MOST)
        due = []
        for number, missing in self._missing.items():
            if missing.ask <= now and missing.asked < _TRIES:
                missing.asked += 1
                missing.ask = now + retry
                due.append(number)
        return sorted(due)
