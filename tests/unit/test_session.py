from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from egress.exertion import STAGES
from egress.model import registry
from egress.model.errors import RoomRefused
from egress.model.job import JobState
from egress.model.order import JobOrder
from egress.model.pipeline import Pipeline
from egress.model.room import (
    ConnectionLost,
    ConnectionRestored,
    Peer,
    PeerJoined,
    PeerLeft,
    PeerSpeaking,
    RoomClosed,
    RoomEvent,
)
from egress.rooms.base import RoomSession
from egress.session import Outcome, Session
from tests.manifests import checked

ADA = Peer("ada", "Ada", "host")


class Visit(RoomSession):
    """A room that plays the events it is given; an exception among them is raised."""

    def __init__(self, *script: RoomEvent | Exception | float, stay: bool = True) -> None:
        self._script = script
        self._stay = stay

    async def events(self) -> AsyncIterator[RoomEvent]:
        for step in self._script:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, float):
                await asyncio.sleep(step)
                continue
            yield step
        if self._stay:
            await asyncio.Event().wait()

    def source(self, track_id: str) -> Any:
        raise KeyError(track_id)


class Job:
    """A session on a made-up room, its events, and how it ended."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visit: Visit | Exception, **order: Any) -> None:
        stop = order.pop("stop", {})
        pipeline = Pipeline.model_validate(
            {
                "name": "sound",
                "video": order.pop("video", None),
                "delay": "100ms",
                "cards": order.pop("cards", {}),
                "tiles": order.pop("tiles", {}),
                "stop": stop,
                "sinks": [{"kind": order.pop("kind", "mp4"), "to": order.pop("to", str(tmp_path / "out" / "a.m4a"))}],
            }
        )
        self.order = JobOrder(
            id="job-1",
            room="made-up:room",
            title="Made up",
            pipeline=pipeline,
            folder=str(tmp_path / "spool" / "job-1"),
            manifest=str(tmp_path / "out" / "manifest.json"),
            **order,
        )
        Path(self.order.folder).mkdir(parents=True)
        self.events: list[dict[str, Any]] = []

        class Connector:
            @asynccontextmanager
            async def join(self, url: Any, identity: Any) -> AsyncIterator[RoomSession]:
                if isinstance(visit, Exception):
                    raise visit
                yield visit

        load = registry.load
        monkeypatch.setattr(
            registry, "load", lambda kind, name: Connector if kind == "connectors" else load(kind, name)
        )

    async def run(self, stop_after: float | None = None, says: Sequence[tuple[float, dict[str, Any]]] = ()) -> Outcome:
        session = Session(self.order, self.events.append)
        for at, command in says:
            asyncio.get_running_loop().call_later(at, session.command, json.dumps(command).encode())
        if stop_after is not None:
            asyncio.get_running_loop().call_later(stop_after, session.stop, "asked to")
            asyncio.get_running_loop().call_later(stop_after, session.stop, "asked twice")
        async with asyncio.timeout(60):
            return await session.run()

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(Path(self.order.manifest).read_text())
        return checked(found)

    def block_the_manifest(self) -> None:
        """Have a folder where the manifest belongs."""
        Path(self.order.manifest).mkdir(parents=True)

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]


async def test_the_first_reason_to_stop_counts_and_the_manifest_says_it(tmp_path, monkeypatch):
    job = Job(tmp_path, monkeypatch, Visit(PeerJoined(ADA)))
    outcome = await job.run(stop_after=0.5)
    assert outcome.state is JobState.ABORTED
    assert outcome.reason == "nobody ever published (asked to)"
    assert job.manifest["state"] == "aborted" and outcome.manifest == job.order.manifest
    assert [row["name"] for row in job.manifest["peers"]] == ["Ada"]
    assert job.events[0]["type"] == "ready"
    assert job.told("state")[0]["state"] == JobState.STOPPING


async def test_the_asked_for_length_is_kept_exactly(tmp_path, monkeypatch):
    job = Job(tmp_path, monkeypatch, Visit(PeerJoined(ADA)), seconds=0.5)
    outcome = await job.run()
    assert outcome.length == 500_000_000
    assert job.manifest["duration"] == 0.5


async def test_an_empty_room_ends_the_job(tmp_path, monkeypatch):
    job = Job(tmp_path, monkeypatch, Visit(PeerJoined(ADA), PeerLeft("ada")), stop={"empty_for": "300ms"})
    assert "the room is empty" in (await job.run()).reason


async def test_a_room_that_closes_ends_the_job(tmp_path, monkeypatch):
    job = Job(tmp_path, monkeypatch, Visit(RoomClosed("everybody went home"), stay=False))
    assert "everybody went home" in (await job.run()).reason


async def test_a_room_that_breaks_fails_the_job_at_once_and_keeps_what_there_is(tmp_path, monkeypatch):
    job = Job(tmp_path, monkeypatch, Visit(PeerJoined(ADA), RuntimeError("boom")))
    outcome = await job.run()
    assert outcome.state is JobState.FAILED
    assert "boom" in outcome.reason and str(outcome.blame) == "us"
    assert [artifact.kind for artifact in outcome.artifacts] == ["mp4"]


async def test_a_room_that_refuses_is_the_rooms_fault_and_nothing_is_made(tmp_path, monkeypatch):
    job = Job(tmp_path, monkeypatch, RoomRefused("wrong pin"))
    outcome = await job.run()
    assert (outcome.state, outcome.reason, str(outcome.blame)) == (JobState.FAILED, "wrong pin", "room")
    assert not (tmp_path / "out").exists()


async def test_a_job_whose_only_output_fails_ends_with_the_destinations_fault(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.m4a").write_text("somebody else's")
    job = Job(tmp_path, monkeypatch, Visit(PeerJoined(ADA)))
    outcome = await job.run()
    assert (outcome.state, str(outcome.blame)) == (JobState.FAILED, "destination")
    assert (tmp_path / "out" / "a.m4a").read_text() == "somebody else's"


async def test_a_manifest_that_cannot_be_written_does_not_hide_how_the_job_ended(tmp_path, monkeypatch):
    job = Job(tmp_path, monkeypatch, Visit(PeerJoined(ADA)))
    job.block_the_manifest()
    outcome = await job.run(stop_after=0.3)
    assert outcome.reason.startswith("nobody ever published") and outcome.manifest is None
    assert "manifest" in job.told("warning")[0]["message"]


async def test_a_job_shows_life_from_its_first_moment(tmp_path, monkeypatch):
    job = Job(tmp_path, monkeypatch, Visit(PeerJoined(ADA)))
    await job.run(stop_after=0.3)
    alive = job.told("alive")[0]
    for figure in ("elapsed", "ticks", "bytes", "participants", "network", "intake", "sinks", "cpu", "memory"):
        assert figure in alive
    assert alive["exertion"].keys() == set(STAGES) and alive["exertion"]["other"] > 0


async def test_a_pause_is_obeyed_announced_and_cut(tmp_path, monkeypatch):
    job = Job(tmp_path, monkeypatch, Visit(PeerJoined(ADA)))
    says = [(0.4, {"command": "pause", "id": 1}), (0.9, {"command": "resume"}), (1.0, {"command": "mark", "text": "V"})]
    outcome = await job.run(stop_after=1.4, says=says)
    assert [answer["ok"] for answer in job.told("control")] == [True] * 3
    (begin, end) = job.told("pause")
    assert (begin["paused"], end["paused"]) == (True, False)
    assert job.manifest["pauses"] == [{"from": begin["at"], "to": end["at"]}]
    (artifact,) = outcome.artifacts
    assert abs(artifact.duration - (outcome.length - round((end["at"] - begin["at"]) * 1e9))) < 22_000_000
    # Obeyed at the next tick, which is one delay behind the clock.
    assert begin["at"] < 0.4 + 0.2


async def test_a_stop_by_command_ends_the_job_with_its_reason(tmp_path, monkeypatch):
    job = Job(tmp_path, monkeypatch, Visit(PeerJoined(ADA)))
    outcome = await job.run(says=[(0.3, {"command": "stop", "reason": "enough"}), (0.3, {"command": "pause"})])
    assert "enough" in outcome.reason and job.told("control")[0]["message"] == "stopping"


async def test_before_the_room_is_joined_only_a_stop_is_obeyed(tmp_path, monkeypatch):
    job = Job(tmp_path, monkeypatch, Visit(PeerJoined(ADA)))
    session = Session(job.order, job.events.append)
    session.command(b'{"command": "pause", "id": 4}')
    session.command(b"nonsense")
    session.command(b'{"command": "stop"}')
    assert [(answer["id"], answer["ok"]) for answer in job.events] == [(4, False), (None, False), (None, True)]
    assert "not joined" in job.events[0]["message"]
    assert "asked to stop" in (await session.run()).reason


async def test_a_lost_connection_is_a_gap_and_not_an_empty_room(tmp_path, monkeypatch):
    visit = Visit(ConnectionLost("no answer"), 0.8, ConnectionRestored(), PeerJoined(ADA))
    job = Job(tmp_path, monkeypatch, visit, stop={"empty_for": "400ms"})
    outcome = await job.run(stop_after=1.2)
    assert "asked to" in outcome.reason
    (gap,) = job.manifest["gaps"]
    assert gap["reason"] == "no answer" and gap["to"] - gap["from"] > 0.7
    assert [event["event"] for event in job.told("room")] == ["lost", "restored", "joined"]


async def test_a_room_that_stays_lost_ends_the_job(tmp_path, monkeypatch):
    job = Job(tmp_path, monkeypatch, Visit(PeerJoined(ADA), ConnectionLost("gone")), stop={"lost_for": "300ms"})
    outcome = await job.run()
    assert "could not be reached for 300ms" in outcome.reason
    assert job.manifest["gaps"][0]["to"] is None


async def test_the_end_card_comes_after_the_reason_to_stop_but_not_after_a_failure(tmp_path, monkeypatch):
    look = {"cards": {"end": {"title": "Bye", "duration": "500ms"}}, "video": {"size": "64x64", "bitrate": "100k"}}
    job = Job(tmp_path, monkeypatch, Visit(PeerJoined(ADA)), seconds=0.3, **look)
    assert (await job.run()).length == 800_000_000
    job = Job(tmp_path / "2", monkeypatch, Visit(PeerJoined(ADA), RuntimeError("boom")), **look)
    assert (await job.run()).length < 500_000_000


@pytest.mark.parametrize(("allowed", "why"), [(False, "a loopback address"), (True, "did not give it")])
async def test_pictures_are_fetched_from_private_addresses_only_where_the_order_says(
    tmp_path, monkeypatch, allowed, why
):
    named = Peer("ada", "Ada", "host", "http://127.0.0.1:1/a.png?canary")
    look = {"video": {"size": "320x180", "fps": 10}, "tiles": {"avatars": "pictures"}}
    to = str(tmp_path / "out" / "a.mp4")
    job = Job(tmp_path, monkeypatch, Visit(PeerJoined(named)), to=to, private_avatars=allowed, **look)

    def hear(event: dict[str, Any]) -> None:
        job.events.append(event)
        if "the picture of Ada" in event.get("message", ""):
            session.stop("told")

    session = Session(job.order, hear)
    async with asyncio.timeout(60):
        outcome = await session.run()
    assert outcome.reason == "nobody ever published (told)"
    told = [event["message"] for event in job.told("warning") if "picture" in event["message"]]
    assert len(told) == 1 and why in told[0] and "canary" not in told[0]


async def test_who_has_the_floor_is_told_to_those_who_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "live"
    folder.mkdir()
    visit = Visit(PeerJoined(ADA), PeerSpeaking("ada", True))
    job = Job(tmp_path, monkeypatch, visit, kind="hls", to=str(folder))
    await job.run(stop_after=1.5)
    told = [line for line in (folder / "audio.m3u8").read_text().splitlines() if "egress.speaker" in line]
    assert len(told) == 1 and 'X-TEXT="Ada"' in told[0] and "END-ON-NEXT=YES" in told[0]
