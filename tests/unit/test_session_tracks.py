"""A session whose only output keeps tracks: nothing is made of the room, and all else goes as in any job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from egress.model.job import JobState
from egress.model.pipeline import Pipeline
from egress.model.room import PeerJoined, Track, TrackPublished, TrackSource
from tests.tracks import document
from tests.unit.feeding import FedSource
from tests.unit.test_session import ADA, Job, Visit


class Camera(Visit):
    """A room in which Ada's camera is on, and sends nothing."""

    def __init__(self) -> None:
        track = Track("v", ADA.id, "video", TrackSource.CAMERA)
        super().__init__(PeerJoined(ADA), TrackPublished(track))

    def source(self, track_id: str) -> Any:
        return FedSource()


def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visit: Visit) -> Job:
    made = Job(tmp_path, monkeypatch, visit)
    sinks = [{"kind": "tracks", "to": str(tmp_path / "out" / "tracks")}]
    pipeline = Pipeline.model_validate({"name": "kept", "delay": "100ms", "sinks": sinks})
    made.order = made.order.model_copy(update={"pipeline": pipeline})
    return made


async def test_it_ends_like_any_job_and_its_manifest_says_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = job(tmp_path, monkeypatch, Camera())
    outcome = await kept.run(stop_after=0.3)
    assert (outcome.state, outcome.reason) == (JobState.FINISHED, "asked to")
    assert document(tmp_path / "out" / "tracks").files == ()
    manifest = kept.manifest
    assert manifest["streams"] == [] and manifest["loudness"] is None
    assert [(row["kind"], row["sync"]) for row in manifest["artifacts"]] == [("tracks", "tracks.json")]
    assert [row["id"] for row in manifest["tracks"]] == ["v"]


async def test_pauses_are_told_and_a_stream_has_nothing_to_carry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = job(tmp_path, monkeypatch, Camera())
    address = "rtmp://127.0.0.1/live/key"
    said = [
        (0.2, {"id": "1", "command": "pause"}),
        (0.3, {"id": "2", "command": "resume"}),
        (0.4, {"id": "3", "command": "add-destination", "to": address}),
    ]
    await kept.run(stop_after=0.6, says=said)
    assert [event["paused"] for event in kept.events if event["type"] == "pause"] == [True, False]
    answers = [event for event in kept.events if event["type"] == "control"]
    assert [answer["ok"] for answer in answers] == [True, True, False]
    assert "only keeps tracks" in str(answers[-1])
    assert len(kept.manifest["pauses"]) == 1
