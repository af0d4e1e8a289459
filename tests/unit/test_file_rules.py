"""Pipelines that ask for files which cannot be are told the field and what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from egress.model.checking import examine


def _problems(sink: dict[str, Any], **parts: Any) -> dict[str, str]:
    _, problems = examine({"name": "p", "sinks": [sink], **parts})
    return {problem.path: problem.message for problem in problems}


@pytest.mark.parametrize(
    "sink",
    [
        {"kind": "audio", "to": "a.mp3", "bitrate": "64k"},
        {"kind": "audio", "to": "A.OGG"},
        {"kind": "webm", "to": "a.webm", "codec": "vp8", "bitrate": "1M"},
        {"kind": "thumbnails", "to": "thumbnails/{room}/", "every": "5s", "size": "160x90"},
        {"kind": "waveform", "to": "a.json", "every": "50ms"},
        {"kind": "waveform", "to": "a.png", "size": "800x100"},
    ],
)
def test_good_ones_are_taken(sink: dict[str, Any]) -> None:
    assert _problems(sink) == {}


@pytest.mark.parametrize(
    ("sink", "field", "words"),
    [
        ({"kind": "audio", "to": "a.wav"}, "to", ".m4a"),
        ({"kind": "audio", "to": "a.mp3", "bitrate": "400k"}, "bitrate", "32k to 320k"),
        ({"kind": "webm", "to": "a.mp4"}, "to", ".webm"),
        ({"kind": "webm", "to": "a.webm", "bitrate": "10k"}, "bitrate", "50k"),
        ({"kind": "thumbnails", "to": "a.jpg"}, "to", "folder"),
        ({"kind": "thumbnails", "to": "t/", "every": "500ms"}, "every", "1s to 10m"),
        ({"kind": "thumbnails", "to": "t/", "every": "1s"}, "every", "use 2s or more"),
        ({"kind": "thumbnails", "to": "t/", "size": "4000x4000"}, "size", "1280x1280"),
        ({"kind": "waveform", "to": "a.svg"}, "to", ".png"),
        ({"kind": "waveform", "to": "a.json", "every": "1ms"}, "every", "10ms to 1m"),
        ({"kind": "waveform", "to": "a.png", "size": "10000x100"}, "size", "4096x1024"),
    ],
)
def test_wrong_ones_are_refused_by_field(sink: dict[str, Any], field: str, words: str) -> None:
    found = _problems(sink)
    assert list(found) == [f"sinks[0].{field}"]
    assert words in found[f"sinks[0].{field}"]


def test_too_many_thumbnails_for_one_folder_are_refused() -> None:
    sink = {"kind": "thumbnails", "to": "t/", "every": "2s"}
    assert "50000" in _problems(sink, stop={"max": "48h"})["sinks[0].every"]


@pytest.mark.parametrize("kind", ["webm", "thumbnails"])
def test_sound_alone_has_no_pictures(kind: str) -> None:
    to = {"webm": "a.webm", "thumbnails": "t/"}[kind]
    found = _problems({"kind": kind, "to": to}, video=None)
    assert list(found) == ["sinks[0].kind"]
    assert "add video" in found["sinks[0].kind"]
