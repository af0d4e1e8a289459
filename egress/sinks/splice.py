"""Pauses cut out of a programme's packets: what follows a pause moves up to where it began, picture and sound alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from egress.model.media import SECOND, Nanos, Packet, StreamInfo
from egress.sinks.base import PAUSE, RESUME, Mark


@dataclass(frozen=True, slots=True)
class Pause:
    """Session times between which nothing is kept; `end` is None while it lasts."""

    begin: Nanos
    end: Nanos | None = None


def pauses(marks: Iterable[Mark]) -> tuple[Pause, ...]:
    """The pauses that marks tell of, in order."""
    found: list[Pause] = []
    for mark in marks:
        last = found[-1] if found else None
        if mark.kind == PAUSE and (last is None or last.end is not None):
            found.append(Pause(mark.at))
        elif mark.kind == RESUME and last is not None and last.end is None:
            found[-1] = Pause(last.begin, max(mark.at, last.begin))
    return tuple(found)


def moved(at: Nanos, cuts: Sequence[Pause]) -> Nanos:
    """Where a session time is once the pauses are cut out; times in a pause are where it began."""
    gone = sum(min(at, cut.end if cut.end is not None else at) - cut.begin for cut in cuts if cut.begin < at)
    return at - gone


class Splice:
    """The packets of one stream without its pauses; they come in dts order, marks before the packets of their time.

    Pictures are cut exactly, for at both ends of a pause there is a keyframe that closes what came before. Sound comes
    in packets that cannot be cut: its packets adjoin, and it is at most half a packet (11 ms) from where it belongs,
    after any number of pauses.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._info = info
        self._cuts: list[tuple[int, int | None]] = []
        self._passed = 0
        self._gone = 0
        self._offset = 0
        self._end = -info.initial_padding

    def mark(self, mark: Mark) -> None:
        """Take note of where a pause begins or ends."""
        count = round(Fraction(mark.at, SECOND) / self._info.time_base)
        open_ = bool(self._cuts) and self._cuts[-1][1] is None
        if mark.kind == PAUSE and not open_:
            self._cuts.append((count, None))
        elif mark.kind == RESUME and open_:
            self._cuts[-1] = (self._cuts[-1][0], max(count, self._cuts[-1][0]))

    def take(self, packet: Packet) -> Packet | None:
        """The packet where it belongs; None when it lies in a pause."""
        if self._info.kind == "video":
            return self._picture(packet)
        return self._sound(packet)

    def _picture(self, packet: Packet) -> Packet | None:
        gone = 0
        for begin, end in self._cuts:
            if packet.pts < begin:
                break
            if end is None or packet.pts < end:
                return None
            gone += end - begin
        return replace(packet, pts=packet.pts - gone, dts=packet.dts - gone) if gone else packet

    def _sound(self, packet: Packet) -> Packet | None:
        half = packet.duration // 2
        while self._passed < len(self._cuts):
            begin, end = self._cuts[self._passed]
            if packet.pts - self._gone + self._offset + half < begin - self._gone:
                break
            if end is None:
                return None
            ideal = packet.pts - self._gone - (end - begin)
            if ideal < self._end - half:
                return None
            # It adjoins what was kept last; measured against where it belongs, so that nothing adds up.
            self._gone += end - begin
            self._offset = self._end - ideal
            self._passed += 1
        at = packet.pts - self._gone + self._offset
        self._end = at + packet.duration
        return replace(packet, pts=at, dts=at) if at != packet.pts else packet
