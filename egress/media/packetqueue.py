"""The Opus packets of one track that wait to be decoded, shared by the thread that reads and the one that pulls."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace

PACKETS = 1_000


@dataclass(frozen=True, slots=True)
class SoundPacket:
    """One Opus packet at its place; `gap`: lost ones before it; `fresh`: the first of another encoder."""

    at: int
    samples: int
    data: bytes
    gap: bool
    fresh: bool


class PacketQueue:
    """Packets in order; owned by the voice that pulls them.

    When more than `room` samples or PACKETS packets wait, the oldest are lost, counted in `dropped`. A packet is taken
    only if it is still the first, because the reading thread may have dropped it since it was looked at. That an
    encoder began anew is handed on to the next packet when the one that said so is never taken.
    """

    def __init__(self, room: int) -> None:
        self.dropped = 0
        self.late = 0
        self._room = room
        self._lock = threading.Lock()
        self._packets: deque[SoundPacket] = deque()
        self._fresh = False

    def __len__(self) -> int:
        return len(self._packets)

    def put(self, packet: SoundPacket) -> None:
        """Queue a packet."""
        with self._lock:
            self._packets.append(packet)
            while len(self._packets) > 1 and (
                packet.at - self._packets[0].at > self._room or len(self._packets) > PACKETS
            ):
                self._discard()
                self.dropped += 1

    def first(self, end: int | None) -> SoundPacket | None:
        """The oldest packet, left where it is; those that end at or before `end` came too late and are lost."""
        with self._lock:
            while self._packets:
                packet = self._packets[0]
                if end is None or packet.at + packet.samples > end:
                    return packet
                self._discard()
                self.late += 1
            return None

    def take(self, packet: SoundPacket) -> SoundPacket | None:
        """Take what `first` gave; None when it was dropped meanwhile."""
        with self._lock:
            if not self._packets or self._packets[0] is not packet:
                return None
            self._packets.popleft()
            fresh, self._fresh = packet.fresh or self._fresh, False
            return packet if packet.fresh == fresh else replace(packet, fresh=fresh)

    def reject(self, packet: SoundPacket) -> bool:
        """Let what `first` gave go, because it is broken; False when it was dropped meanwhile."""
        with self._lock:
            here = bool(self._packets) and self._packets[0] is packet
            if here:
                self._discard()
            return here

    def pass_over(self, until: int) -> None:
        """Let the packets that end at or before a position go."""
        with self._lock:
            while self._packets and self._packets[0].at + self._packets[0].samples <= until:
                self._discard()

    def _discard(self) -> None:
        self._fresh = self._packets.popleft().fresh or self._fresh
