from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections.abc import Mapping

import pytest

from egress.model.errors import EndOfTrack
from egress.model.media import MILLISECOND, SECOND, Codec, EncodedFrame
from egress.rooms.framequeue import AUDIO_FRAMES, VIDEO_FRAMES, FrameQueue
from egress.rooms.negotiation import ORIENTATION, Plan
from egress.rooms.receiver import ReceivedTrack
from egress.rooms.rtp import RtpPacket
from egress.rooms.sdp import Format, Section
from tests.unit.test_depayload import DELTA, KEY, vp8

NACKING = ("nack", "nack pli")
VIDEO = {96: Format(96, "VP8", 90000, feedback=NACKING), 97: Format(97, "rtx", 90000, parameters={"apt": "96"})}
AUDIO = {111: Format(111, "opus", 48000, 2)}


def plan(
    kind: str = "video",
    *,
    ssrcs: tuple[int, ...] = (7, 8),
    repairs: Mapping[int, int] | None = None,
) -> Plan:
    formats = VIDEO if kind == "video" else AUDIO
    fid = {8: 7} if repairs is None else repairs
    section = Section(kind, "m", 9, "", (), "sendonly", formats, {}, ssrcs, fid, "s t", True, True, False)
    return Plan(section, formats, {ORIENTATION: 3})


class Sender:
    """Records what a track asks of its sender."""

    def __init__(self) -> None:
        self.nacks: list[tuple[int, list[int]]] = []
        self.plis: list[int] = []

    def nack(self, ssrc: int, sequences: list[int]) -> None:
        self.nacks.append((ssrc, sequences))

    def pli(self, ssrc: int) -> None:
        self.plis.append(ssrc)


class Bench:
    def __init__(self, kind: str = "video", **options: object) -> None:
        self.sender = Sender()
        self.track = ReceivedTrack(
            plan(kind, **options),  # type: ignore[arg-type]
            self.sender,
            hold=300 * MILLISECOND,
            silence=2 * SECOND,
        )
        self.activity: list[bool] = []
        self.track.on_active = self.activity.append

    def video(self, index: int, *, key: bool | None = None, ssrc: int = 7, at: int | None = None) -> None:
        wanted = index == 0 if key is None else key
        arrived = index * SECOND // 30 if at is None else at
        payload = vp8(KEY if wanted else DELTA)
        self.track.handle(RtpPacket(96, index & 0xFFFF, index * 3000, ssrc, payload, marker=True, arrived=arrived))

    def tick(self, at: int, rtt: int = 20 * MILLISECOND) -> None:
        self.track.repair(at, rtt)
        self.track.tick(at)

    async def frames(self) -> list[EncodedFrame]:
        return [await self.track.recv() for _ in range(self.track.stats()["waiting"])]


async def test_frames_come_in_order_and_the_codec_becomes_known() -> None:
    bench = Bench()
    for index in range(3):
        bench.video(index)
    frames = await bench.frames()
    assert [f.rtp for f in frames] == [0, 3000, 6000] and frames[0].key
    assert bench.track.codec is Codec.VP8 and bench.activity == [True] and bench.sender.plis == []


async def test_a_waiting_taker_is_woken_and_told_of_the_end() -> None:
    bench = Bench()
    waiting = asyncio.create_task(bench.track.recv())
    await asyncio.sleep(0)
    bench.video(0)
    assert (await waiting).key
    waiting = asyncio.create_task(bench.track.recv())
    await asyncio.sleep(0)
    bench.video(1)
    bench.track.end()
    assert not (await waiting).key
    with pytest.raises(EndOfTrack):
        await bench.track.recv()
    assert bench.track.ended and bench.activity == [True, False]


async def test_a_second_taker_is_refused_and_a_cancelled_one_leaves_no_trace() -> None:
    bench = Bench()
    first = asyncio.create_task(bench.track.recv())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one taker"):
        await bench.track.recv()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    bench.video(0)
    assert (await bench.track.recv()).key


async def test_joining_between_keyframes_asks_for_one_and_waits_for_it() -> None:
    bench = Bench()
    bench.video(1)
    bench.video(2)
    assert bench.sender.plis == [7] and bench.track.stats()["undecodable"] == 2
    bench.video(3, key=True)
    assert [f.key for f in await bench.frames()] == [True]


async def test_a_lost_packet_is_asked_for_and_its_repair_taken_from_rtx() -> None:
    bench = Bench()
    bench.video(0)
    bench.video(2)
    bench.tick(2 * SECOND // 30 + MILLISECOND, 20 * MILLISECOND)
    assert bench.sender.nacks == [(7, [1])] and bench.track.restless
    bench.track.handle(RtpPacket(97, 500, 3000, 8, b"\0\1" + vp8(DELTA), marker=True, arrived=80 * MILLISECOND))
    assert [f.rtp for f in await bench.frames()] == [0, 3000, 6000]
    stats = bench.track.stats()
    assert (stats["recovered"], stats["lost"], stats["nacks"]) == (1, 0, 1) and not bench.track.restless


async def test_rtx_padding_and_rtx_of_another_ssrc_are_passed_over() -> None:
    bench = Bench()
    bench.video(0)
    bench.track.handle(RtpPacket(97, 1, 0, 8, b""))
    bench.track.handle(RtpPacket(97, 2, 0, 8, b"\1"))
    bench.track.adopt(plan(ssrcs=(7, 8, 9, 10), repairs={8: 7, 10: 9}))
    bench.track.handle(RtpPacket(97, 3, 3000, 10, b"\0\1" + vp8(DELTA), marker=True))
    assert len(await bench.frames()) == 1
    assert bench.track.stats()["foreign"] == 1 and bench.track.stats()["errors"] == 0


async def test_giving_up_asks_for_a_keyframe_again_and_again_until_one_comes() -> None:
    bench = Bench()
    bench.video(0, at=0)
    bench.video(2, at=70 * MILLISECOND)
    for at in range(80, 4000, 10):
        bench.tick(at * MILLISECOND, 20 * MILLISECOND)
        if at % 500 == 0:
            bench.video(2 + at // 500, key=False, at=at * MILLISECOND)
    assert [f.gap for f in (await bench.frames())[:3]] == [False, True, False]
    assert 3 <= len(bench.sender.plis) <= 6
    bench.video(10, key=True, at=4000 * MILLISECOND)
    count = len(bench.sender.plis)
    for at in range(4000, 5500, 100):
        bench.tick(at * MILLISECOND, 20 * MILLISECOND)
    assert len(bench.sender.plis) == count


async def test_audio_is_not_asked_for_where_the_sender_offers_no_nack() -> None:
    bench = Bench("audio", ssrcs=(7,), repairs={})
    for index in (0, 2):
        bench.track.handle(RtpPacket(111, index, index * 960, 7, b"\xfcabc", arrived=index * 20 * MILLISECOND))
    bench.tick(100 * MILLISECOND, 0)
    assert bench.sender.nacks == [] and len(await bench.frames()) == 1
    bench.tick(140 * MILLISECOND, 0)
    assert [f.gap for f in await bench.frames()] == [True]


async def test_a_new_ssrc_that_was_negotiated_takes_over_at_once_as_a_new_stream() -> None:
    bench = Bench()
    bench.video(0)
    bench.track.adopt(plan(ssrcs=(20, 21), repairs={21: 20}))
    bench.video(1, ssrc=20, key=True)
    first, second = await bench.frames()
    assert first.stream != second.stream and bench.track.ssrc == 20
    bench.video(2, ssrc=7)
    assert bench.track.ssrc == 20 and bench.track.stats()["foreign"] == 1
    assert bench.track.stats()["packets"] == 2


async def test_an_unannounced_ssrc_takes_over_only_once_the_old_one_is_silent() -> None:
    bench = Bench(ssrcs=(), repairs={})
    bench.video(0)
    bench.video(1, ssrc=20, key=True)
    assert bench.track.ssrc == 7
    bench.video(2, ssrc=20, key=True, at=SECOND)
    assert bench.track.ssrc == 20 and len(await bench.frames()) == 2


async def test_silence_and_bye_make_a_track_inactive_and_packets_active_again() -> None:
    bench = Bench()
    bench.video(0, at=0)
    bench.tick(SECOND, 0)
    assert bench.activity == [True]
    bench.tick(3 * SECOND, 0)
    bench.video(1, at=4 * SECOND)
    bench.track.bye(99)
    bench.track.bye(7)
    assert bench.activity == [True, False, True, False] and not bench.track.ended


async def test_a_callback_that_fails_harms_no_one() -> None:
    bench = Bench()

    def fail(active: bool) -> None:
        raise ValueError(active)

    bench.track.on_active = fail
    bench.video(0)
    assert len(await bench.frames()) == 1


async def test_garbage_is_counted_and_outlived() -> None:
    bench = Bench()
    rng = random.Random(6)
    bench.video(0)
    for index in range(1, 3000):
        payload, kind = rng.randbytes(rng.randrange(0, 30)), rng.choice((96, 97, 33))
        bench.track.handle(RtpPacket(kind, rng.randrange(65536), rng.randrange(1 << 32), 7, payload, arrived=index))
    for index in range(40000, 40003):
        bench.video(index, key=True, at=SECOND + index)
    frames = await bench.frames()
    assert frames[-1].rtp & 0xFFFFFFFF == 40002 * 3000


async def test_requesting_a_keyframe_is_rate_limited() -> None:
    bench = Bench()
    bench.video(0, at=0)
    for _ in range(50):
        bench.track.request_keyframe()
    assert bench.sender.plis == [7]
    audio = Bench("audio")
    audio.track.request_keyframe()
    assert audio.sender.plis == []


def frame(index: int, *, key: bool = False, size: int = 10) -> EncodedFrame:
    return EncodedFrame(Codec.VP8, bytes(size), index, index, key)


def drain(queue: FrameQueue) -> list[EncodedFrame]:
    return [queue.get() for _ in range(len(queue))]


def test_a_slow_taker_of_video_goes_on_at_the_newest_keyframe() -> None:
    queue = FrameQueue("video")
    for index in range(VIDEO_FRAMES + 1):
        assert queue.put(frame(index, key=index % 100 == 0))
    kept = drain(queue)
    assert (kept[0].rtp, kept[0].gap, kept[0].key) == (200, True, True)
    assert queue.dropped == 200 and not any(f.gap for f in kept[1:])


def test_without_a_keyframe_waiting_a_slow_taker_gets_nothing_until_one_comes() -> None:
    queue = FrameQueue("video")
    taken = [queue.put(frame(index)) for index in range(VIDEO_FRAMES + 5)]
    assert not taken[-1] and len(queue) == 0
    assert queue.put(frame(1000, key=True))
    kept = drain(queue)
    assert [(f.rtp, f.gap) for f in kept] == [(1000, True)] and queue.dropped == VIDEO_FRAMES + 5


def test_video_is_bounded_in_bytes_too() -> None:
    queue = FrameQueue("video")
    for index in range(40):
        queue.put(frame(index, key=True, size=1 << 20))
    assert len(queue) <= 16 and queue.dropped >= 24


def test_a_slow_taker_of_audio_loses_the_oldest() -> None:
    queue = FrameQueue("audio")
    for index in range(AUDIO_FRAMES + 3):
        assert queue.put(frame(index, key=True))
    kept = drain(queue)
    assert len(kept) == AUDIO_FRAMES and queue.dropped == 3
    assert (kept[0].rtp, kept[0].gap, kept[1].gap) == (3, True, False)


async def test_an_ended_track_keeps_its_counts_and_is_freed_with_its_last_user() -> None:
    bench = Bench()
    bench.track.on_active = None
    for index in range(3):
        bench.video(index)
    bench.track.end()
    assert bench.track.stats()["packets"] == 3 and len(await bench.frames()) == 3
    freed = weakref.ref(bench.track)
    gc.disable()
    try:
        del bench
        assert freed() is None
    finally:
        gc.enable()


async def test_frames_are_handed_on_within_the_call_that_completes_them_and_those_that_wait_come_first() -> None:
    bench, taken = Bench(), []
    bench.video(0)
    delivery = asyncio.create_task(bench.track.deliver(lambda frame: taken.append(frame.rtp)))
    bench.video(1)
    await asyncio.sleep(0)
    assert taken == [0, 3000]
    bench.video(2)
    assert taken == [0, 3000, 6000] and bench.track.stats()["waiting"] == 0
    with pytest.raises(RuntimeError, match="one taker"):
        await bench.track.deliver(lambda frame: None)
    bench.video(3)
    assert taken[-1] == 9000
    bench.track.end()
    with pytest.raises(EndOfTrack):
        await delivery


async def test_a_taker_that_fails_or_leaves_costs_its_frame_and_no_other() -> None:
    bench, taken = Bench(), []

    def take(frame: EncodedFrame) -> None:
        if frame.rtp == 3000:
            raise ValueError("no good")
        taken.append(frame.rtp)

    delivery = asyncio.create_task(bench.track.deliver(take))
    await asyncio.sleep(0)
    for index in range(3):
        bench.video(index)
    with pytest.raises(ValueError, match="no good"):
        await delivery
    assert bench.track.stats()["errors"] == 0
    delivery = asyncio.create_task(bench.track.deliver(take))
    await asyncio.sleep(0)
    assert taken == [0, 6000]
    delivery.cancel()
    bench.video(3)
    await asyncio.gather(delivery, return_exceptions=True)
    bench.video(4)
    assert taken == [0, 6000] and [f.rtp for f in await bench.frames()] == [9000, 12000]
