"""MPEG-TS in memory: access units in, whole transport packets out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import av

from egress.model.media import Packet, StreamInfo
from egress.sinks.muxing import MuxedStream
from egress.sinks.stamps import Unit

_MS = Fraction(1, 1000)


class TransportStream:
    """One transport stream; times are milliseconds from its beginning."""

    def __init__(self, programme: Sequence[StreamInfo]) -> None:
        self._out = _Bytes()
        # Each unit comes out with the call that brings it, and tables often enough for who tunes in late.
        options = {"flush_packets": "1", "max_interleave_delta": "1", "pat_period": "0.5"}
        self._container = av.open(self._out, "w", format="mpegts", options=options)
        self._streams = [MuxedStream(self._container, replace(info, time_base=_MS)) for info in programme]

    def write(self, unit: Unit, at: int) -> bytes:
        """The packets a unit makes, 188 bytes each; there may be none yet."""
        stream = self._streams[unit.stream]
        packet = Packet(stream.info.id, unit.data, at + unit.composition, at, 0, unit.key)
        self._container.mux(stream.av_packet(packet))
        return self._out.take()

    def close(self) -> bytes:
        """The packets that end it."""
        self._container.close()
        return self._out.take()


class _Bytes:
    """What libav has written and nobody has taken yet."""

    def __init__(self) -> None:
        self._made = bytearray()

    def write(self, data: bytes) -> int:
        """Take what libav writes."""
        self._made += data
        return len(data)

    def take(self) -> bytes:
        """All of it, once."""
        made = bytes(self._made)
        self._made.clear()
        return made
