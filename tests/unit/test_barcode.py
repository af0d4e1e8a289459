from __future__ import annotations

import av
import numpy as np
import pytest

from egress.demo import barcode
from egress.demo.people import person
from egress.demo.picture import Artist, planes
from egress.model.media import Size


@pytest.mark.parametrize("counter, who", [(0, 0), (1, 0), (299, 8), (1023, 63), (512, 31)])
def test_code_is_read_as_it_was_drawn(counter: int, who: int) -> None:
    luma = np.full((360, 640), 90, np.uint8)
    barcode.draw(luma, counter, who)
    reading = barcode.read(luma)
    assert reading is not None
    assert (reading.counter, reading.person) == (counter, who)


@pytest.mark.parametrize("size", [(200, 112), (182, 102), (320, 180), (427, 241), (1280, 720)])
def test_code_survives_scaling_to_small_tiles(size: tuple[int, int]) -> None:
    artist = Artist(person(5), Size(640, 360), 30)
    for index in (0, 17, 255):
        small = artist.draw(index).reformat(width=size[0] & ~1, height=size[1] & ~1, interpolation="BILINEAR")
        reading = barcode.read(planes(small)[0])
        assert reading is not None and (reading.counter, reading.person) == (index, 5)


def test_code_is_found_in_a_tile_that_crops_half_of_the_width() -> None:
    picture = planes(Artist(person(3), Size(640, 360), 30).draw(77))[0]
    luma = np.zeros((400, 400), np.uint8)
    luma[20:380, 40:360] = picture[:, 160:480]
    reading = barcode.Window((400, 400), 40 - 160, 20, 640, 360).read(luma)
    assert reading is not None and (reading.counter, reading.person) == (77, 3)


def test_nothing_is_read_where_no_code_is() -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 255, (360, 640), dtype=np.uint8)
    assert barcode.read(np.full((360, 640), 16, np.uint8)) is None
    assert barcode.read(noise) is None
    assert barcode.Window((100, 100), 50, 50, 640, 360).read(noise[:100, :100]) is None


def test_two_codes_blended_are_not_taken_for_one() -> None:
    first, second = np.zeros((360, 640), np.uint8), np.zeros((360, 640), np.uint8)
    barcode.draw(first, 0b0101010101, 1)
    barcode.draw(second, 0b1010101010, 1)
    assert barcode.read(((first.astype(int) + second) // 2).astype(np.uint8)) is None


def test_flash_fills_the_picture_in_the_participants_colour_on_whole_seconds_only() -> None:
    artist = Artist(person(0), Size(320, 180), 30)
    lit = [index for index in range(90) if artist.flashes(index)]
    assert lit == [0, 1, 2, 30, 31, 32, 60, 61, 62]
    red = artist.draw(30).reformat(format="rgb24").to_ndarray()[5:20]
    assert red[..., 0].mean() > 200 and red[..., 1:].mean() < 40


def test_picture_of_an_odd_size_can_be_drawn() -> None:
    frame = Artist(person(1), Size(427, 241), 25).draw(3)
    assert isinstance(frame, av.VideoFrame) and (frame.width, frame.height) == (427, 241)
    reading = barcode.read(planes(frame)[0])
    assert reading is not None and reading.counter == 3
