"""Ticks made without any clock, and what of them is handed to the encoders together."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from egress.media.production import AUDIO_ONLY_TICK, Production
from egress.media.samples import Samples
from egress.media.scene import Scene
from egress.model.errors import EgressError
from egress.model.media import Nanos, Packet
from egress.model.pipeline import Pipeline


class Tone:
    """A tone for ever."""

    speaking = False
    silent = False

    def mute(self, muted: bool) -> None:
        """It cannot be."""

    def pull(self, at: Nanos, samples: int) -> Samples | None:
        begin = round(at * 48_000 / 1e9)
        wave = 0.2 * np.sin(2 * np.pi * 440 / 48_000 * np.arange(begin, begin + samples))
        return np.stack((wave, wave)).astype(np.float32)


def sound(sounds_at_once: int, ticks: int) -> tuple[list[Packet], float | None]:
    """The packets of a programme of sound alone, and how loud it was."""
    document = {"name": "a", "video": None, "sinks": [{"kind": "audio", "to": "a.m4a"}]}
    packets: list[Packet] = []
    errors: list[EgressError] = []
    made = Production(
        Pipeline.model_validate(document),
        datetime.now(UTC),
        packets.append,
        errors.append,
        sounds_at_once=sounds_at_once,
    )
    made.change(Scene(sounds={"tone": Tone()}))
    for _ in range(ticks):
        made.make()
    made.finish()
    assert not errors
    return packets, made.loudness.integrated


def test_sound_handed_over_together_is_the_same_sound() -> None:
    ticks = AUDIO_ONLY_TICK + 3
    assert sound(15, ticks) == sound(1, ticks)


def test_what_waits_to_be_handed_over_is_encoded_at_the_end() -> None:
    packets, _ = sound(1_000, 10)
    last = max(packets, key=lambda packet: packet.pts)
    assert last.pts + last.duration == 10 * 48_000 // AUDIO_ONLY_TICK
