"""The command as a whole: what it makes of small files, what it refuses, and that nothing is left when it is ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from egress.cli import BAD_INPUT, main
from egress.composing import output
from egress.composing.plan import Plan, Wanted, planned
from egress.model.errors import DestinationError, RequestError
from egress.model.media import SECOND
from tests.unit.filming import RATE, beeping, damaged, film, onsets
from tests.unit.test_activity import speech

HERE = """\
name: here
layout: {kind: grid, gap: 0}
tiles: {transition: 0s, labels: false, marks: false, speaking: false, border: 0, radius: 0}
video: {size: 128x96, fps: 30, preset: ultrafast, bitrate: 1M, keyframe: 1s}
sinks: [{kind: hls, to: live/, segment: 2s}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two participants, the second a second shorter, and a pipeline beside them."""
    made = tmp_path / "talk"
    made.mkdir()
    film(made / "ada.mp4", 3.0, sound=beeping(3.0, 800))
    film(made / "grace.mp4", 2.0, sound=beeping(2.0, 1200))
    (tmp_path / "here.yaml").write_text(HERE)
    return made


def compose(folder: Path, out: str, *words: str) -> int:
    pipeline = str(folder.parent / "here.yaml")
    return main(["compose", str(folder), "--pipeline", pipeline, "--out", f"{folder.parent}/{out}", *words])


def plan_of(folder: Path, out: str = "a.mp4", **more: Any) -> Plan:
    pipeline = str(folder.parent / "here.yaml")
    return planned(Wanted(folder, f"{folder.parent}/{out}", pipeline, **more))


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


def sound(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def test_files_become_one_programme_in_step(folder, capsys):
    assert compose(folder, "a.mp4") == 0
    path = folder.parent / "a.mp4"
    assert capsys.readouterr().out == f"{path}\n"
    shown = pictures(path)
    assert len(shown) == pytest.approx(90, abs=1)
    # Each picture is brighter than the one before: of both while there are two, of the first alone after that.
    both = [(float(one[44:52, 20:44].mean()), float(one[44:52, 84:108].mean())) for one in shown[5:55]]
    assert all(abs(left - right) < 4 for left, right in both)
    assert np.polyfit(range(50), [left for left, _ in both], 1)[0] == pytest.approx(2 * 255 / 219, rel=0.1)
    assert onsets(sound(path)) == pytest.approx([0.0, 1.0, 2.0], abs=0.03)
    assert [entry.name for entry in folder.parent.iterdir() if entry.name.startswith(".")] == []


def test_the_same_comes_out_twice(folder):
    assert compose(folder, "a.mp4") == compose(folder, "b.mp4") == 0
    one, two = folder.parent / "a.mp4", folder.parent / "b.mp4"
    assert all(np.array_equal(a, b) for a, b in zip(pictures(one), pictures(two), strict=True))
    assert np.array_equal(sound(one), sound(two))


def test_events_tell_how_it_goes(folder, capsys):
    assert compose(folder, "a.mp4", "--json", "--seconds", "1.5") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told[0]["type"] == "ready"
    assert told[0]["seconds"] == 1.5
    alive = [event for event in told if event["type"] == "alive"][-1]
    assert (alive["share"], alive["ticks"], alive["repeated"], alive["left_out"]) == (1.0, 45, 0, 0)
    assert (told[-1]["type"], told[-1]["state"]) == ("state", "finished")
    (row,) = told[-1]["artifacts"]
    assert (row["location"], row["duration"]) == (str(folder.parent / "a.mp4"), 1.5)


def test_a_stretch_of_session_time_is_what_it_was_there(folder):
    assert compose(folder, "a.mp4") == 0
    assert compose(folder, "b.mp4", "--from", "0.5", "--to", "1.5") == 0
    whole, part = pictures(folder.parent / "a.mp4"), pictures(folder.parent / "b.mp4")
    assert len(part) == 30
    assert [float(one.mean()) for one in part] == pytest.approx([float(one.mean()) for one in whole[15:45]], abs=2)
    assert onsets(sound(folder.parent / "b.mp4")) == pytest.approx([0.5], abs=0.03)


def test_hls_is_a_folder_that_appears_whole(folder):
    assert compose(folder, "live/") == 0
    index = folder.parent / "live" / "index.m3u8"
    assert "#EXT-X-ENDLIST" in (folder.parent / "live" / "video.m3u8").read_text()
    assert len(pictures(index)) == pytest.approx(90, abs=1)
    assert compose(folder, "live/") == BAD_INPUT
    before = (folder.parent / "live").stat().st_ino
    assert compose(folder, "live/", "--overwrite", "--seconds", "1") == 0
    assert (folder.parent / "live").stat().st_ino != before
    assert len(pictures(index)) == 30
    assert [entry.name for entry in folder.parent.iterdir() if entry.name.startswith(".")] == []


def test_sound_alone_draws_nothing(folder):
    assert compose(folder, "a.m4a") == 0
    path = folder.parent / "a.m4a"
    with av.open(str(path)) as container:
        assert not container.streams.video
    assert onsets(sound(path)) == pytest.approx([0.0, 1.0, 2.0], abs=0.03)


def test_whoever_speaks_has_the_stage(tmp_path):
    folder = tmp_path / "talk"
    folder.mkdir()
    quiet = np.zeros(2 * RATE, np.float32)
    said = speech(2.0, -20)
    film(folder / "ada.mp4", 4.0, sound=np.concatenate([said, quiet]), keys=30)
    film(folder / "grace.mp4", 4.0, sound=np.concatenate([quiet, said]), keys=30)
    (tmp_path / "here.yaml").write_text(HERE.replace("kind: grid, gap: 0", "kind: speaker"))
    plan = plan_of(folder)
    tiles: list[tuple[float, str]] = []
    making = output._Making(plan, tmp_path, lambda event: None, "")
    for position in making._projection.run():
        stage = max(making._projection._scene.tiles, key=lambda tile: tile.box.width)
        tiles.append((position / SECOND, stage.label))
    making._projection.close()
    making._sink.give_up("enough was seen")
    assert {name for at, name in tiles if 1.0 < at < 1.9} == {"ada"}
    assert {name for at, name in tiles if at > 3.4} == {"grace"}


def test_cards_fill_the_beginning_and_follow_the_end(folder):
    cards = "cards: {start: {title: Welcome, duration: 1s}, end: {title: Bye, duration: 500ms}}\n"
    (folder.parent / "here.yaml").write_text(HERE + cards)
    assert compose(folder, "a.mp4") == 0
    shown = pictures(folder.parent / "a.mp4")
    assert len(shown) == pytest.approx(105, abs=1)
    # Flat but for a few letters, unlike the two participants who grow brighter.
    assert abs(float(shown[25].mean()) - float(shown[5].mean())) < 2
    assert float(shown[60].mean()) - float(shown[35].mean()) > 20
    assert abs(float(shown[-1].mean()) - float(shown[-10].mean())) < 2


def test_a_damaged_file_harms_no_other(folder, capsys):
    film(folder / "linus.mp4", 3.0, keys=30)
    damaged(folder / "linus.mp4", 0.4, 3000)
    (folder / "slides.pdf").write_bytes(b"%PDF")
    assert compose(folder, "a.mp4") == 0
    said = capsys.readouterr().err
    assert "egress: warning: linus.mp4 is damaged" in said and "media files: slides.pdf" in said
    assert len(pictures(folder.parent / "a.mp4")) == pytest.approx(90, abs=1)


@pytest.mark.parametrize("out", ["a.mp4", "live/"])
def test_an_interrupt_leaves_nothing(folder, out):
    before = sorted(folder.parent.iterdir())

    def interrupt(event: dict[str, Any]) -> None:
        if event["type"] == "alive":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        output.make(plan_of(folder, out), interrupt, "")
    assert sorted(folder.parent.iterdir()) == before


def test_a_sink_that_fails_fails_the_composition_and_leaves_nothing(folder, monkeypatch):
    before = sorted(folder.parent.iterdir())
    monkeypatch.setattr("egress.sinks.mp4.Mp4Sink.close", lambda sink: _refuse())
    with pytest.raises(DestinationError, match="disk is full"):
        output.make(plan_of(folder), lambda event: None, "")
    assert sorted(folder.parent.iterdir()) == before


def _refuse() -> None:
    raise DestinationError("the disk is full")


def test_what_is_there_already_stays_unless_it_may_be_replaced(folder):
    path = folder.parent / "a.mp4"
    path.write_bytes(b"mine")
    assert compose(folder, "a.mp4") == BAD_INPUT
    assert path.read_bytes() == b"mine"
    assert compose(folder, "a.mp4", "--overwrite", "--seconds", "1") == 0
    assert len(pictures(path)) == 30


@pytest.mark.parametrize(
    ("out", "more", "field", "words"),
    [
        ("a.txt", {}, "out", "ends with one of"),
        ("talk", {}, "out", "ends with one of"),
        ("no/a.mp4", {}, "out", "there is no folder"),
        ("a.mp4", {"layout": "spker"}, "layout.kind", "did you mean 'speaker'"),
        ("a.mp4", {"begin": 5 * SECOND}, "from", "lies beyond the end"),
        ("a.mp4", {"begin": 2 * SECOND, "end": SECOND}, "to", "does not lie after --from"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_fix(folder, out, more, field, words):
    with pytest.raises(RequestError) as caught:
        plan_of(folder, out, **more)
    assert [name for name, _ in caught.value.problems] == [field]
    assert words in caught.value.message


def test_a_pipeline_without_a_picture_makes_no_film(folder):
    (folder.parent / "here.yaml").write_text("name: here\nvideo: null\nsinks: [{kind: audio, to: a.m4a}]\n")
    with pytest.raises(RequestError, match="makes no picture"):
        plan_of(folder)
    assert plan_of(folder, "a.m4a").pipeline.video is None


def test_an_output_is_as_the_pipeline_describes_its_kind(folder):
    sink = plan_of(folder, "live/").sink
    assert (sink.kind, sink.segment) == ("hls", 2 * SECOND)
    assert plan_of(folder, "a.mp4").sink.kind == "mp4"


def test_unknown_words_are_refused_by_the_command(folder, capsys):
    assert compose(folder, "a.mp4", "--seconds", "0") == BAD_INPUT
    assert "--seconds must be a number of seconds, 0.001 or more, not 0" in capsys.readouterr().err
    assert compose(folder, "a.mp4", "--size", "big") == BAD_INPUT
    assert main(["compose", str(folder), "--pipeline", "recordgrid", "--out", "x.mp4"]) == BAD_INPUT
    assert "did you mean 'record-grid'" in capsys.readouterr().err
