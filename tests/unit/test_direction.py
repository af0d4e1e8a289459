"""How operators change the picture, step by step."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from egress.model.control import parse
from egress.model.direction import MOST_OVERLAYS, Direction
from egress.model.errors import RequestError
from egress.model.pipeline import Pipeline
from egress.model.room import Peer, PeerJoined, PeerLeft, Room

PIPELINE = Pipeline.model_validate({"name": "test", "sinks": [{"kind": "mp4", "to": "a.mp4"}]})
BEFORE = Direction.of(PIPELINE)


def room(*names: str) -> Room:
    made = Room("standup")
    for number, name in enumerate(names):
        made = made.after(PeerJoined(Peer(str(number), name)))
    return made


def after(direction: Direction, there: Room, **command: Any) -> Direction:
    return direction.after(parse(json.dumps(command)), there)


def refused(direction: Direction, there: Room, **command: Any) -> tuple[str, str]:
    with pytest.raises(RequestError) as caught:
        after(direction, there, **command)
    return caught.value.problems[0]


def test_it_begins_as_the_pipeline_has_it() -> None:
    assert BEFORE.layout == PIPELINE.layout and BEFORE.tiles == PIPELINE.tiles and not BEFORE.paused


def test_peers_are_named_by_id_or_name_and_kept_by_id() -> None:
    there = room("Ann", "Bob", "Cem")
    pinned = after(BEFORE, there, command="pin", peers=["cem", "0", "2"])
    assert pinned.pinned == ("2", "0")
    assert after(pinned, there, command="pin", peers="Bob").pinned == ("1",)
    assert after(pinned, there, command="unpin") == BEFORE
    hidden = after(after(BEFORE, there, command="hide", peers=["Ann"]), there, command="hide", peers=["Bob"])
    assert hidden.hidden == {"0", "1"}
    gone = there.after(PeerLeft("0"))
    assert after(hidden, gone, command="show", peers=["0", "Bob"]) == BEFORE


def test_unknown_and_ambiguous_peers_are_refused() -> None:
    assert refused(BEFORE, room(), command="pin", peers=["Ann"])[1].endswith("nobody is in the room")
    field, message = refused(BEFORE, room("Ann", "Bob"), command="hide", peers=["Ann", "Bib"])
    assert field == "peers[1]" and "did you mean 'Bob'?" in message and "in the room: Ann, Bob" in message
    assert "use an id: 0, 1" in refused(BEFORE, room("Ann", "ann"), command="pin", peers=["Ann"])[1]


def test_an_unknown_layout_is_refused() -> None:
    field, message = refused(BEFORE, room(), command="layout", layout="gird")
    assert field == "layout.kind" and "did you mean 'grid'?" in message


def test_the_title_is_changed_added_and_taken_away() -> None:
    titled = after(BEFORE, room(), command="title", text="One")
    assert [(o.kind, o.id) for o in titled.overlays] == [("title", "title")]
    own = after(
        BEFORE, room(), command="overlay", overlay={"kind": "title", "id": "top", "text": "A", "place": "bottom"}
    )
    changed = after(own, room(), command="title", text="Two").overlays[0]
    assert changed.model_dump() == own.overlays[0].model_dump() | {"text": "Two"}
    assert after(titled, room(), command="title", text=" ") == BEFORE


def test_overlays_are_changed_by_id() -> None:
    one = after(BEFORE, room(), command="overlay", overlay={"kind": "clock", "id": "c"})
    other = after(one, room(), command="overlay", overlay={"kind": "clock", "id": "c", "zone": "Europe/Berlin"})
    assert len(other.overlays) == 1 and other.overlays != one.overlays
    assert after(other, room(), command="remove-overlay", overlay="c") == BEFORE
    assert "there are: c" in refused(one, room(), command="remove-overlay", overlay="d")[1]
    assert refused(one, room(), command="overlay", overlay={"kind": "clock"})[0] == "overlay.id"
    twice = [{"kind": "clock", "id": "c"}] * 2
    assert refused(one, room(), command="overlays", overlays=twice)[0] == "overlays[1].id"
    many = [{"kind": "clock"}] * MOST_OVERLAYS
    full = after(one, room(), command="overlays", overlays=many)
    assert "remove one first" in refused(full, room(), command="title", text="x")[1]


def test_pausing_twice_is_pausing() -> None:
    paused = after(BEFORE, room(), command="pause")
    assert paused.paused and after(paused, room(), command="pause") == paused
    assert after(paused, room(), command="resume") == after(BEFORE, room(), command="resume") == BEFORE


def test_commands_that_direct_nothing_change_nothing() -> None:
    for command in ("stop", "mark"):
        assert after(BEFORE, room(), command=command, **({"text": "x"} if command == "mark" else {})) is BEFORE


def test_whatever_is_said_the_direction_stays_one() -> None:
    chance = random.Random(7)
    names = ["Ann", "Bob", "Cem"]
    direction, there = BEFORE, room(*names)
    for _ in range(2000):
        said: dict[str, Any] = {"command": chance.choice(["pin", "hide", "show", "unpin", "overlay", "remove-overlay",
                                                          "title", "pause", "resume"])}  # fmt: skip
        if said["command"] in ("pin", "hide", "show"):
            said["peers"] = chance.choices([*names, "0", "nobody"], k=2)
        elif said["command"] == "overlay":
            said["overlay"] = {"kind": "clock", "id": chance.choice("abcdefghijklmnopqrst")}
        elif said["command"] == "remove-overlay":
            said["overlay"] = chance.choice("abcdefghijklmnopqrst")
        elif said["command"] == "title":
            said["text"] = chance.choice(["", "x"])
        before = direction
        try:
            direction = after(direction, there, **said)
        except RequestError:
            assert direction is before
        assert len(direction.overlays) <= MOST_OVERLAYS
        ids = [overlay.id for overlay in direction.overlays if overlay.id]
        assert len(ids) == len(set(ids))
        assert len(set(direction.pinned)) == len(direction.pinned)
        assert {*direction.pinned, *direction.hidden} <= set(there.peers)
