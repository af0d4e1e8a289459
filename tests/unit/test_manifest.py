import json
from datetime import UTC, datetime

from egress.model.job import Artifact, JobState
from egress.storage.attendance import Attendance
from egress.storage.manifest import artifact_row, write_manifest
from tests.unit.test_spool import order


def test_the_manifest_says_what_was_made_and_holds_no_secret(tmp_path):
    path = tmp_path / "out" / "manifest.json"
    started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    artifact = Artifact("mp4", "/out/a.mp4", 10, 1_500_000_000, "ab", {"codecs": ["avc1.64001f"]})
    write_manifest(
        str(path),
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
