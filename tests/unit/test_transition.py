"""Transitions: tiles that re-flow fade into place by session time; all else changes at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from egress.layouts.base import Box, Tile
from egress.media.compositor import Compositor
from egress.media.planes import planes
from egress.media.scene import Style
from egress.model.look import CardDoc, ClockOverlay, ThemeDoc, TilesDoc, TitleOverlay
from egress.model.media import MILLISECOND, Nanos, Size

Planes = list[npt.NDArray[np.uint8]]
CANVAS = Size(320, 180)
FADING = Style(tiles=TilesDoc.model_validate({"transition": "200ms"}))
CUTTING = Style(tiles=TilesDoc(transition=0))
TICK: Nanos = 40 * MILLISECOND
LEFT, RIGHT = Box(0, 40, 160, 90), Box(160, 40, 160, 90)


@dataclass(frozen=True, eq=False)
class Shot:
    frame: av.VideoFrame


def noise(width: int, height: int, seed: int = 0) -> Shot:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in planes(frame):
        plane[...] = np.random.default_rng(seed).integers(16, 235, plane.shape)
    return Shot(frame)


SHOTS: Mapping[str, Any] = {"a": noise(160, 90, 1), "b": noise(160, 90, 2)}


def tile(box: Box, peer: str) -> Tile:
    return Tile(peer, peer, None, box, "cover", f"Name {peer}", "guest", False)


TILES = [tile(LEFT, "a"), tile(RIGHT, "b")]
SWAPPED = [tile(LEFT, "b"), tile(RIGHT, "a")]


def drawn(compositor: Compositor, at: Nanos, shots: Mapping[str, Any] = SHOTS) -> Planes:
    return [plane.copy() for plane in planes(compositor.draw(shots.get, at))]


def same(a: Planes, b: Planes) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def apart(a: Planes, b: Planes) -> float:
    return float(np.abs(a[0].astype(int) - b[0]).mean())


def still(tiles: list[Tile], style: Style = CUTTING) -> Planes:
    compositor = Compositor(CANVAS)
    compositor.arrange(tiles, style)
    return drawn(compositor, 0)


def running(tiles: list[Tile], style: Style = FADING, at: Nanos = 0) -> Compositor:
    compositor = Compositor(CANVAS)
    compositor.arrange(tiles, style)
    drawn(compositor, at)
    return compositor


def test_tiles_that_change_places_fade_from_the_first_frame_to_exactly_the_new_one() -> None:
    compositor, old, new = running(TILES), still(TILES), still(SWAPPED)
    compositor.arrange(SWAPPED, FADING)
    left = apart(old, new)
    for step in range(1, 5):
        frame = drawn(compositor, step * TICK)
        share = step * TICK / (200 * MILLISECOND)
        assert apart(frame, new) == pytest.approx(left * (1 - share), rel=0.05)
        assert apart(frame, old) == pytest.approx(left * share, rel=0.05)
    assert same(drawn(compositor, 5 * TICK), new)


def test_a_fade_follows_session_time_also_when_ticks_are_left_out() -> None:
    steady, late = running(TILES), running(TILES)
    for compositor in (steady, late):
        compositor.arrange(SWAPPED, FADING)
        drawn(compositor, TICK)
    drawn(steady, 2 * TICK)
    drawn(steady, 3 * TICK)
    assert same(drawn(steady, 4 * TICK), drawn(late, 4 * TICK))
    assert same(drawn(late, 40 * TICK), still(SWAPPED))


def test_the_first_frame_after_a_pause_begins_the_fade_and_does_not_end_it() -> None:
    compositor = running(TILES)
    compositor.arrange(SWAPPED, FADING)
    first = drawn(compositor, 1000 * TICK)
    old, new = still(TILES), still(SWAPPED)
    assert apart(first, old) == pytest.approx(apart(old, new) / 4, rel=0.05)


def test_a_change_during_a_fade_begins_from_what_is_seen() -> None:
    compositor = running(TILES)
    compositor.arrange(SWAPPED, FADING)
    drawn(compositor, TICK)
    seen = drawn(compositor, 3 * TICK)
    third = [tile(Box(40, 20, 160, 90), "a")]
    compositor.arrange(third, FADING)
    frame = drawn(compositor, 3 * TICK + MILLISECOND)
    assert apart(frame, seen) < 0.02 * apart(still(TILES), still(third))
    assert same(drawn(compositor, 3 * TICK + 200 * MILLISECOND), still(third))


def test_what_moves_goes_on_moving_while_it_fades_in() -> None:
    compositor = running(TILES)
    compositor.arrange(SWAPPED, FADING)
    first = drawn(compositor, 3 * TICK)
    other = drawn(compositor, 3 * TICK, {**SHOTS, "b": noise(160, 90, 7)})
    assert not same(first, other)
    assert same(
        [plane[:, 160 // s :] for plane, s in zip(first, (1, 2, 2), strict=True)],
        [plane[:, 160 // s :] for plane, s in zip(other, (1, 2, 2), strict=True)],
    )


@pytest.mark.parametrize(
    "changed",
    [
        [replace(TILES[0], muted=True, label="Ada"), replace(TILES[1], lost=True, camera_off=True)],
        [replace(TILES[0], track=None, camera_off=True), TILES[1]],
        [replace(TILES[0], role="host"), TILES[1]],
    ],
    ids=["labels and marks", "camera off", "role"],
)
def test_names_marks_and_cameras_that_go_off_change_at_once(changed: list[Tile]) -> None:
    compositor = running(TILES)
    compositor.arrange(changed, FADING)
    assert same(drawn(compositor, TICK), still(changed))


def test_who_speaks_is_marked_at_once() -> None:
    compositor, other = running(TILES), running(TILES, CUTTING)
    for each in (compositor, other):
        each.speaking({"a"})
    marked = drawn(compositor, TICK)
    assert same(marked, drawn(other, TICK))
    assert not same(marked, still(TILES))


@pytest.mark.parametrize(
    "style",
    [
        replace(FADING, card=CardDoc(title="Paused")),
        replace(FADING, theme=ThemeDoc(base="light")),
        replace(FADING, overlays=(TitleOverlay(kind="title", text="Hello"),)),
        replace(FADING, tiles=TilesDoc.model_validate({"transition": "200ms", "radius": 40})),
    ],
    ids=["card", "theme", "overlays", "radius"],
)
def test_cards_themes_and_overlays_fade(style: Style) -> None:
    compositor = running(TILES)
    compositor.arrange(TILES, style)
    old, new = still(TILES), still(TILES, style)
    frame = drawn(compositor, 2 * TICK)
    assert not same(frame, old) and not same(frame, new)
    assert same(drawn(compositor, 10 * TICK), new)


def test_the_very_first_picture_is_there_at_once_but_what_follows_a_card_seen_fades() -> None:
    compositor = Compositor(CANVAS)
    compositor.arrange(TILES, FADING)
    assert same(drawn(compositor, 0), still(TILES))
    waiting = Compositor(CANVAS)
    slate = drawn(waiting, 0)
    waiting.arrange(TILES, FADING)
    frame = drawn(waiting, TICK)
    assert not same(frame, slate) and not same(frame, still(TILES))


def test_without_a_transition_nothing_fades() -> None:
    compositor = running(TILES, CUTTING)
    compositor.arrange(SWAPPED, CUTTING)
    assert same(drawn(compositor, TICK), still(SWAPPED))


def test_the_canvas_is_not_touched_between_arranging_and_drawing() -> None:
    compositor = running(TILES)
    frame = compositor.draw(SHOTS.get, TICK)
    before = [plane.copy() for plane in planes(frame)]
    compositor.arrange([], FADING)
    compositor.arrange(SWAPPED, FADING)
    compositor.speaking({"a"})
    assert same(before, list(planes(frame)))


def test_a_second_canvas_is_there_only_while_something_fades() -> None:
    compositor = running(TILES)
    usual = compositor.draw(SHOTS.get, TICK)
    compositor.arrange(SWAPPED, FADING)
    assert compositor.draw(SHOTS.get, 2 * TICK) is not usual
    assert compositor.draw(SHOTS.get, 3 * TICK) is not usual
    assert compositor.draw(SHOTS.get, 20 * TICK) is usual


def test_a_clock_that_goes_on_does_not_fade() -> None:
    style = replace(FADING, overlays=(ClockOverlay(kind="clock"),))
    compositor = running(TILES, style)
    usual = compositor.draw(SHOTS.get, TICK)
    before = [plane.copy() for plane in planes(usual)]
    assert compositor.draw(SHOTS.get, 30 * TICK) is usual
    assert not same(before, list(planes(usual)))
