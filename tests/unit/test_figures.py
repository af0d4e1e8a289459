"""Figures of a worker become what people watch, over any number of workers."""

from __future__ import annotations

import math
from typing import Any

import pytest

from egress.control.figures import Figures


def alive(second: int, **more: Any) -> dict[str, Any]:
    """What a worker says of itself in a second of its life."""
    counted = {"elapsed": float(second), "ticks": 30 * second, "bytes": 125_000 * second, "cpu": second / 2}
    return {"type": "alive", "seq": 1, "network": {}, **counted, "sinks": [{"sink": "mp4", "seconds": second}], **more}


def test_rates_are_those_of_the_last_seconds_and_counters_are_passed_on() -> None:
    figures = Figures()
    for second in range(20):
        figures.note(alive(second), float(second))
    assert figures.shown["fps"] == 30
    assert figures.shown["bitrate"] == 1_000_000
    assert figures.shown["load"] == pytest.approx(0.5)
    assert (figures.shown["ticks"], "network" in figures.shown) == (570, False)
    assert figures.load == pytest.approx(0.5)
    assert (figures.elapsed, figures.length) == (19, 19 * 10**9)


def test_another_worker_counts_anew() -> None:
    figures = Figures()
    for second in range(10):
        figures.note(alive(second), float(second))
    for second in range(3):
        figures.note(alive(second, elapsed=12.0 + second), 12.0 + second)
    assert (figures.shown["fps"], figures.elapsed) == (30, 14)
    assert figures.load == pytest.approx(0.5)


def test_figures_are_taken_once() -> None:
    figures = Figures()
    assert figures.take() is None
    figures.note(alive(1), 1.0)
    taken = figures.take()
    assert taken is not None and taken[0] == 10**9
    assert figures.take() is None


def test_standstill_is_counted_from_the_last_change_of_a_sink() -> None:
    figures = Figures()
    assert figures.still(50.0) == math.inf
    figures.note(alive(1), 1.0)
    figures.note(alive(1, elapsed=9.0), 9.0)
    assert figures.still(11.0) == 10
    figures.note(alive(2), 12.0)
    assert figures.still(12.5) == 0.5
