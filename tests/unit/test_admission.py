"""Jobs are let in by what they are expected to need, and refused in words that say what would help."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from egress import pipelines
from egress.control import admission
from egress.control.admission import Room, capacity, check_cpu, check_disks, corrected, estimate, growth
from egress.model.checking import read
from egress.model.errors import NoCapacity
from egress.ordering import order_of

MIB = 1 << 20


def pipeline(video: str = "{}", sinks: str = "[{kind: mp4, to: a.mp4}]") -> Any:
    """A pipeline with this picture."""
    return read(f"name: x\nvideo: {video}\nsinks: {sinks}\n", "x")


def test_a_picture_costs_by_its_pixels_its_rate_its_preset_and_its_ladder() -> None:
    plain = estimate(pipeline("{size: 1280x720, fps: 30}"))
    assert 350 <= plain <= 550, "what four people in 1280x720 were measured to need"
    assert estimate(pipeline("{size: 1920x1080, fps: 30}")) > 1.6 * plain
    assert estimate(pipeline("{size: 1280x720, fps: 60}")) > 1.4 * plain
    assert estimate(pipeline("{size: 1280x720, fps: 30, preset: medium}")) > 1.8 * plain
    ladder = "{size: 1280x720, ladder: [{size: 640x360, bitrate: 800k}]}"
    hls = "[{kind: hls, to: a}]"
    assert estimate(pipeline(ladder, hls)) > estimate(pipeline("{size: 1280x720}", hls))


def test_sound_alone_and_tracks_alone_cost_little_and_streams_cost_something() -> None:
    sound = estimate(pipeline("null"))
    tracks = estimate(pipeline(sinks="[{kind: tracks, to: a}]"))
    assert tracks < sound < 200
    assert estimate(pipeline(sinks="[{kind: mp4, to: a.mp4}, {kind: rtmp, to: 'rtmp://h/a/k'}]")) > estimate(pipeline())


def test_what_is_seen_of_a_job_counts_for_more_at_once_and_for_less_after_a_while() -> None:
    assert corrected(600, 0.1, 10) == 600
    assert corrected(600, 0.9, 10) == 900
    assert corrected(600, 0.1, 61) == 100


@pytest.mark.parametrize(("needed", "used"), [(5000, 0), (600, 1000), (1600, 0), (0, 1600)])
def test_a_job_that_fits_or_is_alone_is_let_in(needed: int, used: int) -> None:
    check_cpu(needed, Room(1600, used))


def test_a_job_that_does_not_fit_is_refused_with_what_it_needs_and_what_there_is() -> None:
    with pytest.raises(NoCapacity) as refused:
        check_cpu(640, Room(1600, 1200))
    assert "need 0.64 CPU cores, and of 1.6 for jobs here 0.4 are free" in refused.value.message
    assert "EGRESS_CAPACITY" in refused.value.message


def test_capacity_is_a_share_of_the_cores_this_process_may_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(admission.os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(admission, "_CGROUP", tmp_path / "cpu.max")
    assert capacity(None) == 6400
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert capacity(None) == 6400
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert capacity(None) == 2000
    assert capacity(3.5) == 3500


def _disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(admission.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))


def test_a_disk_must_have_room_for_ten_minutes_of_every_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = {tmp_path / "not" / "there": 300 * MIB}, {tmp_path: 100 * MIB}
    _disk(monkeypatch, 912 * MIB)
    check_disks([other], mine)
    _disk(monkeypatch, 911 * MIB)
    with pytest.raises(NoCapacity) as refused:
        check_disks([other], mine)
    assert str(tmp_path) in refused.value.message
    assert "911 MiB free" in refused.value.message and "need 400 MiB" in refused.value.message
    check_disks([], mine)


def test_a_full_disk_lets_nobody_in_whatever_is_written_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _disk(monkeypatch, 100 * MIB)
    with pytest.raises(NoCapacity):
        check_disks([], {}, [tmp_path])


def test_files_grow_in_the_spool_and_live_streams_where_they_are(tmp_path: Path) -> None:
    made = order_of(
        "local:a", pipelines.load("live-hls"), pictures=(), root=tmp_path / "out", spool=tmp_path / "spool", job="job-1"
    )
    sizes = growth(made)
    spool, live = Path(made.folder), next(Path(sink.to) for sink in made.pipeline.sinks if sink.kind == "hls")
    assert set(sizes) == {spool, live}
    video = made.pipeline.video
    assert video is not None
    assert sizes[spool] == (video.bitrate + made.pipeline.audio.bitrate) * 600 // 8
