"""The comparison can fail, in each way a picture can be wrong; and it does not where nobody would see a difference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw

from egress.layouts.base import Tile
from tests.golden.likeness import likeness, palette
from tests.golden.pictures import PICTURES, drawn


@pytest.fixture(scope="module")
def picture() -> tuple[Image.Image, tuple[Tile, ...]]:
    return drawn(PICTURES["grid"])


def _resampled(image: Image.Image, by: float) -> Image.Image:
    """As if every stroke lay a part of a pixel elsewhere: what another hinting of a font does."""
    return image.transform(image.size, Image.Transform.AFFINE, (1, 0, by, 0, 1, by), Image.Resampling.BICUBIC)


def _noisy(image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(1).integers(-3, 4, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image, np.int16) + noise, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    "change",
    [lambda image: image.copy(), lambda image: _resampled(image, 0.2), _noisy, palette],
    ids=["nothing", "another hinting", "noise", "a palette"],
)
def test_what_nobody_sees_is_alike(picture, change: Callable[[Image.Image], Image.Image]):
    found = likeness(change(picture[0]), picture[0])
    assert found.alike, found


def _moved(image: Image.Image, tile: Tile, by: int) -> Image.Image:
    box = tile.box
    changed = image.copy()
    area = (box.x, box.y, box.x + box.width, box.y + box.height)
    changed.paste(image.getpixel((image.width // 2, 2)), area)
    changed.paste(image.crop(area), (box.x + by, box.y))
    return changed


def _without_label(image: Image.Image, tile: Tile) -> Image.Image:
    box = tile.box
    changed = image.copy()
    above = image.crop((box.x, box.y + box.height - 80, box.x + 80, box.y + box.height - 40))
    changed.paste(above, (box.x, box.y + box.height - 40))
    return changed


def _square(image: Image.Image, tile: Tile) -> Image.Image:
    """One rounded corner filled with the picture beside it."""
    box = tile.box
    changed = image.copy()
    changed.paste(image.getpixel((box.x + 12, box.y + 12)), (box.x, box.y, box.x + 8, box.y + 8))
    return changed


def _other_border(image: Image.Image, tile: Tile) -> Image.Image:
    """The border around who speaks in another green."""
    box = tile.box
    changed = image.copy()
    red, green, blue = image.getpixel((box.x + box.width // 2, box.y))[:3]
    ImageDraw.Draw(changed).line(
        (box.x + 10, box.y, box.x + box.width - 10, box.y), (red, green - 30, min(255, blue + 60)), 2
    )
    return changed


def _other_matrix(image: Image.Image) -> Image.Image:
    """BT.709 read as BT.601."""
    one, other = (
        np.array([[kr, 1 - kr - kb, kb], [-kr / (2 - 2 * kb), (kr + kb - 1) / (2 - 2 * kb), 0.5],
                  [0.5, (kr + kb - 1) / (2 - 2 * kr), -kb / (2 - 2 * kr)]])
        for kr, kb in ((0.2126, 0.0722), (0.299, 0.114))
    )  # fmt: skip
    pixels = np.asarray(image, np.float64) @ (np.linalg.inv(other) @ one).T
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize(
    "change",
    [
        lambda image, tile: _moved(image, tile, 4),
        lambda image, tile: _moved(image, tile, -4),
        _without_label,
    ],
    ids=["moved right", "moved left", "no label"],
)
def test_what_is_wrong_with_a_tile_is_not_alike(picture, change, number):
    image, tiles = picture
    found = likeness(change(image, tiles[number]), image)
    assert not found.alike, found


@pytest.mark.parametrize("number", range(3))
def test_a_missing_corner_is_not_alike(picture, number):
    image, tiles = picture
    found = likeness(_square(image, tiles[number]), image)
    assert not found.alike, found


def test_another_colour_of_a_border_is_not_alike(picture):
    image, tiles = picture
    found = likeness(_other_border(image, tiles[1]), image)
    assert not found.alike, found


def test_another_matrix_is_not_alike(picture):
    found = likeness(_other_matrix(picture[0]), picture[0])
    assert not found.alike, found


def test_pictures_of_different_sizes_are_not_compared(picture):
    with pytest.raises(AssertionError):
        likeness(picture[0], picture[0].resize((320, 180)))
