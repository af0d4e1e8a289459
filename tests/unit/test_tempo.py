"""Percentiles of times: near the truth, whatever the times."""

from __future__ import annotations

import random

import pytest

from egress.media.tempo import Tempo


def test_nothing_noted_is_no_time() -> None:
    assert Tempo().read() == {"p50": 0, "p99": 0, "max": 0}


@pytest.mark.parametrize("scale", [3, 1_000, 5_000_000, 40_000_000_000])
def test_percentiles_are_true_within_a_sixteenth(scale: int) -> None:
    numbers = random.Random(scale)
    times = [round(numbers.expovariate(1) * scale) for _ in range(2000)]
    tempo = Tempo()
    for time in times:
        tempo.note(time)
    for share in (50, 99, 100):
        true = sorted(times)[len(times) * share // 100 - 1]
        assert true <= tempo.percentile(share) <= true * 17 / 16 + 1
    assert tempo.read()["max"] == max(times) // 1000
