import json
from datetime import UTC, datetime

from egress.model.job import Artifact, JobState
from egress.model.room import Peer
from egress.storage.manifest import Attendance, artifact_row, write_manifest
from tests.unit.test_spool import order


def test_attendance_has_a_row_for_each_visit():
    attendance = Attendance()
    ada = Peer("ada", "Ada", "host")
    attendance.joined(ada, 0)
    attendance.joined(ada, 5)
    attendance.left("ada", 2_000_000_000)
    attendance.left("stranger", 3)
    attendance.joined(ada, 4_000_000_000)
    assert attendance.table() == [
        {"id": "ada", "name": "Ada", "role": "host", "joined": 0.0, "left": 2.0},
        {"id": "ada", "name": "Ada", "role": "host", "joined": 4.0, "left": None},
    ]


def test_the_manifest_says_what_was_made_and_holds_no_secret(tmp_path):
    path = tmp_path / "out" / "manifest.json"
    started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    artifact = Artifact("mp4", "/out/a.mp4", 10, 1_500_000_000, "ab", {"codecs": ["avc1.64001f"]})
    write_manifest(
        path,
        order(tmp_path / "spool"),
        JobState.FINISHED,
        "asked to stop",
        started=started,
        ended=started,
        length=1_500_000_000,
        attendance=Attendance(),
        artifacts=[artifact],
        figures={"late": 0},
    )
    text = path.read_text()
    document = json.loads(text)
    assert "SECRET" not in text
    assert document["state"] == "finished" and document["duration"] == 1.5
    assert document["artifacts"] == [artifact_row(artifact)]
    assert document["artifacts"][0]["codecs"] == ["avc1.64001f"]
    assert [entry.name for entry in path.parent.iterdir()] == ["manifest.json"]
