"""Loudness is what EBU Tech 3341 and 3342 say of their test signals, and what ffmpeg's meter says of others."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pytest

from egress.media import loudness as module
from egress.media.loudness import Loudness, LoudnessMeter
from egress.media.samples import Samples

RATE = 48_000


def tone(level: float, seconds: float, *, frequency: float = 1000.0, phase: float = 0.0) -> Samples:
    """A stereo sine whose peaks are at `level` dBFS."""
    angle = 2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE + np.radians(phase)
    wave = (10 ** (level / 20) * np.sin(angle)).astype(np.float32)
    return np.stack([wave, wave])


def tones(*parts: tuple[float, float]) -> Samples:
    """Sines of (level, seconds) one after the other."""
    return np.concatenate([tone(level, seconds) for level, seconds in parts], axis=1)


def measured(sound: Samples, block: int = 960) -> Loudness:
    """What the meter says of sound that comes in blocks."""
    meter = LoudnessMeter(RATE, len(sound))
    for start in range(0, sound.shape[1], block):
        meter.offer(sound[:, start : start + block])
    return meter.close()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    # A whole signal is offered at once here, not as it sounds.
    monkeypatch.setattr(module, "BACKLOG", 1000)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (((-23, 20),), -23.0),
        (((-33, 20),), -33.0),
        (((-36, 10), (-23, 60), (-36, 10)), -23.0),
        (((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)), -23.0),
        (((-26, 20), (-20, 20.1), (-26, 20)), -23.0),
    ],
)
def test_integrated_loudness_of_the_cases_of_tech_3341(parts: Sequence[tuple[float, float]], expected: float) -> None:
    assert measured(tones(*parts)).integrated == pytest.approx(expected, abs=0.1)


def test_momentary_and_short_term_are_of_the_last_moments() -> None:
    now = measured(tones((-40, 10), (-30, 2.6), (-20, 0.4)))
    assert now.momentary == pytest.approx(-20, abs=0.1)
    assert now.short_term == pytest.approx(10 * np.log10((0.4 * 10**-2 + 2.6 * 10**-3) / 3), abs=0.2)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (((-20, 20), (-30, 20)), 10),
        (((-20, 20), (-15, 20)), 5),
        (((-40, 20), (-20, 20)), 20),
        (((-50, 20), (-35, 20), (-20, 20), (-35, 20), (-50, 20)), 15),
    ],
)
def test_the_range_of_the_cases_of_tech_3342(parts: Sequence[tuple[float, float]], expected: float) -> None:
    assert measured(tones(*parts)).range == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    ("frequency", "phase", "level", "expected"),
    [
        (RATE / 4, 0, -6.0206, -6.0),
        (RATE / 4, 45, -6.0206, -6.0),
        (RATE / 6, 60, -6.0206, -6.0),
        (RATE / 8, 67.5, -6.0206, -6.0),
        (RATE / 4, 45, 3.0, 3.0),
    ],
)
def test_true_peaks_of_the_cases_of_tech_3341(frequency: float, phase: float, level: float, expected: float) -> None:
    # Faded in and out: a wave that is cut off rings beyond its own peaks.
    fade = np.clip(np.minimum(np.arange(RATE), np.arange(RATE)[::-1]) / 4800, 0, 1).astype(np.float32)
    peak = measured(tone(level, 1, frequency=frequency, phase=phase) * fade).true_peak
    assert peak is not None and expected - 0.4 <= peak <= expected + 0.2


def speechlike(seed: int) -> Samples:
    """Noise that comes in syllables and phrases, coloured, unlike left and right."""
    random = np.random.default_rng(seed)
    length = 20 * RATE
    syllables = np.repeat(random.random(length // 9600 + 1) ** 2, 9600)[:length]
    phrases = np.repeat(random.random(length // 96_000 + 1) > 0.3, 96_000)[:length]
    white = random.standard_normal((2, length + 3))
    coloured = white[:, 3:] + white[:, 2:-1] + white[:, 1:-2]
    return (coloured * syllables * phrases * 0.08).astype(np.float32)


def told_by_ffmpeg(sound: Samples) -> dict[str, float]:
    """What ffmpeg's own meter says."""
    command = ["ffmpeg", "-hide_banner", "-f", "f32le", "-ar", str(RATE), "-ac", str(len(sound)), "-i", "-"]
    command += ["-af", "ebur128=peak=true", "-f", "null", "-"]
    done = subprocess.run(command, input=np.ascontiguousarray(sound.T).tobytes(), capture_output=True, check=True)
    summary = done.stderr.decode().rpartition("Summary:")[2]
    found = {name: re.search(rf"{name}:\s+(-?[\d.]+)", summary) for name in ("I", "LRA", "Peak")}
    return {name: float(match[1]) for name, match in found.items() if match}


@pytest.mark.parametrize("channels", [1, 2])
def test_agrees_with_ffmpeg_about_other_sound(channels: int) -> None:
    sound = speechlike(channels)[:channels]
    own, other = measured(sound, block=1601), told_by_ffmpeg(sound)
    assert own.integrated == pytest.approx(other["I"], abs=0.1)
    assert own.range == pytest.approx(other["LRA"], abs=0.2)
    assert own.true_peak == pytest.approx(other["Peak"], abs=0.2)


def test_silence_is_no_sound_and_not_very_quiet_sound() -> None:
    assert measured(np.zeros((2, RATE), np.float32)) == Loudness(range=0.0)
    assert measured(np.zeros((2, 0), np.float32)) == Loudness()


def test_samples_at_full_scale_are_counted() -> None:
    sound = tone(-20, 1)
    sound[0, 100:103] = 1.0
    sound[1, 40_000] = -1.2
    assert measured(sound).clipped == 4


def test_a_peak_where_blocks_meet_is_seen() -> None:
    sound = np.zeros((2, RATE), np.float32)
    sound[0, 4799:4801] = 0.7
    whole, torn = measured(sound, RATE), measured(sound, 4800)
    assert whole.true_peak == torn.true_peak and whole.true_peak is not None and whole.true_peak > -2.5


def test_sound_nobody_had_time_to_measure_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKLOG", 0)
    meter = LoudnessMeter(RATE, 2)
    meter.offer(tone(-20, 0.01))
    meter.offer(tone(-20, 1))
    assert meter.close().left_out in (0, RATE)


def test_can_be_written_into_a_document() -> None:
    assert json.loads(json.dumps(asdict(measured(tone(-23, 1)))))["integrated"] == pytest.approx(-23, abs=0.1)
