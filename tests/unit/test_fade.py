"""The cross-fade: from what was seen to what is there now, by session time."""

from __future__ import annotations

import numpy as np
import pytest

from egress.media.canvas import Canvas
from egress.media.fade import Fade
from egress.media.planes import planes
from egress.model.media import MILLISECOND, Size

SIZE = Size(430, 250)


def noisy(seed: int) -> Canvas:
    canvas, random = Canvas(SIZE), np.random.default_rng(seed)
    for plane in planes(canvas.frame):
        plane[...] = random.integers(0, 256, plane.shape)
    return canvas


@pytest.mark.parametrize("passed", [0, 1, 25, 50, 75, 99, 100])
def test_every_pixel_is_as_far_on_its_way_as_the_time_is(passed: int) -> None:
    old, new = noisy(0), noisy(1)
    mixed = Fade(old, 1000 * MILLISECOND, 100 * MILLISECOND).mix(new, (1000 + passed) * MILLISECOND)
    share = max(1, 128 * passed // 100) / 128
    for before, after, seen in zip(planes(old.frame), planes(new.frame), planes(mixed.frame), strict=True):
        expected = before * (1 - share) + after * share
        assert np.abs(seen - expected).max() <= 0.5


def test_what_is_equal_stays_exactly_so() -> None:
    same = noisy(0)
    fade = Fade(same, 0, 100)
    for at in (0, 13, 50, 99, 500):
        mixed = fade.mix(same, at)
        for a, b in zip(planes(same.frame), planes(mixed.frame), strict=True):
            assert np.array_equal(a, b)


def test_it_keeps_what_was_seen_although_the_canvas_goes_on() -> None:
    canvas = noisy(0)
    fade = Fade(canvas, 0, 128)
    canvas.region(canvas.box).fill((255, 255, 255))
    first = planes(fade.mix(canvas, 1).frame)[0].copy()
    canvas.region(canvas.box).fill((0, 0, 0))
    second = planes(fade.mix(canvas, 1).frame)[0]
    assert np.abs(first.astype(int) - second - 255 / 128).max() <= 1
    assert np.std(second) > 50


def test_it_says_when_it_is_over_and_is_marked_as_any_picture_of_the_programme() -> None:
    fade = Fade(noisy(0), 10, 100)
    assert not fade.over(109) and fade.over(110) and fade.over(10**12)
    frame = fade.canvas.frame
    assert (frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc) == (1, 1, 1, 1)
