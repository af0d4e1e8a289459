"""Rules of HLS with captions, and in single files."""

from __future__ import annotations

from typing import Any

import pytest

from egress.model import checking


def _problems(**sink: Any) -> list[tuple[str, str]]:
    document = {"name": "t", "sinks": [{"kind": "hls", "to": "live/", **sink}]}
    return [(problem.path, problem.message) for problem in checking.examine(document)[1]]


def test_captions_in_several_languages_are_fine() -> None:
    captions = [{"language": "en", "name": "English"}, {"language": "pt-BR"}, {"language": "pt"}]
    assert _problems(captions=captions, single_file=True, id3=True, audio_only=True) == []


@pytest.mark.parametrize(
    ("captions", "field"),
    [
        ([{"language": "en"}, {"language": "EN"}], "sinks[0].captions[1].language"),
        ([{"language": "en", "name": "Words"}, {"language": "de", "name": "words"}], "sinks[0].captions[1].name"),
    ],
)
def test_languages_and_names_are_each_given_once(captions: list[dict[str, str]], field: str) -> None:
    ((path, message),) = _problems(captions=captions)
    assert path == field
    assert "captions[0] too" in message


def test_one_file_cannot_slide() -> None:
    ((path, message),) = _problems(single_file=True, playlist="sliding", vod=False)
    assert path == "sinks[0].single_file"
    assert "playlist: event" in message
