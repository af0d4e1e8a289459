"""Commands to a running job: what is understood, what is refused, and the event that answers."""

from __future__ import annotations

import json

import pytest

from egress.model import control
from egress.model.control import COMMANDS, LONGEST, answer, echo, parse
from egress.model.errors import RequestError

GOOD = (
    {"command": "stop", "reason": "enough"},
    {"command": "stop"},
    {"command": "layout", "layout": "speaker"},
    {"command": "layout", "layout": {"kind": "grid", "gap": 0}},
    {"command": "theme", "theme": "light"},
    {"command": "tiles", "tiles": {"labels": False}},
    {"command": "overlays", "overlays": [{"kind": "title", "text": "Hello"}]},
    {"command": "overlay", "overlay": {"kind": "clock", "id": "clock"}},
    {"command": "remove-overlay", "overlay": "clock"},
    {"command": "title", "text": "Questions"},
    {"command": "pin", "peers": ["ann", "bob"]},
    {"command": "pin", "peers": "ann"},
    {"command": "unpin"},
    {"command": "hide", "peers": ["ann"]},
    {"command": "show", "peers": ["ann"]},
    {"command": "pause"},
    {"command": "resume"},
    {"command": "mark", "text": "Vote"},
    {"command": "add-destination", "to": "rtmp://live.example.com/app/key", "name": "second"},
    {"command": "remove-destination", "destination": "second"},
    {"command": "metadata", "payload": '{"poll": 7}', "duration": "10s"},
    {"command": "caption", "text": "Good evening.", "duration": "2s", "language": "en"},
)


def refused(document: object) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse(document if isinstance(document, str | bytes) else json.dumps(document))
    return caught.value


@pytest.mark.parametrize("document", GOOD, ids=lambda d: json.dumps(d)[:50])
def test_a_command_is_understood_and_can_be_sent_on(document: dict[str, object]) -> None:
    command = parse(json.dumps(document))
    assert command.command == document["command"]
    assert parse(command.model_dump_json()) == command


def test_every_command_has_an_example_here() -> None:
    assert {str(document["command"]) for document in GOOD} == set(COMMANDS)


@pytest.mark.parametrize(
    ("document", "field", "words"),
    [
        ({}, "command", "is required: one of add-destination, caption, hide"),
        ({"command": "puase"}, "command", "did you mean 'pause'?"),
        ({"command": 7}, "command", "unknown command 7"),
        ({"command": "pause", "wehn": 1}, "wehn", "known: command, id"),
        ({"command": "pin"}, "peers", "is required"),
        ({"command": "pin", "peers": []}, "peers", "at least 1"),
        ({"command": "pin", "peers": [1]}, "peers[0]", "1 should be a valid string"),
        ({"command": "layout", "layout": {"kind": "grid", "gap": 900}}, "layout.gap", "900 is too big; use 200"),
        ({"command": "layout", "layout": 5}, "layout", "5 must be a mapping with keys fit, gap"),
        ({"command": "layout", "layout": "custom"}, "layout.boxes", "is required: at least one box"),
        ({"command": "tiles", "tiles": None}, "tiles", "must be a mapping with keys avatars"),
        ({"command": "layout", "layout": {"kind": "speaker", "stripe": 1}}, "layout.stripe", "unknown key"),
        ({"command": "overlay", "overlay": {"kind": "title"}}, "overlay.text", "is required"),
        ({"command": "overlays", "overlays": [{"kind": "clock", "id": "A B"}]}, "overlays[0].id", "like logo"),
        ({"command": "overlays", "overlays": "logo"}, "overlays", "must be a list"),
        ({"command": "overlay", "overlay": {"id": "logo"}}, "overlay.kind", "is required: one of clock, image"),
        ({"command": "overlays", "overlays": [{"kind": "cat"}]}, "overlays[0].kind", "unknown kind 'cat'"),
        ({"command": "theme", "theme": {"text": "red"}}, "theme.text", "must be a colour like"),
        ({"command": "tiles", "tiles": {"transition": "soon"}}, "tiles.transition", "is not a duration"),
        ({"command": "mark", "text": "x" * 121}, "text", "at most 120"),
        ({"command": "pause", "id": "x" * 65}, "id", "64"),
        ({"command": "pause", "id": "\ud83d"}, "id", "text"),
    ],
)
def test_what_is_wrong_is_named_with_its_field(document: dict[str, object], field: str, words: str) -> None:
    told = dict(refused(document).problems)
    assert list(told) == [field] and words in told[field], told


@pytest.mark.parametrize("line", ["", "pause", b"\xff\xfe", "[1]", "null", '"pause"', "[" * 60_000, "{" * 10])
def test_what_is_no_command_is_refused_with_an_example(line: str | bytes) -> None:
    assert '{"command": "pause"}' in refused(line).message
    assert echo(line) == (None, None)


def test_a_line_that_is_too_long_is_not_read() -> None:
    error = refused(json.dumps({"command": "mark", "text": "x" * LONGEST}))
    assert f"at most {LONGEST}" in error.message
    assert echo(b" " * (LONGEST + 1)) == (None, None)


def test_answers_carry_the_id_back() -> None:
    told = answer(parse('{"command": "pause", "id": 7}'), message="paused", at=1.5)
    assert told == {
        "type": "control", "id": 7, "command": "pause", "ok": True, "message": "paused", "details": {"at": 1.5},
    }  # fmt: skip
    line = '{"command": "pin", "id": "a"}'
    told = answer(echo(line), error=refused(line))
    assert (told["id"], told["command"], told["ok"]) == ("a", "pin", False)
    assert told["details"]["problems"][0]["field"] == "peers"
    assert echo('{"command": 3, "id": true}') == (None, None)
    assert echo('{"command": "\\ud83d", "id": "\\ud83d"}') == (None, None)


def test_every_command_tells_what_it_does() -> None:
    for made in control.COMMANDS.values():
        assert made.__doc__ and made.model_json_schema()["properties"]["command"]["const"]
