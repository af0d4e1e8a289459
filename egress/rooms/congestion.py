"""Transport-wide congestion feedback: when each packet came, so that the sender can find the bandwidth; no I/O."""

from __future__ import annotations

from egress.model.media import Nanos
from egress.rooms import rtcp
from egress.rooms.rtp import Unwrapper

_MOST = 400
"""Most packets one feedback describes; more arrivals make more feedback packets."""
_BEHIND = 2_000


class Arrivals:
    """Collects transport-wide sequence numbers of all streams of one transport, and tells the sender about them."""

    def __init__(self, ssrc: int) -> None:
        self._ssrc = ssrc
        self._unwrap = Unwrapper(16)
        self._arrived: dict[int, Nanos] = {}
        self._next: int | None = None
        self._sent = 0

    def add(self, sequence: int, arrived: Nanos) -> None:
        """A packet with this 16-bit transport-wide sequence number came at `arrived` (monotonic ns)."""
        number = self._unwrap(sequence)
        if self._next is not None and number < self._next - _BEHIND:
            return
        self._arrived.setdefault(number, arrived)

    def feedback(self, media: int) -> list[bytes]:
        """RTCP packets about all arrivals since the last call; `media` is the SSRC of any stream of the transport."""
        packets = []
        numbers = sorted(self._arrived)
        while numbers:
            # Late packets are reported anew; numbers before the first arrival of all were never expected.
            first = numbers[0] if self._next is None else min(numbers[0], self._next)
            if numbers[0] - first >= _MOST:
                first = numbers[0]
            last = numbers[0]
            for number in numbers:
                if number - first >= _MOST or self._arrived[number] - self._arrived[numbers[0]] > 4_000_000_000:
                    break
                last = number
            arrivals = [self._arrived.get(number) for number in range(first, last + 1)]
            packets.append(rtcp.transport_feedback(self._ssrc, media, self._sent, first, arrivals))
            self._sent += 1
            self._next = max(self._next or 0, last + 1)
            numbers = [number for number in numbers if number > last]
        self._arrived.clear()
        return packets
