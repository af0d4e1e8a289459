"""The analyser must be able to fail: every fault put into a product is found, and its size is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import pytest

from egress.model.media import Size
from tests.probe import main, probe
from tests.product import Faults, make
from tests.verdict import Bars, Report
from tests.world import World

SECONDS = 5
BARS = Bars(seconds=SECONDS)


def _report(tmp_path: Path, faults: Faults | None = None, participants: int = 2, **more: object) -> Report:
    path = tmp_path / "product.mp4"
    make(path, participants, SECONDS, faults, canvas=Size(480, 270))
    return probe(path, participants=participants, **more)  # type: ignore[arg-type]


def test_faultless_product_breaks_no_bar(tmp_path: Path) -> None:
    report = _report(tmp_path, participants=3)
    assert report.violations(BARS) == ()
    assert report.present == 1.0
    assert all(one.beeps == one.flashes == SECONDS for one in report.people)
    assert all(abs(one.offset_median or 0) < 0.003 and one.distinct_least == 30 for one in report.people)
    assert "Linus" in report.table()


@pytest.mark.parametrize("late", [0.08, -0.08, 0.03])
def test_offset_between_sound_and_picture_is_measured_to_5_ms(tmp_path: Path, late: float) -> None:
    report = _report(tmp_path, Faults(audio_late={1: late}))
    fine, wrong = report.people
    assert abs(fine.offset_median or 0) < 0.005
    assert wrong.offset_median == pytest.approx(-late, abs=0.005)
    assert any("Grace: A/V offset, median" in line for line in report.violations(BARS))
    assert not any("Ada" in line for line in report.violations(BARS))


def test_publishers_apart_from_each_other_are_found_though_each_is_in_sync(tmp_path: Path) -> None:
    report = _report(tmp_path, Faults(audio_late={1: 0.1}, video_late={1: 0.1}))
    assert report.people[1].offset_median == pytest.approx(0, abs=0.005)
    assert report.beep_spread_p95 == pytest.approx(0.1, abs=0.005)
    assert report.flash_spread_p95 == pytest.approx(0.1, abs=0.005)
    assert any("beeps of one instant" in line for line in report.violations(BARS))


def test_participants_are_known_by_their_bar_code_whatever_tile_they_are_in(tmp_path: Path) -> None:
    report = _report(tmp_path, Faults(order=(2, 0, 1)), participants=3)
    assert report.violations(BARS) == ()


def test_missing_beeps_and_flashes_are_counted(tmp_path: Path) -> None:
    report = _report(tmp_path, Faults(silent={0: (4,)}, hidden={1: (4,)}))
    assert [one.required - one.present for one in report.people] == [1, 1]
    assert sum("required events" in line for line in report.violations(BARS)) == 2


def test_freeze_is_found_and_timed(tmp_path: Path) -> None:
    report = _report(tmp_path, Faults(frozen=(3.2, 3.6)))
    assert report.people[0].freeze == pytest.approx(0.4, abs=0.04)
    assert any("longest freeze" in line for line in report.violations(Bars(freeze=0.2)))
    assert any("distinct pictures" in line for line in report.violations(BARS))


def test_repeated_pictures_are_found(tmp_path: Path) -> None:
    report = _report(tmp_path, Faults(repeats=10))
    assert report.people[0].distinct_mean == pytest.approx(27, abs=0.5)
    assert any("distinct pictures" in line for line in report.violations(BARS))


def test_half_the_rate_is_a_fault_unless_it_was_said_and_may_be(tmp_path: Path) -> None:
    may = replace(BARS, halved=True)
    report = _report(tmp_path, Faults(repeats=2))
    assert any("distinct pictures" in line for line in report.violations(may)), "nobody said so"
    said = replace(report, halved=True)
    assert said.violations(may) == ()
    assert any("every second picture" in line for line in said.violations(BARS))


def test_picture_off_the_constant_rate_is_found(tmp_path: Path) -> None:
    report = _report(tmp_path, Faults(jump=90))
    assert report.irregular == SECONDS * 30 - 41
    assert any("off the constant rate" in line for line in report.violations(BARS))


def test_clipping_and_true_peak_are_found(tmp_path: Path) -> None:
    report = _report(tmp_path, Faults(gain=14.0))
    assert report.clipped > 0 and (report.true_peak or 0) > -0.5
    said = report.violations(BARS)
    assert any("clipped" in line for line in said) and any("true peak" in line for line in said)


def test_keyframes_duration_and_bitrate_are_judged(tmp_path: Path) -> None:
    report = _report(tmp_path)
    assert report.keyframes == (0, 60, 120)
    said = report.violations(Bars(keyframe=1.0, seconds=7, bitrate=10_000, metadata=("title", "artist")))
    assert any("keyframes" in line for line in said)
    assert any("lasts" in line for line in said)
    assert any("over 2 s" in line for line in said)
    assert any("metadata lack artist" in line for line in said) and not any("lack title" in line for line in said)


def test_events_a_world_forbids_are_violations(tmp_path: Path) -> None:
    world = World.everyone(2, 10).mutes(1, "audio", 2.5, 4.5)
    path = tmp_path / "product.mp4"
    make(path, 2, SECONDS, canvas=Size(480, 270))
    report = probe(path, world=world, began=0.3)
    assert [one.forbidden for one in report.people] == [0, 2]
    make(path, 2, SECONDS, Faults(silent={1: (3, 4)}), canvas=Size(480, 270))
    assert probe(path, world=world, began=0.3).violations(Bars(seconds=SECONDS)) == ()


def test_pictures_tell_the_second_even_when_the_beginning_is_only_roughly_known(tmp_path: Path) -> None:
    world = World.everyone(2, 10).mutes(1, "audio", 2.5, 4.5)
    path = tmp_path / "product.mp4"
    make(path, 2, SECONDS, Faults(silent={1: (3, 4)}), canvas=Size(480, 270))
    # The synthetic product's clock begins at second 0 of the loop; so does a plan that begins at 1200 s.
    report = probe(path, world=world, zero=1_200_000_000_000, began=3.4)
    assert report.violations(Bars(seconds=SECONDS)) == ()


def test_product_without_the_participants_is_not_taken_for_good(tmp_path: Path) -> None:
    path = tmp_path / "product.mp4"
    make(path, 1, SECONDS, Faults(hidden={0: tuple(range(20))}, silent={0: tuple(range(20))}), canvas=Size(480, 270))
    assert probe(path, participants=1).present < 0.1
    assert probe(path, participants=1).violations(BARS)


def test_command_prints_a_table_and_fails_on_a_broken_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "product.mp4"
    make(path, 2, SECONDS, canvas=Size(480, 270))
    assert main([str(path), "--participants", "2", "--seconds", str(SECONDS)]) == 0
    assert "Grace" in capsys.readouterr().out
    assert main([str(path), "--participants", "2", "--seconds", "9"]) == 1
    assert "VIOLATION the picture lasts" in capsys.readouterr().out


def _copy(source: Path, target: Path, *kinds: str) -> Path:
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        streams = {s.index: new.add_stream_from_template(s) for s in old.streams if s.type in kinds}
        for packet in old.demux():
            if packet.dts is not None and packet.stream.index in streams:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    return target


def test_milliseconds_of_flv_round_but_do_not_break_the_rate(tmp_path: Path) -> None:
    make(tmp_path / "product.mp4", 2, SECONDS, canvas=Size(480, 270))
    report = probe(_copy(tmp_path / "product.mp4", tmp_path / "product.flv", "audio", "video"), participants=2)
    assert report.fps == 30 and report.irregular == 0
    assert all(abs(one.offset_median or 0) < 0.005 for one in report.people)
    make(tmp_path / "jumping.mp4", 2, SECONDS, Faults(jump=450), canvas=Size(480, 270))
    jumping = probe(_copy(tmp_path / "jumping.mp4", tmp_path / "jumping.flv", "audio", "video"), participants=2)
    assert jumping.irregular


def test_product_without_a_picture_is_judged_by_its_sound(tmp_path: Path) -> None:
    make(tmp_path / "product.mp4", 2, SECONDS, Faults(silent={1: (4,)}), canvas=Size(480, 270))
    report = probe(_copy(tmp_path / "product.mp4", tmp_path / "sound.m4a", "audio"), participants=2)
    assert report.size is None and [one.flashes for one in report.people] == [None, None]
    assert [one.required - one.present for one in report.people] == [0, 1]
    assert report.people[0].distinct_mean is None


def test_product_without_sound_is_a_violation(tmp_path: Path) -> None:
    make(tmp_path / "product.mp4", 1, SECONDS, canvas=Size(480, 270))
    report = probe(_copy(tmp_path / "product.mp4", tmp_path / "mute.mp4", "video"), participants=1)
    assert "there is no sound" in report.violations(BARS)
