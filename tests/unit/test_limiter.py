"""The limiter: the true peak stays under the ceiling, quiet sound is untouched, the delay is constant."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from egress.media.limiter import Limiter

RATE = 48_000
TIME = np.arange(RATE) / RATE
CEILING = 10 ** (-1.5 / 20)
Sound = npt.NDArray[np.float32]


def true_peak(sound: Sound) -> float:
    """dB of the largest instant, by band-limited interpolation sixteen-fold."""
    loudest = 0.0
    for channel in sound:
        spectrum = np.fft.rfft(channel)
        wide = np.zeros(len(channel) * 8 + 1, complex)
        wide[: len(spectrum)] = spectrum
        loudest = max(loudest, float(np.abs(np.fft.irfft(wide)).max() * 16))
    return 20 * np.log10(loudest)


def limited(sound: Sound, block: int = 960) -> Sound:
    limiter = Limiter(len(sound), CEILING)
    pieces = [limiter.process(sound[:, k : k + block]) for k in range(0, sound.shape[1], block)]
    pieces.append(limiter.process(np.zeros((len(sound), Limiter.latency), np.float32)))
    return np.concatenate(pieces, axis=1)[:, Limiter.latency :]


def both(left: npt.NDArray[np.float64]) -> Sound:
    return np.stack((left, 0.7 * left)).astype(np.float32)


LOUD = {
    "tone": 4 * np.sin(2 * np.pi * 997 * TIME),
    "tone between samples": 2 * np.sin(2 * np.pi * 12_000 * TIME + np.pi / 4),
    "square": 3 * np.sign(np.sin(2 * np.pi * 101.3 * TIME)),
    "clicks": 8.0 * (np.arange(RATE) % 4801 == 4000),
    "bursts": 5 * np.sin(2 * np.pi * 440 * TIME) * (np.sin(2 * np.pi * 5 * TIME) > 0),
    "babble": np.convolve(np.random.default_rng(3).normal(size=RATE), np.sinc(np.arange(-9, 10) / 3), "same"),
}


@pytest.mark.parametrize("name", LOUD)
@pytest.mark.parametrize("block", [960, 1601, 100])
def test_no_true_peak_passes_minus_one_db(name: str, block: int) -> None:
    out = limited(both(LOUD[name]), block)
    assert out.shape == (2, RATE)
    assert true_peak(out) <= -1.0


@pytest.mark.parametrize("block", [7, 47, 48, 49, 480, 960, 1601, 5000])
def test_quiet_sound_passes_bit_exact_at_the_stated_delay(block: int) -> None:
    sound = both(0.4 * np.random.default_rng(5).uniform(-1, 1, RATE // 4))
    assert np.array_equal(limited(sound, block), sound)


def test_the_size_of_blocks_changes_nothing() -> None:
    sound = both(LOUD["bursts"])
    whole = limited(sound, RATE)
    for block in (100, 960, 1601):
        assert np.allclose(limited(sound, block), whole, atol=1e-6)


def test_the_gain_moves_without_a_step_and_comes_back() -> None:
    level = np.full(RATE, 0.2)
    level[RATE // 4 : RATE // 4 + 480] = 2.0
    gain = limited(both(level))[0] / level.astype(np.float32)
    assert abs(np.diff(gain)).max() < 0.01
    assert gain[RATE // 4 + 480 : RATE // 4 + 960].mean() < 0.6
    assert gain[: RATE // 4 - 600].min() == 1.0
    assert gain[-1] > 0.98


def test_both_channels_are_turned_down_together_so_that_the_image_stays() -> None:
    left = both(LOUD["tone"])
    left[1] = 0.1 * left[0]
    out = limited(left)
    assert np.allclose(out[1], 0.1 * out[0], atol=1e-6)


def test_reset_forgets_the_past() -> None:
    limiter = Limiter(2, CEILING)
    limiter.process(both(LOUD["tone"]))
    limiter.reset()
    assert not limiter.process(np.zeros((2, 960), np.float32)).any()
    quiet = both(0.1 * TIME)
    assert np.array_equal(limiter.process(quiet)[:, Limiter.latency :], quiet[:, : -Limiter.latency])


@pytest.mark.parametrize("seed", range(6))
def test_silence_that_is_said_to_be_is_as_silence_that_is_given(seed: int) -> None:
    random = np.random.default_rng(seed)
    told, given = Limiter(2, CEILING), Limiter(2, CEILING)
    for _ in range(200):
        count = int(random.choice([1, 47, 48, 160, 294, 960, 1600]))
        if random.random() < 0.15:
            sound = (random.choice([0.1, 3.0]) * random.uniform(-1, 1, (2, count))).astype(np.float32)
            assert np.array_equal(told.process(sound), given.process(sound))
        else:
            assert np.array_equal(told.silence(count), given.process(np.zeros((2, count), np.float32)))
    assert told.limited == given.limited > 0
