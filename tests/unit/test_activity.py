"""What counts as speech, judged by synthetic noise, hum, keys, and bursts that rise and fall like syllables."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from egress.media.activity import VoiceActivity

RATE = 48_000
Sound = npt.NDArray[np.float32]
CHANCE = np.random.default_rng(3)


def noise(seconds: float, level_db: float) -> Sound:
    return (10 ** (level_db / 20) * CHANCE.standard_normal(round(seconds * RATE))).astype(np.float32)


def hum(seconds: float, level_db: float, hertz: float = 50) -> Sound:
    at = np.arange(round(seconds * RATE)) / RATE
    wave = np.sin(2 * np.pi * hertz * at) + 0.5 * np.sin(4 * np.pi * hertz * at + 1)
    return (10 ** (level_db / 20) * wave).astype(np.float32)


def rumble(seconds: float, level_db: float) -> Sound:
    slow = np.convolve(noise(seconds, 0), np.ones(960) / 960, "same")
    return (10 ** (level_db / 20) * slow / slow.std()).astype(np.float32)


def speech(seconds: float, level_db: float) -> Sound:
    """A buzz of 140 Hz with overtones, four syllables a second."""
    at = np.arange(round(seconds * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * 140 * n * at) / n for n in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 4 * at) + 0.5, 0.02, 1)
    return (10 ** (level_db / 20) * voice * syllables).astype(np.float32)


def keys(seconds: float, level_db: float, each: float = 8) -> Sound:
    """A keyboard: clicks of 15 ms that die away."""
    sound = np.zeros(round(seconds * RATE), np.float32)
    for start in range(0, sound.size - 2000, round(RATE / each)):
        sound[start : start + 720] = noise(0.015, level_db) * np.linspace(1, 0, 720) ** 2
    return sound


def share(sound: Sound, block: int = 1600, skip: float = 0.0) -> float:
    """The part of the time in which somebody is said to speak."""
    activity, said = VoiceActivity(), []
    for start in range(0, sound.size - block + 1, block):
        activity.hear(np.stack([sound[start : start + block]] * 2), block)
        said.append(activity.speaking)
    return float(np.mean(said[round(skip * RATE / block) :]))


@pytest.mark.parametrize("block", [960, 1600, 1601, 1920, 800])
@pytest.mark.parametrize("level", [-12, -24, -36])
def test_syllables_are_speech(level: float, block: int) -> None:
    assert share(speech(3, level), block, skip=0.3) > 0.9


@pytest.mark.parametrize("loud", [-20, -30, -45])
def test_speech_is_heard_over_noise(loud: float) -> None:
    assert share(speech(4, loud + 20) + noise(4, loud), skip=2) > 0.9


@pytest.mark.parametrize(
    "sound",
    [
        noise(4, -20),
        noise(4, -45),
        noise(4, -70),
        hum(4, -20),
        hum(4, -20, 60),
        hum(4, -15, 1000),
        hum(4, -25) + noise(4, -35),
        rumble(4, -20),
        keys(4, -10),
        keys(4, -6, 4),
        keys(4, -20) + noise(4, -50),
    ],
    ids=lambda sound: f"{20 * np.log10(sound.std()):.0f} dB",
)
def test_noise_hum_and_keys_are_not_speech(sound: Sound) -> None:
    assert share(sound, skip=0.7) == 0
    assert share(sound) < 0.6 / 4


def test_a_noise_that_begins_is_over_before_it_could_take_the_floor() -> None:
    said, activity = [], VoiceActivity()
    for block in np.split(np.concatenate((np.zeros(2 * RATE, np.float32), hum(2, -15, 400))), 120):
        activity.hear(np.stack([block] * 2), block.size)
        said.append(activity.speaking)
    assert not any(said[:60]) and sum(said) / 30 < 0.55 and not any(said[-20:])


def test_silence_ends_speech_soon_but_not_between_syllables() -> None:
    activity = VoiceActivity()
    for block in np.split(speech(2, -20), 60):
        activity.hear(np.stack([block] * 2), block.size)
    assert activity.speaking
    lasted = 0
    while activity.speaking:
        activity.hear(None, 1600)
        lasted += 1
    assert 2 <= lasted <= 12


@pytest.mark.parametrize("block", [1600, 100])
def test_one_channel_is_judged_as_two_alike(block: int) -> None:
    one, two = VoiceActivity(), VoiceActivity()
    sound = np.concatenate((noise(1, -40), speech(1, -46.5), noise(0.5, -40), speech(1, -20), noise(30, -60)))
    for start in range(0, sound.size - block, block):
        piece = sound[None, start : start + block]
        one.hear(piece, block)
        two.hear(np.repeat(piece, 2, axis=0), block)
        assert one.speaking == two.speaking


def test_speech_is_known_again_after_hours_of_silence() -> None:
    activity, blocks = VoiceActivity(), np.split(speech(2, -20), 60)
    for _ in range(2):
        for block in blocks:
            activity.hear(block[None], block.size)
        assert activity.speaking
        for _ in range(2 * 3600):
            activity.hear(None, 1600)
        assert not activity.speaking


def test_a_whisper_before_and_after_loud_speech_changes_nothing_about_it() -> None:
    whisper, loud = speech(1.5, -62), speech(1.5, -20)
    sound = np.concatenate((whisper, loud, whisper, loud))
    activity, said = VoiceActivity(), []
    for start in range(0, sound.size, 1600):
        activity.hear(sound[None, start : start + 1600], 1600)
        said.append(activity.speaking)
    thirds = np.array(said).reshape(4, -1)
    assert not thirds[0].any() and thirds[1][15:].all() and not thirds[2][25:].any() and thirds[3][15:].all()
