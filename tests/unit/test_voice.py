from __future__ import annotations

import numpy as np
import pytest

from egress.media.opus import STEP, OpusDecoder
from egress.media.packetqueue import SoundPacket
from egress.media.samples import Samples
from egress.media.voice import Voice
from tests.unit.feeding import OPUS_FRAME, opus, tone

MALFORMED = bytes.fromhex("7b41ffffffff")
"""Its first byte promises 20 ms, which libopus finds to be untrue only when it decodes."""


def spoken(packets: list[bytes], *, lost: int | None = None, malformed: int | None = None) -> Voice:
    voice = Voice(room=480_000)
    for number, data in enumerate(packets):
        if number == lost:
            continue
        data = MALFORMED if number == malformed else data
        after_loss = lost is not None and number == lost + 1
        voice.put(SoundPacket(number * OPUS_FRAME, OPUS_FRAME, data, gap=after_loss, fresh=number == 0))
    return voice


@pytest.mark.parametrize("lost", [None, 9])
def test_a_malformed_packet_costs_its_own_sound_only(lost: int | None) -> None:
    packets = opus(tone(997, 1))
    voice = spoken(packets, lost=lost, malformed=10)
    voice.fill(40 * OPUS_FRAME, 0)
    assert voice.broken == 1 and voice.recovered == 0
    assert np.std(voice.tape.read(20 * OPUS_FRAME, 20 * OPUS_FRAME)) > 0.2
    assert voice.waiting.late == 0


def test_a_loss_at_the_end_of_which_only_garbage_comes_is_bridged() -> None:
    voice = spoken(opus(tone(997, 0.22)), lost=9, malformed=10)
    voice.fill(20 * OPUS_FRAME, 0)
    assert voice.broken == 1
    assert voice.tape.end is not None and voice.tape.end >= 20 * OPUS_FRAME


def test_concealment_that_fails_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(decoder: OpusDecoder, samples: int) -> Samples:
        raise ValueError("libopus error -3")

    monkeypatch.setattr(OpusDecoder, "conceal", fail)
    packets = opus(tone(997, 0.4))
    voice = spoken(packets[:10])
    voice.fill(10 * OPUS_FRAME + 5 * STEP, 0)
    assert voice.broken == 1
    assert not voice.tape.read(10 * OPUS_FRAME, 5 * STEP).any()
    voice.put(SoundPacket(10 * OPUS_FRAME, OPUS_FRAME, packets[10], gap=False, fresh=False))
    voice.fill(11 * OPUS_FRAME, 10 * OPUS_FRAME)
    assert voice.tape.end == 11 * OPUS_FRAME
