"""Patches: whichever form is cheapest, the same pixels, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from egress.layouts.base import Box
from egress.media.canvas import Canvas
from egress.media.overlay import Overlay, crop
from egress.media.patch import patches
from egress.media.planes import planes
from egress.model.media import Size

SIZE = Size(640, 400)


def noisy(seed: int = 0) -> Canvas:
    canvas, random = Canvas(SIZE), np.random.default_rng(seed)
    for plane in planes(canvas.frame):
        plane[...] = random.integers(0, 256, plane.shape)
    return canvas


def overlay(width: int, height: int, share: float, alpha: int) -> Overlay:
    """Random colours at a share of the pixels, the others transparent."""
    random = np.random.default_rng(1)
    rgba = random.integers(0, 256, (height, width, 4)).astype(np.uint8)
    rgba[..., 3] = np.where(random.random((height, width)) < share, alpha, 0)
    return Overlay.of(rgba)


@pytest.mark.parametrize(
    ("share", "alpha", "form"), [(1, 255, "_Opaque"), (1, 90, "_Dense"), (0.7, 255, "_Dense"), (0.01, 200, "_Sparse")]
)
@pytest.mark.parametrize("within", [Box(0, 0, 640, 400), Box(100, 60, 200, 90), Box(0, 0, 152, 136)], ids=str)
def test_every_form_blends_as_the_overlay_itself_would(share: float, alpha: int, form: str, within: Box) -> None:
    art, at = overlay(600, 300, share, alpha), Box(20, 30, 600, 300)
    canvas, whole, before = noisy(), noisy(), noisy()
    art.blend(crop(planes(whole.frame), at.x, at.y, at.width, at.height))
    parts = patches(canvas, art, at, within)
    assert [type(part).__name__ for part in parts] == [form]
    parts[0].lay()
    for got, blended, untouched in zip(planes(canvas.frame), planes(whole.frame), planes(before.frame), strict=True):
        expected, scale = untouched.copy(), SIZE.width // got.shape[1]
        rows = slice(within.y // scale, (within.y + within.height) // scale)
        columns = slice(within.x // scale, (within.x + within.width) // scale)
        expected[rows, columns] = blended[rows, columns]
        assert np.array_equal(got, expected)


def test_what_is_transparent_or_elsewhere_needs_no_patch() -> None:
    canvas = noisy()
    assert patches(canvas, overlay(20, 20, 0, 0), Box(0, 0, 20, 20), canvas.box) == []
    assert patches(canvas, overlay(20, 20, 1, 255), Box(0, 0, 20, 20), Box(20, 0, 40, 40)) == []


def test_what_lies_far_apart_is_blended_in_pieces_each_pixel_once() -> None:
    random = np.random.default_rng(3)
    rgba = random.integers(0, 256, (400, 640, 4)).astype(np.uint8)
    words = np.zeros((400, 640), bool)
    for x, y in ((10, 10), (300, 11), (10, 200), (401, 203), (560, 371)):
        words[y : y + 21, x : x + 75] = True
    rgba[..., 3] = np.where(words, 130, 0)
    art, canvas, whole = Overlay.of(rgba), noisy(), noisy()
    art.blend(planes(whole.frame))
    parts = patches(canvas, art, canvas.box, canvas.box)
    assert len(parts) > 2
    for part in parts:
        part.lay()
    assert all(np.array_equal(a, b) for a, b in zip(planes(canvas.frame), planes(whole.frame), strict=True))


@pytest.mark.parametrize("size", [Size(2, 2), Size(426, 238), Size(62, 34), Size(1280, 720)], ids=str)
def test_a_canvas_is_the_same_seen_as_planes_as_regions_and_as_places(size: Size) -> None:
    canvas = Canvas(size)
    random = np.random.default_rng(2)
    for plane in planes(canvas.frame):
        plane[...] = random.integers(0, 256, plane.shape)
    y, u, v = planes(canvas.frame)
    luma, chroma = canvas.region(canvas.box)
    assert np.array_equal(luma, y) and np.array_equal(chroma, np.stack([u, v]))
    rows, columns = np.mgrid[: size.height, : size.width].reshape(2, -1)
    half = np.mgrid[: size.height // 2, : size.width // 2].reshape(2, -1)
    seen = canvas.flat[canvas.places((rows, columns), (half[0], half[1]))]
    assert np.array_equal(seen, np.concatenate([y.ravel(), u.ravel(), v.ravel()]))
    assert [len(line) >= plane.size for line, plane in zip(canvas.lines, (y, u, v), strict=True)] == [True] * 3
