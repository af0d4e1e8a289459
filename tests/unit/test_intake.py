"""Video intake over really encoded media; times are made up, so that a busy machine decides nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import av
import pytest

from egress.media.decoding import VideoDecoder
from egress.media.intake import HOLD, VideoIntake
from egress.media.scaling import Scaler
from egress.media.shelf import Picture
from egress.media.timeline import PeerClock
from egress.model.clock import SessionClock, monotonic
from egress.model.media import MILLISECOND, SECOND, Codec, EncodedFrame, Nanos, Size
from tests.unit.feeding import FedSource, Sender, luma, picture, video
from tests.unit.waiting import until

SIZE = Size(64, 48)
TICK = SECOND // 30
DELAY = 400 * MILLISECOND


@asynccontextmanager
async def intake(
    clock: SessionClock, source: FedSource, delay: Nanos = DELAY, warnings: list[str] | None = None
) -> AsyncIterator[VideoIntake]:
    timeline = PeerClock().track("video", 90_000)
    told = [] if warnings is None else warnings
    loop = asyncio.get_running_loop()
    taken = VideoIntake(source, timeline, clock, delay=delay, loop=loop, on_warning=told.append)
    taken.start()
    try:
        yield taken
    finally:
        await taken.close()


def clock(begun: Nanos = 0) -> SessionClock:
    """A session that began so long ago."""
    return SessionClock(monotonic() - begun, datetime.now(UTC))


def encoded(
    sender: Sender, count: int, codec: Codec = Codec.VP8, keys: int = 1000, size: Size = SIZE, begin: Nanos = 0
) -> list[EncodedFrame]:
    """Frame n is of brightness 40 + 5 n and was captured at begin + n / 30 s."""
    media = video([picture(size, min(235, 40 + 5 * n)) for n in range(count)], codec, keys)
    return [sender.frame(begin + n * TICK, codec, data, key) for n, (data, key) in enumerate(media)]


def brightness(shown: Picture | None) -> int:
    assert shown is not None
    return round((luma(shown.frame) - 40) / 5)


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
async def test_each_tick_has_the_picture_of_its_time(codec: Codec) -> None:
    session = clock()
    source = FedSource(encoded(Sender(90_000, session.origin), 12, codec))
    async with intake(session, source) as taken:
        taken.show(Size(32, 24), "cover")
        seen = []
        for number in range(12):
            at = number * TICK + 20 * MILLISECOND
            await until(lambda: taken.stats()["decoded"] > number)  # noqa: B023
            await asyncio.sleep(max(0, at + DELAY - session.now() - 60 * MILLISECOND) / SECOND)
            shown = taken.picture_at(at, 2 * MILLISECOND)
            seen.append(shown)
        assert taken.stats()["errors"] == 0
    for shown in seen:
        assert shown is not None
        assert (shown.frame.width, shown.frame.height) == (32, 24)
        assert shown.source == SIZE
        assert abs(shown.at - brightness(shown) * TICK - 20 * MILLISECOND) < MILLISECOND


async def test_a_picture_is_not_decoded_before_it_is_due() -> None:
    session = clock()
    source = FedSource(encoded(Sender(90_000, session.origin), 5))
    async with intake(session, source, delay=3600 * SECOND) as taken:
        await source.drained()
        await asyncio.sleep(0.05)
        assert taken.stats()["decoded"] == 0
        assert taken.stats()["waiting"] == 5
        assert taken.picture_at(SECOND, TICK) is None


async def test_late_frames_are_decoded_but_only_the_newest_is_shown() -> None:
    session = clock(begun=SECOND)
    source = FedSource(encoded(Sender(90_000, session.origin), 12))
    async with intake(session, source, delay=0) as taken:
        await until(lambda: taken.stats()["decoded"] == 12)
        await until(lambda: brightness(taken.picture_at(SECOND, TICK // 2)) == 11)
        assert taken.stats()["late"] == 12


async def test_a_new_tile_rescales_the_picture_that_is_shown() -> None:
    session = clock(begun=SECOND)
    source = FedSource(encoded(Sender(90_000, session.origin), 1))
    async with intake(session, source, delay=0) as taken:
        taken.show(Size(32, 24), "cover")
        await until(lambda: taken.picture_at(SECOND, TICK) is not None)
        for size in (Size(48, 36), Size(20, 30)):
            taken.show(size, "contain")
            await until(lambda: taken.picture_at(SECOND, TICK).frame.width == size.width)  # type: ignore[union-attr] # noqa: B023
        assert taken.stats()["decoded"] == 1


async def test_a_new_tile_that_is_said_twice_at_once_is_obeyed() -> None:
    session = clock(begun=SECOND)
    source = FedSource(encoded(Sender(90_000, session.origin), 1))
    async with intake(session, source, delay=0) as taken:
        taken.show(Size(32, 24), "cover")
        await until(lambda: taken.picture_at(SECOND, TICK) is not None)
        for width in range(34, 64, 2):
            taken.show(Size(width, 24), "cover")
            taken.show(Size(width, 24), "cover")
            await until(lambda: taken.picture_at(SECOND, TICK).frame.width == width)  # type: ignore[union-attr] # noqa: B023


async def test_sizes_and_rotation_may_change_mid_stream() -> None:
    session = clock(begun=4 * SECOND)
    sender = Sender(90_000, session.origin)
    first = encoded(sender, 3)
    second = encoded(sender, 3, size=Size(427, 241), begin=SECOND)
    third = [replace(f, rotation=90) for f in encoded(sender, 3, size=Size(80, 40), begin=2 * SECOND)]
    source = FedSource()
    async with intake(session, source, delay=0) as taken:
        taken.show(SIZE, "contain")
        for some, expected in ((first, SIZE), (second, Size(427, 241)), (third, Size(40, 80))):
            source.feed(*some)
            await until(lambda: (p := taken.picture_at(4 * SECOND, TICK)) is not None and p.source == expected)  # noqa: B023
        assert taken.stats()["errors"] == 0


async def test_a_loss_freezes_the_picture_and_asks_for_a_keyframe() -> None:
    session = clock(begun=SECOND)
    sender = Sender(90_000, session.origin)
    some = encoded(sender, 12, keys=8)
    source = FedSource(some[:3])
    async with intake(session, source, delay=0) as taken:
        await until(lambda: taken.stats()["decoded"] == 3)
        source.asked = 0
        source.feed(replace(some[4], gap=True))
        await until(lambda: taken.stats()["decoded"] == 4 and source.asked == 1)
        assert brightness(taken.picture_at(SECOND, TICK)) <= 2
        source.feed(*some[8:])
        await until(lambda: brightness(taken.picture_at(SECOND, TICK)) == 11)


async def test_a_stream_that_stays_broken_shows_nothing_in_the_end() -> None:
    session = clock(begun=SECOND)
    some = encoded(Sender(90_000, session.origin), 3)
    source = FedSource([some[0], replace(some[2], gap=True)])
    async with intake(session, source, delay=0) as taken:
        await until(lambda: taken.stats()["decoded"] == 2)
        assert taken.picture_at(SECOND, TICK) is not None
        assert taken.picture_at(session.now() + HOLD + SECOND, TICK) is None


async def test_garbage_between_frames_is_counted_and_survived() -> None:
    session = clock(begun=SECOND)
    sender = Sender(90_000, session.origin)
    some = encoded(sender, 9, Codec.H264, keys=6)
    some.insert(3, sender.frame(3 * TICK, Codec.H264, b"\x13rubbish" * 40, False))
    source = FedSource(some[:7])
    warnings: list[str] = []
    async with intake(session, source, delay=0, warnings=warnings) as taken:
        await until(lambda: taken.stats()["decoded"] == 6)
        assert taken.stats()["errors"] == 1
        source.feed(*some[7:])
        await until(lambda: brightness(taken.picture_at(SECOND, TICK)) == 8)
        assert warnings == []


async def test_a_hidden_track_is_not_decoded_and_comes_back_at_a_keyframe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.media.intake.LINGER", 0)
    session = clock(begun=SECOND)
    some = encoded(Sender(90_000, session.origin), 12, keys=6)
    source = FedSource()
    async with intake(session, source, delay=0) as taken:
        taken.show(None, "cover")
        source.feed(*some[:4])
        await until(lambda: taken.stats()["dropped"] == 4)
        assert taken.stats()["decoded"] == 0
        assert taken.picture_at(SECOND, TICK) is None
        taken.show(SIZE, "cover")
        source.feed(some[4])
        await until(lambda: source.asked == 1)
        source.feed(*some[6:])
        await until(lambda: brightness(taken.picture_at(SECOND, TICK)) == 11 if taken.stats()["decoded"] else False)


async def test_the_keyframe_a_track_comes_back_with_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.media.intake.LINGER", 3600 * SECOND)
    session = clock(begun=SECOND)
    source = FedSource(encoded(Sender(90_000, session.origin), 3))
    async with intake(session, source, delay=0) as taken:
        taken.show(None, "cover")
        await source.drained()
        assert taken.stats()["waiting"] == 3
        taken.show(SIZE, "cover")
        await until(lambda: taken.stats()["decoded"] == 3)
        assert taken.stats()["dropped"] == 0


async def test_a_backlog_goes_on_at_its_newest_keyframe() -> None:
    session = clock()
    some = encoded(Sender(90_000, session.origin), 160, keys=50)
    source = FedSource(some)
    async with intake(session, source, delay=0) as taken:
        taken.show(None, "cover")
        await source.drained()
        assert taken.stats()["waiting"] < 110
        assert taken.stats()["keyframe_skips"] >= 1


async def test_a_hopelessly_late_decoder_skips_to_the_newest_keyframe() -> None:
    session = clock(begun=100 * SECOND)
    taken = VideoIntake(
        FedSource(), PeerClock().track("video", 90_000), session, delay=0, loop=asyncio.get_running_loop()
    )
    for frame in encoded(Sender(90_000, session.origin), 60, keys=20):
        taken._take(frame)
    taken.start()
    await until(lambda: (p := taken.picture_at(100 * SECOND, TICK)) is not None and p.at >= 59 * TICK)
    assert taken.stats()["dropped"] >= 40
    await taken.close()


async def test_frames_keep_their_time_when_a_new_stream_begins() -> None:
    session = clock()
    old, new = Sender(90_000, session.origin), Sender(90_000, session.origin, rtp=7, stream=2)
    source = FedSource([*encoded(old, 6), *encoded(new, 6, begin=6 * TICK)])
    times = []
    async with intake(session, source) as taken:
        for number in range(12):
            await until(lambda: taken.stats()["decoded"] > number)  # noqa: B023
            shown = taken.picture_at(number * TICK + 20 * MILLISECOND, TICK // 4)
            if shown is not None:
                times.append(shown.at)
    assert times == sorted(times)
    assert abs(times[-1] - 11 * TICK - 20 * MILLISECOND) <= 2 * TICK


async def test_a_frame_with_a_mad_time_does_not_hold_up_the_others() -> None:
    session = clock(begun=SECOND)
    some = encoded(Sender(90_000, session.origin), 9)
    some[4] = replace(some[4], rtp=some[4].rtp + 90_000 * 3600)
    source = FedSource(some)
    async with intake(session, source, delay=0) as taken:
        await until(lambda: taken.stats()["decoded"] == 9)
        await until(lambda: brightness(taken.picture_at(SECOND, TICK)) == 8)


async def test_the_end_of_the_track_is_noticed() -> None:
    session = clock(begun=SECOND)
    source = FedSource(encoded(Sender(90_000, session.origin), 2), ends=True)
    warnings: list[str] = []
    async with intake(session, source, delay=0, warnings=warnings) as taken:
        await until(lambda: taken.ended)
        await until(lambda: taken.stats()["decoded"] == 2)
        assert warnings == [] and taken.stats()["errors"] == 0


async def test_a_source_that_stays_broken_is_told_and_its_last_picture_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(FedSource):
        async def recv(self) -> EncodedFrame:
            if self._queue.empty():
                raise RuntimeError("the room fell over")
            return await super().recv()

    monkeypatch.setattr("egress.media.reading.PAUSE", 0)
    session = clock(begun=SECOND)
    warnings: list[str] = []
    source = Failing(encoded(Sender(90_000, session.origin), 2))
    async with intake(session, source, delay=0, warnings=warnings) as taken:
        await until(lambda: taken.ended and taken.stats()["decoded"] == 2)
        assert taken.picture_at(session.now() + HOLD + SECOND, TICK) is None
        assert taken.stats()["errors"] == 4
    assert len(warnings) == 1 and "the room fell over" in warnings[0]


async def test_a_frame_that_breaks_the_decoder_is_counted_and_healed_by_a_keyframe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decode = VideoDecoder.decode

    def fragile(decoder: VideoDecoder, frame: EncodedFrame, now: Nanos) -> list[av.VideoFrame]:
        if frame.data == b"poison":
            raise MemoryError("no room")
        return decode(decoder, frame, now)

    monkeypatch.setattr(VideoDecoder, "decode", fragile)
    session = clock(begun=SECOND)
    sender = Sender(90_000, session.origin)
    some = encoded(sender, 12, keys=8)
    source = FedSource([*some[:3], sender.frame(3 * TICK, Codec.VP8, b"poison", False), *some[4:6]])
    warnings: list[str] = []
    async with intake(session, source, delay=0, warnings=warnings) as taken:
        await until(lambda: taken.stats()["undecodable"] == 2 and source.asked >= 1)
        assert taken.stats()["errors"] == 1
        source.feed(*some[8:])
        await until(lambda: brightness(taken.picture_at(SECOND, TICK)) == 11)
    assert warnings == []


async def test_a_picture_that_cannot_be_scaled_does_not_end_the_track(monkeypatch: pytest.MonkeyPatch) -> None:
    scale, failures = Scaler.scale, iter([True, True])

    def fragile(scaler: Scaler, *args: Any) -> tuple[av.VideoFrame, Size]:
        if next(failures, False):
            raise ValueError("no such colours")
        return scale(scaler, *args)

    monkeypatch.setattr(Scaler, "scale", fragile)
    session = clock(begun=SECOND)
    some = encoded(Sender(90_000, session.origin), 9, keys=3)
    source = FedSource()
    async with intake(session, source, delay=0) as taken:
        for number in (0, 3):
            source.feed(some[number])
            await until(lambda: taken.stats()["errors"] == 1 + number // 3)  # noqa: B023
        source.feed(*some[6:])
        await until(lambda: (p := taken.picture_at(SECOND, TICK)) is not None and brightness(p) == 8)
        assert taken.stats()["errors"] == 2


async def test_a_track_whose_every_keyframe_is_broken_is_told_once() -> None:
    session = clock(begun=SECOND)
    sender = Sender(90_000, session.origin)
    broken = [sender.frame(n * TICK, Codec.VP8, b"\x10\x02\x00\x9d\x01", True) for n in range(8)]
    warnings: list[str] = []
    source = FedSource()
    async with intake(session, source, delay=0, warnings=warnings) as taken:
        for number, frame in enumerate(broken, 1):
            source.feed(frame)
            await until(lambda: taken.stats()["errors"] == number)  # noqa: B023
        await until(lambda: bool(warnings))
    assert warnings == ["its pictures cannot be shown: its keyframes are broken"]


async def test_pictures_too_large_are_refused_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.media.decoding.MOST_PIXELS", SIZE.width * SIZE.height)
    session = clock(begun=SECOND)
    sender = Sender(90_000, session.origin)
    source = FedSource(encoded(sender, 3, size=Size(66, 48)))
    warnings: list[str] = []
    async with intake(session, source, delay=0, warnings=warnings) as taken:
        await until(lambda: taken.stats()["errors"] == 1)
        source.feed(*encoded(sender, 3, begin=3 * TICK))
        await until(lambda: (p := taken.picture_at(SECOND, TICK)) is not None and brightness(p) == 2)
        assert taken.stats()["oversized"] == 1
        await until(lambda: bool(warnings))
    assert "refused" in warnings[0]


async def test_a_decoder_that_hangs_is_left_behind_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    hung, free = threading.Event(), threading.Event()

    def hang(*_: Any) -> list[av.VideoFrame]:
        hung.set()
        free.wait()
        return []

    monkeypatch.setattr("egress.media.intake.CLOSE_WITHIN", 0.01)
    monkeypatch.setattr(VideoDecoder, "decode", hang)
    session = clock(begun=SECOND)
    warnings: list[str] = []
    async with intake(session, FedSource(encoded(Sender(90_000, session.origin), 1)), 0, warnings) as taken:
        await until(hung.is_set)
    assert len(warnings) == 1 and "left behind" in warnings[0]
    free.set()
    await asyncio.to_thread(taken._thread.join)


async def test_closing_before_anything_came_is_quick_and_final() -> None:
    async with intake(clock(), FedSource()) as taken:
        pass
    assert not taken._thread.is_alive()


async def test_a_closed_intake_is_freed_with_its_decoder_and_keeps_its_counts() -> None:
    session = clock(begun=SECOND)
    source = FedSource(encoded(Sender(90_000, session.origin), 12))
    gc.disable()
    try:
        async with intake(session, source, delay=0) as taken:
            while taken.stats()["decoded"] < 12:
                await asyncio.sleep(0.005)
        assert taken.stats()["decoded"] == 12 and taken.stats()["frames"] == 12
        freed = weakref.ref(taken)
        del taken
        assert freed() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("whole", [True, False])
async def test_a_layer_passed_through_on_the_way_to_another_is_not_noticed(whole: bool) -> None:
    """Janus sends the first keyframe of any layer that comes, one RTP tick before that of the layer asked for."""
    session = clock()
    sender = Sender(90_000, session.origin)
    before = encoded(sender, 6)
    (passing, *_) = encoded(sender, 1, size=Size(32, 24), begin=6 * TICK)
    if not whole:
        passing = replace(passing, data=passing.data[: len(passing.data) // 2])
    (first, *rest) = encoded(sender, 6, size=Size(48, 36), begin=6 * TICK)
    source = FedSource([*before, passing, replace(first, rtp=first.rtp + 1), *rest])
    async with intake(session, source, delay=100 * MILLISECOND) as taken:
        await until(lambda: taken.stats()["decoded"] >= 12 and brightness(taken.picture_at(SECOND, TICK // 2)) == 5)
        shown = taken.picture_at(SECOND, TICK // 2)
        stats = taken.stats()
    assert shown is not None and shown.source == Size(48, 36)
    assert abs(shown.at - (11 * TICK + 20 * MILLISECOND)) < MILLISECOND
    assert stats["timeline_jumps"] == stats["timeline_restarts"] == stats["timeline_implausible"] == 0
    assert stats["undecodable"] == 0 and (stats["errors"] == 0 or not whole)
