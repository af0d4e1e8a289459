"""One RTP stream (one SSRC): from its packets and sender reports to encoded frames; no I/O."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from egress.model.media import SECOND, Codec, EncodedFrame, Nanos, SenderReport
from egress.rooms.depayload import Assembler, OpusAssembler, Unit, Vp8Assembler
from egress.rooms.h264 import H264Assembler
from egress.rooms.reception import Reception
from egress.rooms.reorder import WINDOW, Reorder
from egress.rooms.rtcp import SenderInfo
from egress.rooms.rtp import RtpPacket, Unwrapper
from egress.rooms.sdp import Format

_generation = itertools.count(1)
_ROTATION = (0, 90, 180, 270)


class RtpStream:
    """Unwraps, reorders and assembles one SSRC; `emit` gets frames in order, `hole` is called when some were given up.

    A sender that begins anew under its old SSRC (sequence numbers far off, twice in a row, and a timestamp that does
    not fit the time gone by) gets a new EncodedFrame.stream, as does a change of codec.
    """

    def __init__(
        self,
        ssrc: int,
        formats: dict[int, Format],
        emit: Callable[[EncodedFrame], None],
        hole: Callable[[], None],
        *,
        clock_rate: int,
        hold: Nanos,
        orientation: int = 0,
    ) -> None:
        self.ssrc = ssrc
        self.reception = Reception(ssrc, clock_rate)
        self.malformed = 0
        self.incomplete = 0
        self.bytes = 0
        self.restarts = 0
        self._formats = formats
        self._emit = emit
        self._hole = hole
        self._clock_rate = clock_rate
        self._hold = hold
        self._orientation = orientation
        self._rotation = 0
        self._report: SenderReport | None = None
        self._early: tuple[SenderInfo, Nanos] | None = None
        self._assembler: Assembler | None = None
        self._payload_type = -1
        self._generation = next(_generation)
        self._suspect: int | None = None
        self._last_arrival: Nanos = 0
        self._counts = [0, 0, 0, 0]
        self._begin()

    def _begin(self) -> None:
        self._sequence = Unwrapper(16)
        self._timestamp = Unwrapper(32)
        self._reorder = Reorder(self._deliver, self._lose, hold=self._hold)

    def adopt(self, formats: dict[int, Format]) -> None:
        """The formats negotiated anew; packets of former ones may still be on their way, so those stay known."""
        self._formats = {**self._formats, **formats}
        # The number in use may stand for another codec now.
        self._payload_type = -1

    @property
    def holes(self) -> bool:
        """Whether packets are missing that are still waited for."""
        return self._reorder.holes

    @property
    def packets(self) -> int:
        """How many packets have come, repairs not counted."""
        return self.reception.packets + self._counts[3]

    @property
    def codec(self) -> Codec | None:
        """The codec of the newest packet delivered; None before the first."""
        return self._assembler.codec if self._assembler else None

    def add(self, packet: RtpPacket, *, repair: bool = False) -> None:
        """A packet of this SSRC, or one recovered from a retransmission; may emit frames."""
        last, arrived = self._sequence.last, packet.arrived
        number = None if last is None else self._sequence.near(packet.sequence)
        if last is not None and number is not None and not -WINDOW <= number - last <= WINDOW:
            if repair or packet.sequence != self._suspect:
                self._suspect = (packet.sequence + 1) & 0xFFFF
                self.malformed += 1
                return
            self._leap(packet)
        self._suspect = None
        if number is None or not repair:
            timestamp = self._timestamp(packet.timestamp)
            number = self._sequence(packet.sequence)
            self.reception.add(number, timestamp, arrived)
            self._last_arrival = arrived
            if self._early:
                info, at = self._early
                self._early = None
                self.report(info, at)
        self.bytes += len(packet.payload)
        self._reorder.add(number, packet, repair=repair)

    def _leap(self, packet: RtpPacket) -> None:
        """Sequence numbers go on far from where they were: an outage of ours, or a new beginning of the sender's."""
        timestamp, last = self._timestamp.near(packet.timestamp), self._timestamp.last or 0
        moved = (timestamp - last) * SECOND // self._clock_rate
        if abs(moved - (packet.arrived - self._last_arrival)) < SECOND and self._sequence.near(packet.sequence) > (
            self._sequence.last or 0
        ):
            return
        self.restarts += 1
        self._keep_counts()
        self._begin()
        self._generation = next(_generation)
        self._report = None
        packets = self.reception.packets
        self.reception = Reception(self.ssrc, self._clock_rate)
        self._counts[3] += packets
        self._close_assembler()

    def _keep_counts(self) -> None:
        order = self._reorder
        for index, count in enumerate((order.lost, order.recovered, order.late + order.duplicates)):
            self._counts[index] += count

    def report(self, info: SenderInfo, arrived: Nanos) -> None:
        """A sender report about this stream came at `arrived` (monotonic ns)."""
        if not info.ntp >> 32:
            # Some senders report before their clock has started.
            return
        if self._timestamp.last is None:
            self._early = (info, arrived)
            return
        self.reception.heard(info, arrived)
        self._report = SenderReport(self._timestamp.near(info.rtp), info.unix, arrived)

    def expire(self, now: Nanos) -> None:
        """Give up what has been missing for too long."""
        self._reorder.expire(now)

    def to_ask(self, now: Nanos, rtt: Nanos) -> list[int]:
        """Sequence numbers to ask the sender for again, ascending before the wrap."""
        return [number & 0xFFFF for number in self._reorder.to_ask(now, rtt)]

    def close(self) -> None:
        """Give nobody anything any more: who has this stream is freed without the garbage collector then."""
        self._emit = self._hole = _nobody

    def stats(self) -> dict[str, int]:
        """Counters since the stream began."""
        order, assembler = self._reorder, self._assembler
        lost, recovered, late, _ = self._counts
        return {
            "packets": self.packets,
            "bytes": self.bytes,
            "lost": order.lost + lost,
            "recovered": order.recovered + recovered,
            "late": order.late + order.duplicates + late,
            "malformed": self.malformed + (assembler.malformed if assembler else 0),
            "incomplete": self.incomplete + (assembler.incomplete if assembler else 0),
            "restarts": self.restarts,
        }

    def _deliver(self, packet: RtpPacket) -> None:
        if packet.payload_type != self._payload_type:
            self._switch(packet.payload_type)
        if self._orientation:
            value = packet.extension(self._orientation)
            if value:
                self._rotation = _ROTATION[value[0] & 3]
        if self._assembler:
            self._assembler.push(packet)

    def _lose(self, count: int) -> None:
        if self._assembler:
            self._assembler.lose()
        self._hole()

    def _switch(self, payload_type: int) -> None:
        chosen = self._formats[payload_type]
        before = self._assembler
        self._payload_type = payload_type
        if before and before.codec is chosen.codec:
            return
        self._close_assembler()
        if before:
            self._generation = next(_generation)
        match chosen.codec:
            case Codec.VP8:
                self._assembler = Vp8Assembler(self._unit)
            case Codec.H264:
                self._assembler = H264Assembler(self._unit, chosen.parameters.get("sprop-parameter-sets", ""))
            case _:
                self._assembler = OpusAssembler(self._unit)

    def _close_assembler(self) -> None:
        if self._assembler:
            self.malformed += self._assembler.malformed
            self.incomplete += self._assembler.incomplete
        self._assembler = None
        self._payload_type = -1

    def _unit(self, unit: Unit) -> None:
        assert self._assembler is not None
        self._emit(
            EncodedFrame(
                self._assembler.codec,
                unit.data,
                self._timestamp.near(unit.timestamp),
                unit.arrived,
                unit.key,
                unit.gap,
                self._report,
                self._generation,
                self._rotation,
            )
        )


def _nobody(*_: object) -> None:
    """What a closed stream still gives."""
