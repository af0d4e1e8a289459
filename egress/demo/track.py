"""Tracks that send a loop at its capture instants, and senders whose reports tell the truth about them.

The shared clock is the machine's monotonic clock: picture and packet numbers count from its zero, so whole seconds are
the same for every participant in every process of a machine. aiortc's own sender reports pair the RTP time of the last
packet with the time it left; under load that is late by milliseconds. Ours pair it with its capture instant.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.rtp import RTCP_PSFB_FIR, RTCP_PSFB_PLI, RTCP_RTPFB_NACK, RtcpPsfbPacket, RtcpRtpfbPacket, RtcpSrPacket

from egress.demo.clip import Clip, PictureEncoder
from egress.model.clock import monotonic
from egress.model.media import MILLISECOND, SECOND, Nanos

_NTP_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)
_TOO_LATE = 100 * MILLISECOND
_KEY_SPACING = 200 * MILLISECOND
_WALL_MINUS_MONOTONIC = (
    time.time_ns() - monotonic() + round((datetime(1970, 1, 1, tzinfo=UTC) - _NTP_EPOCH).total_seconds()) * SECOND
)


def ntp(at: Nanos) -> int:
    """The 64-bit NTP time of a monotonic instant; the wall clock was read once, so its steps do not show."""
    seconds, rest = divmod(at + _WALL_MINUS_MONOTONIC, SECOND)
    return seconds << 32 | (rest << 32) // SECOND


class LoopTrack(MediaStreamTrack, ABC):
    """Sends unit `k` of a loop at `k * period` of the shared clock plus `lag`; silent until `send(True)`.

    `lag` delays sending, not the capture instant that RTP times and reports speak of: an encoder's delay.
    """

    rate: int
    """RTP clock rate."""

    def __init__(self, lag: Nanos = 0) -> None:
        super().__init__()
        self.sent = 0
        self.late = 0
        self.skipped = 0
        self.lag = lag
        self._sending = asyncio.Event()
        self._since: Nanos = 0
        self._until: Nanos | None = None
        self._next = -1
        self._first: Nanos | None = None
        self._last_ticks = 0
        self._idle = True
        self._origin: int | None = None

    @property
    def sending(self) -> bool:
        """Whether anything is being sent, or about to be."""
        return self._sending.is_set() and self._until is None

    def send(self, wanted: bool, at: Nanos | None = None) -> None:
        """Send units captured from instant `at` (default now) on, or up to it and no more."""
        if wanted:
            self._since, self._until = monotonic() if at is None else at, None
            self._next = -1
            self._sending.set()
        else:
            self._until = monotonic() if at is None else at

    async def recv(self) -> av.Packet[Any]:
        """The next unit, once it is due."""
        self._idle = True
        while True:
            await self._sending.wait()
            if self._next < 0:
                self._next = self.index(max(self._since, monotonic() - 10 * MILLISECOND)) + 1
                self.resumed()
            index = self._next
            captured = self.instant(index)
            if self._until is not None and captured >= self._until:
                self._sending.clear()
                continue
            wait = captured + self.lag - monotonic()
            if wait > 0:
                await asyncio.sleep(wait / SECOND)
                if self._next != index or (self._until is not None and captured >= self._until):
                    continue
            elif wait < -_TOO_LATE and self.may_skip(index):
                self.skipped += 1
                self._next = index + 1
                continue
            elif wait < -20 * MILLISECOND:
                self.late += 1
            self._next = index + 1
            data = await self.data(index)
            if self._first is None:
                self._first = captured
            packet = av.Packet(data)
            packet.time_base = Fraction(1, self.rate)
            packet.pts = self._last_ticks = (captured - self._first) * self.rate // SECOND
            self.sent += 1
            self._idle = False
            return packet

    def report(self, last_rtp: int) -> tuple[int, int] | None:
        """A true (ntp, rtp) pair for now, given the RTP time of the last packet sent; None while none is known."""
        if self._first is None:
            return None
        if self._idle:
            self._origin = (last_rtp - self._last_ticks) & 0xFFFFFFFF
        if self._origin is None:
            return None
        now = monotonic()
        return ntp(now), (self._origin + (now - self._first) * self.rate // SECOND) & 0xFFFFFFFF

    @abstractmethod
    def index(self, at: Nanos) -> int:
        """The last unit captured at or before `at`."""

    @abstractmethod
    def instant(self, index: int) -> Nanos:
        """When unit `index` was captured."""

    @abstractmethod
    async def data(self, index: int) -> bytes:
        """Unit `index`, encoded."""

    def may_skip(self, index: int) -> bool:
        """Whether unit `index`, being late, can be left out without harm to those after it."""
        return True

    def resumed(self) -> None:
        """Sending is about to begin (again)."""

    def key_wanted(self) -> None:
        """The receiver asks for a picture decodable by itself."""


class AudioTrack(LoopTrack):
    """A participant's beeps: Opus, 20 ms a packet."""

    kind = "audio"
    rate = 48_000
    _period = 20 * MILLISECOND

    def __init__(self, packets: tuple[bytes, ...], lag: Nanos = 0) -> None:
        super().__init__(lag)
        self._packets = packets

    def index(self, at: Nanos) -> int:
        return at // self._period

    def instant(self, index: int) -> Nanos:
        return index * self._period

    async def data(self, index: int) -> bytes:
        return self._packets[index % len(self._packets)]


class VideoTrack(LoopTrack):
    """A participant's pictures; encodes live from a keyframe request to the loop's next keyframe, else replays."""

    kind = "video"
    rate = 90_000

    def __init__(self, clip: Clip, lag: Nanos = 0) -> None:
        super().__init__(lag)
        self.keys_made = 0
        self._clip = clip
        self._live: PictureEncoder | None = None
        self._key_due = True
        self._key_at: Nanos = -SECOND

    def show(self, clip: Clip) -> None:
        """Go on with another clip of the same frame rate, beginning with a keyframe: a change of resolution."""
        self._clip = clip
        self._key_due = True

    def may_skip(self, index: int) -> bool:
        encoding = self._live is not None or self._key_due
        return encoding and index % len(self._clip.frames) not in self._clip.keys

    def resumed(self) -> None:
        self._key_due = True

    def key_wanted(self) -> None:
        if monotonic() - self._key_at >= _KEY_SPACING:
            self._key_due = True

    def index(self, at: Nanos) -> int:
        return at * self._clip.fps // SECOND

    def instant(self, index: int) -> Nanos:
        return -(-index * SECOND // self._clip.fps)

    async def data(self, index: int) -> bytes:
        clip = self._clip
        at = index % len(clip.frames)
        if at in clip.keys:
            self._live, self._key_due = None, False
            self._key_at = monotonic()
        elif self._key_due:
            self._live, self._key_due = clip.encoder(), False
            self._key_at = monotonic()
            self.keys_made += 1
            return await self._encode(self._live, index, key=True)
        elif self._live is not None:
            return await self._encode(self._live, index, key=False)
        return clip.frames[at]

    async def _encode(self, encoder: PictureEncoder, index: int, *, key: bool) -> bytes:
        data, _ = await asyncio.get_running_loop().run_in_executor(None, lambda: encoder.encode(index, key=key))
        return data


class TruthfulSender:
    """Makes an aiortc sender's reports true, passes keyframe requests on, and hears whether anyone listens."""

    def __init__(self, sender: RTCRtpSender, track: LoopTrack) -> None:
        self.nacks = 0
        self.keys_wanted = 0
        self.heard: Nanos | None = None
        self._track = track
        self._send: Callable[[list[Any]], Awaitable[None]] = sender._send_rtcp
        self._handle: Callable[[Any], Awaitable[None]] = sender._handle_rtcp_packet
        sender._send_rtcp = self._send_rtcp  # type: ignore[method-assign]
        sender._handle_rtcp_packet = self._handle_rtcp_packet  # type: ignore[method-assign]

    async def _send_rtcp(self, packets: list[Any]) -> None:
        for packet in packets:
            if isinstance(packet, RtcpSrPacket):
                pair = self._track.report(packet.sender_info.rtp_timestamp)
                if pair is None:
                    return
                packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp = pair
        await self._send(packets)

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        self.heard = monotonic()
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            self.nacks += len(packet.lost)
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
            self.keys_wanted += 1
            self._track.key_wanted()
        await self._handle(packet)
