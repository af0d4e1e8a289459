"""The newest picture of a job is kept at a glance, and nothing that goes wrong with it matters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from egress.model.outputs import SinkDoc
from egress.sinks import glance
from egress.sinks.glance import FILE, Glance
from tests.flashes import context, programme

SHOW = programme(12, keyframe=30, sound=None)


def looking(folder: Path) -> Glance:
    """A glance that is open."""
    made = Glance(SinkDoc(kind="glance", to=str(folder / FILE)), context(folder / "spool", folder / FILE, [].append))
    made.open(SHOW.streams)
    return made


def test_one_keyframe_in_five_seconds_is_decoded_and_the_last_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    monkeypatch.setattr(glance, "write_whole", lambda path, data: (written.append(len(data)), path.write_bytes(data)))
    made = looking(tmp_path)
    for packet in SHOW.packets:
        made.write(packet)
    assert len(written) == 3, "at 0, 5 and 10 s"
    assert made.close() == ()
    with Image.open(tmp_path / FILE) as picture:
        assert (picture.format, picture.size) == ("JPEG", (SHOW.streams[0].size.width, SHOW.streams[0].size.height))


def test_what_cannot_be_read_or_written_is_passed_over(tmp_path: Path) -> None:
    made = looking(tmp_path)
    keys = [packet for packet in SHOW.packets if packet.key]
    made.write(replace(keys[0], data=b"no picture"))
    assert not (tmp_path / FILE).exists()
    (tmp_path / FILE).mkdir()
    made.write(keys[6])
    (tmp_path / FILE).rmdir()
    made.write(keys[11])
    assert (tmp_path / FILE).is_file()


def test_sound_alone_has_no_picture(tmp_path: Path) -> None:
    made = Glance(SinkDoc(kind="glance", to=str(tmp_path / FILE)), context(tmp_path / "spool", tmp_path / FILE, print))
    made.open(())
    assert made.abort() == ()
    assert not (tmp_path / FILE).exists()
