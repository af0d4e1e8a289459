"""Milliseconds for a live stream, each from its exact count, the same shift for sound and picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from egress.model.errors import RequestError
from egress.model.media import Packet, StreamInfo

AHEAD_MS = 50
"""How far sound may precede the keyframe a stream starts with."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A packet with its decoding time `at` in ms of session time (may be negative) and its composition offset in ms."""

    stream: int
    kind: str
    at: int
    composition: int
    key: bool
    data: bytes


class Stamper:
    """Gives packets of a programme their times in ms.

    Every time is rounded from the packet's own count, so that nothing adds up over hours; dts and pts are rounded by
    themselves, so that pictures are shown on the right ms.
    """

    def __init__(self, programme: Sequence[StreamInfo]) -> None:
        self._streams = {info.id: (index, info) for index, info in enumerate(programme)}
        self._priming = min((-_ms(i.initial_padding, i) - 1 for i in programme if i.initial_padding), default=0)

    def stamp(self, packet: Packet) -> Unit:
        """The packet as a unit; raises RequestError when its stream is not in the programme."""
        try:
            index, info = self._streams[packet.stream]
        except KeyError:
            raise RequestError(f"a packet of stream {packet.stream!r}, which the programme does not have") from None
        at = _ms(packet.dts, info)
        return Unit(index, info.kind, at, _ms(packet.pts, info) - at, packet.key, packet.data)

    def shift(self, start: int) -> int:
        """What to add to every time of a stream that starts with the picture of time `start`, so that it begins at
        zero or a little later and none is below."""
        return max(-self._priming, AHEAD_MS if start > 0 else 0) - start


def _ms(count: int, info: StreamInfo) -> int:
    """`count` of the stream's time base in ms, rounded half up, exactly."""
    return (2000 * count * info.time_base.numerator + info.time_base.denominator) // (2 * info.time_base.denominator)
