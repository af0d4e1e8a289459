"""What operators wanted outlives the worker they told, and is asked again once and in order."""

from __future__ import annotations

import json
from typing import Any

from egress.control.wishes import Wishes, layout_in


def say(wishes: Wishes, ok: bool = True, **command: Any) -> None:
    """An operator says something, and the worker answers."""
    wishes.hear(json.dumps(command))
    answer = {"type": "control", "id": command.get("id"), "command": command["command"], "ok": ok}
    assert wishes.take(answer) == ([], False)


def again(wishes: Wishes) -> list[dict[str, Any]]:
    """What the next worker is told when it is in its room."""
    wishes.again()
    lines, _ = wishes.take({"type": "ready"})
    return [json.loads(line) for line in lines]


def test_only_what_was_obeyed_and_still_holds_is_asked_again() -> None:
    wishes = Wishes()
    say(wishes, command="layout", layout="grid", id=1)
    say(wishes, command="layout", layout="speaker", id=2)
    say(wishes, ok=False, command="theme", theme="pink")
    say(wishes, command="mark", text="Vote")
    say(wishes, command="pause")
    say(wishes, command="add-destination", to="rtmp://host/live/key")
    wishes.hear("no json")
    wishes.hear('{"command": "title", "text": "never answered"}')
    asked = again(wishes)
    assert [command["command"] for command in asked] == ["layout", "pause", "add-destination"]
    assert asked[0]["layout"] == "speaker"
    assert len({command["id"] for command in asked}) == 3


def test_answers_to_what_was_asked_again_are_ours_and_change_nothing() -> None:
    wishes = Wishes()
    say(wishes, command="pause")
    (command,) = again(wishes)
    answer = {"type": "control", "id": command["id"], "command": "pause", "ok": True}
    assert wishes.take(answer) == ([], True)
    assert [command["command"] for command in again(wishes)] == ["pause"]


def test_what_is_about_peers_waits_until_they_have_come_back() -> None:
    wishes = Wishes()
    say(wishes, command="hide", peers=["Ada"])
    (command,) = again(wishes)
    refused = {"type": "control", "id": command["id"], "command": "hide", "ok": False}
    assert wishes.take(refused) == ([], True)
    (line,), _ = wishes.take({"type": "room", "event": "joined", "peer": "Grace"})
    assert wishes.take({**refused, "id": json.loads(line)["id"]}) == ([], True)
    (line,), _ = wishes.take({"type": "room", "event": "joined", "peer": "Ada"})
    assert wishes.take({**refused, "id": json.loads(line)["id"], "ok": True}) == ([], True)
    assert wishes.take({"type": "room", "event": "joined", "peer": "Edsger"}) == ([], False)


def test_they_can_be_kept_elsewhere_and_taken_up_again() -> None:
    wishes = Wishes()
    say(wishes, command="pin", peers=["Ada"])
    say(wishes, command="unpin")
    assert again(Wishes(wishes.lines)) == [{"command": "unpin", "id": "egress-again-0"}]


def test_a_stream_that_was_added_and_removed_is_not_begun_again() -> None:
    wishes = Wishes()
    say(wishes, command="add-destination", to="rtmp://host/live/key", name="press")
    say(wishes, command="remove-destination", destination="press")
    assert wishes.lines == ()
    say(wishes, command="remove-destination", destination="one of the pipeline")
    assert [command["command"] for command in again(wishes)] == ["remove-destination"]


def test_the_layout_is_the_one_that_was_wished_for_last() -> None:
    wishes = Wishes()
    assert layout_in(wishes.lines) is None
    for id_, layout in enumerate(("speaker", {"kind": "pip", "gap": 4})):
        say(wishes, command="layout", layout=layout, id=id_)
    say(wishes, command="pause", id=9)
    assert layout_in(wishes.lines) == "pip"
