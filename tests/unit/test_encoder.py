"""Encoders: exact constant frame rate, keyframes in place, the bitrate asked for, no sample lost or moved."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from egress.media.encoder import BACKLOG, DEPTH, AudioEncoder, VideoEncoder
from egress.media.planes import planes, tag
from egress.model.errors import EgressError, Fault, RequestError
from egress.model.media import SECOND, Packet, Size
from egress.model.pipeline import Audio, Video

SMALL = Video(size=Size(320, 180), bitrate=300_000)


def canvas(size: Size, colour: tuple[int, int, int] = (16, 128, 128)) -> av.VideoFrame:
    frame = av.VideoFrame(size.width, size.height, "yuv420p")
    tag(frame)
    for plane, value in zip(planes(frame), colour, strict=True):
        plane[...] = value
    return frame


def panorama(size: Size) -> Callable[[int], npt.NDArray[np.uint8]]:
    """A picture that pans and breathes, with a little sensor noise: what a call with real movement looks like."""
    random = np.random.default_rng(7)
    cells = random.integers(40, 210, (size.height // 16 + 24, size.width // 16 + 24)).astype(np.uint8)
    wide = np.kron(cells, np.ones((16, 16), np.uint8)) // 2 + 40
    noise = [random.integers(0, 5, (size.height, size.width)).astype(np.uint8) for _ in range(5)]

    def luma(n: int) -> npt.NDArray[np.uint8]:
        x, y = (3 * n) % 300, n % 300
        return wide[y : y + size.height, x : x + size.width] + noise[n % 5]

    return luma


def patiently(encoder: VideoEncoder, n: int, frame: av.VideoFrame) -> None:
    """Offer once there is room, as a programme in real time finds it."""
    while encoder.stats()["waiting"] >= DEPTH or not encoder.offer(n, frame):
        time.sleep(0.001)


def decoded(encoder: VideoEncoder, packets: list[Packet]) -> list[av.VideoFrame]:
    decoder: Any = av.CodecContext.create("h264", "r")
    decoder.extradata = encoder.info.extradata
    frames: list[av.VideoFrame] = []
    for packet in packets:
        raw = av.Packet(packet.data)
        raw.pts, raw.dts, raw.time_base = packet.pts, packet.dts, encoder.info.time_base
        frames += decoder.decode(raw)
    return [*frames, *decoder.decode(None)]


def test_every_picture_gets_its_own_pts_and_keyframes_stand_where_the_pipeline_says() -> None:
    packets: list[Packet] = []
    encoder = VideoEncoder(SMALL.model_copy(update={"keyframe": SECOND // 2}), packets.append)
    frame, luma = canvas(SMALL.size), panorama(SMALL.size)
    for n in range(40):
        planes(frame)[0][...] = luma(n)
        patiently(encoder, n, frame)
    encoder.close(40)
    assert encoder.error is None
    assert [p.pts for p in packets] == [p.dts for p in packets] == list(range(40))
    assert {p.duration for p in packets} == {1}
    assert [p.pts for p in packets if p.key] == [0, 15, 30]
    assert encoder.info.time_base == Fraction(1, 30)
    assert encoder.stats()["pictures"] == 40 and encoder.repeated == 0


def test_a_cut_makes_no_extra_keyframe() -> None:
    packets: list[Packet] = []
    encoder = VideoEncoder(SMALL, packets.append)
    random = np.random.default_rng(1)
    frame = canvas(SMALL.size)
    for n in range(30):
        if n % 10 == 0:
            planes(frame)[0][...] = random.integers(16, 235, (180, 320))
        patiently(encoder, n, frame)
    encoder.close(30)
    assert [p.pts for p in packets if p.key] == [0]


@pytest.mark.parametrize("tune", ["zerolatency", "none"])
def test_keyframes_asked_for_stand_besides_the_regular_ones_and_close_what_was_before(tune: str) -> None:
    packets: list[Packet] = []
    doc = SMALL.model_copy(update={"tune": tune, "preset": "veryfast", "keyframe": SECOND // 2})
    encoder = VideoEncoder(doc, packets.append)
    luma = panorama(SMALL.size)
    frame = canvas(SMALL.size)
    for n in range(90):
        if n in (20, 31, 33, 75):
            encoder.key(n)
        planes(frame)[0][...] = luma(n)
        patiently(encoder, n, frame)
    encoder.close(90)
    assert sorted(packet.pts for packet in packets if packet.key) == [0, 15, 20, 30, 31, 33, 45, 60, 75]
    dts = [packet.dts for packet in packets]
    assert dts == list(range(dts[0], dts[0] + 90))
    assert sorted(packet.pts for packet in packets) == list(range(90))
    # Nothing before a keyframe is decoded after it: cut there, both sides stand alone.
    for number, packet in enumerate(packets):
        if packet.key:
            assert {other.pts for other in packets[:number]} == set(range(packet.pts))


@pytest.mark.parametrize(("tune", "preset"), [("zerolatency", "superfast"), ("none", "veryfast"), ("none", "medium")])
def test_a_cheaper_encoder_takes_over_at_keyframes_and_the_stream_stays_one(tune: str, preset: str) -> None:
    packets: list[Packet] = []
    doc = SMALL.model_copy(update={"tune": tune, "preset": preset, "keyframe": SECOND // 2})
    encoder = VideoEncoder(doc, packets.append)
    luma, frame = panorama(SMALL.size), canvas(SMALL.size)
    wishes = {10: True, 40: False, 50: True, 70: False, 72: True, 100: False}
    shown = []
    for n in range(136):
        if n in wishes:
            patience = time.monotonic() + 60
            while encoder.stats()["waiting"] and time.monotonic() < patience:
                time.sleep(0.001)
            encoder.hasten(wishes[n])
        planes(frame)[0][...] = luma(n)
        shown.append(planes(frame)[0].copy())
        patiently(encoder, n, frame)
    encoder.close(136)
    assert encoder.error is None
    assert (encoder.swaps, encoder.unlike) == (4, 0)
    assert [packet.pts for packet in packets if packet.key] == list(range(0, 136, 15))
    dts = [packet.dts for packet in packets]
    assert dts == list(range(dts[0], dts[0] + 136)) and all(packet.dts <= packet.pts for packet in packets)
    assert sorted(packet.pts for packet in packets) == list(range(136))
    frames = decoded(encoder, packets)
    assert [frame.pts for frame in frames] == list(range(136))
    for frame, before in zip(frames, shown, strict=True):
        assert not frame.is_corrupt
        assert np.abs(planes(frame)[0].astype(int) - before).mean() < 12


def test_an_encoder_whose_stream_needs_other_headers_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.media.x264._HASTY", "cabac=0:8x8dct=0")
    packets: list[Packet] = []
    encoder = VideoEncoder(SMALL.model_copy(update={"keyframe": SECOND // 2}), packets.append)
    encoder.hasten(True)
    for n in range(40):
        patiently(encoder, n, canvas(SMALL.size))
    encoder.close(40)
    assert (encoder.swaps, encoder.unlike) == (0, 1)
    assert len(decoded(encoder, packets)) == 40


def test_two_keyframes_in_a_row_are_not_by_two_encoders() -> None:
    packets: list[Packet] = []
    encoder = VideoEncoder(SMALL.model_copy(update={"keyframe": SECOND // 2}), packets.append)
    encoder.hasten(True)
    for n in (0, 14, 29):
        encoder.key(n)
    for n in range(50):
        patiently(encoder, n, canvas(SMALL.size))
    encoder.close(50)
    assert encoder.swaps == 1
    assert [packet.pts for packet in packets if packet.key] == [0, 14, 15, 29, 30, 45]
    begins = [b"x264" in packet.data for packet in packets]
    assert [n for n, one in enumerate(begins) if one] == [0, 45]


def test_missing_pictures_become_repeats_and_the_tail_is_filled() -> None:
    packets: list[Packet] = []
    encoder = VideoEncoder(SMALL, packets.append)
    for n, level in ((2, 60), (3, 120), (7, 200)):
        patiently(encoder, n, canvas(SMALL.size, (level, 128, 128)))
    encoder.close(10)
    assert [p.pts for p in packets] == list(range(10))
    shades = [round(float(planes(f)[0].mean()), -1) for f in decoded(encoder, packets)]
    assert shades == [60, 60, 60, 120, 120, 120, 120, 200, 200, 200]
    assert encoder.stats()["pictures"] == 3 and encoder.repeated == 7


def test_a_full_encoder_refuses_at_once_and_makes_up_for_it() -> None:
    packets: list[Packet] = []
    hold, busy = threading.Event(), threading.Event()

    def slow(packet: Packet) -> None:
        busy.set()
        assert hold.wait(20)
        packets.append(packet)

    encoder = VideoEncoder(SMALL, slow)
    frame = canvas(SMALL.size)
    assert encoder.offer(0, frame) and busy.wait(20)
    assert [encoder.offer(n, frame) for n in range(1, DEPTH + 5)] == [True] * DEPTH + [False] * 4
    hold.set()
    encoder.close(DEPTH + 5)
    assert encoder.refused == 4
    assert [p.pts for p in packets] == list(range(DEPTH + 5))


def test_a_picture_offered_too_late_is_counted_and_moves_nothing() -> None:
    packets: list[Packet] = []
    encoder = VideoEncoder(SMALL, packets.append)
    for n in (0, 3, 2, 3, 4):
        patiently(encoder, n, canvas(SMALL.size))
    encoder.close(5)
    assert [p.pts for p in packets] == list(range(5))
    assert encoder.stats()["late"] == 2


def test_a_programme_without_any_picture_is_black() -> None:
    packets: list[Packet] = []
    encoder = VideoEncoder(SMALL, packets.append)
    encoder.close(3)
    frames = decoded(encoder, packets)
    assert len(frames) == 3 and planes(frames[0])[0].max() <= 17


@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
def test_colours_come_back_as_they_were_and_say_bt709(profile: str) -> None:
    packets: list[Packet] = []
    encoder = VideoEncoder(SMALL.model_copy(update={"profile": profile}), packets.append)
    patiently(encoder, 0, canvas(SMALL.size, (63, 102, 240)))
    encoder.close(2)
    frame = decoded(encoder, packets)[0]
    assert (frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc) == (1, 1, 1, 1)
    for plane, value in zip(planes(frame), (63, 102, 240), strict=True):
        assert abs(plane.astype(int) - value).max() <= 2
    assert encoder.info.extradata.startswith(b"\0\0\0\1\x67") and b"\0\0\0\1\x68" in encoder.info.extradata


def test_look_ahead_and_b_frames_keep_every_picture_once() -> None:
    packets: list[Packet] = []
    doc = SMALL.model_copy(update={"tune": "none", "preset": "veryfast", "keyframe": SECOND})
    encoder = VideoEncoder(doc, packets.append)
    frame, luma = canvas(SMALL.size), panorama(SMALL.size)
    for n in range(61):
        planes(frame)[0][...] = luma(n)
        patiently(encoder, n, frame)
    encoder.close(61)
    assert sorted(p.pts for p in packets) == list(range(61))
    dts = [p.dts for p in packets]
    assert dts == sorted(set(dts)) and all(p.dts <= p.pts for p in packets)
    assert [p.pts for p in packets if p.key] == [0, 30, 60]


def test_the_bitrate_is_kept_over_ten_seconds_and_no_two_seconds_exceed_it_by_a_quarter() -> None:
    doc = Video(size=Size(640, 360), bitrate=900_000)
    packets: list[Packet] = []
    encoder = VideoEncoder(doc, packets.append)
    frame, luma = canvas(doc.size), panorama(doc.size)
    for n in range(300):
        planes(frame)[0][...] = luma(n)
        patiently(encoder, n, frame)
    encoder.close(300)
    bits = np.array([8 * len(p.data) for p in packets])
    assert abs(bits.sum() / 10 / doc.bitrate - 1) <= 0.10
    assert np.convolve(bits, np.ones(60), "valid").max() / 2 <= 1.25 * doc.bitrate


def test_a_smaller_rung_is_scaled_from_the_same_canvas() -> None:
    packets: list[Packet] = []
    encoder = VideoEncoder(SMALL, packets.append)
    patiently(encoder, 0, canvas(Size(640, 360), (150, 90, 170)))
    encoder.close(1)
    (frame,) = decoded(encoder, packets)
    assert (frame.width, frame.height) == (320, 180)
    for plane, value in zip(planes(frame), (150, 90, 170), strict=True):
        assert abs(plane.astype(int) - value).max() <= 2


def test_the_canvas_may_change_right_after_it_was_offered() -> None:
    packets: list[Packet] = []
    encoder = VideoEncoder(SMALL, packets.append)
    frame = canvas(SMALL.size)
    for n, level in enumerate((50, 100, 150, 200)):
        planes(frame)[0][...] = level
        patiently(encoder, n, frame)
        planes(frame)[0][...] = 16
    encoder.close(4)
    shades = [round(float(planes(f)[0].mean()), -1) for f in decoded(encoder, packets)]
    assert shades == [50, 100, 150, 200]


def test_a_size_the_encoder_cannot_do_is_refused_at_the_start() -> None:
    with pytest.raises(RequestError, match="cannot be encoded as 321x181"):
        VideoEncoder(Video(size=Size(321, 181)), lambda _: None)


def test_a_fault_on_the_encoder_thread_reaches_the_owner_once() -> None:
    def broken(packet: Packet) -> None:
        raise ValueError("no")

    errors: list[EgressError] = []
    encoder = VideoEncoder(SMALL, broken, on_error=errors.append)
    patiently(encoder, 0, canvas(SMALL.size))
    encoder.close(5)
    assert [str(e) for e in errors] == ["video encoder: ValueError: no"]
    assert isinstance(encoder.error, Fault)
    assert not encoder.offer(1, canvas(SMALL.size))


def beeps(channels: int, samples: int) -> npt.NDArray[np.float32]:
    """A 1 kHz beep of 30 ms at one half second, left and right apart by 100 ms."""
    sound = np.zeros((channels, samples), np.float32)
    tone = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(1440) / 48_000)).astype(np.float32)
    for channel in range(channels):
        start = 24_000 + 4_800 * channel
        sound[channel, start : start + 1440] = tone
    return sound


def heard(encoder: AudioEncoder, packets: list[Packet]) -> npt.NDArray[np.float32]:
    """The decoded sound, whose sample k plays at pts k: what a player presents after dropping the priming."""
    opus = encoder.info.codec == "opus"
    decoder: Any = av.CodecContext.create("libopus" if opus else "aac", "r")
    decoder.extradata = encoder.info.extradata
    blocks = []
    for packet in packets:
        raw = av.Packet(packet.data)
        raw.pts, raw.dts, raw.time_base = packet.pts, packet.dts, encoder.info.time_base
        for frame in decoder.decode(raw):
            block = frame.to_ndarray().astype(np.float32) / (32768 if opus else 1)
            blocks.append(block if frame.format.is_planar else block.reshape(-1, encoder.info.channels).T)
    sound = np.concatenate(blocks, axis=1)
    # libopus drops the pre-skip by itself, told by the OpusHead; AAC's priming is for the player to drop.
    return sound if opus else sound[:, encoder.info.initial_padding :]


@pytest.mark.parametrize("codec", ["aac", "opus"])
@pytest.mark.parametrize("channels", [1, 2])
def test_sample_k_of_what_was_offered_plays_at_pts_k(codec: str, channels: int) -> None:
    packets: list[Packet] = []
    encoder = AudioEncoder(Audio(codec=codec, channels=channels), packets.append)  # type: ignore[arg-type]
    sound = beeps(channels, 50_000)
    cuts = [*range(0, 50_000, 1601), 50_000]
    for start, end in itertools.pairwise(cuts):
        assert encoder.offer(sound[:, start:end])
    encoder.close()
    assert encoder.error is None
    assert packets[0].pts == -encoder.info.initial_padding
    assert all(b.pts == a.pts + a.duration for a, b in itertools.pairwise(packets))
    assert packets[-1].pts + packets[-1].duration == 50_000
    played = heard(encoder, packets)
    assert encoder.info.channels == channels == played.shape[0]
    for channel in range(channels):
        start = 24_000 + 4_800 * channel
        match = np.correlate(played[channel], sound[channel, start : start + 1440], "valid")
        assert abs(int(match.argmax()) - start) <= 1
        assert match.max() == pytest.approx(float(np.sum(sound[channel] ** 2)), rel=0.05)


def test_sound_is_never_dropped_and_a_backlog_is_a_fault() -> None:
    hold = threading.Event()
    errors: list[EgressError] = []
    encoder = AudioEncoder(Audio(), lambda _: bool(hold.wait(20)), on_error=errors.append)  # type: ignore[arg-type,return-value]
    second = np.zeros((2, 48_000), np.float32)
    taken = 0
    while encoder.offer(second):
        taken += 1
        assert taken <= BACKLOG + 3
    hold.set()
    encoder.close()
    assert taken >= BACKLOG
    assert encoder.stats()["refused"] == 1
    assert "behind" in str(errors[0]) and len(errors) == 1


def test_a_block_of_the_wrong_shape_is_a_fault_and_an_empty_programme_is_not() -> None:
    encoder = AudioEncoder(Audio(), lambda _: None)
    with pytest.raises(Fault, match=r"not \(2, n\)"):
        encoder.offer(np.zeros((1, 960), np.float32))
    encoder.close()
    assert encoder.error is None and encoder.packets == 0
