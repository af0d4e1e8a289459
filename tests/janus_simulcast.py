"""The demo's participants, each sending its picture in three layers.

Run as `python -m tests.janus_simulcast --whip URL --plan FILE`, or `World.perform(..., troupe=janus_simulcast.TROUPE)`.
All layers were encoded beforehand, so that nine publishers of 1280x720 cost less than one encoder would. They go as
three SSRCs in a SIM group (what Chromium did before RIDs, and Janus still takes), lowest first. Keyframes come on every
whole second and not on request.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiortc import RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtcpParameters, RTCRtpSendParameters

from egress.demo import clip as clips
from egress.demo import participants
from egress.demo.clip import Clip
from egress.demo.plan import Plan
from egress.demo.publisher import Publisher
from egress.demo.track import TruthfulSender, VideoTrack
from egress.model.media import Size

TROUPE = "tests.janus_simulcast"
SCALES = (4, 2)
"""How much smaller the layers below the full picture are."""


def layer(size: Size, scale: int) -> Size:
    """The size of a layer; even, whatever the codec."""
    return Size(size.width // scale // 2 * 2, size.height // scale // 2 * 2)


class _Replayed(VideoTrack):
    """Sends the loop as it is, never encodes."""

    def resumed(self) -> None:
        """The next keyframe of the loop will do."""

    def key_wanted(self) -> None:
        """The next keyframe of the loop will do."""

    def may_skip(self, index: int) -> bool:
        return False

    async def data(self, index: int) -> bytes:
        return self._clip.frames[index % len(self._clip.frames)]


class SimulcastPublisher(Publisher):
    """A publisher whose video is sent three times in parallel."""

    def __init__(self, *words: Any, clip: Clip | None = None, **more: Any) -> None:
        super().__init__(*words, clip=clip, **more)
        self._layers: list[tuple[_Replayed, RTCRtpSender]] = []
        self._small: list[Clip] = []
        self._starting: asyncio.Task[None] | None = None
        if clip is not None:
            self.tracks["video"] = _Replayed(clip, self.tracks["video"].lag)
            sizes = (layer(clip.size, scale) for scale in SCALES)
            self._small = [clips.video(self.person, size, clip.fps, clip.codec) for size in sizes]

    async def open(self) -> None:
        await super().open()
        if self._small:
            self._starting = asyncio.create_task(self._start_layers())

    async def _post(self, offer: str) -> str:
        assert self._connection is not None
        (video,) = [one for one in self._connection.getTransceivers() if one.kind == "video"] or [None]
        if video is None:
            return await super()._post(offer)
        for small in self._small:
            track = _Replayed(small, self.tracks["video"].lag)
            sender = RTCRtpSender(track, video.sender.transport)
            TruthfulSender(sender, track)
            self._layers.append((track, sender))
        return await super()._post(_with_layers(offer, [s._ssrc for _, s in self._layers], video.sender._ssrc))

    async def _start_layers(self) -> None:
        assert self._connection is not None
        while self._connection.connectionState != "connected":
            if self._connection.connectionState in ("failed", "closed"):
                return
            await asyncio.sleep(0.02)
        (video,) = [one for one in self._connection.getTransceivers() if one.kind == "video"]
        for track, sender in self._layers:
            parameters = RTCRtpSendParameters(
                codecs=video._codecs, headerExtensions=video._headerExtensions, muxId=video.mid
            )
            parameters.rtcp = RTCRtcpParameters(cname=str(self.person.id), mux=True, ssrc=sender._ssrc)
            track.send(self.tracks["video"].sending)
            await sender.send(parameters)

    def send(self, kind: str, wanted: bool, at: int | None = None) -> None:
        super().send(kind, wanted, at)
        if kind == "video":
            for track, _ in self._layers:
                track.send(wanted, at)

    async def close(self) -> None:
        await self._stop_layers()
        await super().close()

    async def drop(self) -> None:
        await self._stop_layers()
        await super().drop()

    async def _stop_layers(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        for track, sender in self._layers:
            await sender.stop()
            track.stop()


def _with_layers(offer: str, smaller: Sequence[int], full: int) -> str:
    """The offer with a SIM group of all SSRCs and without retransmission on SSRCs of its own."""
    head, *sections = re.split(r"(?=^m=)", offer, flags=re.MULTILINE)
    found = []
    for section in sections:
        if section.startswith("m=video"):
            payloads = re.findall(r"^a=rtpmap:(\d+) rtx/", section, re.MULTILINE)
            lines = [
                line
                for line in section.splitlines()
                if not re.match(r"a=(ssrc-group|ssrc):", line)
                and not re.match(rf"a=(rtpmap|fmtp|rtcp-fb):({'|'.join(payloads) or 'none'})\b", line)
            ]
            port, *words = lines[0].split()[1:]
            lines[0] = " ".join(("m=video", port, words[0], *(w for w in words[1:] if w not in payloads)))
            everyone = (*smaller, full)
            lines.append("a=ssrc-group:SIM " + " ".join(map(str, everyone)))
            lines += [f"a=ssrc:{ssrc} cname:simulcast" for ssrc in everyone]
            section = "\r\n".join(lines) + "\r\n"
        found.append(section)
    return head + "".join(found)


def main(words: list[str]) -> int:
    """Encode what is not in the cache, then play the plan."""
    plan = Plan.loads(Path(words[words.index("--plan") + 1]).read_text())
    clips.prepare(
        [(part.person, layer(part.size, scale), part.fps, part.codec) for part in plan.parts for scale in SCALES]
    )
    participants.Publisher = SimulcastPublisher  # type: ignore[misc]
    return participants.main(words)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
