from fractions import Fraction

import pytest

from egress.model.media import Size
from egress.model.units import bitrate, bitrate_text, duration, duration_text, frame_rate, size


@pytest.mark.parametrize(
    ("text", "nanos"), [("500ms", 500_000_000), ("2s", 2 * 10**9), ("1.5s", 15 * 10**8), ("5m", 300 * 10**9)]
)
def test_durations_are_exact_nanoseconds(text, nanos):
    assert duration(text) == nanos
    assert duration(duration_text(nanos)) == nanos


@pytest.mark.parametrize(
    ("text", "bits"), [("3M", 3_000_000), ("128k", 128_000), (96_000, 96_000), ("2.5M", 2_500_000)]
)
def test_bitrates_are_bits_per_second(text, bits):
    assert bitrate(text) == bits
    assert bitrate(bitrate_text(bits)) == bits


def test_sizes_and_frame_rates():
    assert size("1280x720") == Size(1280, 720)
    assert frame_rate("30000/1001") == Fraction(30000, 1001)
    assert frame_rate(25) == 25


@pytest.mark.parametrize(
    ("reader", "bad", "hint"),
    [
        (duration, "2", "500ms"),
        (duration, "-2s", "500ms"),
        (duration, True, "500ms"),
        (bitrate, "fast", "128k"),
        (bitrate, True, "128k"),
        (size, "720p", "1280x720"),
        (frame_rate, "30/0", "30000/1001"),
        (frame_rate, 29.97, "30000/1001"),
    ],
)
def test_a_wrong_unit_says_how_to_write_it(reader, bad, hint):
    with pytest.raises(ValueError, match=hint):
        reader(bad)
