"""What a receiver has to say about a stream in its reports (RFC 3550 6.4 and A.3, A.8); no I/O."""

from __future__ import annotations

from egress.model.media import SECOND, Nanos
from egress.rooms.rtcp import ReportBlock, SenderInfo


class Reception:
    """Counts the packets of one SSRC as its sender numbered them."""

    __slots__ = (
        "_base",
        "_clock_rate",
        "_expected_before",
        "_highest",
        "_jitter",
        "_lsr",
        "_lsr_at",
        "_received_before",
        "_ssrc",
        "_timestamp",
        "_transit",
        "packets",
    )

    def __init__(self, ssrc: int, clock_rate: int) -> None:
        self._ssrc = ssrc
        self._clock_rate = clock_rate
        self._base: int | None = None
        self._highest = 0
        self._expected_before = self._received_before = 0
        self._timestamp = -1
        self._transit = 0
        self._jitter = 0
        self._lsr = 0
        self._lsr_at: Nanos = 0
        self.packets = 0

    def add(self, number: int, timestamp: int, arrived: Nanos) -> None:
        """A packet came: its unwrapped sequence number, RTP timestamp (unwrapped), and arrival in monotonic ns."""
        if self._base is None:
            self._base = self._highest = number
        self.packets += 1
        if number > self._highest:
            self._highest = number
        if timestamp == self._timestamp:
            return
        # Packets of one picture leave in a burst: only the first of each says something about the network.
        transit = arrived * self._clock_rate // SECOND - timestamp
        if self._timestamp >= 0:
            self._jitter += abs(transit - self._transit) - ((self._jitter + 8) >> 4)
        self._timestamp = timestamp
        self._transit = transit

    def heard(self, info: SenderInfo, arrived: Nanos) -> None:
        """A sender report came, which the next report block answers (LSR, DLSR)."""
        self._lsr = (info.ntp >> 16) & 0xFFFFFFFF
        self._lsr_at = arrived

    @property
    def jitter(self) -> int:
        """Interarrival jitter in clock-rate units."""
        return self._jitter >> 4

    @property
    def lost(self) -> int:
        """Packets expected but never received, repairs under another SSRC not counted as received."""
        return 0 if self._base is None else self._highest - self._base + 1 - self.packets

    def block(self, now: Nanos) -> ReportBlock | None:
        """The block for a report sent now; None before the first packet. Begins a new interval for the fraction."""
        if self._base is None:
            return None
        expected = self._highest - self._base + 1
        new = expected - self._expected_before
        missed = new - (self.packets - self._received_before)
        self._expected_before, self._received_before = expected, self.packets
        fraction = min(255, (missed << 8) // new) if new > 0 and missed > 0 else 0
        delay = (now - self._lsr_at) * 65536 // SECOND if self._lsr else 0
        known = self._lsr and delay < 1 << 32
        return ReportBlock(
            self._ssrc,
            fraction,
            self.lost,
            self._highest,
            self.jitter,
            self._lsr if known else 0,
            delay if known else 0,
        )
