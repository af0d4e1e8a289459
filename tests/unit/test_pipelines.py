"""Pipelines are found by name or file, and those shipped are good."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from egress import pipelines
from egress.model.errors import RequestError

SHIPPED = (
    "archive-everything",
    "audio-only",
    "interview",
    "live-hls",
    "live-ladder",
    "live-rtmp",
    "portrait-social",
    "record-grid",
    "speaker-branded",
    "tracks-only",
)


def test_the_shipped_pipelines_are_found() -> None:
    assert pipelines.names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_pipeline_is_good_and_called_like_its_file(name: str) -> None:
    pipeline = pipelines.check(name)
    assert pipeline.name == name
    assert pipeline.about


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_pipeline_is_explained_and_holds_no_address(name: str) -> None:
    text = pipelines.find(name).read_text("utf-8")
    assert text.count("#") >= 6, "a newcomer reads these files: comment them"
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    assert not any("://" in sink["to"] for sink in yaml.safe_load(text)["sinks"])


def test_a_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_text("name: mine\nsinks: [{kind: mp4, to: a.mp4}]\n")
    assert pipelines.load(str(path)).name == "mine"
    assert pipelines.load(path).name == "mine"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("live-hsl", "did you mean 'live-hls'?"),
        ("x" * 5000, "unknown pipeline"),
        ("\x00", "unknown pipeline"),
        ("", "unknown pipeline"),
        ("..", "unknown pipeline"),
        ("nowhere/x.yaml", "No such file"),
        ("nowhere.yaml", "No such file"),
        ("/\x00", "cannot read"),
        ("/tmp/", "Is a directory"),
    ],
)
def test_what_cannot_be_found_is_refused_naming_the_fix(asked: str, says: str) -> None:
    with pytest.raises(RequestError) as caught:
        pipelines.load(asked)
    assert says in caught.value.message
    assert caught.value.problems[0][0] == "pipeline"


def test_a_huge_file_is_refused_without_being_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(RequestError, match="256 KiB"):
        pipelines.load(path)


def test_a_description_says_what_will_be_made_and_no_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nsinks: [{kind: rtmp, to: 'rtmp://host/live/abcd-efgh-ijkl-mnop'}]\nstop: {empty_for: 0s}\n"
    )
    text = pipelines.describe(pipelines.load(path))
    assert "1280x720 at 30 per second" in text
    assert "rtmp://host/live/" in text
    assert "abcd" not in text
    assert "  besides   854x480 1200k bit/s, 640x360 700k bit/s, in HLS" in pipelines.describe(
        pipelines.load("live-ladder")
    )
    assert "picture   none" in pipelines.describe(pipelines.load("audio-only"))
    kept = pipelines.describe(pipelines.load("tracks-only"))
    assert "as it was sent" in kept and "sound     " not in kept


def test_the_pictures_of_a_pipeline_are_checked_with_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    look = "theme: {image: back.png}\noverlays: [{kind: image, image: a.png}]\n"
    path.write_text("name: mine\nsinks: [{kind: mp4, to: a.mp4}]\n" + look)
    with pytest.raises(RequestError) as caught:
        pipelines.check(path)
    assert [place for place, _ in caught.value.problems] == ["theme.image", "overlays[0].image"]
