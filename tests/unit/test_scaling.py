from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt
import pytest

from egress.media.scaling import LARGEST, Scaler, fitted, rotated
from egress.model.media import Size
from tests.unit.feeding import picture

TILE = Size(426, 240)


def planes(frame: av.VideoFrame) -> list[npt.NDArray[np.uint8]]:
    return [np.frombuffer(memoryview(p), np.uint8).reshape(p.height, p.line_size)[:, : p.width] for p in frame.planes]


def tagged(frame: av.VideoFrame, matrix: int, range_: int) -> av.VideoFrame:
    frame.colorspace = matrix
    frame.color_range = range_
    return frame


def yuv(red: int, green: int, blue: int, kr: float, kb: float) -> tuple[int, int, int]:
    light = kr * red + (1 - kr - kb) * green + kb * blue
    return (
        round(16 + 219 * light / 255),
        round(128 + 224 * (blue - light) / (2 * (1 - kb)) / 255),
        round(128 + 224 * (red - light) / (2 * (1 - kr)) / 255),
    )


@pytest.mark.parametrize(
    ("source", "fit", "expected"),
    [
        (Size(640, 360), "cover", Size(426, 240)),
        (Size(640, 480), "cover", Size(426, 320)),
        (Size(640, 480), "contain", Size(320, 240)),
        (Size(360, 640), "contain", Size(136, 240)),
        (Size(360, 640), "cover", Size(426, 758)),
        (Size(427, 241), "cover", Size(426, 240)),
        (Size(427, 241), "contain", Size(426, 240)),
        (Size(1, 1), "contain", Size(240, 240)),
        (Size(16, 4000), "cover", Size(426, LARGEST)),
        (Size(4000, 16), "contain", Size(426, 2)),
    ],
)
def test_sizes_fit_the_tile_at_their_own_aspect(source: Size, fit: str, expected: Size) -> None:
    assert fitted(source, TILE, fit) == expected  # type: ignore[arg-type]


def test_every_fitted_size_is_even_and_covers_or_is_contained() -> None:
    for width in range(1, 900, 37):
        for height in range(1, 900, 41):
            cover, contain = fitted(Size(width, height), TILE, "cover"), fitted(Size(width, height), TILE, "contain")
            assert cover.width >= TILE.width and cover.height >= TILE.height
            assert contain.width <= TILE.width and contain.height <= TILE.height
            assert not any(side % 2 for side in (cover.width, cover.height, contain.width, contain.height))


@pytest.mark.parametrize("colour", [(238, 51, 51), (20, 200, 90), (30, 40, 230), (128, 128, 128), (250, 250, 10)])
@pytest.mark.parametrize("tags", [(5, 1), (6, 1), (2, 0)])
def test_webrtc_colours_become_bt709(colour: tuple[int, int, int], tags: tuple[int, int]) -> None:
    source = tagged(picture(Size(640, 360), *yuv(*colour, 0.299, 0.114)), *tags)
    frame, _ = Scaler().scale(source, TILE, "cover", 0)
    wanted = yuv(*colour, 0.2126, 0.0722)
    assert all(abs(int(plane[100, 100]) - want) <= 1 for plane, want in zip(planes(frame), wanted, strict=True))
    assert (int(frame.colorspace), int(frame.color_range)) == (1, 1)


def test_bt709_passes_untouched_and_the_same_size_costs_no_copy() -> None:
    source = tagged(picture(TILE, 94, 109, 210), 1, 1)
    frame, _ = Scaler().scale(source, TILE, "cover", 0)
    assert frame is source


def test_full_range_becomes_limited() -> None:
    for form in ("yuv420p", "yuvj420p"):
        source = av.VideoFrame(640, 360, form)
        for plane, value in zip(source.planes, (255, 128, 128), strict=True):
            np.frombuffer(plane, np.uint8)[:] = value
        frame, _ = Scaler().scale(tagged(source, 1, 2), TILE, "cover", 0)
        assert [int(plane[10, 10]) for plane in planes(frame)] == [235, 128, 128]


def test_a_wrongly_tagged_stream_can_be_overridden() -> None:
    source = tagged(picture(Size(640, 360), *yuv(238, 51, 51, 0.299, 0.114)), 1, 1)
    frame, _ = Scaler("bt601").scale(source, TILE, "cover", 0)
    wanted = yuv(238, 51, 51, 0.2126, 0.0722)
    assert all(abs(int(plane[10, 10]) - want) <= 1 for plane, want in zip(planes(frame), wanted, strict=True))


def test_an_odd_picture_has_no_smear_at_its_edges() -> None:
    source = av.VideoFrame(427, 241, "yuv420p")
    for plane in source.planes:
        np.frombuffer(plane, np.uint8)[:] = 255
    for pixels, value in zip(planes(source), (120, 90, 160), strict=True):
        pixels[...] = value
    frame, sent = Scaler().scale(tagged(source, 1, 1), Size(320, 180), "cover", 0)
    assert sent == Size(427, 241)
    for pixels, value in zip(planes(frame), (120, 90, 160), strict=True):
        assert int(pixels.min()) >= value - 1 and int(pixels.max()) <= value + 1


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_clockwise(degrees: int) -> None:
    source = picture(Size(8, 4), 50)
    planes(source)[0][0, 0] = 200
    corner = {90: (0, -1), 180: (-1, -1), 270: (-1, 0)}[degrees]
    turned = rotated(source, degrees)
    assert (turned.width, turned.height) == ((8, 4) if degrees == 180 else (4, 8))
    assert int(planes(turned)[0][corner]) == 200


def test_a_rotated_picture_fits_its_tile_upright() -> None:
    frame, sent = Scaler().scale(picture(Size(640, 360), 80), Size(180, 320), "cover", 90)
    assert (frame.width, frame.height) == (180, 320)
    assert sent == Size(360, 640)


def test_sizes_may_change_at_every_picture() -> None:
    scaler = Scaler()
    for width, height in ((640, 360), (2, 2), (1, 1), (427, 241), (1280, 720), (360, 640)):
        for tile in (TILE, Size(320, 180), None):
            frame, _ = scaler.scale(picture(Size(width, height), 90), tile, "contain", 0)
            assert frame.width % 2 == 0 and frame.height % 2 == 0
            assert frame.format.name == "yuv420p"
