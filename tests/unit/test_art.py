"""Art: overlays in their places, unchanged while they show the same, and cards and backgrounds that hide everything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, PngImagePlugin

from egress.layouts.base import Box
from egress.media.art import Art, overlay_art
from egress.media.cards import background, card
from egress.media.overlay import Overlay
from egress.media.planes import colour
from egress.model.errors import EgressError
from egress.model.look import (
    PALETTES,
    AnyOverlay,
    CardDoc,
    ClockOverlay,
    ImageOverlay,
    LowerThirdOverlay,
    Palette,
    Place,
    TitleOverlay,
    WatermarkOverlay,
)
from egress.model.look_images import MAX_BYTES
from egress.model.media import Size

DARK, LIGHT = PALETTES["dark"], PALETTES["light"]
HD = Size(1280, 720)
CANVASES = [HD, Size(640, 360), Size(720, 1280), Size(320, 180), Size(480, 480), Size(130, 700), Size(64, 64)]
NOON = datetime(2026, 1, 31, 12, 34, 56, 789000, UTC)
PLACES: tuple[Place, ...] = get_args(Place)
LONG = "Notes on the analytical engine, and on everything else that there is to say about it at great length"


def made(doc: AnyOverlay, canvas: Size = HD, palette: Palette = DARK, now: datetime = NOON) -> Art:
    art = overlay_art(doc, canvas, palette, now)
    assert art is not None
    return art


def opacity(overlay: Overlay) -> npt.NDArray[np.int64]:
    """How much of what is beneath each pixel hides, of 256."""
    return 256 - overlay.layers[0][1].astype(np.int64)


def picture(path: Path, width: int, height: int, ink: tuple[int, ...] = (200, 30, 30)) -> str:
    mode = "RGBA" if len(ink) == 4 else "RGB"
    Image.new(mode, (width, height), ink).save(path)
    return str(path)


@pytest.fixture(scope="module")
def logo(tmp_path_factory: pytest.TempPathFactory) -> str:
    return picture(tmp_path_factory.mktemp("art") / "logo.png", 300, 100)


@pytest.fixture(scope="module")
def everything(logo: str) -> tuple[AnyOverlay, ...]:
    return (
        *(ImageOverlay(kind="image", image=logo, place=place, margin=7) for place in PLACES),
        *(ClockOverlay(kind="clock", place=place) for place in PLACES),
        *(WatermarkOverlay(kind="watermark", text=text, place="everywhere") for text in ("x", LONG[:80])),
        *(WatermarkOverlay(kind="watermark", text=LONG[:80], place=place) for place in PLACES),
        TitleOverlay(kind="title", text=LONG),
        TitleOverlay(kind="title", text="عنوان", place="bottom"),
        LowerThirdOverlay(kind="lower-third", title="Ada", subtitle=LONG),
        LowerThirdOverlay(kind="lower-third", title=LONG[:80], place="right"),
        ImageOverlay(kind="image", image=logo, width=1, margin=0),
        ImageOverlay(kind="image", image=logo, width=0.01),
    )


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
def test_every_overlay_lies_inside_the_canvas_on_even_numbers(canvas: Size, everything: tuple[AnyOverlay, ...]) -> None:
    for doc in everything:
        art = overlay_art(doc, canvas, LIGHT, NOON)
        if art is None:
            continue
        box = art.box
        assert not any(n % 2 for n in (box.x, box.y, box.width, box.height)), doc
        assert box.x >= 0 and box.x + box.width <= canvas.width, doc
        assert box.y >= 0 and box.y + box.height <= canvas.height, doc
        assert (box.width, box.height) == (art.overlay.width, art.overlay.height)
        assert opacity(art.overlay).any(), doc


def test_where_nothing_is_legible_there_is_nothing(everything: tuple[AnyOverlay, ...]) -> None:
    for doc in everything:
        if not isinstance(doc, ImageOverlay):
            assert overlay_art(doc, Size(64, 64), DARK, NOON) is None
            assert overlay_art(doc, Size(320, 180), DARK, NOON) is not None


@pytest.mark.parametrize("place", PLACES)
def test_a_picture_keeps_its_margin_in_every_place(place: Place, logo: str) -> None:
    box = made(ImageOverlay(kind="image", image=logo, place=place, width=0.1875, margin=24)).box
    assert (box.width, box.height) == (240, 80)
    x = 24 if "left" in place else 1280 - 24 - 240 if "right" in place else 520
    y = 24 if "top" in place else 720 - 24 - 80 if "bottom" in place else 320
    assert (box.x, box.y) == (x, y)


@pytest.mark.parametrize(("width", "height"), [(300, 100), (100, 300), (37, 411), (1000, 3), (240, 240)])
def test_a_picture_keeps_its_shape_and_stays_within_its_margins(width: int, height: int, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", width, height)
    for canvas in CANVASES[:5]:
        for part in (0.05, 0.3, 1.0):
            box = made(ImageOverlay(kind="image", image=path, width=part, margin=20), canvas).box
            assert box.width <= canvas.width - 40 and box.height <= canvas.height - 40
            # To the pixel on either side, and one more that makes it even.
            assert abs(box.width * height - box.height * width) <= 2 * max(width, height)
            assert box.width <= canvas.width * part + 2


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_pictures_of_all_kinds_show_their_colour(name: str, tmp_path: Path) -> None:
    path = picture(tmp_path / name, 1600, 1600, (40, 160, 60))
    art = made(ImageOverlay(kind="image", image=path, width=0.1))
    shown = [int(layer[0][4:-4, 4:-4].mean()) >> 8 for layer in art.overlay.layers]
    assert np.allclose(shown, colour("#28a03c"), atol=2)
    assert (opacity(art.overlay) == 256).all()


def test_the_transparency_of_a_picture_is_kept_and_multiplied(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 100, 100, (255, 255, 255, 128))
    whole = opacity(made(ImageOverlay(kind="image", image=path)).overlay)
    half = opacity(made(ImageOverlay(kind="image", image=path, opacity=0.5)).overlay)
    assert abs(whole[20, 20] - 128) <= 2
    assert abs(half[20, 20] - 64) <= 2


def test_a_photograph_taken_sideways_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200), "red").save(tmp_path / "a.jpg", exif=exif)
    box = made(ImageOverlay(kind="image", image=str(tmp_path / "a.jpg"), width=0.1)).box
    assert (box.width, box.height) == (128, 256)


def huge(path: Path) -> None:
    """A PNG that says it has 400 million pixels, and would if anybody decoded it."""
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        PngImagePlugin.putchunk(file, b"IHDR", (20000).to_bytes(4) + (20000).to_bytes(4) + b"\x08\x02\0\0\0")


def truncated(path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:4000])


def garbled(path: Path) -> None:
    Image.new("RGB", (64, 64)).save(path)
    data = bytearray(path.read_bytes())
    data[40:60] = b"\xff" * 20
    path.write_bytes(bytes(data))


BROKEN: list[Callable[[Path], object]] = [
    huge,
    truncated,
    garbled,
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"GIF89a" + bytes(100)),
    lambda path: path.write_bytes(bytes(MAX_BYTES + 1)),
    lambda path: None,
    lambda path: path.mkdir(),
]


@pytest.mark.parametrize("spoil", BROKEN)
def test_a_picture_that_cannot_be_shown_is_an_error_that_names_it(
    spoil: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "logo.png"
    spoil(path)
    uses: list[Callable[[], object]] = [
        lambda: overlay_art(ImageOverlay(kind="image", image=str(path)), HD, DARK, NOON),
        lambda: card(CardDoc(title="Hello", image=str(path)), HD, DARK),
        lambda: background(str(path), HD, DARK),
    ]
    for use in uses:
        with pytest.raises(EgressError, match=r"logo\.png"):
            use()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_file_that_was_cut_off_is_an_error(kind: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    path = tmp_path / "a"
    Image.fromarray(noise).save(path, kind)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(EgressError, match="broken"):
        background(str(path), HD, DARK)


@pytest.mark.parametrize(
    ("form", "same_for"), [("%H:%M:%S", 0.2), ("%H:%M", 3), ("%Y-%m-%d", 3600), ("%H:%M:%S.", 0.2)]
)
def test_a_clock_is_the_same_object_until_it_says_something_else(form: str, same_for: float) -> None:
    clock = ClockOverlay(kind="clock", format=form)
    first = made(clock)
    assert made(clock, now=NOON + timedelta(seconds=same_for)) is first
    later = made(clock, now=NOON + timedelta(days=1, hours=1, minutes=1, seconds=1))
    assert later is not first


def test_a_clock_of_minutes_changes_once_a_minute() -> None:
    clock = ClockOverlay(kind="clock", format="%H:%M")
    arts = [made(clock, now=NOON + timedelta(seconds=k)) for k in range(180)]
    assert sum(a is not b for a, b in pairwise(arts)) == 3


def test_passing_seconds_do_not_make_other_overlays_be_drawn_again(logo: str) -> None:
    image, clock = ImageOverlay(kind="image", image=logo), ClockOverlay(kind="clock")
    before = made(image)
    for k in range(100):
        made(clock, Size(160, 120), now=NOON + timedelta(seconds=k))
    assert made(image) is before


@pytest.mark.parametrize("place", ["top-right", "top", "left"])
def test_a_clock_does_not_tremble(place: Place) -> None:
    clock = ClockOverlay(kind="clock", place=place)
    seconds = [made(clock, now=NOON.replace(hour=11, minute=11, second=k)) for k in range(60)]
    assert len({art.box for art in seconds}) == 1
    looks = [np.stack(art.overlay.layers[0]) for art in seconds]
    assert len({look.tobytes() for look in looks}) == 60
    steady = looks[0].shape[2] * 6 // 10
    assert len({look[:, :, :steady].tobytes() for look in looks}) == 1, "only the seconds change"


def test_a_clock_follows_its_zone_and_falls_back_to_utc() -> None:
    utc, berlin, nowhere, folder = (
        made(ClockOverlay.model_construct(kind="clock", format="%H:%M", zone=zone))
        for zone in ("UTC", "Europe/Berlin", "Mars/Olympus", "Europe")
    )
    summer = made(ClockOverlay(kind="clock", format="%H:%M", zone="Europe/Berlin"), now=NOON.replace(month=7))

    def same(a: Art, b: Art) -> bool:
        return np.array_equal(a.overlay.layers[0][0], b.overlay.layers[0][0])

    assert same(utc, nowhere) and same(utc, folder)
    assert not same(utc, berlin)
    assert same(summer, made(ClockOverlay(kind="clock", format="%H:%M"), now=NOON.replace(hour=14)))
    assert overlay_art(ClockOverlay(kind="clock", format=" "), HD, DARK, NOON) is None


def test_a_clock_lies_in_the_middle_of_a_title() -> None:
    for canvas in CANVASES[:5]:
        title = made(TitleOverlay(kind="title", text="Weekly"), canvas).box
        clock = made(ClockOverlay(kind="clock", place="top-right", format="%H:%M"), canvas).box
        assert clock.y + clock.height < title.height
        assert abs(2 * clock.y + clock.height - title.height) <= 2


def test_a_title_is_a_bar_across_its_edge_with_its_text_in_the_middle() -> None:
    for canvas in CANVASES[:5]:
        short = min(canvas.width, canvas.height)
        top = made(TitleOverlay(kind="title", text=LONG), canvas)
        assert (top.box.x, top.box.y, top.box.width) == (0, 0, canvas.width)
        assert top.box.height == pytest.approx(max(20, 0.075 * short), abs=2)
        bottom = made(TitleOverlay(kind="title", text=LONG, place="bottom"), canvas)
        assert bottom.box == Box(0, canvas.height - top.box.height, canvas.width, top.box.height)
    bar = made(TitleOverlay(kind="title", text="HHH")).overlay
    inked = np.argwhere(opacity(bar) > opacity(bar)[0, 0])
    (above, left), (below, right) = inked.min(axis=0), inked.max(axis=0)
    assert abs(above - (bar.height - 1 - below)) <= 1
    assert abs(left - (bar.width - 1 - right)) <= 2
    assert 200 < opacity(bar)[0, 0] < 256


def test_a_lower_third_is_held_by_its_accent_on_the_side_it_stands_on() -> None:
    doc = {"title": "Ada Lovelace", "subtitle": "Analyst"}
    left = made(LowerThirdOverlay(kind="lower-third", **doc))
    right = made(LowerThirdOverlay(kind="lower-third", place="right", **doc))
    assert left.box.x == 64 and right.box.x + right.box.width == 1280 - 64
    assert left.box.y == right.box.y and left.box.size == right.box.size
    accent = colour(DARK.speaking)
    for art, column in ((left, 1), (right, -2)):
        middle = art.overlay.height // 2
        assert opacity(art.overlay)[middle, column] == 256
        assert [
            int(layer[0][middle // s, column // s]) >> 8 for layer, s in zip(art.overlay.layers, (1, 2, 2), strict=True)
        ] == list(accent)
    alone = made(LowerThirdOverlay(kind="lower-third", title="Ada Lovelace"))
    assert alone.box.height < left.box.height
    assert alone.box.y + alone.box.height == left.box.y + left.box.height


def test_a_lower_third_clears_a_title_below_it() -> None:
    for canvas in CANVASES[:5]:
        title = made(TitleOverlay(kind="title", text="Weekly", place="bottom"), canvas).box
        third = made(LowerThirdOverlay(kind="lower-third", title=LONG[:80], subtitle=LONG), canvas).box
        assert third.y + third.height < title.y


def test_opacity_holds_for_every_kind(everything: tuple[AnyOverlay, ...]) -> None:
    for doc in everything[::4]:
        whole, faint = (opacity(made(doc.model_copy(update={"opacity": share})).overlay) for share in (1.0, 0.25))
        assert np.abs(whole * 0.25 - faint).max() <= 2, doc


def test_a_watermark_is_faint_of_itself() -> None:
    hidden = opacity(made(WatermarkOverlay(kind="watermark", text="DRAFT")).overlay)
    assert 0 < hidden.max() <= 0.19 * 256
    assert hidden[0, 0] == 0


@pytest.mark.parametrize("canvas", CANVASES[:6], ids=str)
@pytest.mark.parametrize("text", ["x", "DRAFT", LONG[:80]])
def test_a_watermark_everywhere_leaves_no_part_without_it(canvas: Size, text: str) -> None:
    art = made(WatermarkOverlay(kind="watermark", text=text, place="everywhere"), canvas)
    assert art.box == Box(0, 0, canvas.width, canvas.height)
    inked = opacity(art.overlay) > 0
    assert inked.mean() < 0.25
    side = round(max(10, min(canvas.width, canvas.height) * 0.045) * 8)
    for y in range(0, canvas.height - side // 2, side):
        for x in range(0, canvas.width - side // 2, side):
            assert inked[y : y + side, x : x + side].any(), (x, y)


@pytest.mark.parametrize("canvas", [HD, Size(720, 1280), Size(160, 90), Size(64, 64), Size(16, 16)], ids=str)
def test_cards_and_backgrounds_fill_the_canvas_and_hide_all_beneath(canvas: Size, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 90, 90, (250, 250, 250, 40))
    arts = [
        background(path, canvas, DARK),
        card(CardDoc(title=LONG, text=LONG + LONG, image=path), canvas, LIGHT),
        card(CardDoc(), canvas, DARK),
    ]
    for art in arts:
        assert art.box == Box(0, 0, canvas.width, canvas.height)
        assert all(not kept.any() for _, kept in art.overlay.layers)


def test_a_card_is_calm_centred_and_keeps_its_text_off_the_edges() -> None:
    for canvas in (Size(720, 1280), Size(640, 360)):
        luma = card(CardDoc(title=LONG, text=2 * LONG), canvas, DARK).overlay.layers[0][0] >> 8
        inked = np.argwhere(luma != colour(DARK.background)[0])
        (top, left), (bottom, right) = inked.min(axis=0), inked.max(axis=0)
        assert abs(top - (canvas.height - bottom)) < 0.05 * canvas.height
        assert min(left, canvas.width - right) > 0.07 * canvas.width
        assert top > 0.06 * canvas.height


def test_text_of_a_card_can_be_read_over_black_and_white(tmp_path: Path) -> None:
    for ink, palette in (((255, 255, 255), DARK), ((0, 0, 0), LIGHT)):
        path = picture(tmp_path / f"{palette.text[1:]}.png", 128, 72, ink)
        luma = card(CardDoc(title="Paused", image=path), HD, palette).overlay.layers[0][0].astype(int) >> 8
        beside, corner, text = luma[360, 20], luma[2, 2], colour(palette.text)[0]
        assert abs(text - beside) > 130
        assert abs(beside - corner) > 40, "far from the text more of the picture is seen"
        bare = card(CardDoc(image=path), HD, palette).overlay.layers[0][0] >> 8
        assert (bare == colour("#ffffff" if ink[0] else "#000000")[0]).all()


def test_what_shows_through_a_background_is_the_theme(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 64, 64, (255, 0, 0, 0))
    layers = background(path, HD, LIGHT).overlay.layers
    assert tuple(int(shown[5, 5]) >> 8 for shown, _ in layers) == colour(LIGHT.background)
