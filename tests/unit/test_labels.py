"""Labels: the bundled font, names of every kind, exact blending."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from weakref import ref

import numpy as np
import pytest

from egress.media.labels import caption, initials, name_label, opacity, portrait, stable_colour
from egress.media.overlay import Overlay, crop
from egress.media.planes import Plane, colour
from egress.model.look import PALETTES, Palette
from egress.model.look_contrast import contrast

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
        ("", ""),
        ("!!!", ""),
        ("王小明", "王"),
        ("김 철수", "김철"),
        ("เอก", "อ"),
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


def marked(height: int = 20, palette: Palette = DARK, text: str = "Ada", marks: bool = True, **states: bool) -> Overlay:
    label = name_label(text, height, 400, palette=palette, marks=marks, **states)
    assert label is not None
    return label


@pytest.mark.parametrize("height", [18, 20, 28, 44])
def test_each_state_has_a_mark_of_its_own_beside_the_name(height: int) -> None:
    bare = marked(height)
    states = [marked(height, **{state: True}) for state in ("muted", "camera_off", "lost")]
    assert all(label.width > bare.width for label in states)
    assert len({label.layers[0][0].tobytes() for label in states}) == 3
    both = marked(height, muted=True, camera_off=True)
    assert both.width > states[0].width
    assert marked(height, marks=False, muted=True, lost=True) is bare


def test_marks_stand_alone_where_there_is_no_name() -> None:
    alone, named = marked(text="", muted=True), marked(muted=True)
    assert alone.width < named.width


def test_the_mark_of_the_muted_has_the_colour_of_the_theme() -> None:
    red, green = (marked(palette=replace(DARK, muted=ink), muted=True) for ink in ("#ff0000", "#00ff00"))
    assert (red.layers[2][0].astype(int) - green.layers[2][0]).max() > 10_000


def test_a_role_s_accent_is_a_line_under_the_name_in_its_very_colour() -> None:
    views = grey(400, 44)
    label = name_label("Grace Hopper", 44, 400, palette=DARK, accent="#ff0000")
    assert label is not None
    label.blend(crop(views, 0, 0, label.width, 44))
    y, u, v = colour("#ff0000")
    line = (views[1] == u) & (views[2] == v)
    rows, columns = np.nonzero(line)
    assert rows.min() >= 16 and columns.max() - columns.min() > label.width // 4
    assert (views[0][2 * rows, 2 * columns] == y).all()


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
@pytest.mark.parametrize("under", [0, 255])
def test_names_can_be_read_over_any_picture(palette: Palette, under: int) -> None:
    share = opacity(palette) / 255
    ground = [round(share * int(palette.label[k : k + 2], 16) + (1 - share) * under) for k in (1, 3, 5)]
    assert contrast(palette.label_text, "#" + bytes(ground).hex()) >= 4.45


@pytest.mark.parametrize("name", ["", " \n\t", "\x00\x07", "\ufe0f\U0001f9ea"])
def test_a_name_with_nothing_to_show_has_no_label(name: str) -> None:
    assert name_label(name, 20, 400, palette=DARK) is None


def test_no_label_where_nothing_legible_would_fit() -> None:
    assert name_label("Ada", 20, 18, palette=DARK, muted=True) is None
    assert name_label("Ada", 8, 400, palette=DARK) is None
    assert caption("Waiting", 30, 10, DARK) is None


@pytest.mark.parametrize("name", ["محمد علي", "Ωμέγα", "Ю́рий", "王小明", "a" * 5000, "line\none", "\u202eevil"])
def test_names_of_every_kind_are_drawn(name: str) -> None:
    label = name_label(name, 22, 500, palette=DARK)
    assert label is not None and label.width <= 500
    portrait(name, "key", 100).blend(grey(100, 100))


def test_colours_of_peers_are_stable_and_dark_enough_for_white_letters() -> None:
    assert stable_colour("ada") == stable_colour("ada")
    for k in range(100):
        assert contrast(stable_colour(f"peer-{k}"), "#ffffff") >= 4.5


@pytest.mark.parametrize("accent", ["#ffff00", "#808080", "#123456", "#ffffff", "#000000"])
def test_initials_can_be_read_on_a_disc_of_any_accent(accent: str) -> None:
    views = grey(100, 100)
    portrait("Ada Lovelace", "ada", 100, accent=accent).blend(views)
    ground, letters = int(views[0][20, 50]), views[0][30:70, 20:80].astype(int)
    assert abs(letters - ground).max() > 90


def test_an_avatar_is_cut_to_a_disc_and_drawn_once() -> None:
    picture = np.zeros((60, 100, 4), np.uint8)
    picture[:, :, 0] = picture[:, :, 3] = 255
    disc = portrait("Ada", "ada", 80, image=picture)
    assert portrait("Ada", "ada", 80, image=picture) is disc
    assert portrait("Ada", "ada", 80, image=picture.copy()) is not disc
    views = grey(80, 80)
    disc.blend(views)
    assert [int(view[view.shape[0] // 2, view.shape[1] // 2]) for view in views] == [63, 102, 240]
    assert [int(view[0, 0]) for view in views] == [100, 90, 170]


def test_pictures_nobody_shows_any_more_are_let_go() -> None:
    picture = np.full((8, 8, 4), 255, np.uint8)
    alive = ref(picture)
    portrait("Ada", "ada", 80, image=picture)
    del picture
    assert alive() is None


def test_the_same_label_is_the_same_object() -> None:
    assert marked(muted=True) is marked(muted=True)


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
