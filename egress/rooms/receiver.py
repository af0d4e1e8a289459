"""One received track: its RTP streams, keyframe requests, silence, and the bounded queue its taker reads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from egress.model.clock import monotonic
from egress.model.errors import EndOfTrack
from egress.model.media import MILLISECOND, SECOND, Codec, EncodedFrame, Nanos
from egress.rooms.framequeue import FrameQueue
from egress.rooms.negotiation import ORIENTATION, Plan
from egress.rooms.rtcp import ReportBlock, SenderInfo
from egress.rooms.rtp import RtpPacket
from egress.rooms.sdp import Format
from egress.rooms.stream import RtpStream

_log = logging.getLogger(__name__)

_PLI_APART: Nanos = 300 * MILLISECOND
_PLI_RETRY: Nanos = 500 * MILLISECOND
_PLI_RETRY_MOST: Nanos = 4 * SECOND
_JOIN_PATIENCE: Nanos = 150 * MILLISECOND
_HOLD_UNASKED: Nanos = 100 * MILLISECOND
_TAKEOVER: Nanos = 500 * MILLISECOND
_COUNTERS = ("packets", "bytes", "lost", "recovered", "late", "malformed", "incomplete", "restarts")


class Feedback(Protocol):
    """How a track talks back to its sender."""

    def nack(self, ssrc: int, sequences: list[int]) -> None:
        """Ask for packets again."""

    def pli(self, ssrc: int) -> None:
        """Ask for a keyframe."""


class ReceivedTrack:
    """One track as received (a Deliverer): one taker awaits `recv` or `deliver`, on the peer's event loop as all of it.

    `codec` is None until it is known. `on_active`, if set, is called with False when no packet has come for a while
    or the sender said BYE, and with True when packets come again. `ended` is final.
    """

    def __init__(self, plan: Plan, feedback: Feedback, *, hold: Nanos, silence: Nanos) -> None:
        section = plan.section
        self.mid = section.mid
        self.kind: Literal["audio", "video"] = "audio" if section.kind == "audio" else "video"
        self.msid = section.msid
        self.ended = False
        self.active = False
        self.on_active: Callable[[bool], None] | None = None
        self._feedback = feedback
        self._hold = hold
        self._silence = silence
        self._queue = FrameQueue(self.kind)
        self._waiter: asyncio.Future[None] | None = None
        self._take: Callable[[EncodedFrame], None] | None = None
        self._stream: RtpStream | None = None
        self._stream_id = 0
        self._now: Nanos = 0
        self._last_packet: Nanos = 0
        self._key_wanted = False
        self._pli_at: Nanos = 0
        self._pli_wait = _PLI_RETRY
        self._before = dict.fromkeys(_COUNTERS, 0)
        self._plis = self._nacks = self._frames = self._undecodable = self._foreign = self._errors = 0
        self.adopt(plan)

    def adopt(self, plan: Plan) -> None:
        """What was negotiated for this track, at first and at each renegotiation."""
        self._formats: Mapping[int, Format] = plan.formats
        self._extensions = plan.extensions
        self._repairs = plan.section.repairs
        self._declared = tuple(ssrc for ssrc in plan.section.ssrcs if ssrc not in plan.section.repairs)
        self._asks = any("nack" in f.feedback for f in plan.formats.values() if f.codec)
        codecs = {f.codec for f in plan.formats.values() if f.codec}
        self._only_codec = codecs.pop() if len(codecs) == 1 else None
        self._media = {number: found for number, found in self._formats.items() if found.codec}
        if self._stream is not None:
            self._stream.adopt(self._media)

    @property
    def codec(self) -> Codec | None:
        """The codec of what comes; None until it is known."""
        return (self._stream.codec if self._stream else None) or self._only_codec

    @property
    def ssrc(self) -> int | None:
        """The SSRC being received; None before the first packet."""
        return self._stream.ssrc if self._stream else None

    @property
    def packets(self) -> int:
        """How many packets of media have come."""
        stream = self._stream
        return self._before["packets"] + (stream.packets if stream is not None else 0)

    @property
    def restless(self) -> bool:
        """Whether packets are missing, so that `repair` should be called soon."""
        stream = self._stream
        return stream is not None and stream.holes

    async def recv(self) -> EncodedFrame:
        """The next frame in order; raises EndOfTrack once the track has ended and all frames are taken."""
        while not len(self._queue):
            await self._wait()
        return self._queue.get()

    async def deliver(self, take: Callable[[EncodedFrame], None]) -> None:
        """Call `take` for each frame in order, from within the call that brings its last packet.

        Raises EndOfTrack once the track has ended and all frames are taken, and what `take` raises.
        """
        while True:
            while len(self._queue):
                take(self._queue.get())
            await self._wait(take)

    async def _wait(self, take: Callable[[EncodedFrame], None] | None = None) -> None:
        """Return when something is to be done: a frame waits, `take` has failed, or no frame will come any more."""
        if self.ended:
            raise EndOfTrack(self.mid)
        if self._waiter is not None:
            raise RuntimeError("a track has one taker, and another one waits already")
        self._waiter, self._take = asyncio.get_running_loop().create_future(), take
        try:
            await self._waiter
        finally:
            self._waiter = self._take = None

    def request_keyframe(self) -> None:
        """Ask for a keyframe, repeatedly until one comes; as often as one likes."""
        if self.kind == "video" and not self.ended:
            self._key_wanted = True
            self._ask_key(monotonic(), _PLI_APART)

    def stats(self) -> Mapping[str, int]:
        """Counters since the track began, and how many frames wait."""
        now = self._stream.stats() if self._stream else {}
        return {name: count + now.get(name, 0) for name, count in self._before.items()} | {
            "frames": self._frames,
            "dropped": self._queue.dropped,
            "waiting": len(self._queue),
            "undecodable": self._undecodable,
            "foreign": self._foreign,
            "errors": self._errors,
            "plis": self._plis,
            "nacks": self._nacks,
        }

    def handle(self, packet: RtpPacket) -> None:
        """A packet of this track; nothing in it can make this raise."""
        if self.ended:
            return
        self._now = packet.arrived
        try:
            chosen = self._media.get(packet.payload_type)
            if chosen is None:
                self._repair_with(packet)
                return
            stream = self._stream
            if stream is None or packet.ssrc != stream.ssrc:
                stream = self._switch(packet, chosen)
                if stream is None:
                    return
            self._last_packet = packet.arrived
            if not self.active:
                self._set_active(True)
            stream.add(packet)
        except Exception:
            self._errors += 1
            if self._errors == 1:
                _log.exception("track %s: a packet could not be handled", self.mid)

    def _repair_with(self, packet: RtpPacket) -> None:
        """A packet that is no media itself: what it carries, if it is a retransmission."""
        chosen, stream = self._formats.get(packet.payload_type), self._stream
        if chosen is None:
            self._foreign += 1
            return
        apt = chosen.repairs
        if stream is None or apt is None or not packet.payload:
            return
        if len(packet.payload) < 2 or apt not in self._media:
            self._foreign += 1
            return
        if self._repairs.get(packet.ssrc, stream.ssrc) == stream.ssrc:
            stream.add(packet.original(apt, stream.ssrc), repair=True)

    def _switch(self, packet: RtpPacket, chosen: Format) -> RtpStream | None:
        before = self._stream
        if before is not None:
            declared = packet.ssrc in self._declared and before.ssrc not in self._declared
            if not declared and packet.arrived - self._last_packet < _TAKEOVER:
                self._foreign += 1
                return None
            self._keep(before)
        hold = self._hold if self._asks else min(self._hold, _HOLD_UNASKED)
        self._stream = RtpStream(
            packet.ssrc,
            self._media,
            self._emit,
            self._hole,
            clock_rate=chosen.clock_rate,
            hold=hold,
            orientation=self._extensions.get(ORIENTATION, 0) if self.kind == "video" else 0,
        )
        self._pli_at = packet.arrived - _PLI_RETRY + _JOIN_PATIENCE
        self._pli_wait = _PLI_RETRY
        self._key_wanted = self.kind == "video"
        return self._stream

    def _keep(self, stream: RtpStream) -> None:
        for name, count in stream.stats().items():
            self._before[name] += count
        stream.close()

    def _emit(self, frame: EncodedFrame) -> None:
        if self.kind == "video":
            now = frame.arrived
            if frame.stream != self._stream_id and not frame.key:
                # Joined in the middle: nothing can be decoded before the first keyframe.
                self._undecodable += 1
                self._key_wanted = True
                self._ask_key(now, _PLI_APART if self._plis else 0)
                return
            if frame.key:
                self._key_wanted = False
                self._pli_wait = _PLI_RETRY
            elif frame.gap:
                self._key_wanted = True
                self._ask_key(now, _PLI_APART)
        self._stream_id = frame.stream
        self._frames += 1
        take, waiter = self._take, self._waiter
        if take is None or waiter is None or waiter.done():
            # Nobody there; also from the moment on that somebody is told to leave, lest another miss a frame.
            if not self._queue.put(frame):
                self._key_wanted = True
            self._wake()
            return
        try:
            take(frame)
        except Exception as error:
            self._take = None
            self._wake(error)

    def _wake(self, error: Exception | None = None) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

    def _hole(self) -> None:
        if self.kind == "video":
            self._key_wanted = True
            self._ask_key(self._now, _PLI_APART)

    def _ask_key(self, now: Nanos, apart: Nanos) -> None:
        if self._stream is not None and self.active and now - self._pli_at >= apart:
            self._pli_at = now
            self._plis += 1
            self._feedback.pli(self._stream.ssrc)

    def report(self, info: SenderInfo, arrived: Nanos) -> None:
        """A sender report came for an SSRC of this track."""
        if self._stream is not None and info.ssrc == self._stream.ssrc:
            self._stream.report(info, arrived)

    def bye(self, ssrc: int) -> None:
        """The sender has stopped this SSRC; it may come back, so the track does not end."""
        if self._stream is not None and ssrc == self._stream.ssrc and self.active:
            self._set_active(False)

    def repair(self, now: Nanos, rtt: Nanos) -> None:
        """Give up what has been missing too long, ask again for the rest; to be called often while `restless`."""
        stream = self._stream
        if stream is None or self.ended:
            return
        self._now = now
        try:
            stream.expire(now)
            if self._asks and (missing := stream.to_ask(now, rtt)):
                self._nacks += 1
                self._feedback.nack(stream.ssrc, missing)
        except Exception:
            self._errors += 1
            _log.exception("track %s: missing packets could not be dealt with", self.mid)

    def tick(self, now: Nanos) -> None:
        """Notice silence, and ask again for a keyframe that has not come; to be called now and then."""
        if self._stream is None or self.ended:
            return
        if self.active and now - self._last_packet > self._silence:
            self._set_active(False)
        if self._key_wanted and self.active and now - self._pli_at >= self._pli_wait:
            self._pli_wait = min(2 * self._pli_wait, _PLI_RETRY_MOST)
            self._ask_key(now, 0)

    def block(self, now: Nanos) -> ReportBlock | None:
        """What the next receiver report says about this track; None while there is nothing to say."""
        return self._stream.reception.block(now) if self._stream and self.active else None

    def _set_active(self, active: bool) -> None:
        self.active = active
        if self.on_active is not None:
            try:
                self.on_active(active)
            except Exception:
                _log.exception("track %s: on_active failed", self.mid)

    def end(self) -> None:
        """No more media will come; frames that wait can still be taken."""
        if self.ended:
            return
        self.ended = True
        if self.active:
            self._set_active(False)
        if self._stream is not None:
            self._keep(self._stream)
            self._stream = None
        self._wake()
