"""Boxes: what is left after others were cut out covers every pixel once."""

from __future__ import annotations

import numpy as np
import pytest

from egress.layouts.base import Box
from egress.media.boxes import meet, without


def test_boxes_that_only_touch_do_not_meet() -> None:
    assert meet(Box(0, 0, 10, 10), Box(10, 0, 10, 10)) is None
    assert meet(Box(0, 0, 10, 10), Box(8, 6, 10, 10)) == Box(8, 6, 2, 4)


@pytest.mark.parametrize("seed", range(20))
def test_what_holes_leave_is_covered_once_and_nothing_else(seed: int) -> None:
    random = np.random.default_rng(seed)

    def some() -> Box:
        x, y, width, height = (2 * int(n) for n in random.integers(0, 20, 4))
        return Box(x, y, width + 2, height + 2)

    box, holes = some(), [some() for _ in range(6)]
    count = np.zeros((90, 90), int)
    expected = np.zeros((90, 90), int)
    expected[box.y : box.y + box.height, box.x : box.x + box.width] = 1
    for hole in holes:
        expected[hole.y : hole.y + hole.height, hole.x : hole.x + hole.width] = 0
    for part in without(box, holes):
        assert not (part.x | part.y | part.width | part.height) & 1
        count[part.y : part.y + part.height, part.x : part.x + part.width] += 1
    assert np.array_equal(count, expected)
