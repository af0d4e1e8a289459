"""The mixer: exact silence, exact gain, no clipping whoever talks, sample k out is sample k in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from egress.media.mixer import Mixer
from egress.media.samples import on_both_sides
from egress.model.errors import Fault

Sound = npt.NDArray[np.float32]
RATE = 48_000


def tone(level_db: float, hertz: float = 997, seconds: float = 1) -> Sound:
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE)
    return np.stack((wave, wave)).astype(np.float32)


def mixed(sounds: Sequence[Sound], channels: int = 2, block: int = 960) -> Sound:
    mixer = Mixer(channels)
    total = sounds[0].shape[1]
    out = [mixer.mix([s[:, k : k + block] for s in sounds], min(block, total - k)) for k in range(0, total, block)]
    out.append(mixer.flush())
    return np.concatenate(out, axis=1)[:, mixer.latency :]


def decibels(sound: Sound) -> float:
    return 20 * float(np.log10(np.sqrt(2 * np.mean(np.square(sound, dtype=np.float64)))))


def test_nobody_is_exact_silence_at_an_unbroken_count() -> None:
    mixer = Mixer()
    for n in (960, 1600, 1601, 1):
        out = mixer.mix([], n)
        assert out.shape == (2, n) and out.dtype == np.float32 and not out.any()
    assert mixer.limited == 0


@pytest.mark.parametrize("channels", [1, 2])
def test_a_tone_keeps_its_level_within_a_tenth_of_a_decibel(channels: int) -> None:
    out = mixed([tone(-20)], channels)
    assert out.shape == (channels, RATE)
    assert decibels(out) == pytest.approx(-20, abs=0.1)


@pytest.mark.parametrize("talkers", [1, 2, 4, 16])
@pytest.mark.parametrize("channels", [1, 2])
def test_identical_full_scale_talkers_never_clip(talkers: int, channels: int) -> None:
    out = mixed([tone(0)] * talkers, channels)
    assert abs(out).max() <= 10 ** (-1 / 20)
    assert decibels(out[:, 4800:-4800]) == pytest.approx(-1.5, abs=0.2)


def test_sample_k_out_is_sample_k_in() -> None:
    click = np.zeros((2, 9600), np.float32)
    click[:, 4321] = 0.25
    for block in (960, 1601, 333):
        assert np.array_equal(mixed([click], block=block), click)


def test_two_quiet_peers_are_simply_added() -> None:
    left, right = tone(-26, 440), tone(-26, 660)
    assert np.array_equal(mixed([left, right]), left + right)


def test_blocks_of_one_channel_are_heard_on_both_sides() -> None:
    one, other, wide = tone(-26, 440), tone(-30, 550), tone(-32, 660)
    wide[1] *= 0.5
    blocks = [on_both_sides(one[:1]), wide, on_both_sides(other[:1])]
    assert np.allclose(mixed(blocks), one + other + wide, atol=1e-7)
    assert np.array_equal(one, tone(-26, 440)), "a block was written to"


def test_silence_after_loudness_is_exact_silence() -> None:
    loud = np.concatenate((tone(6), np.zeros((2, RATE), np.float32)), axis=1)
    assert not mixed([loud])[:, RATE:].any()


def test_one_broken_peer_is_left_out_and_counted() -> None:
    good, bad = tone(-20, seconds=0.02), tone(-20, seconds=0.02)
    bad[0, 17] = np.nan
    mixer = Mixer()
    mixer.mix([good, bad], 960)
    assert mixer.broken == 1
    worse = on_both_sides(np.full((1, 960), np.inf, np.float32))
    mixer.mix([good, worse, worse], 960)
    assert mixer.broken == 3
    out = np.concatenate((mixer.mix([], 960), mixer.flush()), axis=1)
    assert np.isfinite(out).all()


def test_flush_gives_the_rest_and_leaves_the_mixer_as_new() -> None:
    mixer = Mixer()
    sound = tone(-20, seconds=0.02)
    first = mixer.mix([sound], 960)
    assert np.array_equal(np.concatenate((first, mixer.flush()), axis=1)[:, mixer.latency :], sound)
    assert not mixer.mix([], 960).any()


def test_a_block_of_the_wrong_length_or_a_third_channel_is_a_fault() -> None:
    with pytest.raises(Fault, match="not \\(2, 960\\)"):
        Mixer().mix([np.zeros((2, 959), np.float32)], 960)
    with pytest.raises(Fault, match="1 or 2 channels"):
        Mixer(6)
