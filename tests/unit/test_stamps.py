"""Times in ms come from the exact count, and none is below zero."""

from __future__ import annotations

from fractions import Fraction

import pytest

from egress.model.errors import RequestError
from egress.model.media import Codec, Packet, StreamInfo
from egress.sinks.stamps import AHEAD_MS, Stamper

VIDEO = StreamInfo("v", "video", Codec.H264, Fraction(1001, 30000), b"", 1)
AUDIO = StreamInfo("a", "audio", Codec.AAC, Fraction(1, 48000), b"", 1, rate=48000, initial_padding=1024)


def test_nothing_adds_up_over_a_day() -> None:
    stamper = Stamper((VIDEO, AUDIO))
    pictures = 24 * 3600 * 30
    assert stamper.stamp(Packet("v", b"", pictures, pictures, 1, True)).at == round(pictures * 1001 / 30)
    sample = 1024 * 4_050_000
    assert stamper.stamp(Packet("a", b"", sample, sample, 1024, True)).at == round(sample / 48)


def test_composition_is_the_distance_of_the_rounded_times() -> None:
    unit = Stamper((VIDEO,)).stamp(Packet("v", b"", 3, 1, 1, False))
    assert (unit.at, unit.composition) == (33, 67)


def test_one_shift_lifts_priming_and_early_pictures_above_zero() -> None:
    stamper = Stamper((VIDEO, AUDIO))
    first = stamper.stamp(Packet("a", b"", -1024, -1024, 1024, True)).at
    assert first == -21
    assert stamper.shift(0) + first >= 0
    assert stamper.shift(-67) - 67 == 22
    assert Stamper((VIDEO,)).shift(0) == 0


def test_a_stream_that_starts_in_the_middle_starts_near_zero_with_room_for_sound_before_its_keyframe() -> None:
    shift = Stamper((VIDEO, AUDIO)).shift(600_000)
    assert 600_000 + shift == AHEAD_MS


def test_an_unknown_stream_is_an_error() -> None:
    with pytest.raises(RequestError, match="'x'"):
        Stamper((VIDEO,)).stamp(Packet("x", b"", 0, 0, 1, True))
