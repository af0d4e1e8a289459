"""What a pipeline says of the picture fits its canvas, can be read, and shows only files it may."""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from egress.model import checking, look_texts, registry
from egress.model.errors import RequestError
from egress.model.look import LAYOUTS, PALETTES, CardDoc, SpeakerDoc, ThemeDoc, TitleOverlay
from egress.model.look_contrast import PAIRS, contrast, nearest
from egress.model.look_images import MAX_BYTES, image_problem, resolve_images
from egress.model.pipeline import Pipeline

GOOD = "name: good\nsinks: [{kind: mp4, to: 'a/{room}.mp4'}]\n"
SMALL = GOOD + "video: {size: 128x72}\n"


def read(text: str) -> Pipeline:
    return checking.read(text, "x.yaml")


def boxes(*items: str) -> str:
    return GOOD + f"layout: {{kind: custom, boxes: [{', '.join('{' + item + '}' for item in items)}]}}\n"


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        (GOOD + "layout: {margin: 350}\n", "layout.margin", "leave nothing of 1280x720"),
        (SMALL + "layout: {gap: 60}\n", "layout.gap", "leave nothing for them on 128x72"),
        (SMALL + "tiles: {radius: 40}\n", "tiles.radius", "use 36 or less"),
        (GOOD + "tiles: {transition: 1001ms}\n", "tiles.transition", "use 1s or less"),
        (GOOD + "layout: {kind: spotlight}\n", "layout.kind", "add peers: [NAME]"),
        (GOOD + "layout: {kind: spotlight, peers: [' ']}\n", "layout.peers[0]", "is empty"),
        (boxes("x: 0.5, y: 0, width: 0.6, height: 1"), "layout.boxes[0].width", "right edge; use 0.5 or less"),
        (boxes("x: 0, y: 0.9, width: 1, height: 0.2"), "layout.boxes[0].height", "bottom edge; use 0.1 or less"),
        (boxes("x: 0, y: 0, width: 1, height: 0.02"), "layout.boxes[0].height", "under 16 pixels; use 0.023 or more"),
        (boxes("x: 0, y: 0, width: 1, height: 1, role: a, screen: true"), "layout.boxes[0]", "keep one"),
        (boxes("x: 0, y: 0, width: 1, height: 1, name: ''"), "layout.boxes[0].name", "is empty"),
        (GOOD + "cards: {end: {duration: 31s}}\n", "cards.end.duration", "use 500ms to 30s"),
        (GOOD + "cards: {start: {duration: 0s}}\n", "cards.start.duration", "use 500ms to 30s"),
        (GOOD + "cards: {paused: {title: 'in {rom}'}}\n", "cards.paused.title", "did you mean 'room'?"),
        (GOOD + "overlays: [{kind: title, text: '{'}]\n", "overlays[0].text", "a brace stands alone"),
        (GOOD + 'overlays: [{kind: title, text: "a\\nb"}]\n', "overlays[0].text", "in one line"),
        (GOOD + "overlays: [{kind: title, text: ' '}]\n", "overlays[0].text", "is empty"),
        (GOOD + "overlays: [{kind: clock, zone: Europe/Berlim}]\n", "overlays[0].zone", "mean 'Europe/Berlin'?"),
        (GOOD + "overlays: [{kind: clock, zone: Europe}]\n", "overlays[0].zone", "unknown time zone"),
        (GOOD + "overlays: [{kind: clock, format: '%Q'}]\n", "overlays[0].format", "%Q is not known"),
        (GOOD + "overlays: [{kind: clock, format: '%H%'}]\n", "overlays[0].format", "a % stands alone"),
        (GOOD + "overlays: [{kind: clock, format: noon}]\n", "overlays[0].format", "shows no time"),
        (GOOD + "overlays: [{kind: clock, format: '%A%A%A%A%A%A'}]\n", "overlays[0].format", "longer than 40"),
        (
            GOOD + "overlays: [{kind: clock, id: a}, {kind: clock, id: a}]\n",
            "overlays[1].id",
            "the id of overlays[0] too",
        ),
        (SMALL + "overlays: [{kind: image, image: a.png, margin: 40}]\n", "overlays[0].margin", "leave nothing"),
        (GOOD + "roles: {' host': {}}\n", "roles. host", "begins or ends with a space"),
        (GOOD + "roles: {host: {pan: left}}\naudio: {channels: 1}\n", "roles.host.pan", "set audio.channels: 2"),
        (GOOD + "select: {names: []}\n", "select.names", "selects nobody"),
        (GOOD + "select: {sources: []}\n", "select.sources", "selects nothing"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_fix(text: str, path: str, says: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(text)
    assert [place for place, _ in caught.value.problems] == [path]
    assert says in caught.value.problems[0][1]


def test_boxes_may_overlap_and_thirds_fill_the_canvas() -> None:
    third = "y: 0, width: 0.33333, height: 1"
    read(
        boxes(
            f"x: 0, {third}", f"x: 0.33333, {third}", f"x: 0.66667, {third}", "x: 0.1, y: 0.1, width: 0.5, height: 0.5"
        )
    )


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.542, abs=0.001)


@pytest.mark.parametrize("base", PALETTES)
def test_our_palettes_can_be_read(base: str) -> None:
    palette = PALETTES[base]
    for name, grounds, least in PAIRS:
        for ground in grounds:
            assert contrast(getattr(palette, name), getattr(palette, ground)) >= least, (name, ground)


@pytest.mark.parametrize(
    ("theme", "field", "pair"),
    [
        ("{text: '#404040'}", "text", "on background #101418 and"),
        ("{background: '#ffffff'}", "background", "text #f2f4f6 has a contrast of"),
        ("{label: '#eeeeee'}", "label", "label_text #ffffff"),
        ("{base: light, quiet: '#eeeeee'}", "quiet", "needs 3:1"),
        ("{speaking: '#202020'}", "speaking", "needs 3:1"),
        ("{muted: '#200000'}", "muted", "on label #000000"),
    ],
)
def test_colours_nobody_can_tell_apart_are_refused_with_one_that_does(theme: str, field: str, pair: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(GOOD + f"theme: {theme}\n")
    assert any(place == f"theme.{field}" and pair in message for place, message in caught.value.problems)


def test_the_colour_suggested_is_taken() -> None:
    grounds = ("#101418", "#22262a")
    better = nearest("#404040", grounds, 4.5)
    assert better is not None
    assert min(contrast(better, ground) for ground in grounds) == pytest.approx(4.5, abs=0.1)
    read(GOOD + f"theme: {{text: '{better}'}}\n")
    assert nearest("#808080", ("#000000", "#777777", "#ffffff"), 4.5) is None


def test_an_accent_is_judged_on_the_theme_it_is_for() -> None:
    text = GOOD + "roles: {host: {accent: '#ffe08a'}}\n"
    read(text)
    with pytest.raises(RequestError, match=r"roles\.host\.accent: accent #ffe08a has a contrast"):
        read(text + "theme: light\n")


def test_each_of_our_layouts_is_registered() -> None:
    assert set(LAYOUTS) <= set(registry.names("layouts"))


def test_another_layout_keeps_what_was_said_about_the_old_one() -> None:
    before = read(GOOD + "layout: {kind: grid, gap: 20, fit: contain, most: 20}\n")
    speaker = checking.with_layout(before, "speaker").layout
    assert isinstance(speaker, SpeakerDoc)
    assert (speaker.gap, speaker.fit, speaker.most) == (20, "contain", 20)
    columns = checking.with_layout(before, "columns").layout
    assert (columns.gap, columns.most) == (20, 4)
    for kind, says in (("custom", "at least one box"), ("spotlight", "on nobody"), ("gird", "did you mean 'grid'?")):
        with pytest.raises(RequestError) as caught:
            checking.with_layout(before, kind)
        assert says in caught.value.message


def test_a_part_is_examined_by_itself_in_the_same_words() -> None:
    pipeline = read(SMALL)
    value, problems = checking.examine_part("theme", "light", pipeline)
    assert (value, problems) == (ThemeDoc(base="light"), ())
    value, problems = checking.examine_part("layout", {"kind": "speeker"}, pipeline)
    assert value is None
    assert [problem.path for problem in problems] == ["layout.kind"]
    value, problems = checking.examine_part("overlays", [{"kind": "clock", "zone": "X"}, {"kind": "logo"}], pipeline)
    assert [problem.path for problem in problems] == ["overlays[1].kind", "overlays[0].zone"]
    assert [p.path for p in checking.examine_part("tiles", {"radius": 40}, pipeline)[1]] == ["tiles.radius"]


def test_a_part_of_a_running_job_is_not_blamed_for_others() -> None:
    room = {"room": "{odd}", "date": "", "time": "", "job": "", "started": "", "pipeline": ""}
    running = look_texts.filled(read(GOOD + "overlays: [{kind: title, text: '{room}'}]\n"), room)
    assert checking.examine_part("tiles", {"radius": 4}, running)[1] == ()


def test_placeholders_become_what_people_write() -> None:
    known = look_texts.values(
        room="Café\n🎉", job="j", pipeline="p", started=datetime(2026, 1, 31, 17, 45, 9, tzinfo=UTC)
    )
    title = TitleOverlay(kind="title", text="{room}: {started}, {date} {time}")
    assert look_texts.filled((title,), known)[0].text == "Café 🎉: 2026-01-31 17:45 UTC, 2026-01-31 17:45 UTC"
    assert look_texts.filled(CardDoc(title="{room}"), {"room": "x" * 500}).title == "x" * 119 + "…"


def picture(kind: str, size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    into = io.BytesIO()
    Image.new("RGBA" if kind != "JPEG" else "RGB", size).save(into, kind, **options)
    return into.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True, "exif": b"Exif\0\0" + b"x" * 5000}), ("WEBP", {}),
     ("WEBP", {"lossless": True}), ("WEBP", {"exif": b"Exif\0\0xx"})],
)  # fmt: skip
def test_pictures_are_known_from_their_heads(tmp_path: Path, kind: str, options: dict[str, object]) -> None:
    path = tmp_path / "x"
    path.write_bytes(picture(kind, **options))
    assert image_problem(path) is None


def test_a_picture_that_would_fill_the_memory_is_refused_by_its_head(tmp_path: Path) -> None:
    head = picture("PNG")
    (tmp_path / "x.png").write_bytes(head[:16] + struct.pack(">II", 8_000, 6_000) + head[24:])
    assert "has 8000x6000 pixels; a picture may have 40 million" in str(image_problem(tmp_path / "x.png"))
    # An extended WebP holds width and height less one, 24 bits each.
    head = picture("WEBP", exif=b"Exif\0\0xx")
    (tmp_path / "x.webp").write_bytes(head[:24] + struct.pack("<HBHB", 7_999, 0, 5_999, 0) + head[30:])
    assert "has 8000x6000 pixels" in str(image_problem(tmp_path / "x.webp"))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is no PNG"),
        (b"<svg/>", "is no PNG"),
        (b"\x89PNG\r\n\x1a\n", "is a broken PNG"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 50, "is a broken JPEG"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "is a broken WebP"),
        (b"\0" * (MAX_BYTES + 1), "may have 10 MiB"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "x.png").write_bytes(data)
    assert says in str(image_problem(tmp_path / "x.png"))


def test_pictures_come_from_the_folders_they_may_and_from_nowhere_else(tmp_path: Path) -> None:
    mine, assets = tmp_path / "mine", tmp_path / "assets"
    for path in (mine / "sub" / "a.png", assets / "b.png", tmp_path / "out.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture("PNG"))
    (mine / "link.png").symlink_to(tmp_path / "out.png")
    (mine / "folder.png").mkdir()
    good = {"sub/a.png": mine / "sub" / "a.png", "b.png": assets / "b.png", str(assets / "b.png"): assets / "b.png"}
    bad = {
        "none.png": "is not in",
        "../out.png": "remove '..'",
        str(tmp_path / "out.png"): "lies outside",
        "link.png": "through a link",
        "folder.png": "is no file",
        "https://host/a.png": "a file beside the pipeline",
        "~/a.png": "a file beside the pipeline",
        "a\0.png": "the name of a file",
    }
    for name, place in good.items():
        card, problems = resolve_images(CardDoc(image=name), "cards.end", (mine, assets))
        assert (card.image, problems) == (str(place.resolve()), ())
    for name, says in bad.items():
        _, problems = resolve_images(CardDoc(image=name), "cards.end", (mine, assets))
        assert [problem.path for problem in problems] == ["cards.end.image"], name
        assert says in problems[0].message
