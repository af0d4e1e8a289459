from __future__ import annotations

import os

import numpy as np
import pytest

from egress.media.opus import LOOKAHEAD, OpusDecoder, duration
from tests.unit.feeding import OPUS_FRAME, opus, tone


def test_a_tone_comes_out_at_its_level_lookahead_late() -> None:
    sound = tone(997, 1)
    decoder = OpusDecoder()
    heard = np.concatenate([decoder.decode(packet).copy() for packet in opus(sound)], axis=1)
    assert heard.shape == (1, 48_000)
    assert heard.dtype == np.float32
    error = heard[:, 4800 + LOOKAHEAD :] - sound[:, 4800:-LOOKAHEAD]
    assert 20 * np.log10(np.std(error) / np.std(sound)) < -35


def test_stereo_stays_stereo() -> None:
    left = np.concatenate([tone(500, 0.4), tone(500, 0.4) * 0], axis=0)
    decoder = OpusDecoder()
    heard = np.concatenate([decoder.decode(packet).copy() for packet in opus(left)], axis=1)[:, 9600:]
    assert np.std(heard[0]) > 0.2 and np.std(heard[1]) < 0.01


def test_the_first_packet_with_two_channels_goes_on_without_a_seam() -> None:
    one = tone(440, 0.8)
    mono, stereo = opus(one), opus(np.concatenate([one, one], axis=0))
    decoder, reference = OpusDecoder(), OpusDecoder()
    wanted = [reference.decode(packet).copy() for packet in stereo]
    for packet in mono[:20]:
        decoder.decode(packet)
    assert decoder.channels == 1
    for number in (20, 21, 22):
        heard = decoder.decode(stereo[number])
        assert heard.shape == (2, OPUS_FRAME)
        assert np.abs(heard - wanted[number]).max() < 0.02
    assert decoder.decode(mono[23]).shape == (2, OPUS_FRAME)


def test_one_channel_sounds_as_both_of_two_would() -> None:
    packets = opus(tone(440, 0.8), application="voip", b="24000")
    narrow, wide = OpusDecoder(), OpusDecoder()
    wide.decode(opus(np.concatenate([tone(300, 0.1), tone(500, 0.1)], axis=0))[0])
    wide.reset()
    for number, packet in enumerate(packets):
        both = wide.conceal(OPUS_FRAME) if number == 13 else wide.decode(packet)
        one = narrow.conceal(OPUS_FRAME) if number == 13 else narrow.decode(packet)
        assert both.shape == (2, OPUS_FRAME)
        assert np.allclose(both, one, atol=1e-3)


def test_concealment_goes_on_like_what_was_heard() -> None:
    decoder = OpusDecoder()
    for packet in opus(tone(440, 0.4)):
        decoder.decode(packet)
    concealed = decoder.conceal(960)
    assert concealed.shape == (1, 960)
    assert np.std(concealed) > 0.1


def test_fec_brings_back_a_lost_packet() -> None:
    packets = opus(tone(300, 1), application="voip", fec="1", packet_loss="30", b="24000")
    decoder = OpusDecoder()
    for packet in packets[:30]:
        decoder.decode(packet)
    assert decoder.recover(packets[31], OPUS_FRAME).shape == (1, OPUS_FRAME)


def test_durations_are_read_from_the_packet() -> None:
    assert duration(opus(tone(300, 0.1))[0]) == 960
    assert duration(b"") == 0
    assert duration(b"\xff\xff\xff") == 0


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", os.urandom(300), b"\x03"])
def test_garbage_raises_or_decodes_but_never_kills(garbage: bytes) -> None:
    decoder = OpusDecoder()
    try:
        decoder.decode(garbage)
    except ValueError as error:
        assert "libopus error" in str(error)
    assert decoder.decode(opus(tone(300, 0.1))[0]).shape[1] == 960


def test_a_reset_decoder_remembers_nothing() -> None:
    decoder = OpusDecoder()
    for packet in opus(tone(440, 0.2)):
        decoder.decode(packet)
    decoder.reset()
    assert not decoder.conceal(960).any()
