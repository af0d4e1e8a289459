"""What receiving costs without a network: `python -m tests.benchmarks.datagrams`.

Datagrams of pre-encoded participants (VP8 360p30 and Opus), made and encrypted beforehand, go one after the other from
where a socket would have given them through decryption, reordering and assembly to somebody who takes the frames. One
thread, nothing to wait for, the same packets in every round: so CPU per packet can be compared from one change to the
next on a machine that others use too. The least of all rounds counts, for everything else a machine does only adds.
"""

from __future__ import annotations

import asyncio
import cProfile
import gc
import pstats
import statistics
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pylibsrtp
from aiortc.codecs.vpx import Vp8Encoder

from egress.media.reading import Reader
from egress.media.timeline import PeerClock
from egress.model.clock import monotonic
from egress.model.errors import EndOfTrack
from egress.model.media import SECOND, EncodedFrame, Nanos
from egress.rooms import negotiation
from egress.rooms.peer import PeerConnection
from egress.rooms.receiver import ReceivedTrack
from tests.benchmarks.harness import Report, arguments
from tests.publisher import audio_clip, video_clip

_KEY = bytes(range(44))
_VIDEO, _AUDIO = 96, 111
_ARRIVALS = 3
_CODEC = {"video": ("VP8/90000", _VIDEO), "audio": ("opus/48000/2", _AUDIO)}


@dataclass(frozen=True, slots=True)
class Datagram:
    """One as it comes from the socket of a participant, `at` ns after the first of all."""

    participant: int
    at: Nanos
    data: bytes


def _session(ssrc_type: int) -> pylibsrtp.Session:
    profile = pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM
    return pylibsrtp.Session(pylibsrtp.Policy(key=_KEY, ssrc_type=ssrc_type, srtp_profile=profile))


def ssrc(participant: int, kind: str) -> int:
    """The SSRC of a participant's track."""
    return 1000 + 2 * participant + (kind == "video")


def offer(participant: int) -> str:
    """The SDP offer of one who sends a microphone and a camera."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE audio video"]
    for kind, (name, number) in reversed(_CODEC.items()):
        lines += [
            f"m={kind} 9 UDP/TLS/RTP/SAVPF {number}",
            "c=IN IP4 0.0.0.0",
            f"a=mid:{kind}",
            "a=sendonly",
            "a=rtcp-mux",
            "a=ice-ufrag:abcd",
            "a=ice-pwd:0123456789012345678901",
            "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
            "a=setup:actpass",
            f"a=rtpmap:{number} {name}",
            f"a=rtcp-fb:{number} nack",
            f"a=rtcp-fb:{number} transport-cc",
            f"a=extmap:{_ARRIVALS} {negotiation.TRANSPORT_CC}",
            f"a=ssrc:{ssrc(participant, kind)} cname:x",
        ]
    return "\r\n".join(lines) + "\r\n"


def _packets(participant: int, seconds: float) -> Iterator[tuple[Nanos, bytes]]:
    """RTP of one participant in order of time, without a number in the transport's own count."""
    video, audio = video_clip(), audio_clip()
    numbers = {"video": 0, "audio": 0}
    due = [(index * SECOND // 30, "video", index) for index in range(int(seconds * 30))]
    due += [(index * SECOND // 50, "audio", index) for index in range(int(seconds * 50))]
    transport = 0
    for at, kind, index in sorted(due):
        if kind == "video":
            parts = Vp8Encoder._packetize(video.units[index % len(video.units)], index & 0x7FFF)
            ticks = index * 3000
        else:
            parts = [audio.units[index % len(audio.units)]]
            ticks = index * 960
        for place, payload in enumerate(parts):
            marker = 0x80 if kind == "video" and place == len(parts) - 1 else 0
            head = struct.pack(
                "!BBHLLHHBHB",
                0x90,
                marker | _CODEC[kind][1],
                numbers[kind] & 0xFFFF,
                ticks,
                ssrc(participant, kind),
                0xBEDE,
                1,
                _ARRIVALS << 4 | 1,
                transport & 0xFFFF,
                0,
            )
            numbers[kind] += 1
            transport += 1
            yield at + participant * 1000 + place * 100, head + payload


def datagrams(participants: int, seconds: float) -> list[Datagram]:
    """What all participants send, encrypted, in order of time."""
    made = []
    for participant in range(participants):
        session = _session(pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        made += [Datagram(participant, at, session.protect(data)) for at, data in _packets(participant, seconds)]
    return sorted(made, key=lambda one: one.at)


class Round:
    """Peers that have just been told their keys, and takers of what they receive."""

    def __init__(self, participants: int, taker: str) -> None:
        self.frames = 0
        self._participants = participants
        self._taker = taker
        self._tasks: list[asyncio.Task[None]] = []
        self._readers: list[Reader] = []
        self._peers: list[PeerConnection] = []

    async def open(self) -> None:
        """Answer everybody's offer; nobody connects, for nobody is there."""
        for participant in range(self._participants):
            clock = PeerClock()
            peer = PeerConnection(on_track=lambda track, clock=clock: self._take(track, clock))  # type: ignore[misc]
            self._peers.append(peer)
            await peer.answer(offer(participant))
            peer._transport._receiving = _session(pylibsrtp.Policy.SSRC_ANY_INBOUND)

    def _take(self, track: ReceivedTrack, clock: PeerClock) -> None:
        if self._taker == "frames":
            self._tasks.append(asyncio.create_task(self._await(track)))
            return
        timeline = clock.track(track.kind, 90_000 if track.kind == "video" else 48_000)

        def take(frame: EncodedFrame) -> None:
            self.frames += 1
            timeline.observe(frame)

        reader = Reader(track, take, print)
        reader.start(asyncio.get_running_loop())
        self._readers.append(reader)

    async def _await(self, track: ReceivedTrack) -> None:
        def count(_: EncodedFrame) -> None:
            self.frames += 1

        with suppress(EndOfTrack):
            await track.deliver(count)

    async def feed(self, sent: list[Datagram]) -> None:
        """All of it; tasks take their turn where a loop would give it to them, after each datagram."""
        media = [peer._transport._media for peer in self._peers]
        begun = monotonic()
        for one in sent:
            media[one.participant](one.data, begun + one.at)
            await asyncio.sleep(0)

    async def close(self) -> None:
        """End everything."""
        for peer in self._peers:
            await peer.close()
        for reader in self._readers:
            await reader.close()
        await asyncio.gather(*self._tasks)


async def nothing(count: int) -> float:
    """Microseconds of CPU for a turn of the loop in which nothing happens."""
    begun = time.thread_time_ns()
    for _ in range(count):
        await asyncio.sleep(0)
    return (time.thread_time_ns() - begun) / count / 1000


async def measure(
    sent: list[Datagram], participants: int, taker: str, profile: cProfile.Profile | None = None
) -> float:
    """Microseconds of CPU a packet in one round, the loop's turns not counted."""
    idle = min([await nothing(1000) for _ in range(5)])
    one = Round(participants, taker)
    await one.open()
    await asyncio.sleep(0)
    gc.collect()
    if profile is not None:
        profile.enable()
    begun = time.thread_time_ns()
    await one.feed(sent)
    used = time.thread_time_ns() - begun
    if profile is not None:
        profile.disable()
    frames = one.frames
    await one.close()
    assert frames > len(sent) // 4, f"{frames} frames came of {len(sent)} packets"
    return used / len(sent) / 1000 - idle


def main() -> int:
    parser = arguments(__doc__, runs=9)
    parser.add_argument("--participants", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=4.0, help="of media in a round (default 4)")
    parser.add_argument("--profile", action="store_true", help="where it goes, by cProfile")
    options = parser.parse_args()
    sent = datagrams(options.participants, options.seconds)
    pace = len(sent) / options.seconds
    if options.profile:
        profile = cProfile.Profile()
        asyncio.run(measure(sent, options.participants, "timelines", profile))
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return 0
    report = Report("datagrams", {"participants": options.participants, "packets": len(sent)})
    rows = []
    for taker in ("frames", "timelines"):
        costs = [asyncio.run(measure(sent, options.participants, taker)) for _ in range(options.runs)]
        rows.append((taker, min(costs), statistics.median(costs), min(costs) * pace / 1e6))
    report.table(
        f"{options.participants} participants, {pace:.0f} packets/s",
        ("taken as", "least us a packet", "median", "CPU s/s"),
        rows,
    )
    return report.close(options.json)


if __name__ == "__main__":
    sys.exit(main())
