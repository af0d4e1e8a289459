"""Waveforms: every peak at its time, in the format players read, whole up to the last second after a crash."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from egress.model.media import SECOND, Codec, Size
from egress.model.outputs import WaveformDoc
from egress.sinks.base import END, PAUSE, RESUME, Mark
from egress.sinks.peaks import PeakFile, document, read_peaks
from egress.sinks.waveform import WaveformSink
from egress.sinks.waveform_picture import picture
from tests.flashes import context, feed, programme


def _sink(tmp_path: Path, to: str = "w.json") -> WaveformSink:
    return WaveformSink(WaveformDoc(kind="waveform", to=to), context(tmp_path / "spool", tmp_path / to))


def _loud(path: Path) -> list[int]:
    """Which pairs of peaks of a file are loud."""
    data = json.loads(path.read_bytes())
    assert (data["version"], data["channels"], data["sample_rate"], data["bits"]) == (2, 1, 48000, 8)
    assert data["samples_per_pixel"] == 4800
    assert len(data["data"]) == 2 * data["length"]
    assert all(-128 <= value <= 127 for value in data["data"])
    pairs = np.array(data["data"]).reshape(-1, 2)
    return [int(n) for n in np.flatnonzero(pairs[:, 1] - pairs[:, 0] > 60)]


@pytest.mark.parametrize("sound", [Codec.AAC, Codec.OPUS])
def test_beeps_stand_where_they_are_heard(tmp_path: Path, sound: Codec) -> None:
    sink = _sink(tmp_path)
    feed(sink, programme(4, sound=sound, picture=False))
    (artifact,) = sink.deliver(sink.close())
    assert _loud(tmp_path / "w.json") == [0, 10, 20, 30]
    assert artifact.duration == pytest.approx(4 * SECOND, abs=SECOND // 20)


def test_pauses_are_left_out_and_the_end_is_the_end(tmp_path: Path) -> None:
    sink = _sink(tmp_path)
    show = programme(6, picture=False)
    sink.open(show.streams)
    for packet in show.packets:
        if packet.pts == 1024 * 70:
            sink.mark(Mark(round(1.5 * SECOND), PAUSE, ""))
        if packet.pts == 1024 * 117:
            sink.mark(Mark(round(2.5 * SECOND), RESUME, ""))
        sink.write(packet)
    sink.mark(Mark(round(4.5 * SECOND), END, ""))
    sink.deliver(sink.close())
    # Packets cannot be cut: beeps may begin up to half a packet early.
    assert {0, 10, 20, 30} <= set(_loud(tmp_path / "w.json")) <= {0, 10, 19, 20, 29, 30}
    assert json.loads((tmp_path / "w.json").read_bytes())["length"] == 35


def test_a_killed_worker_leaves_a_waveform(tmp_path: Path) -> None:
    sink = _sink(tmp_path)
    feed(sink, programme(4, picture=False))
    (artifact,) = WaveformSink.recover(tmp_path / "spool", str(tmp_path / "w.json"))
    assert _loud(tmp_path / "w.json") == [0, 10, 20, 30]
    (again,) = WaveformSink.recover(tmp_path / "spool", str(tmp_path / "w.json"))
    assert again.location == artifact.location


def test_a_picture_shows_the_beeps_on_nothing(tmp_path: Path) -> None:
    sink = _sink(tmp_path, "w.png")
    feed(sink, programme(4, picture=False))
    sink.deliver(sink.close())
    with Image.open(tmp_path / "w.png") as made:
        assert made.size == (1200, 160)
        opaque = np.asarray(made)[:, :, 3]
    assert opaque[:, :20].any(axis=1).mean() > 0.8
    assert opaque[20, 100:280].max() == 0
    assert opaque[80, 100:280].max() > 0, "silence is a line"


def test_silence_and_shortness_are_drawn_too(tmp_path: Path) -> None:
    peaks = PeakFile(tmp_path / "p", 4800)
    peaks.silence(4800 * 3 + 7)
    peaks.close()
    rows = read_peaks(tmp_path / "p")
    assert len(rows) == 4
    assert json.loads(b"".join(document(rows, 48000, 4800)))["data"] == [0] * 8
    with Image.open(io.BytesIO(picture(rows, Size(64, 16)))) as made:
        assert made.size == (64, 16)
    assert len(read_peaks(tmp_path / "absent")) == 0
