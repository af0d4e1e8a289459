"""The rate of a count over the last seconds."""

from __future__ import annotations

from egress.sinks.meter import Meter


def test_the_rate_is_that_of_the_last_five_seconds() -> None:
    meter = Meter()
    assert meter.rate(0, 0) == 0
    for n in range(100):
        meter.note(n / 10, n * 1000)
    assert round(meter.rate(9.9, 99_000)) == 10_000
    for n in range(100, 160):
        meter.note(n / 10, 99_000)
    assert meter.rate(15.9, 99_000) == 0


def test_a_moment_is_too_short_for_a_rate() -> None:
    meter = Meter()
    meter.note(0, 0)
    assert meter.rate(0.1, 1_000_000) == 0
