"""A real aiortc publisher through a bad network to our receiver: what arrives, how late, and what it says about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import av
import pytest
import uvloop

from egress.model.errors import EndOfTrack
from egress.model.media import SECOND, Codec, EncodedFrame
from egress.rooms.peer import PeerConnection
from egress.rooms.receiver import ReceivedTrack
from tests.publisher import ClipTrack, Publisher, audio_clip, video_clip
from tests.relay import Link, Relay

PICTURES = 240
"""So many of each track are judged: eight seconds of them, however long they take."""

UNHURRIED = 20 * SECOND
"""How long a missing packet is waited for where it counts that it is asked for again and comes, on a machine that may
be slow to do either; that nothing is waited for longer than it may is for tests of Reorder."""


@dataclass
class Taker:
    """Takes a track's frames as an intake would, and remembers them."""

    track: ReceivedTrack
    frames: list[EncodedFrame] = field(default_factory=list)
    activity: list[bool] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        self.track.on_active = self.activity.append
        while True:
            try:
                self.frames.append(await self.track.recv())
            except EndOfTrack:
                return

    def rate(self) -> int:
        return 90_000 if self.track.kind == "video" else 48_000

    def seconds(self) -> list[float]:
        """Media times of the frames; the receiver itself bounds how late they may come."""
        return [frame.rtp / self.rate() for frame in self.frames]

    def longest_gap(self) -> float:
        """Seconds of media between two frames."""
        return max(b - a for a, b in pairwise(self.seconds()))

    def frame_rate(self) -> float:
        """Frames per second of media."""
        times = self.seconds()
        return (len(times) - 1) / (times[-1] - times[0])


@dataclass
class Call:
    publisher: Publisher
    peer: PeerConnection
    takers: list[Taker]
    states: list[str]
    relay: Relay

    def of(self, kind: str) -> list[Taker]:
        return [taker for taker in self.takers if taker.track.kind == kind]

    async def until(self, true: Any, seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.05)


@asynccontextmanager
async def call(
    forward: Link | None = None,
    back: Link | None = None,
    *,
    tracks: list[ClipTrack] | None = None,
    codec: str = "video/VP8",
    seed: int = 1,
    **options: Any,
) -> AsyncIterator[Call]:
    """A publisher connected to a receiver through a relay."""
    clip = video_clip("libvpx" if codec == "video/VP8" else "libx264")
    publisher = Publisher(tracks or [ClipTrack("audio", audio_clip()), ClipTrack("video", clip)], video_codec=codec)
    takers: list[Taker] = []
    states: list[str] = []

    def on_track(track: ReceivedTrack) -> None:
        taker = Taker(track)
        taker.task = asyncio.create_task(taker.run())
        takers.append(taker)

    peer = PeerConnection(on_track=on_track, on_state=states.append, **options)
    async with Relay(forward, back, seed=seed) as relay:
        made = Call(publisher, peer, takers, states, relay)
        try:
            answer = await peer.answer(relay.offer(await publisher.offer()))
            await publisher.accept(relay.answer(answer))
            yield made
        finally:
            await publisher.close()
            await peer.close()
            await asyncio.gather(*(taker.task for taker in takers if taker.task), return_exceptions=True)


@pytest.mark.parametrize(("codec", "name"), [("video/VP8", "vp8"), ("video/H264", "h264")])
async def test_everything_arrives_and_decodes(codec: str, name: str) -> None:
    async with call(codec=codec) as made:
        audio, video = made.takers
        await made.until(lambda: len(video.frames) >= 75 and len(audio.frames) >= 125)
        await made.until(lambda: video.frames[-1].report and audio.frames[-1].report)
        assert made.peer.state == "connected"
    assert audio.track.codec is Codec.OPUS and video.track.codec == name
    assert not any(frame.gap for taker in made.takers for frame in taker.frames)
    assert video.frames[0].key and {b.rtp - a.rtp for a, b in pairwise(video.frames)} == {3000}
    assert {b.rtp - a.rtp for a, b in pairwise(audio.frames)} == {960}
    for taker in made.takers:
        decoder: Any = av.CodecContext.create(
            {"opus": "libopus"}.get(taker.frames[0].codec, taker.frames[0].codec), "r"
        )
        decoded = [out for frame in taker.frames for out in decoder.decode(av.Packet(frame.data))]
        assert len(decoded) >= len(taker.frames) - 2


async def test_sender_reports_tie_the_tracks_of_a_peer_together() -> None:
    async with call() as made:
        audio, video = made.takers
        await made.until(lambda: video.frames and audio.frames and video.frames[-1].report and audio.frames[-1].report)
    origins = []
    for taker in made.takers:
        first, report = taker.frames[0], taker.frames[-1].report
        assert report is not None and abs(report.ntp - time.time_ns()) < 60 * SECOND
        origins.append(report.ntp - (report.rtp - first.rtp) * SECOND // taker.rate())
    assert abs(origins[0] - origins[1]) < 2 * SECOND


async def test_one_percent_loss_is_not_seen() -> None:
    tracks = [ClipTrack("video", video_clip()) for _ in range(4)]
    async with call(Link(loss=0.01), Link(loss=0.01), tracks=tracks, hold=UNHURRIED) as made:
        await made.until(lambda: all(len(taker.frames) >= PICTURES for taker in made.takers))
    for taker in made.takers:
        assert taker.longest_gap() <= 0.1
        assert taker.frame_rate() >= 29.7
        assert taker.track.stats()["lost"] == 0
    assert sum(taker.track.stats()["recovered"] for taker in made.takers) > 0


async def test_five_percent_loss_never_freezes_for_long() -> None:
    tracks = [ClipTrack("video", video_clip("libx264")) for _ in range(4)]
    link, back = Link(loss=0.05, delay=0.02), Link(loss=0.05, delay=0.02)
    async with call(link, back, tracks=tracks, codec="video/H264", seed=5, hold=UNHURRIED) as made:
        await made.until(lambda: all(len(taker.frames) >= PICTURES for taker in made.takers))
    for taker in made.takers:
        assert taker.longest_gap() <= 0.5
        assert taker.frame_rate() >= 29
        assert taker.track.stats()["recovered"] > 0


async def test_reordering_and_jitter_lose_nothing() -> None:
    async with call(Link(reorder=0.05, jitter=0.05), hold=UNHURRIED) as made:
        await made.until(lambda: len(made.of("video")[0].frames) >= 150)
    for taker in made.takers:
        # The very first frame may be cut where the first packet to come was not the first one sent.
        assert not any(frame.gap for frame in taker.frames[1:]) and taker.track.stats()["lost"] == 0
        assert [frame.rtp for frame in taker.frames] == sorted(frame.rtp for frame in taker.frames)


async def test_after_an_outage_the_picture_is_back_with_the_next_keyframe() -> None:
    async with call() as made:
        (video,) = made.of("video")
        sent = made.publisher.tracks[1]
        await made.until(lambda: len(video.frames) >= 60)
        cut, began = sent.sent, made.relay.now()
        made.relay.forward.outages = [(0, 1e9)]
        await made.until(lambda: sent.sent >= cut + 60 and made.relay.now() >= began + 2)
        mended = sent.sent
        made.relay.forward.outages = []
        await made.until(lambda: [frame for frame in video.frames if frame.gap] and sent.sent >= mended + 75)
        (back,) = [frame for frame in video.frames if frame.gap]
        assert video.track.stats()["plis"] >= 1
        assert len({frame.stream for frame in video.frames}) == 1
    # By pictures the publisher sent meanwhile; up to ten may be between it and the relay when that changes.
    at = [frame.rtp // 3000 for frame in video.frames]
    missed = max(b - a for a, b in pairwise(at))
    assert abs(missed - (mended - cut)) <= 10, (missed, cut, mended)
    whole = next(frame for frame in video.frames if frame.key and frame.rtp >= back.rtp)
    assert (whole.rtp - back.rtp) // 3000 <= 30, "keyframes are 30 pictures apart"


async def test_loss_of_everything_while_connecting_is_survived() -> None:
    link, back = Link(loss=0.2, media_only=False), Link(loss=0.2, media_only=False)
    # DTLS waits twice as long for each further try of a flight.
    async with call(link, back, connect_timeout=240.0) as made:
        await made.until(lambda: made.of("video")[0].frames, 240.0)


async def test_silence_is_noticed_and_so_is_its_end() -> None:
    async with call(silence=SECOND) as made:
        audio, video = made.takers
        await made.until(lambda: video.activity[-1:] == [True])
        made.publisher.tracks[1].paused = True
        # A machine that stands still for a second is silence as well: of both, and over by itself.
        await made.until(lambda: video.activity[-1] is False and audio.activity[-1:] == [True])
        assert not video.track.ended
        made.publisher.tracks[1].paused = False
        await made.until(lambda: video.activity[-1] is True)
    for taker in made.takers:
        assert taker.activity == [n % 2 == 0 for n in range(len(taker.activity))]


async def test_the_end_of_the_publisher_ends_the_tracks() -> None:
    async with call() as made:
        await made.until(lambda: all(taker.frames for taker in made.takers))
        await made.publisher.close()
        await made.until(lambda: all(taker.track.ended for taker in made.takers))
        assert made.states[-1] == "closed"


async def test_many_tracks_over_one_transport_all_repair_their_losses() -> None:
    tracks = [ClipTrack(kind, audio_clip() if kind == "audio" else video_clip()) for kind in ("audio", "video") * 6]
    async with call(Link(loss=0.02), tracks=tracks, hold=UNHURRIED) as made:
        # Which packets are lost depends on their order among all tracks: each is waited for until it has lost some.
        videos = made.of("video")
        await made.until(lambda: all(len(video.frames) >= 90 and video.track.stats()["recovered"] for video in videos))
    for video in videos:
        # The first picture's own first packet may have been the one lost, which nothing tells.
        assert not any(frame.gap for frame in video.frames[1:]) and video.track.stats()["lost"] == 0
    assert made.peer.stats()["unrouted"] == 0


async def test_a_slow_taker_costs_bounded_memory_and_gets_a_keyframe() -> None:
    async with call() as made:
        (video,) = made.of("video")
        await made.until(lambda: video.frames)
        assert video.task is not None
        video.task.cancel()
        await made.until(lambda: video.track.stats()["dropped"] > 0)
        frame = await video.track.recv()
        assert frame.key and frame.gap


def test_it_receives_on_uvloop() -> None:
    async def main() -> int:
        async with call() as made:
            await made.until(lambda: len(made.of("video")[0].frames) >= 30)
            return len(made.of("video")[0].frames)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) >= 30
