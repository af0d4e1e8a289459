"""Thumbnails: one when it is due, none of a pause, a poster that shows something, a storyboard with right times."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from egress.model.media import SECOND, Size
from egress.model.outputs import ThumbnailsDoc
from egress.sinks.base import END, PAUSE, RESUME, Mark
from egress.sinks.keyframes import fitting, interest
from egress.sinks.storyboard import Grid, Thumbnail, write_index
from egress.sinks.thumbnails import ThumbnailsSink
from tests.flashes import Programme, context, feed, programme

SHOW = programme(12, keyframe=30, sound=None)


def _sink(tmp_path: Path, told: list[dict[str, Any]] | None = None, **doc: Any) -> ThumbnailsSink:
    document = ThumbnailsDoc.model_validate({"kind": "thumbnails", "to": "t/", "every": "2s", **doc})
    return ThumbnailsSink(document, context(tmp_path / "spool", tmp_path / "t", (told or []).append))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_picture_is_taken_when_due_and_announced_when_it_is_there(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = [{}]
    sink = _sink(tmp_path, told)
    feed(sink, SHOW)
    assert [event["at"] for event in told[1:]] == [0, 2, 4, 6, 8, 10]
    assert told[1]["type"] == "thumbnail"
    newest = tmp_path / "t" / told[-1]["file"]
    assert newest.read_bytes() == (tmp_path / "t" / "latest.jpg").read_bytes()
    (artifact,) = sink.deliver(sink.close())
    assert artifact.details == {"pictures": 6, "box": "96x54", "sheets": 1, "poster": "poster.jpg"}
    listed = json.loads((tmp_path / "t" / "thumbnails.json").read_bytes())
    assert listed["ended"] and [row["at"] for row in listed["thumbnails"]] == [0, 2, 4, 6, 8, 10]
    with Image.open(tmp_path / "t" / "thumb-00001.jpg") as picture:
        assert np.asarray(picture.convert("L")).mean() > 220, "the flash of second 0"


def test_the_storyboard_says_where_and_when_each_picture_is(tmp_path: Path) -> None:
    sink = _sink(tmp_path)
    feed(sink, SHOW)
    sink.deliver(sink.close())
    text = (tmp_path / "t" / "storyboard.vtt").read_text()
    assert text.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nstoryboard-001.jpg#xywh=0,0,96,54\n")
    cues = re.findall(r"(\S+) --> (\S+)\n(\S+)#xywh=(\d+),(\d+),96,54\n", text)
    assert [cue[0] for cue in cues] == [f"00:00:{at:02}.000" for at in range(0, 12, 2)]
    assert cues[-1][1] == "00:00:12.000"
    with Image.open(tmp_path / "t" / "storyboard-001.jpg") as sheet:
        assert sheet.size == (6 * 96, 54)
    board = json.loads((tmp_path / "t" / "storyboard.json").read_bytes())
    assert (board["tile_width"], board["tile_height"], board["duration"]) == (96, 54, 12.0)
    assert [tile["x"] for tile in board["tiles"]] == [96 * n for n in range(6)]


def test_sheets_are_full_before_another_begins(tmp_path: Path) -> None:
    grid = Grid(Size(320, 180))
    assert (grid.columns, grid.rows) == (10, 10)
    assert grid.place(99) == ("storyboard-001.jpg", 2880, 1620)
    assert grid.place(100) == ("storyboard-002.jpg", 0, 0)
    assert Grid(Size(1280, 720)).sheet == 3 * 5
    write_index(tmp_path, grid, [Thumbnail(0, SECOND, "a"), Thumbnail(1, 3700 * SECOND, "b")], 3701 * SECOND)
    text = (tmp_path / "storyboard.vtt").read_text()
    assert "00:00:00.000 --> 01:01:40.000" in text
    assert "01:01:40.000 --> 01:01:41.000" in text


def test_pauses_are_left_out_and_nothing_is_shown_after_the_end(tmp_path: Path) -> None:
    sink = _sink(tmp_path)
    sink.open(SHOW.streams)
    for packet in SHOW.packets:
        if packet.pts == 3 * 30:
            sink.mark(Mark(3 * SECOND, PAUSE, ""))
        if packet.pts == 5 * 30:
            sink.mark(Mark(5 * SECOND, RESUME, ""))
        sink.write(packet)
    sink.mark(Mark(9 * SECOND, END, ""))
    (artifact,) = sink.deliver(sink.close())
    listed = json.loads((tmp_path / "t" / "thumbnails.json").read_bytes())
    assert [row["at"] for row in listed["thumbnails"]] == [0, 2, 4, 6]
    assert artifact.duration == 7 * SECOND
    assert "thumb-00005.jpg" not in _names(tmp_path / "t")


def test_a_killed_worker_leaves_a_folder_that_can_be_finished(tmp_path: Path) -> None:
    feed(_sink(tmp_path), SHOW)
    assert "storyboard.vtt" not in _names(tmp_path / "t")
    with (tmp_path / "spool" / "thumbnails.jsonl").open("a") as log:
        log.write('{"number": 6, "at"')
    for _ in range(2):
        (artifact,) = ThumbnailsSink.recover(tmp_path / "spool", str(tmp_path / "t"))
        assert artifact.details["pictures"] == 6
        assert artifact.duration == 10 * SECOND
        assert {"storyboard.vtt", "storyboard-001.jpg", "poster.jpg"} <= _names(tmp_path / "t")


def test_what_is_not_wanted_is_not_made(tmp_path: Path) -> None:
    sink = _sink(tmp_path, poster=False, storyboard=False, size="48x48")
    feed(sink, SHOW)
    sink.deliver(sink.close())
    assert not {"poster.jpg", "storyboard.vtt", "storyboard.json"} & _names(tmp_path / "t")
    with Image.open(tmp_path / "t" / "thumb-00002.jpg") as picture:
        assert picture.size == (48, 28)


def test_a_keyframe_that_cannot_be_read_costs_one_picture(tmp_path: Path) -> None:
    packets = tuple(
        p if p.pts != 60 else type(p)(p.stream, b"\0\0\0\1\x65", p.pts, p.dts, 1, True) for p in SHOW.packets
    )
    sink = _sink(tmp_path)
    feed(sink, Programme(SHOW.streams, packets))
    assert sink.status()["pictures"] == 5
    assert sink.status()["damaged"] == 1


def test_a_card_is_less_interesting_than_people() -> None:
    black = Image.new("RGB", (320, 180))
    card = Image.new("RGB", (320, 180), (24, 28, 38))
    card.paste((240, 240, 240), (100, 80, 220, 90))
    noise = np.random.default_rng(1).normal(120, 40, (180, 320, 3)).clip(0, 255).astype(np.uint8)
    people = Image.fromarray(noise)
    assert interest(black) == 0
    assert interest(card) < 1 < 3 < interest(people)


@pytest.mark.parametrize(
    ("picture", "made"),
    [((1280, 720), (320, 180)), ((720, 1280), (102, 180)), ((160, 90), (160, 90)), ((1000, 10), (320, 4))],
)
def test_pictures_keep_their_shape(picture: tuple[int, int], made: tuple[int, int]) -> None:
    assert fitting(Size(*picture), Size(320, 180)) == Size(*made)
