"""What both encoders share: a thread of their own, one error, and a stream that exists only to be encoded."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import av

from egress.model.errors import EgressError, Fault
from egress.model.media import Packet, StreamInfo

OnPacket = Callable[[Packet], None]
OnError = Callable[[EgressError], None]


class Encoder(ABC):
    """One encoder on its own thread: packets, and at most one error, come from that thread."""

    info: StreamInfo

    def __init__(self, id: str, on_packet: OnPacket, on_error: OnError | None) -> None:
        self.id = id
        self.error: EgressError | None = None
        self.packets = 0
        self.bytes = 0
        self._on_packet = on_packet
        self._on_error = on_error
        self._thread = threading.Thread(target=self._run, name=f"encode-{id}", daemon=True)

    @abstractmethod
    def _work(self) -> None:
        """Encode until told to close."""

    def _run(self) -> None:
        try:
            self._work()
        except EgressError as error:
            self._fail(error)
        except Exception as error:
            self._fail(Fault(f"{self.id} encoder: {type(error).__name__}: {error}"))

    def _fail(self, error: EgressError) -> None:
        if self.error is None:
            self.error = error
            if self._on_error:
                self._on_error(error)

    def _join(self, timeout: float) -> None:
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._fail(Fault(f"{self.id} encoder did not finish within {timeout:g} s"))

    def _deliver(self, packet: av.Packet[Any]) -> None:
        if packet.pts is None or packet.dts is None:
            raise Fault(f"{self.id} encoder gave a packet without a time")
        data = bytes(packet)
        self.packets += 1
        self.bytes += len(data)
        self._on_packet(Packet(self.id, data, packet.pts, packet.dts, packet.duration or 1, packet.is_keyframe))
