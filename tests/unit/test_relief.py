"""What a decoder leaves out under strain: from one keyframe to another, and only where that is safe."""

from __future__ import annotations

import av
import numpy as np
import pytest

from egress.media.decoding import VideoDecoder
from egress.media.planes import planes
from egress.media.relief import HALF_RATE, Relief
from egress.media.strain import Rung
from egress.model.media import MILLISECOND, SECOND, Codec, Nanos, Size
from tests.unit.feeding import Sender, video

SIZE = Size(160, 96)
TICK: Nanos = SECOND // 30
KEYS = 10


def moving(count: int) -> list[av.VideoFrame]:
    random = np.random.default_rng(3)
    wide = np.kron(random.integers(30, 220, (40, 60)).astype(np.uint8), np.ones((8, 8), np.uint8))
    frames = []
    for n in range(count):
        frame = av.VideoFrame(SIZE.width, SIZE.height, "yuv420p")
        luma, *chroma = planes(frame)
        luma[...] = wide[n : n + SIZE.height, 2 * n : 2 * n + SIZE.width]
        for plane in chroma:
            plane[...] = 128
        frames.append(frame)
    return frames


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_the_loop_filter_is_left_out_from_one_keyframe_to_another(codec: Codec) -> None:
    options = {"b": "80000"} | ({"preset": "superfast"} if codec is Codec.H264 else {})
    sender = Sender(90_000, 0)
    media = video(moving(50), codec, KEYS, **options)
    frames = [sender.frame(n * TICK, codec, data, key) for n, (data, key) in enumerate(media)]
    assert [n for n, frame in enumerate(frames) if frame.key] == [0, 10, 20, 30, 40]
    whole, relieved, relief = VideoDecoder(), VideoDecoder(), Relief()
    asked, alike = [], []
    for n, frame in enumerate(frames):
        if n in (5, 25):
            relief.give(Rung.LOOP_FILTER if n == 5 else Rung.NONE, n * TICK + 2 * TICK)
        asked += [n] if relief.apply(relieved, n * TICK) else []
        (expected,), (got,) = whole.decode(frame, 0), relieved.decode(frame, 0)
        alike.append(np.array_equal(planes(expected)[0], planes(got)[0]))
    assert asked == [7, 27]
    assert [n for n, same in enumerate(alike) if not same] == list(range(10, 30))
    assert relieved.errors == relieved.undecodable == 0 and relieved.broken_since is None


def test_no_keyframe_is_asked_for_when_one_has_come_by_itself() -> None:
    sender = Sender(90_000, 0)
    media = video(moving(12), Codec.VP8, KEYS)
    decoder, relief, asked = VideoDecoder(), Relief(), []
    for n, (data, key) in enumerate(media):
        if n == 9:
            relief.give(Rung.LOOP_FILTER, 11 * TICK)
        asked.append(relief.apply(decoder, n * TICK))
        decoder.decode(sender.frame(n * TICK, Codec.VP8, data, key), 0)
    assert not any(asked)


def test_only_pictures_that_no_other_needs_are_not_decoded() -> None:
    """With B-frames nothing refers to, as in upper temporal layers, all others come out as they would."""
    media = video(moving(30), Codec.H264, 100, tune="psnr", bf="1", preset="veryfast", **{"x264-params": "b-adapt=0"})
    sender = Sender(90_000, 0)
    decoders = VideoDecoder(), VideoDecoder()
    decoders[1].discard(True)
    for n, (data, key) in enumerate(media):
        for decoder in decoders:
            decoder.decode(sender.frame(n * TICK, Codec.H264, data, key), 0)
    whole, relieved = (decoder.decoded for decoder in decoders)
    assert 5 < relieved <= whole * 0.6
    assert decoders[1].errors == 0


@pytest.mark.parametrize(("fps", "kept"), [(30, 15), (15, 15), (10, 10)])
def test_a_small_tile_moves_at_half_the_rate_where_it_is_fast(fps: int, kept: int) -> None:
    relief = Relief()
    relief.give(Rung.SMALL_TILES, 0)
    thinned = [relief.thins(n * SECOND // fps) for n in range(fps)]
    assert thinned.count(False) == kept and relief.thinned == fps - kept
    assert SECOND // 30 < HALF_RATE < SECOND // 15
    # A track whose time begins anew is not frozen until the old time is reached.
    assert not relief.thins(-10 * SECOND)
    relief.give(Rung.LOOP_FILTER, 0)
    assert not relief.thins(-10 * SECOND + MILLISECOND)


def test_only_what_had_time_counts_as_kept_waiting_by_this_machine() -> None:
    relief = Relief()
    for had in (-SECOND, 0, 70 * MILLISECOND, 80 * MILLISECOND, SECOND):
        relief.late(had)
    assert relief.overdue == 2
