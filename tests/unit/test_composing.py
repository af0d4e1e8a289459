"""The compositor with everything on: drawn piece by piece it is what it would be drawn at once, at any moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from egress.layouts.base import Box, Tile
from egress.layouts.grid import arrange
from egress.media.compositor import Compositor
from egress.media.planes import colour, planes
from egress.media.scene import Style
from egress.model.look import (
    AnyOverlay,
    CardDoc,
    ClockOverlay,
    ImageOverlay,
    LowerThirdOverlay,
    ThemeDoc,
    TilesDoc,
    TitleOverlay,
    WatermarkOverlay,
)
from egress.model.media import MILLISECOND, SECOND, Nanos, Size
from tests.unit.shots import Shot, noise

Planes = list[npt.NDArray[np.uint8]]
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CANVAS = Size(426, 240)
BARS = colour("#101418")
STILL = TilesDoc(radius=12, border=2, transition=0)


def flat(width: int, height: int, ink: tuple[int, int, int]) -> Shot:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, value in zip(planes(frame), ink, strict=True):
        plane[...] = value
    return Shot(frame)


def tile(box: Box, track: str | None = "v", peer: str = "p", *, floats: bool = False, muted: bool = False) -> Tile:
    return Tile(peer, track, None, box, "cover", f"Name {peer}", "guest", muted, floats=floats)


def drawn(compositor: Compositor, pictures: Mapping[str, Shot], at: Nanos = 0) -> Planes:
    return [plane.copy() for plane in planes(compositor.draw(pictures.get, at))]


def inside(canvas: Planes, box: Box) -> Planes:
    return [
        plane[box.y // s : (box.y + box.height) // s, box.x // s : (box.x + box.width) // s]
        for plane, s in zip(canvas, (1, 2, 2), strict=True)
    ]


def same(a: Planes, b: Planes) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="module")
def wallpaper(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("look") / "wallpaper.png"
    pixels = np.random.default_rng(5).integers(0, 256, (CANVAS.height, CANVAS.width, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture(scope="module")
def logo(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("look") / "logo.png"
    pixels = np.random.default_rng(6).integers(0, 256, (64, 64, 4)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture(scope="module")
def overlays(logo: str) -> tuple[AnyOverlay, ...]:
    return (
        WatermarkOverlay(kind="watermark", text="DRAFT", place="everywhere"),
        TitleOverlay(kind="title", text="Weekly meeting"),
        ImageOverlay(kind="image", image=logo, width=0.3, margin=4, opacity=0.7),
        ClockOverlay(kind="clock", place="top"),
        LowerThirdOverlay(kind="lower-third", title="Ada Lovelace", subtitle="Analyst"),
        ClockOverlay(kind="clock", format="%M:%S", place="bottom-right"),
    )


BOXES = [*arrange(4, CANVAS, gap=10, margin=6), Box(150, 60, 130, 90), Box(240, 110, 120, 96)]


def busy_tiles(order: tuple[int, ...] = (0, 1, 2, 3, 4, 5)) -> list[Tile]:
    return [tile(BOXES[k], None if k == 3 else f"v{k}", f"p{k}", floats=n > 3) for n, k in enumerate(order)]


@pytest.mark.parametrize("seed", range(4))
def test_drawing_only_what_is_new_gives_the_canvas_that_drawing_all_of_it_would(
    seed: int, wallpaper: str, overlays: tuple[AnyOverlay, ...]
) -> None:
    random = np.random.default_rng(seed)
    theme = ThemeDoc(image=wallpaper if seed % 2 else None, base="light" if seed > 1 else "dark")
    style = Style(theme=theme, tiles=STILL, overlays=overlays)
    kept = Compositor(CANVAS, STARTED)
    tiles, at = busy_tiles(), 0
    kept.arrange(tiles, style)
    shots = {f"v{k}": noise(BOXES[k].width, BOXES[k].height, k) for k in range(6)}
    speakers: set[str] = set()
    for step in range(25):
        at += int(random.integers(1, SECOND))
        for k in random.choice(6, int(random.integers(0, 3)), replace=False):
            odd = int(random.integers(0, 3))
            shots[f"v{k}"] = noise(BOXES[k].width - odd, BOXES[k].height + odd, 100 * step + k)
        if random.random() < 0.3:
            shots.pop(f"v{random.integers(6)}", None)
        if random.random() < 0.3:
            speakers ^= {f"p{random.integers(6)}"}
        if step % 9 == 8:
            tiles = busy_tiles(tuple(int(k) for k in random.permutation(6)))
            kept.arrange(tiles, style)
        fresh = Compositor(CANVAS, STARTED)
        fresh.arrange(tiles, style)
        for compositor in (kept, fresh):
            compositor.speaking(speakers)
        assert same(drawn(kept, shots, at), drawn(fresh, shots, at)), step


def test_a_floating_tile_shows_through_its_corners_what_moves_beneath_it() -> None:
    compositor = Compositor(CANVAS, STARTED)
    below, above = Box(0, 0, 426, 240), Box(280, 120, 120, 90)
    compositor.arrange(
        [tile(below, "a", "a"), tile(above, "b", "b", floats=True)],
        Style(tiles=TilesDoc(labels=False, marks=False, radius=20, transition=0)),
    )
    shots = {"a": noise(426, 240, 0), "b": noise(120, 90, 1)}
    for name, seed in (("a", 2), ("b", 3), ("b", 4), ("a", 5)):
        shots[name] = noise(*((426, 240) if name == "a" else (120, 90)), seed)
        canvas = drawn(compositor, shots)
        for corner in (Box(280, 120, 2, 2), Box(398, 208, 2, 2)):
            assert same(inside(canvas, corner), inside(drawn_alone(shots["a"]), corner))
        middle = Box(300, 140, 80, 50)
        assert same(inside(canvas, middle), inside(drawn_alone(shots["b"]), Box(20, 20, 80, 50)))


def drawn_alone(shot: Shot) -> Planes:
    return list(planes(shot.frame))


@pytest.mark.parametrize("width", [426, 422, 130, 34, 18])
@pytest.mark.parametrize("picture", ["", "wallpaper"])
def test_edges_are_exact_at_any_width_and_whatever_lies_behind(width: int, picture: str, wallpaper: str) -> None:
    canvas_size = Size(1280, 240)
    theme = ThemeDoc(image=wallpaper) if picture else ThemeDoc()
    style = Style(theme=theme, tiles=TilesDoc(labels=False, marks=False, radius=8, border=2, transition=0))
    compositor = Compositor(canvas_size, STARTED)
    compositor.arrange([], style)
    bare = drawn(compositor, {})
    boxes = [Box(2 + k * (width + 2), 20, width, 120) for k in range(2)]
    compositor.arrange([tile(box, f"v{k}", f"p{k}") for k, box in enumerate(boxes)], style)
    shots = {f"v{k}": noise(width, 120, k) for k in range(2)}
    for seed in range(3):
        shots["v0"] = noise(width, 120, 10 + seed)
        canvas = drawn(compositor, shots)
    border = colour("#3a4148")
    for k, box in enumerate(boxes):
        within = Box(box.x + 2, box.y + 8, width - 4, 104)
        assert same(inside(canvas, within), inside(drawn_alone(shots[f"v{k}"]), Box(2, 8, width - 4, 104)))
        for x in (box.x, box.x + width - 2):
            line = inside(canvas, Box(x, box.y + 8, 2, 104))
            assert all((plane == ink).all() for plane, ink in zip(line, border, strict=True))
        inside(canvas, box)[0][...] = inside(bare, box)[0]
        for plane, ground in zip(inside(canvas, box)[1:], inside(bare, box)[1:], strict=True):
            plane[...] = ground
    assert same(canvas, bare)


@pytest.mark.parametrize("source", [(427, 241), (301, 199), (101, 400), (1281, 721), (3, 3), (1, 1)])
def test_a_picture_of_any_size_in_a_rounded_tile_leaves_no_fringe(source: tuple[int, int], wallpaper: str) -> None:
    box, ink = Box(30, 20, 322, 182), (200, 90, 160)
    style = Style(
        theme=ThemeDoc(image=wallpaper), tiles=TilesDoc(labels=False, marks=False, radius=24, border=3, transition=0)
    )
    compositor = Compositor(CANVAS, STARTED)
    compositor.arrange([], style)
    bare = drawn(compositor, {})
    compositor.arrange([tile(box)], style)
    canvas = drawn(compositor, {"v": flat(*source, ink)})
    for corner in (Box(30, 20, 4, 4), Box(348, 20, 4, 4), Box(30, 198, 4, 4), Box(348, 198, 4, 4)):
        assert same(inside(canvas, corner), inside(bare, corner))
    width, height = min(source[0] & ~1, 322), min(source[1] & ~1, 182)
    left, top = 30 + ((322 - width) // 2 & ~1), 20 + ((182 - height) // 2 & ~1)
    rows, columns = slice(max(top, 44), min(top + height, 178)), slice(max(left, 54), min(left + width, 328))
    for plane, value, bar, scale in zip(canvas, ink, BARS, (1, 2, 2), strict=True):
        middle = plane[44 // scale : 178 // scale, 54 // scale : 328 // scale]
        expected = np.full_like(middle, bar)
        expected[
            rows.start // scale - 44 // scale : rows.stop // scale - 44 // scale,
            columns.start // scale - 54 // scale : columns.stop // scale - 54 // scale,
        ] = value
        assert np.array_equal(middle, expected)


def test_a_card_is_all_there_is(wallpaper: str, overlays: tuple[AnyOverlay, ...]) -> None:
    card = CardDoc(title="Soon", text="We begin at nine")
    alone, full = Compositor(CANVAS, STARTED), Compositor(CANVAS, STARTED)
    alone.arrange([], Style(card=card, tiles=STILL))
    full.arrange(busy_tiles(), Style(card=card, tiles=STILL, overlays=overlays))
    slate = drawn(alone, {})
    assert same(drawn(full, {"v0": noise(100, 100)}), slate)
    assert full.painted == 0
    full.arrange(busy_tiles(), Style(tiles=STILL, overlays=overlays))
    assert not same(drawn(full, {"v0": noise(100, 100)}), slate)
    assert full.painted == 1


def test_a_clock_repaints_only_the_tiles_it_lies_on() -> None:
    compositor = Compositor(Size(640, 360), STARTED)
    boxes = arrange(4, Size(640, 360))
    tiles = [tile(box, f"v{k}", f"p{k}") for k, box in enumerate(boxes)]
    clock = ClockOverlay(kind="clock", place="top-left")
    compositor.arrange(tiles, Style(tiles=STILL, overlays=(clock,)))
    shots = {f"v{k}": noise(box.width, box.height, k) for k, box in enumerate(boxes)}
    before = drawn(compositor, shots)
    assert compositor.painted == 4
    assert same(drawn(compositor, shots, 999 * MILLISECOND), before)
    assert compositor.painted == 4
    after = drawn(compositor, shots, SECOND)
    assert compositor.painted == 5
    assert not same(after, before)
    assert same(inside(after, Box(320, 0, 320, 360)), inside(before, Box(320, 0, 320, 360)))
    fresh = Compositor(Size(640, 360), STARTED + timedelta(seconds=1))
    fresh.arrange(tiles, Style(tiles=STILL, overlays=(clock,)))
    assert same(drawn(fresh, shots), after)


@pytest.mark.parametrize("canvas", [Size(320, 180), Size(64, 64), Size(16, 16)], ids=str)
def test_a_crowd_in_full_dress_fits_any_canvas(canvas: Size, overlays: tuple[AnyOverlay, ...]) -> None:
    boxes = arrange(49, canvas, gap=8)
    tiles = [replace(tile(box, f"v{k}", f"p{k}"), lost=k % 2 > 0, muted=k % 3 > 0) for k, box in enumerate(boxes)]
    compositor = Compositor(canvas, STARTED)
    compositor.arrange(tiles, Style(tiles=TilesDoc(radius=200, border=20, transition=0), overlays=overlays))
    compositor.speaking({"p3", "p48"})
    for shots in ({}, {f"v{k}": noise(64, 48, k) for k in range(49)}, {f"v{k}": noise(3, 5, k) for k in range(49)}):
        frame = compositor.draw(shots.get, 0)
        assert (frame.width, frame.height) == (canvas.width, canvas.height)


def test_marks_are_shown_also_without_names_and_nothing_is_without_both() -> None:
    def canvas(labels: bool, marks: bool, muted: bool) -> Planes:
        compositor = Compositor(CANVAS, STARTED)
        doc = TilesDoc(labels=labels, marks=marks, radius=0, transition=0)
        compositor.arrange([tile(Box(0, 0, 426, 240), muted=muted)], Style(tiles=doc))
        return drawn(compositor, {"v": noise(426, 240)})

    bare = canvas(False, False, True)
    assert same(bare, drawn_alone(noise(426, 240)))
    assert same(canvas(False, True, False), bare)
    assert not same(canvas(True, True, True), canvas(True, True, False))
    assert same(canvas(True, False, True), canvas(True, False, False))


def test_who_speaks_is_not_marked_where_that_is_not_wanted() -> None:
    compositor = Compositor(CANVAS, STARTED)
    compositor.arrange([tile(Box(0, 0, 426, 240))], Style(tiles=TilesDoc(speaking=False, transition=0)))
    quiet = drawn(compositor, {"v": noise(426, 240)})
    compositor.speaking({"p"})
    assert same(drawn(compositor, {"v": noise(426, 240)}), quiet)


def test_a_background_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    compositor = Compositor(CANVAS, STARTED)
    compositor.arrange([], Style(theme=ThemeDoc(image=str(tmp_path / "gone.png"), background="#336699")))
    canvas = drawn(compositor, {})
    assert all((plane == ink).all() for plane, ink in zip(canvas, colour("#336699"), strict=True))
