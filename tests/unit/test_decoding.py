from __future__ import annotations

import os
from dataclasses import replace

import pytest

from egress.media.decoding import PATIENCE, VideoDecoder
from egress.model.media import SECOND, Codec, EncodedFrame, Size
from tests.unit.feeding import luma, picture, video

SIZE = Size(64, 48)


def frames(codec: Codec, count: int = 12, keys: int = 6, stream: int = 1, size: Size = SIZE) -> list[EncodedFrame]:
    encoded = video([picture(size, 40 + 12 * n) for n in range(count)], codec, keys)
    big = 1 << 40
    return [
        EncodedFrame(codec, data, big + n * 3000, n * SECOND // 30, key, stream=stream)
        for n, (data, key) in enumerate(encoded)
    ]


def lumas(decoder: VideoDecoder, some: list[EncodedFrame], now: int = 0) -> list[int]:
    return [luma(p) for frame in some for p in decoder.decode(frame, now + frame.arrived)]


def with_gap(frame: EncodedFrame) -> EncodedFrame:
    return EncodedFrame(frame.codec, frame.data, frame.rtp, frame.arrived, frame.key, gap=True, stream=frame.stream)


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_every_frame_becomes_a_picture_with_its_rtp_time(codec: Codec) -> None:
    decoder, some = VideoDecoder(), frames(codec)
    pictures = [p for frame in some for p in decoder.decode(frame, 0)]
    assert [p.pts for p in pictures] == [frame.rtp for frame in some]
    assert all(abs(luma(p) - (40 + 12 * n)) <= 3 for n, p in enumerate(pictures))
    assert not decoder.wants_keyframe


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_frames_before_the_first_keyframe_give_nothing(codec: Codec) -> None:
    decoder, some = VideoDecoder(), frames(codec)
    assert lumas(decoder, some[2:6]) == []
    assert decoder.wants_keyframe and decoder.undecodable == 4
    assert len(lumas(decoder, some[6:])) == 6
    assert not decoder.wants_keyframe


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_after_a_loss_the_picture_freezes_until_a_keyframe(codec: Codec) -> None:
    decoder, some = VideoDecoder(), frames(codec)
    lumas(decoder, some[:2])
    assert lumas(decoder, [with_gap(some[3]), *some[4:6]]) == []
    assert decoder.wants_keyframe
    assert len(lumas(decoder, some[6:])) == 6


def test_a_keyframe_that_never_comes_is_not_waited_for_for_ever() -> None:
    decoder, some = VideoDecoder(), frames(Codec.VP8, keys=1000)
    lumas(decoder, some[:2])
    assert lumas(decoder, [with_gap(some[3])]) == []
    assert len(lumas(decoder, some[4:6], now=PATIENCE)) == 2
    assert decoder.wants_keyframe


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
@pytest.mark.parametrize("garbage", [b"", b"\x00", b"\x13rubbish" * 9, os.urandom(900)])
def test_garbage_is_survived_and_healed_by_a_keyframe(codec: Codec, garbage: bytes) -> None:
    decoder, some = VideoDecoder(), frames(codec)
    broken = EncodedFrame(codec, garbage, some[3].rtp, some[3].arrived, False, stream=1)
    lumas(decoder, [*some[:3], broken, *some[4:6]])
    healed = lumas(decoder, some[6:])
    assert len(healed) == 6 and not decoder.wants_keyframe
    assert abs(healed[-1] - (40 + 12 * 11)) <= 3


def test_a_broken_keyframe_is_no_keyframe() -> None:
    decoder = VideoDecoder()
    decoder.decode(EncodedFrame(Codec.VP8, b"\x10\x02\x00\x9d\x01", 0, 0, True, stream=1), 0)
    assert decoder.errors == 1
    assert decoder.wants_keyframe


def test_a_new_stream_or_codec_or_size_is_followed() -> None:
    decoder = VideoDecoder()
    assert len(lumas(decoder, frames(Codec.VP8, 3))) == 3
    assert len(lumas(decoder, frames(Codec.H264, 3, stream=2))) == 3
    assert len(lumas(decoder, frames(Codec.VP8, 3, stream=3, size=Size(96, 64)))) == 3
    assert len(lumas(decoder, frames(Codec.VP8, 3, stream=3, size=Size(48, 32)))) == 3
    assert decoder.errors == 0


def test_frames_left_out_on_purpose_count_as_a_loss() -> None:
    decoder, some = VideoDecoder(), frames(Codec.VP8)
    lumas(decoder, some[:2])
    decoder.lose(0)
    assert lumas(decoder, some[4:6]) == []
    assert len(lumas(decoder, some[6:])) == 6


def test_a_codec_we_do_not_know_gives_nothing() -> None:
    decoder = VideoDecoder()
    assert decoder.decode(EncodedFrame(Codec.AAC, b"x", 0, 0, True), 0) == []
    assert decoder.undecodable == 1


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_pictures_too_large_are_refused_until_smaller_ones_come(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.media.decoding.MOST_PIXELS", SIZE.width * SIZE.height)
    decoder = VideoDecoder()
    assert lumas(decoder, frames(codec, 3, size=Size(66, 48))) == []
    assert (decoder.oversized, decoder.errors, decoder.undecodable) == (1, 1, 2)
    assert decoder.wants_keyframe
    assert len(lumas(decoder, frames(codec, 3))) == 3
    assert decoder.oversized == 1


def test_a_vp8_keyframe_that_says_it_is_huge_is_refused() -> None:
    decoder, some = VideoDecoder(), frames(Codec.VP8, 1)
    huge = some[0].data[:6] + b"\xff\x3f\xff\x3f" + some[0].data[10:]
    assert decoder.decode(replace(some[0], data=huge), 0) == []
    assert decoder.oversized == 1


def test_a_decoder_made_anew_waits_for_a_keyframe() -> None:
    decoder, some = VideoDecoder(), frames(Codec.VP8)
    lumas(decoder, some[:3])
    decoder.renew(0)
    assert decoder.wants_keyframe and decoder.errors == 1
    assert lumas(decoder, some[3:6]) == [] and decoder.undecodable == 3
    assert len(lumas(decoder, some[6:])) == 6
