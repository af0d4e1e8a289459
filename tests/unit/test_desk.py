"""The control desk: every line is answered, and what is refused changes nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from egress import desk as module
from egress.desk import Desk, placeholders
from egress.model.errors import RequestError
from egress.model.order import JobOrder
from egress.model.pipeline import Pipeline
from egress.model.room import Peer, PeerJoined
from tests.unit.test_stage import House

CAPTIONED = {"kind": "hls", "to": "live/", "captions": [{"language": "en"}, {"language": "pt-BR"}]}


class Office:
    """A desk before a made-up stage, and what it says."""

    def __init__(self, tmp_path: Path, **document: Any) -> None:
        self.house = House(**document)
        self.events: list[dict[str, Any]] = []
        self.stops: list[str] = []
        self.marks: list[Any] = []
        self.changes: list[Any] = []
        doc = {"name": "test", "sinks": [{"kind": "mp4", "to": "a.mp4"}]} | document
        order = JobOrder(
            id="job-1",
            room="local:standup",
            title="Stand-up",
            pipeline=Pipeline.model_validate(doc),
            folder=str(tmp_path),
            manifest=str(tmp_path / "m.json"),
            pictures=(str(tmp_path / "assets"),),
        )
        values = placeholders(order, datetime(2026, 1, 31, 17, 45, tzinfo=UTC))
        self.desk = Desk(
            order,
            values,
            self.house.stage,
            self.events.append,
            on_stop=self.stops.append,
            on_mark=self.marks.append,
            on_destination=self._change,
        )

    def _change(self, command: Any) -> str:
        if command.command == "remove-destination":
            raise RequestError("it is not there", (("destination", "is none"),))
        self.changes.append(command)
        return "connecting"

    def say(self, **command: Any) -> dict[str, Any]:
        self.desk.hear(json.dumps(command).encode())
        return self.events[-1]

    def refused(self, **command: Any) -> list[str]:
        """The fields that are wrong, and nothing has changed."""
        before, shown = self.house.stage.direction, len(self.house.scenes.shown)
        answer = self.say(**command)
        assert answer["ok"] is False and answer["message"]
        assert self.house.stage.direction == before and len(self.house.scenes.shown) == shown
        return [problem["field"] for problem in answer["details"]["problems"]]


async def test_whatever_is_said_is_answered_once(tmp_path: Path) -> None:
    office = Office(tmp_path)
    for line in (b"", b"nonsense", b"[]", b"\xff", b"{}", b'{"command": "pause"}', b"x" * 70_000, b'{"id": 3}'):
        count = len(office.events)
        office.desk.hear(line)
        assert len(office.events) == count + 1
        assert office.events[-1].keys() == {"type", "id", "command", "ok", "message", "details"}
    assert office.events[-1]["id"] == 3


async def test_commands_are_obeyed_and_said_to_be(tmp_path: Path) -> None:
    office = Office(tmp_path, sinks=[CAPTIONED])
    await office.house.stage.take(PeerJoined(Peer("1", "Ada")))
    assert office.say(command="pin", peers=["ada"], id=1)["ok"] and office.house.stage.direction.pinned == ("1",)
    assert office.say(command="layout", layout="speaker")["ok"]
    assert office.house.stage.direction.layout.kind == "speaker"
    assert office.say(command="theme", theme="light")["message"] == "done"
    assert office.say(command="theme", theme="light")["message"] == "nothing changes"
    assert [office.say(command=name)["message"] for name in ("pause", "pause", "resume", "resume")] == [
        "paused", "paused already", "resumed", "nothing is paused",
    ]  # fmt: skip
    assert office.say(command="mark", text="Vote")["ok"] and office.marks[-1].text == "Vote"
    assert office.say(command="metadata", payload="{}")["ok"] and office.marks[-1].payload == "{}"
    assert office.say(command="caption", text="Hello")["message"] == "sent" and office.marks[-1].text == "Hello"
    assert office.say(command="stop", reason="enough")["ok"] and office.stops == ["enough"]


async def test_captions_nobody_would_see_are_refused(tmp_path: Path) -> None:
    assert Office(tmp_path).refused(command="caption", text="Hello") == ["command"]
    office = Office(tmp_path, sinks=[CAPTIONED])
    assert office.refused(command="caption", text="Hej", language="sv") == ["language"]
    assert "en, pt-BR" in office.events[-1]["message"]
    assert office.say(command="caption", text="Olá", language="PT-br")["ok"]
    assert len(office.marks) == 1


async def test_the_rules_of_pipelines_hold_for_commands_too(tmp_path: Path) -> None:
    office = Office(tmp_path, video={"size": "320x180", "bitrate": "200k"})
    assert office.refused(command="layout", layout={"kind": "grid", "margin": 80}) == ["layout.margin"]
    assert office.refused(command="title", text="Hello {nobody}") == ["text"]
    assert office.refused(command="overlay", overlay={"kind": "clock", "id": "c", "zone": "Mars/Base"}) == [
        "overlay.zone"
    ]


async def test_placeholders_in_texts_are_filled(tmp_path: Path) -> None:
    office = Office(tmp_path)
    assert office.say(command="title", text="{room}, {date}")["ok"]
    (title,) = office.house.scenes.last.style.overlays
    assert title.text == "standup, 2026-01-31"  # type: ignore[union-attr]
    assert office.say(command="overlay", overlay={"kind": "clock", "id": "c"})["ok"]
    assert len(office.house.scenes.last.style.overlays) == 2


async def test_pictures_come_from_the_assets_only(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    for place in (tmp_path / "assets" / "logo.png", tmp_path / "secret.png"):
        Image.new("RGB", (8, 8)).save(place)
    office = Office(tmp_path)
    logo = {"kind": "image", "id": "logo"}
    for image in ("../secret.png", str(tmp_path / "secret.png"), "none.png"):
        assert office.refused(command="overlay", overlay={**logo, "image": image}) == ["overlay.image"]
    assert office.say(command="overlay", overlay={**logo, "image": "logo.png"})["ok"]
    (overlay,) = office.house.stage.direction.overlays
    assert overlay.image == str(tmp_path / "assets" / "logo.png")  # type: ignore[union-attr]


async def test_a_job_is_not_paused_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PAUSES", 1)
    office = Office(tmp_path)
    assert office.say(command="pause")["ok"] and office.say(command="resume")["ok"]
    assert office.refused(command="pause") == ["command"]


async def test_streams_are_added_and_removed_by_who_has_them_and_refusals_are_answered(tmp_path: Path) -> None:
    office = Office(tmp_path)
    answer = office.say(command="add-destination", to="rtmp://host/live/canary-key", name="main")
    assert (answer["ok"], answer["message"]) == (True, "connecting")
    assert [command.name for command in office.changes] == ["main"]
    assert office.refused(command="remove-destination", destination="other") == ["destination"]
    assert office.refused(command="add-destination") == ["to"]
    assert "canary" not in json.dumps(office.events)
