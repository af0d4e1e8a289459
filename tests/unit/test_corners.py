"""The edge of a tile: smooth round corners over anything, borders that follow them, not a pixel touched beside them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from egress.layouts.base import Box
from egress.media.canvas import Canvas
from egress.media.corners import Edge
from egress.media.planes import Plane, planes
from egress.model.media import Size

SIZE = Size(200, 120)
BOX = Box(20, 10, 96, 64)
INK = (200, 60, 190)
BENEATH, PICTURE = (40, 100, 150), (180, 140, 90)


def edged(box: Box, radius: int, border: int) -> tuple[Plane, ...]:
    canvas = Canvas(SIZE)
    canvas.region(canvas.box).fill(BENEATH)
    edge = Edge(canvas, box, radius, border, INK)
    edge.sample()
    for _ in range(3):
        canvas.region(box).fill(PICTURE)
        edge.lay()
    return planes(canvas.frame)


def inside(views: tuple[Plane, ...], box: Box) -> list[npt.NDArray[np.uint8]]:
    return [
        view[box.y // s : (box.y + box.height) // s, box.x // s : (box.x + box.width) // s]
        for view, s in zip(views, (1, 2, 2), strict=True)
    ]


@pytest.mark.parametrize("radius", [1, 2, 3, 7, 8, 24, 32, 200])
@pytest.mark.parametrize("box", [BOX, Box(0, 0, 200, 120), Box(2, 4, 6, 6), Box(0, 0, 2, 2), Box(4, 4, 30, 2)], ids=str)
def test_corners_mix_only_what_is_beneath_with_the_picture_and_leave_all_else_alone(box: Box, radius: int) -> None:
    views = edged(box, radius, 0)
    for view, tile, beneath, picture in zip(views, inside(views, box), BENEATH, PICTURE, strict=True):
        assert tile.min() >= min(beneath, picture) and tile.max() <= max(beneath, picture)
        assert (tile == tile[::-1]).all() and (tile == tile[:, ::-1]).all()
        outside = view.copy()
        scale = 1 if view is views[0] else 2
        y, x = box.y // scale, box.x // scale
        outside[y : y + tile.shape[0], x : x + tile.shape[1]] = beneath
        assert (outside == beneath).all()


@pytest.mark.parametrize("radius", [8, 9, 24, 30])
def test_a_corner_is_round_to_a_fraction_of_a_pixel(radius: int) -> None:
    luma = inside(edged(BOX, radius, 0), BOX)[0].astype(float)
    covered = ((luma - BENEATH[0]) / (PICTURE[0] - BENEATH[0])).sum()
    expected = BOX.width * BOX.height - (4 - np.pi) * radius**2
    assert covered == pytest.approx(expected, abs=0.15 * radius)
    diagonal = luma[range(radius), range(radius)]
    assert (np.diff(diagonal) >= 0).all()
    assert luma[0, 0] == BENEATH[0] and luma[radius, 0] == PICTURE[0] == luma[0, radius]


def test_chroma_in_the_corner_is_mixed_as_the_four_pixels_of_luma_it_belongs_to() -> None:
    luma, blue, _ = (view.astype(float) for view in inside(edged(BOX, 24, 0), BOX))
    share = (luma - BENEATH[0]) / (PICTURE[0] - BENEATH[0])
    share = share.reshape(BOX.height // 2, 2, BOX.width // 2, 2).mean(axis=(1, 3))
    assert np.abs(blue - (BENEATH[1] + share * (PICTURE[1] - BENEATH[1]))).max() <= 1


@pytest.mark.parametrize("border", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("radius", [0, 3, 8, 30])
def test_a_border_is_exactly_as_wide_as_asked_for(radius: int, border: int) -> None:
    luma, *chroma = inside(edged(BOX, radius, border), BOX)
    across, down = luma[BOX.height // 2], luma[:, BOX.width // 2]
    for line in (across, across[::-1], down, down[::-1]):
        assert (line[:border] == INK[0]).all() and (line[border : border + 5] == PICTURE[0]).all()
    for view, ink, picture in zip(chroma, INK[1:], PICTURE[1:], strict=True):
        for line in (view[BOX.height // 4], view[:, BOX.width // 4][::-1]):
            whole, odd = divmod(border, 2)
            assert (line[:whole] == ink).all()
            if odd:
                assert abs(int(line[whole]) - (ink + picture) / 2) <= 1
            assert (line[whole + odd : whole + odd + 3] == picture).all()


def test_a_border_follows_the_corner_without_letting_the_picture_out() -> None:
    canvas = Canvas(SIZE)
    canvas.region(canvas.box).fill((50, 128, 128))
    edge = Edge(canvas, BOX, 24, 4, (50, 128, 128))
    edge.sample()
    canvas.region(BOX).fill((235, 128, 128))
    edge.lay()
    luma = inside(planes(canvas.frame), BOX)[0].astype(float)
    rows, columns = np.mgrid[: BOX.height, : BOX.width] + 0.5
    away = np.hypot(np.maximum(0, 24 - rows), np.maximum(0, 24 - columns))
    corner = (rows < 24) & (columns < 24)
    assert (luma[corner & (away > 21)] == 50).all()
    assert (luma[corner & (away < 19)] == 235).all()


@pytest.mark.parametrize("box", [Box(0, 0, 2, 2), Box(198, 118, 2, 2), Box(0, 0, 4, 100), Box(0, 60, 200, 6)], ids=str)
def test_an_edge_larger_than_the_tile_is_held_to_it(box: Box) -> None:
    views = edged(box, 200, 20)
    canvas = [view.copy() for view in views]
    for view, beneath in zip(canvas, BENEATH, strict=True):
        scale = 1 if view.shape == (SIZE.height, SIZE.width) else 2
        view[box.y // scale : (box.y + box.height) // scale, box.x // scale : (box.x + box.width) // scale] = beneath
        assert (view == beneath).all()
