"""A receive-only WebRTC peer: answers offers, routes what comes to tracks, reports back to the sender."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Mapping

from egress.model.clock import monotonic
from egress.model.errors import RequestError
from egress.model.media import MILLISECOND, SECOND, Nanos
from egress.rooms import negotiation, rtcp, sdp
from egress.rooms.congestion import Arrivals
from egress.rooms.receiver import ReceivedTrack
from egress.rooms.rtp import RtpPacket
from egress.rooms.seam import SecureTransport

_log = logging.getLogger(__name__)

_TICK = 0.1
_FAST_TICK = 0.01
_STALL = 0.03
_MOST_STALLS = 5
_FIRST_RTT: Nanos = 60 * MILLISECOND
_UNHEARD: Nanos = 5 * SECOND
_MOST_ROUTES = 1024


class PeerConnection:
    """One receive-only peer over one bundled transport; lives on the event loop it is made on.

    `on_track` gets each track as soon as it is negotiated (media may come later or never). `on_state` gets
    `connecting`, `connected`, `disconnected` (nothing heard for 5 s; it may come back), `failed` or `closed`; after the
    last two every track has ended and `close` must still be called. `hold` bounds how long a missing packet is waited
    for, `silence` how long a track may be still before it counts as inactive, both in ns; `connect_timeout` in seconds.
    """

    def __init__(
        self,
        *,
        on_track: Callable[[ReceivedTrack], None],
        on_state: Callable[[str], None] | None = None,
        hold: Nanos = 300 * MILLISECOND,
        silence: Nanos = 2 * SECOND,
        connect_timeout: float = 20.0,
    ) -> None:
        self.warnings: tuple[str, ...] = ()
        self._on_track = on_track
        self._on_state = on_state
        self._hold = hold
        self._silence = silence
        self._connect_timeout = connect_timeout
        self._loop = asyncio.get_running_loop()
        self._transport = SecureTransport(on_rtp=self._rtp, on_rtcp=self._rtcp, on_state=self._changed)
        self._ssrc = secrets.randbits(32) or 1
        self._cname = secrets.token_hex(8)
        self._session = secrets.randbits(62)
        self._version = 0
        self._negotiating = asyncio.Lock()
        self._remote: sdp.Transport | None = None
        self._setup = ""
        self._tracks: dict[str, ReceivedTrack] = {}
        self._routes: dict[int, ReceivedTrack] = {}
        self._by_type: dict[int, ReceivedTrack | None] = {}
        self._mid_id = self._arrivals_id = 0
        self._reduced_size = True
        self._arrivals = Arrivals(self._ssrc)
        self._connecting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fast: asyncio.TimerHandle | None = None
        self._fast_due = 0.0
        self._stalls = 0
        self._report_at: Nanos = 0
        self._state = "new"
        self._closed = False
        self._counts = {"malformed": 0, "unrouted": 0, "rtcp_malformed": 0}

    @property
    def state(self) -> str:
        """`new`, `connecting`, `connected`, `disconnected`, `failed` or `closed`."""
        return self._state

    @property
    def tracks(self) -> tuple[ReceivedTrack, ...]:
        """The tracks that have not ended."""
        return tuple(self._tracks.values())

    @property
    def heard(self) -> Nanos:
        """When the sender was last heard, by what only it can have sent; 0 before it is connected."""
        return self._transport.heard

    def stats(self) -> Mapping[str, int]:
        """Counters of the transport: datagrams that were no one's, could not be decrypted, parsed or routed."""
        transport = self._transport
        return self._counts | {
            "foreign": transport.foreign,
            "unprotected": transport.unprotected,
            "rtt_us": (transport.rtt or 0) // 1000,
        }

    async def answer(self, offer_sdp: str) -> str:
        """The answer to a first or a later offer; connecting goes on in the background.

        Sections that cannot be taken are refused, with the reasons in `warnings`. Raises RequestError on an offer that
        is broken, offers nothing we can receive, or restarts ICE; nothing has changed then.
        """
        async with self._negotiating:
            self._check_open()
            offer = sdp.read(offer_sdp)
            plans = negotiation.plan(offer, first=self._remote is None)
            remote = offer.transport
            if self._remote is None:
                if remote.setup == "passive":
                    self._setup = "active"
                else:
                    self._setup = "passive" if remote.setup == "active" else "active"
            elif (remote.ufrag, remote.pwd) != (self._remote.ufrag, self._remote.pwd):
                raise RequestError(
                    "the SDP offer restarts ICE, which is not supported; close the session and publish anew",
                    (("sdp", "restarts ICE"),),
                )
            candidates = await self._transport.gather(remote.candidates)
            if not candidates:
                raise RequestError("no network interface to receive on", (("sdp", "no local candidate"),))
            for candidate in remote.candidates:
                await self._transport.add_candidate(candidate)
            self._check_open()
            first, self._remote = self._remote is None, remote
            offered = (p for p in plans if p.section.port and p.section.kind in ("audio", "video"))
            self.warnings = tuple(p.refused for p in offered if p.refused)
            self._version += 1
            ufrag, pwd = self._transport.credentials
            text = negotiation.answer(
                offer,
                plans,
                ufrag=ufrag,
                pwd=pwd,
                fingerprints=self._transport.fingerprints,
                setup=self._setup,
                candidates=candidates,
                session=self._session,
                version=self._version,
            )
            self._reduced_size = all(p.section.reduced_size for p in plans if p.receiving)
            self._adopt(plans)
            if first:
                self._connecting = self._loop.create_task(self._connect(remote))
                self._wait()
            return text

    def _check_open(self) -> None:
        if self._closed or self._state in ("closed", "failed"):
            raise RequestError("the connection is over; make a new one", (("sdp", "connection is over"),))

    async def add_candidate(self, candidate: str) -> None:
        """A candidate trickled by the remote end: the value of an a=candidate line."""
        await self._transport.add_candidate(candidate)

    def _adopt(self, plans: tuple[negotiation.Plan, ...]) -> None:
        begun = []
        receiving = {p.section.mid for p in plans if p.receiving}
        for mid in [mid for mid in self._tracks if mid not in receiving]:
            self._tracks.pop(mid).end()
        for p in plans:
            if not p.receiving:
                continue
            track = self._tracks.get(p.section.mid)
            if track is not None and (track.msid != p.section.msid or track.kind != p.section.kind):
                # The section is used anew, for another track.
                track.end()
                track = None
            if track is None:
                track = ReceivedTrack(p, self, hold=self._hold, silence=self._silence)
                begun.append(track)
            else:
                track.adopt(p)
            self._tracks[p.section.mid] = track
        self._route_anew(plans)
        for track in begun:
            try:
                self._on_track(track)
            except Exception:
                _log.exception("on_track failed for %s", track.mid)

    def _route_anew(self, plans: tuple[negotiation.Plan, ...]) -> None:
        self._routes = {ssrc: track for ssrc, track in self._routes.items() if not track.ended}
        self._by_type = {}
        for p in plans:
            track = self._tracks.get(p.section.mid)
            if track is None:
                continue
            for ssrc in p.section.ssrcs:
                self._routes[ssrc] = track
            for number in p.formats:
                self._by_type[number] = None if number in self._by_type else track
            self._mid_id = p.extensions.get(negotiation.MID, self._mid_id)
            self._arrivals_id = p.extensions.get(negotiation.TRANSPORT_CC, self._arrivals_id)

    async def _connect(self, remote: sdp.Transport) -> None:
        try:
            async with asyncio.timeout(self._connect_timeout):
                await self._transport.connect(
                    remote.ufrag, remote.pwd, remote.lite, remote.fingerprints, active=self._setup == "active"
                )
        except TimeoutError:
            self._set_state("failed")
        except Exception as problem:
            _log.warning("the peer could not be connected to: %s: %s", type(problem).__name__, problem)
            self._set_state("failed")

    def _changed(self, state: str) -> None:
        self._set_state(state)

    def _set_state(self, state: str) -> None:
        if state == self._state or self._state in ("failed", "closed"):
            return
        self._state = state
        if state in ("failed", "closed"):
            for track in self._tracks.values():
                track.end()
            self._tracks = {}
        if self._on_state is not None:
            try:
                self._on_state(state)
            except Exception:
                _log.exception("on_state failed for %s", state)

    def _rtp(self, data: bytes, arrived: Nanos) -> None:
        try:
            packet = RtpPacket.parse(data, arrived)
        except ValueError:
            self._counts["malformed"] += 1
            return
        if self._arrivals_id:
            value = packet.extension(self._arrivals_id)
            if value is not None and len(value) == 2:
                self._arrivals.add((value[0] << 8) | value[1], arrived)
        track = self._routes.get(packet.ssrc) or self._route(packet)
        if track is None:
            self._counts["unrouted"] += 1
            return
        track.handle(packet)
        if self._fast is None and track.restless:
            self._hurry(_FAST_TICK / 2)

    def _route(self, packet: RtpPacket) -> ReceivedTrack | None:
        """The track of an SSRC that no offer named: by its MID, else by a payload type only one track has."""
        track = None
        if self._mid_id and (value := packet.extension(self._mid_id)):
            track = self._tracks.get(value.decode("ascii", "replace"))
        if track is None:
            track = self._by_type.get(packet.payload_type)
        if track is not None and not track.ended:
            if len(self._routes) >= _MOST_ROUTES:
                self._routes = {ssrc: kept for ssrc, kept in self._routes.items() if kept.ssrc == ssrc}
            self._routes[packet.ssrc] = track
        return track

    def _rtcp(self, data: bytes, arrived: Nanos) -> None:
        try:
            found = rtcp.parse(data)
        except ValueError:
            self._counts["rtcp_malformed"] += 1
            return
        for item in found:
            if isinstance(item, rtcp.SenderInfo):
                if track := self._routes.get(item.ssrc):
                    track.report(item, arrived)
            else:
                for ssrc in item.ssrcs:
                    if track := self._routes.get(ssrc):
                        track.bye(ssrc)

    def nack(self, ssrc: int, sequences: list[int]) -> None:
        """Ask the sender for packets again (Feedback)."""
        self._say(ssrc, rtcp.nack(self._ssrc, ssrc, sequences))

    def pli(self, ssrc: int) -> None:
        """Ask the sender for a keyframe (Feedback)."""
        self._say(ssrc, rtcp.pli(self._ssrc, ssrc))

    def _say(self, ssrc: int, feedback: bytes) -> None:
        """Send feedback about one stream; alone only where a=rtcp-rsize says so (RFC 5506), else after a report on it.

        Janus 1.1.2 tells by the first report's block which stream is meant, and drops feedback that comes alone.
        """
        track = self._routes.get(ssrc)
        block = track.block(monotonic()) if track is not None and not self._reduced_size else None
        report = rtcp.receiver_report(self._ssrc, self._cname, [block]) if block is not None else b""
        self._transport.send_rtcp(report + feedback)

    def _hurry(self, seconds: float) -> None:
        self._fast_due = self._loop.time() + seconds
        self._fast = self._loop.call_at(self._fast_due, self._repair)

    def _repair(self) -> None:
        self._fast = None
        if self._loop.time() - self._fast_due > _STALL and self._stalls < _MOST_STALLS:
            # The loop itself stood still: what seems to be missing may wait in the socket, so look there first.
            self._stalls += 1
            self._hurry(_FAST_TICK)
            return
        self._stalls = 0
        now, rtt = monotonic(), self._transport.rtt or _FIRST_RTT
        restless = [track for track in self._tracks.values() if track.restless]
        for track in restless:
            track.repair(now, rtt)
        if any(track.restless for track in restless):
            self._hurry(_FAST_TICK)

    def _wait(self) -> None:
        """Until the next tick, together with all other peers of the loop, which wakes once for all of them."""
        left = _TICK - self._loop.time() % _TICK
        self._timer = self._loop.call_later(left if left > _TICK / 2 else left + _TICK, self._tick)

    def _tick(self) -> None:
        self._wait()
        if self._state not in ("connected", "disconnected"):
            return
        now = monotonic()
        tracks = list(self._tracks.values())
        for track in tracks:
            track.tick(now)
        if self._arrivals_id:
            media = next((track.ssrc for track in tracks if track.ssrc is not None), 0)
            for packet in self._arrivals.feedback(media):
                self._transport.send_rtcp(packet)
        if now >= self._report_at:
            self._report_at = now + round(random.uniform(0.5, 1.5) * SECOND)
            blocks = [block for track in tracks if (block := track.block(now)) is not None]
            if blocks:
                self._transport.send_rtcp(rtcp.receiver_report(self._ssrc, self._cname, blocks))
        if now - self._transport.heard > _UNHEARD:
            self._set_state("disconnected")
        elif self._state == "disconnected":
            self._set_state("connected")

    async def close(self) -> None:
        """End all tracks and free the sockets; may be called at any time, more than once."""
        self._closed = True
        for timer in (self._timer, self._fast):
            if timer is not None:
                timer.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
            self._connecting = None
        async with self._negotiating:
            await self._transport.close()
        self._set_state("closed")
        for track in self._tracks.values():
            track.end()
        self._tracks = {}
        self._routes = {}
        self._by_type = {}
