"""Labels: the bundled font, names of every kind, exact blending."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from egress.media.labels import caption, initials, name_label, portrait, stable_colour
from egress.media.overlay import Overlay, crop
from egress.media.planes import Plane
from egress.model.look import PALETTES

DARK = PALETTES["dark"]


def grey(width: int, height: int, luma: int = 100) -> tuple[Plane, ...]:
    sizes = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    return tuple(np.full(size, value, np.uint8) for size, value in zip(sizes, (luma, 90, 170), strict=True))


def test_the_font_and_its_licence_travel_with_the_package() -> None:
    assets = files("egress").joinpath("assets")
    assert assets.joinpath("DejaVuSans.ttf").is_file()
    assert "Permission is hereby granted" in assets.joinpath("DejaVuSans-LICENSE.txt").read_text()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ada Lovelace", "AL"),
        ("grace", "G"),
        ("Jean-Luc van der Berg", "JB"),
        ("  Åsa   Öberg ", "ÅÖ"),
        ("ßtrauß", "S"),
        ("Peer 7", "P7"),
        ("😀 Linus 😀", "L"),
        ("(Ada)", "A"),
        ("", "?"),
        ("!!!", "?"),
        ("\x00\x1b[2J", "2"),
    ],
)
def test_initials(name: str, expected: str) -> None:
    assert initials(name) == expected


def test_a_long_name_is_cut_to_the_tile_and_a_short_one_is_not() -> None:
    short, long = name_label("Ada", 20, 400, palette=DARK), name_label("Ada " * 100, 20, 400, palette=DARK)
    assert short is not None and long is not None
    assert short.width < 80
    assert 300 < long.width <= 400
    assert long.width % 2 == long.height % 2 == 0


def test_a_muted_peer_has_a_mark_beside_its_name() -> None:
    heard, muted = name_label("Ada", 20, 400, palette=DARK), name_label("Ada", 20, 400, palette=DARK, muted=True)
    assert heard is not None and muted is not None
    assert muted.width > heard.width


@pytest.mark.parametrize("name", ["", " \n\t", "\x00\x07", "\ufe0f\U0001f9ea"])
def test_a_name_with_nothing_to_show_has_no_label(name: str) -> None:
    assert name_label(name, 20, 400, palette=DARK) is None


def test_no_label_where_nothing_legible_would_fit() -> None:
    assert name_label("Ada", 20, 30, palette=DARK, muted=True) is None
    assert caption("Waiting", 30, 10, DARK) is None


@pytest.mark.parametrize("name", ["محمد علي", "Ωμέγα", "Ю́рий", "王小明", "a" * 5000, "line\none", "\u202eevil"])
def test_names_of_every_kind_are_drawn(name: str) -> None:
    label = name_label(name, 22, 500, palette=DARK)
    assert label is not None and label.width <= 500
    portrait(name, "key", 100).blend(grey(100, 100))


def test_colours_of_peers_are_stable_and_dark_enough_for_white_letters() -> None:
    assert stable_colour("ada") == stable_colour("ada")
    for k in range(100):
        red, green, blue = stable_colour(f"peer-{k}")
        assert 0.2126 * red + 0.7152 * green + 0.0722 * blue < 185


def rgba(red: int, green: int, blue: int, alpha: int) -> Overlay:
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[:] = (red, green, blue, alpha)
    return Overlay.of(pixels)


def test_transparent_leaves_the_picture_exact_and_opaque_replaces_it_exactly() -> None:
    for luma in (0, 16, 100, 235, 255):
        views = grey(6, 4, luma)
        rgba(255, 0, 0, 0).blend(views)
        assert [int(v[0, 0]) for v in views] == [luma, 90, 170]
        rgba(255, 0, 0, 255).blend(views)
        assert [int(v[0, 0]) for v in views] == [63, 102, 240]


@pytest.mark.parametrize("alpha", [1, 64, 128, 200, 254])
def test_half_transparent_is_the_mean_to_one_level(alpha: int) -> None:
    views = grey(6, 4)
    rgba(255, 255, 255, alpha).blend(views)
    for view, under, over in zip(views, (100, 90, 170), (235, 128, 128), strict=True):
        assert abs(int(view[0, 0]) - (under + (over - under) * alpha / 255)) <= 1


def test_crop_names_the_same_rectangle_of_every_plane() -> None:
    views = grey(16, 8)
    for plane, shape in zip(crop(views, 4, 2, 6, 4), ((4, 6), (2, 3), (2, 3)), strict=True):
        assert plane.shape == shape
        plane[...] = 7
    assert views[0][2, 4] == views[1][1, 2] == 7 and views[0][1, 4] != 7
