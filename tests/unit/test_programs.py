"""Outputs that ffmpeg makes are refused before a job begins where it cannot make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from egress import programs
from egress.model.audio_files import wanted
from egress.model.checking import examine
from egress.model.errors import RequestError
from egress.model.outputs import AudioFileDoc
from egress.model.pipeline import Pipeline


def _pipeline(*sinks: dict[str, Any], codec: str = "aac") -> Pipeline:
    document, problems = examine({"name": "p", "audio": {"codec": codec}, "sinks": list(sinks)})
    assert document is not None and not problems, problems
    return document


def _program(tmp_path: Path, *names: str) -> str:
    """A program that lists these encoders as ffmpeg does."""
    rows = "".join(f" V....D {name}  about it\\n" for name in names)
    path = tmp_path / "ffmpeg"
    path.write_text(f"#!/bin/sh\nprintf 'Encoders:\\n V..... = Video\\n ------\\n{rows}'\n")
    path.chmod(0o755)
    return str(path)


def test_pipelines_that_need_no_ffmpeg_do_without() -> None:
    plain = _pipeline({"kind": "mp4", "to": "a.mp4"}, {"kind": "audio", "to": "a.m4a"})
    assert programs.check_ffmpeg(plain, "no-such-program") == ""
    assert programs.check_ffmpeg(_pipeline({"kind": "audio", "to": "a.ogg"}, codec="opus"), "no-such-program") == ""


@pytest.mark.parametrize(
    ("sink", "field"),
    [
        ({"kind": "webm", "to": "a.webm"}, "sinks[0].kind"),
        ({"kind": "audio", "to": "a.mp3"}, "sinks[0].to"),
        ({"kind": "audio", "to": "a.m4a", "bitrate": "64k"}, "sinks[0].to"),
    ],
)
def test_a_missing_ffmpeg_is_said_of_the_sink_that_needs_it(sink: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        programs.check_ffmpeg(_pipeline(sink), "no-such-program")
    (problem,) = caught.value.problems
    assert problem[0] == field
    assert "EGRESS_FFMPEG" in problem[1] and "'no-such-program'" in problem[1]


def test_an_ffmpeg_without_the_encoder_is_no_help(tmp_path: Path) -> None:
    path = _program(tmp_path, "libvpx", "libopus")
    assert programs.encoders(path) == {"libvpx", "libopus"}
    assert programs.check_ffmpeg(_pipeline({"kind": "webm", "to": "a.webm", "codec": "vp8"}), path) == path
    with pytest.raises(RequestError, match=r"sinks\[0\]\.kind: .* has no libvpx-vp9"):
        programs.check_ffmpeg(_pipeline({"kind": "webm", "to": "a.webm"}), path)


def test_what_is_no_ffmpeg_has_no_encoders(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("not a program")
    broken.chmod(0o755)
    assert programs.encoders(str(broken)) == frozenset()
    assert programs.encoders(str(tmp_path / "absent")) == frozenset()


@pytest.mark.parametrize(
    ("to", "bitrate", "codec", "encoder"),
    [
        ("a.m4a", None, "aac", None),
        ("a.m4a", 64_000, "aac", "aac"),
        ("A.M4A", None, "opus", "aac"),
        ("a.ogg", None, "opus", None),
        ("a.ogg", None, "aac", "libopus"),
        ("a.mp3", None, "aac", "libmp3lame"),
        ("a.mp3", None, "opus", "libmp3lame"),
    ],
)
def test_packets_are_kept_where_the_file_can_hold_them(to: str, bitrate: int | None, codec: str, encoder: str) -> None:
    assert wanted(AudioFileDoc(kind="audio", to=to, bitrate=bitrate), codec) == encoder
