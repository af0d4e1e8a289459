import json
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from egress.model.job import Artifact, JobState
from egress.model.media import Codec, Size, StreamInfo
from egress.storage.attendance import Attendance
from egress.storage.manifest import artifact_row, write_manifest
from tests.manifests import checked
from tests.unit.test_spool import order

FIGURES = {
    "intake": {"dropped": 3, "late": 4},
    "encoders": {"video": {"bytes": 1_000_000, "refused": 2}, "audio": {"bytes": 20_000, "refused": 0}},
    "sinks": [{"sink": "mp4 a", "refused": 0}, {"sink": "rtmp b", "refused": 1, "dropped": {"video": 4, "audio": 1}}],
    "loudness": {
        **{"momentary": -20.0, "short_term": None, "integrated": -18.2, "range": 5.1, "true_peak": -1.4},
        **{"clipped": 0, "left_out": 7},
    },
}


def test_the_manifest_says_what_was_made_and_holds_no_secret(tmp_path: Path) -> None:
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
    document = checked(json.loads(text))
    assert "SECRET" not in text
    assert document["state"] == "finished" and document["duration"] == 1.5
    assert document["artifacts"] == [artifact_row(artifact)]
    assert document["artifacts"][0]["codecs"] == ["avc1.64001f"]
    assert document["artifacts"][0]["bitrate"] == round(80 / 1.5)
    assert document["attempts"] == [
        {"number": 1, "started": started.isoformat(), "ended": started.isoformat(), "why": "asked to stop"}
    ]
    assert [entry.name for entry in path.parent.iterdir()] == ["manifest.json"]


def test_streams_loudness_and_drops_are_taken_from_the_last_figures(tmp_path: Path) -> None:
    path, at = tmp_path / "manifest.json", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    fps = Fraction(30)
    picture = StreamInfo("video", "video", Codec.H264, 1 / fps, b"", 3_000_000, size=Size(1280, 720), fps=fps)
    sound = StreamInfo("audio", "audio", Codec.AAC, Fraction(1, 48_000), b"", 128_000, rate=48_000, channels=2)
    made = [Artifact("mp4", "/out/a.mp4"), Artifact("thumbnails", "/out/pictures")]
    write_manifest(
        str(path),
        order(tmp_path / "spool"),
        JobState.FINISHED,
        "over",
        started=at,
        ended=at,
        length=4_000_000_000,
        attendance=Attendance(),
        artifacts=made,
        figures=FIGURES,
        streams=(picture, sound),
        attempts=[
            {"number": 1, "started": at.isoformat(), "ended": None, "why": "the worker died"},
            {"number": 2, "started": at.isoformat(), "ended": at.isoformat(), "why": "over"},
        ],
    )
    document = checked(json.loads(path.read_text()))
    video, audio = document["streams"]
    assert (video["size"], video["fps"], video["bitrate"], video["measured"]) == ("1280x720", 30, 3_000_000, 2_000_000)
    assert (audio["rate"], audio["channels"], audio["measured"]) == (48_000, 2, 40_000)
    assert document["loudness"] == {"integrated": -18.2, "range": 5.1, "true_peak": -1.4, "clipped": 0}
    assert document["artifacts"][0]["loudness"] == document["loudness"]
    assert "loudness" not in document["artifacts"][1]
    assert document["drops"]["intakes"] == 3 and document["drops"]["loudness"] == 7
    assert document["drops"]["encoders"] == {"video": 2, "audio": 0}
    assert document["drops"]["sinks"] == {"mp4 a": 0, "rtmp b": 6}
    assert [attempt["number"] for attempt in document["attempts"]] == [1, 2]
