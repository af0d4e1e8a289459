"""A WHIP client (RFC 9725) over aiortc that publishes one synthetic participant."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlencode, urljoin

import aioice.ice
import httpx
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

from egress.demo.clip import Clip
from egress.demo.people import Person
from egress.demo.track import AudioTrack, LoopTrack, TruthfulSender, VideoTrack
from egress.model.clock import monotonic
from egress.model.errors import RequestError, RoomRefused, RoomUnreachable
from egress.model.media import SECOND, Codec, Nanos

_ANSWER_TIMEOUT = 30.0
_SILENCE = 6 * SECOND


class Publisher:
    """One visit of one participant to a WHIP endpoint: `open`, then `send`, then `close` or `drop`.

    A new visit is a new Publisher, with new SSRCs.
    """

    def __init__(
        self,
        person: Person,
        url: str,
        *,
        token: str | None = None,
        clip: Clip | None = None,
        sound: tuple[bytes, ...] | None = None,
        lag: Mapping[str, Nanos] | None = None,
        screen_of: Person | None = None,
    ) -> None:
        """`screen_of`: this is the shared screen of that person, beside what it publishes itself."""
        if clip is None and sound is None:
            raise RequestError(f"{person.name} has neither video nor audio to publish")
        self.person = person
        whose = screen_of or person
        fields = {"peer": whose.id, "role": whose.role, "name": whose.name}
        if screen_of is not None:
            fields["source"] = "screen"
        self._url = f"{url}{'&' if '?' in url else '?'}" + urlencode(fields)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._clip = clip
        self._resource: str | None = None
        lags = lag or {}
        self.tracks: dict[str, LoopTrack] = {}
        if sound is not None:
            self.tracks["audio"] = AudioTrack(sound, lags.get("audio", 0))
        if clip is not None:
            self.tracks["video"] = VideoTrack(clip, lags.get("video", 0))
        self._senders: list[TruthfulSender] = []
        self._connection: RTCPeerConnection | None = None
        self._asked: Nanos = 0

    async def open(self) -> None:
        """Publish; media flows from the next capture instant. Raises RoomRefused or RoomUnreachable."""
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._connection = connection
        try:
            for track in self.tracks.values():
                sender = connection.addTrack(track)
                self._senders.append(TruthfulSender(sender, track))
            for transceiver in connection.getTransceivers():
                transceiver.direction = "sendonly"
                if transceiver.kind == "video" and self._clip is not None:
                    wanted = "video/VP8" if self._clip.codec is Codec.VP8 else "video/H264"
                    known = RTCRtpSender.getCapabilities("video").codecs
                    transceiver.setCodecPreferences([c for c in known if c.mimeType in (wanted, "video/rtx")])
            await connection.setLocalDescription(await connection.createOffer())
            answer = await self._post(connection.localDescription.sdp)
            for track in self.tracks.values():
                track.send(True)
            await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            self._asked = monotonic()
        except BaseException:
            await self.close()
            raise

    async def _post(self, offer: str) -> str:
        headers = {"Content-Type": "application/sdp", **self._headers}
        try:
            async with httpx.AsyncClient(timeout=_ANSWER_TIMEOUT, trust_env=False) as client:
                response = await client.post(self._url, content=offer, headers=headers)
        except httpx.TransportError as error:
            raise RoomUnreachable(
                f"no WHIP server answers at {self._url.split('?')[0]}: {error or type(error).__name__}"
            ) from error
        if response.status_code in (404, 429) or response.status_code >= 500:
            # The room may be about to open, or to open again.
            raise RoomUnreachable(
                f"the WHIP server is not ready ({response.status_code}): {response.text.strip()[:300]}"
            )
        if response.status_code != 201:
            raise RoomRefused(
                f"the WHIP server refused {self.person.name} ({response.status_code}): {response.text.strip()[:300]}"
            )
        if location := response.headers.get("location"):
            self._resource = urljoin(self._url, location)
        return response.text

    @property
    def alive(self) -> bool:
        """Whether the other side still listens, as far as can be told."""
        if self._connection is None or self._connection.connectionState in ("failed", "closed"):
            return False
        if not any(track.sending for track in self.tracks.values()):
            # Nobody reports on what is not sent.
            self._asked = monotonic()
            return True
        heard = [sender.heard for sender in self._senders if sender.heard is not None]
        return not heard or monotonic() - max(self._asked, *heard) <= _SILENCE

    def send(self, kind: str, wanted: bool, at: Nanos | None = None) -> None:
        """Unmute or mute a track: nothing captured at or after `at` is sent while muted."""
        if kind in self.tracks:
            self.tracks[kind].send(wanted, at)

    def show(self, clip: Clip) -> None:
        """Change the video's resolution in mid-track."""
        track = self.tracks.get("video")
        if isinstance(track, VideoTrack):
            track.show(clip)

    async def close(self) -> None:
        """Leave politely: DELETE, then close the connection."""
        if self._resource is not None:
            try:
                async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
                    await client.delete(self._resource, headers=self._headers)
            except httpx.HTTPError:
                pass
            self._resource = None
        if self._connection is not None:
            await self._connection.close()

    async def drop(self) -> None:
        """Vanish without a word, as a peer whose network died."""
        if self._connection is None:
            return
        transports = {sender.transport.transport for sender in self._connection.getSenders()}
        await asyncio.gather(*(transport.stop() for transport in transports))
        await self._connection.close()

    def stats(self) -> dict[str, int]:
        """What was sent and asked for, over both tracks."""
        tracks = list(self.tracks.values())
        return {
            "audio": sum(track.sent for track in tracks if track.kind == "audio"),
            "video": sum(track.sent for track in tracks if track.kind == "video"),
            "late": sum(track.late for track in tracks),
            "skipped": sum(track.skipped for track in tracks),
            "nacks": sum(sender.nacks for sender in self._senders),
            "keys_wanted": sum(sender.keys_wanted for sender in self._senders),
            "keys_made": sum(track.keys_made for track in tracks if isinstance(track, VideoTrack)),
        }


def offer_loopback_when_alone() -> None:
    """Let ICE use 127.0.0.1 on a machine that has no other address; aioice always leaves it out."""
    found = aioice.ice.get_host_addresses

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return found(use_ipv4, use_ipv6) or (["127.0.0.1"] if use_ipv4 else ["::1"])

    aioice.ice.get_host_addresses = addresses
