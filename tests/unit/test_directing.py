import pytest

from egress.model import checking, control
from egress.model.directing import directed
from egress.model.direction import Direction
from egress.model.errors import RequestError
from egress.model.room import Peer, PeerJoined, Room

PIPELINE = checking.read("name: x\nsinks: [{kind: mp4, to: a.mp4}]", "x")
ROOM = Room("r").after(PeerJoined(Peer("ada", "Ada")))


def obey(folder, before=None, **command):
    return directed(
        control.read(command),
        before or Direction.of(PIPELINE),
        ROOM,
        pipeline=PIPELINE,
        folders=(folder,),
        values={"room": "Weekly"},
    )


def test_texts_are_filled_once(tmp_path):
    once = obey(tmp_path, command="title", text="{room}")
    assert once.overlays[0].text == "Weekly"
    assert obey(tmp_path, once, command="title", text="{room}") == once


def test_pictures_are_found_beside_the_pipeline(tmp_path):
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (8).to_bytes(4) + (8).to_bytes(4)
    (tmp_path / "logo.png").write_bytes(png)
    after = obey(tmp_path, command="overlay", overlay={"kind": "image", "id": "logo", "image": "logo.png"})
    assert after.overlays[0].image == str(tmp_path / "logo.png")


@pytest.mark.parametrize(
    ("command", "field"),
    [
        ({"command": "overlay", "overlay": {"kind": "image", "id": "logo", "image": "no.png"}}, "overlay.image"),
        ({"command": "overlay", "overlay": {"kind": "clock", "id": "c", "zone": "Mars/Base"}}, "overlay.zone"),
        ({"command": "title", "text": "{rooom}"}, "text"),
        (
            {"command": "overlays", "overlays": [{"kind": "clock"}, {"kind": "title", "text": "{rooom}"}]},
            "overlays[1].text",
        ),
        ({"command": "theme", "theme": {"image": "no.png"}}, "theme.image"),
        ({"command": "layout", "layout": {"kind": "spotlight"}}, "layout"),
    ],
)
def test_what_breaks_a_rule_is_named_by_the_commands_own_field(tmp_path, command, field):
    with pytest.raises(RequestError) as caught:
        obey(tmp_path, **command)
    assert any(path.startswith(field) for path, _ in caught.value.problems), caught.value.problems


def test_a_theme_is_taken_although_a_role_s_accent_was_chosen_for_another():
    document = 'name: x\nroles: {host: {accent: "#ffd166"}}\nsinks: [{kind: mp4, to: a.mp4}]'
    pipeline = checking.read(document, "x")
    light = control.read({"command": "theme", "theme": "light"})
    after = directed(light, Direction.of(pipeline), ROOM, pipeline=pipeline, folders=(), values={})
    assert after.theme.base == "light"
