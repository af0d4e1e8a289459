import argparse
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from egress.cli import BAD_INPUT, main
from egress.layouts.base import Tile
from egress.model.errors import RequestError
from egress.model.media import SECOND, Size
from egress.preview.figure import Figure, looks
from egress.preview.people import MOST, guests
from egress.preview.plan import Wanted, planned
from egress.preview.script import read
from egress.preview.showing import Showing
from egress.preview.sources import Camera, Screen

HERE = """\
name: here
layout: {gap: 4}
tiles: {transition: 0s}
video: {size: 320x180, fps: 10}
sinks: [{kind: mp4, to: a.mp4}]
"""


@pytest.fixture
def preview(tmp_path):
    """Pictures at session times of a preview of a small pipeline, and the tiles it was made of."""

    def show(script: str = "", at: tuple[float, ...] = (2,), more: str = "", **wanted) -> Shown:
        (tmp_path / "here.yaml").write_text(HERE + more)
        asked = Wanted(
            str(tmp_path / "here.yaml"),
            tmp_path / "a.png",
            read(script or "room: x", "script.yaml", tmp_path),
            **wanted,
        )
        plan = planned(asked)
        showing = Showing(plan.pipeline, plan.video, plan.rehearsal, pytest.fail)
        pictures, tiles = [], []
        for seconds in at:
            canvas = showing.picture_at(round(seconds * SECOND))
            pictures.append(canvas.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray().astype(int))
            tiles.append(showing.tiles)
        return Shown(pictures, tiles)

    return show


class Shown(argparse.Namespace):
    def __init__(self, pictures, tiles: list[tuple[Tile, ...]]) -> None:
        super().__init__(pictures=pictures, tiles=tiles)

    def names(self, number: int = 0) -> list[str]:
        return [tile.label for tile in self.tiles[number]]


def test_everyone_is_in_the_picture_and_differs(preview):
    shown = preview(participants=4)
    assert shown.names() == ["Ada", "Grace", "Linus", "Margaret"]
    quarters = [shown.pictures[0][y : y + 80, x : x + 150] for y in (5, 95) for x in (5, 165)]
    for one in range(4):
        for other in range(one):
            assert np.abs(quarters[one] - quarters[other]).mean() > 8, (one, other)


def test_of_four_one_speaks_one_is_muted_and_one_has_no_camera(preview):
    tiles = preview(participants=4).tiles[0]
    assert [tile.muted for tile in tiles] == [False, False, True, False]
    assert [tile.camera_off for tile in tiles] == [False, False, False, True]
    assert [guest.speaking for guest in guests(4)] == [False, True, False, False]
    assert [guest.role for guest in guests(4)] == ["host", "guest", "guest", "guest"]


def test_the_same_request_makes_the_same_picture(preview):
    one, other = (preview(participants=5, screen=True).pictures[0] for _ in range(2))
    assert np.array_equal(one, other)


def test_nobody_is_still_unless_the_camera_is_off(preview):
    early, late = preview(at=(2, 3), participants=4).pictures
    moved = np.abs(early - late)
    assert moved[:88, :150].max() > 20
    assert moved[95:, 165:].max() == 0


def test_a_shared_screen_is_shown_whole(preview):
    shown = preview(participants=2, screen=True)
    screen = next(tile for tile in shown.tiles[0] if tile.track and "screen" in tile.track)
    assert screen.fit == "contain"
    box = screen.box
    inside = shown.pictures[0][box.y : box.y + box.height, box.x : box.x + box.width]
    orange = (inside[..., 0] - inside[..., 2]) > 80
    assert orange[:, : box.width // 8].any(axis=1).sum() > 0.9 * box.width * 9 / 16
    assert orange[:, -box.width // 8 :].any(axis=1).sum() > 0.9 * box.width * 9 / 16


def test_more_than_can_be_shown_are_counted(preview):
    assert preview(participants=MOST).names()[-1] == f"+{MOST - 48} more"


def test_people_come_go_and_change_as_the_script_says(preview):
    shown = preview(
        """
timeline:
  - {at: 0s, do: join, who: ada, name: Ada}
  - {at: 1s, do: join, who: bob, muted: true, camera: false}
  - {at: 2s, do: rename, who: bob, name: Robert}
  - {at: 2s, do: unmute, who: bob}
  - {at: 3s, do: camera-on, who: bob}
  - {at: 3s, do: camera-off, who: ada}
  - {at: 4s, do: leave, who: ada}
""",
        at=(0.5, 1.5, 2.5, 3.5, 4.5),
    )
    seen = [[(t.label, t.muted, t.camera_off) for t in tiles] for tiles in shown.tiles]
    assert seen == [
        [("Ada", False, False)],
        [("Ada", False, False), ("bob", True, True)],
        [("Ada", False, False), ("Robert", False, True)],
        [("Ada", False, True), ("Robert", False, False)],
        [("Robert", False, False)],
    ]


def test_who_speaks_is_marked_until_a_moment_after(preview):
    script = "participants: 1\ntimeline: [{at: 2s, do: speak, who: ada}, {at: 3s, do: quiet, who: ada}]"
    before, during, after = preview(script, at=(1.9, 2.5, 4), participants=1).pictures
    edge = [picture[0:1, 120:200].mean(axis=(0, 1)) for picture in (before, during, after)]
    assert edge[1][1] > edge[0][1] + 30 or edge[1][1] - edge[1][0] > 40
    assert abs(edge[2] - edge[0]).max() < 25


def test_operators_direct_the_picture(preview):
    script = "timeline: [{at: 1s, do: command, command: {command: hide, peers: Ada}}]"
    assert preview(script, at=(0.5, 1.5), participants=2).names(1) == ["Grace"]


def test_titles_said_live_have_their_placeholders_filled(preview):
    script = """
room: Weekly
timeline: [{at: 1s, do: command, command: {command: title, text: "{room}"}}]
"""
    same = script.replace('"{room}"', "Weekly")
    one, other = preview(script, participants=1), preview(same, participants=1)
    bare = preview(participants=1)
    assert np.array_equal(one.pictures[0], other.pictures[0])
    assert not np.array_equal(one.pictures[0], bare.pictures[0])


def test_cards_come_and_go(preview):
    more = "cards: {start: {title: Soon, duration: 2s}, end: {title: Bye, duration: 2s}}\n"
    script = "timeline: [{at: 4s, do: command, command: stop}]"
    start, running, end = preview(script, at=(1, 3, 5), more=more, participants=1).pictures
    still = preview(script, at=(1.5,), more=more, participants=1).pictures[0]
    assert np.array_equal(start, still)
    assert np.abs(running - start).mean() > 20
    assert np.abs(end - start).mean() < 10


def test_an_empty_room_shows_the_card_of_waiting(preview):
    shown = preview(participants=0)
    assert shown.tiles == [()]
    assert shown.pictures[0].std() > 1


@pytest.mark.parametrize(
    ("step", "field", "says"),
    [
        ("{at: 1s, do: leave, who: bob}", "timeline[0].who", "in the room: ada"),
        ("{at: 1s, do: leave, who: adda}", "timeline[0].who", "did you mean 'ada'"),
        ("{at: 1s, do: join, who: ada}", "timeline[0].who", "already"),
        ("{at: 1s, do: unshare, who: ada}", "timeline[0].who", "share one first"),
        ("{at: 1s, do: join, who: bob, avatar: none.png}", "timeline[0].avatar", "No such file"),
        ("{at: 1s, do: command, command: {command: pin, peers: bob}}", "timeline[0].command.peers[0]", "Ada"),
        (
            "{at: 1s, do: command, command: {command: theme, theme: {image: no.png}}}",
            "timeline[0].command.theme.image",
            "no.png",
        ),
    ],
)
def test_a_step_nobody_can_take_is_named_with_its_line(preview, step, field, says):
    with pytest.raises(RequestError) as caught:
        preview(f"timeline:\n  - {step}\n", participants=1)
    ((path, message),) = caught.value.problems
    assert path == field
    assert says in message
    assert "(line 2)" in message


def test_who_is_muted_cannot_speak(preview):
    with pytest.raises(RequestError, match="unmute them first"):
        preview("timeline: [{at: 0s, do: mute, who: ada}, {at: 1s, do: speak, who: ada}]", participants=1)


def test_a_camera_gives_one_object_for_one_picture():
    camera = Camera(0, lambda: False)
    camera.show(Size(64, 36), "cover")
    first = camera.picture_at(0, SECOND // 60)
    assert camera.picture_at(SECOND // 30, SECOND // 60) is first
    assert camera.picture_at(SECOND // 10, SECOND // 60) is not first
    camera.show(Size(32, 18), "cover")
    assert camera.picture_at(SECOND // 10, SECOND // 60).frame.width == 32


def test_a_screen_is_drawn_once_for_a_tile():
    screen = Screen()
    screen.show(Size(160, 90), "contain")
    assert screen.picture_at(0, 1) is screen.picture_at(SECOND, 1)


def test_mouths_move_while_somebody_speaks():
    figure = Figure(looks(0), Size(160, 90))
    quiet = {bytes(figure.draw(0.2 * n, speaking=False).planes[2])[80 * 25 : 80 * 35] for n in range(1)}
    loud = {bytes(figure.draw(0.2 * n, speaking=True).planes[2])[80 * 25 : 80 * 35] for n in range(6)}
    assert len(loud) > len(quiet)


def test_no_two_people_look_alike():
    assert len({(looks(n).skin, looks(n).hair, looks(n).shirt, looks(n).room, looks(n).style) for n in range(64)}) == 64


def run(*words: str) -> int:
    return main(["preview", *words])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nope", "--out", "a.png"], "record-grid"),
        (["here.yaml", "--out", "a.gif"], ".jpg, .mp4, .png, .webp"),
        (["here.yaml", "--out", "a"], ".png"),
        (["here.yaml", "--out", "no/such/a.png"], "no folder"),
        (["here.yaml", "--out", "there.png"], "--overwrite"),
        (["here.yaml", "--out", "folder.png"], "is a folder"),
        (["here.yaml", "--out", "a.png", "--participants", "65"], "0 to 64"),
        (["here.yaml", "--out", "a.png", "--participants", "-1"], "0 to 64"),
        (["here.yaml", "--out", "a.png", "--at", "-1"], "--at"),
        (["here.yaml", "--out", "a.png", "--at", "nan"], "--at"),
        (["here.yaml", "--out", "a.png", "--seconds", "1"], "--at"),
        (["here.yaml", "--out", "a.mp4", "--at", "1"], "--seconds"),
        (["here.yaml", "--out", "a.mp4", "--seconds", "0"], "--seconds"),
        (["here.yaml", "--out", "a.png", "--size", "big"], "1280x720"),
        (["here.yaml", "--out", "a.png", "--size", "321x180"], "video.size"),
        (["here.yaml", "--out", "a.png", "--layout", "gird"], "grid"),
        (["here.yaml", "--out", "a.png", "--script", "none.yaml"], "none.yaml"),
        (["here.yaml", "--out", "a.png", "--script", "bad.yaml"], "timeline[0].do"),
        (["here.yaml", "--out", "a.png", "--participants", "0", "--screen"], "--participants 1"),
        (["audio-only", "--out", "a.png"], "no picture"),
    ],
)
def test_bad_input_is_refused_in_words_and_nothing_is_written(tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    Path("here.yaml").write_text(HERE)
    Path("bad.yaml").write_text("timeline: [{at: 0s, do: dance}]")
    Path("there.png").write_bytes(b"mine")
    Path("folder.png").mkdir()
    before = sorted(tmp_path.iterdir())
    assert run(*words) == BAD_INPUT
    assert says in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
    assert Path("there.png").read_bytes() == b"mine"


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "PNG"])
def test_a_picture_is_of_the_kind_its_name_says(tmp_path, suffix):
    (tmp_path / "here.yaml").write_text(HERE)
    out = tmp_path / f"a.{suffix}"
    assert run(str(tmp_path / "here.yaml"), "--out", str(out), "--participants", "1", "--size", "160x90") == 0
    with Image.open(out) as image:
        assert image.size == (160, 90)
        assert image.format == {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}[suffix.lower()]
    assert {path.name for path in tmp_path.iterdir()} == {"here.yaml", out.name}


def test_what_is_there_is_replaced_when_asked_to(tmp_path):
    (tmp_path / "here.yaml").write_text(HERE)
    (tmp_path / "a.png").write_bytes(b"old")
    assert run(str(tmp_path / "here.yaml"), "--out", str(tmp_path / "a.png"), "--overwrite") == 0
    Image.open(tmp_path / "a.png").verify()
