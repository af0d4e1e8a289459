"""Recorded tracks as the programme takes them: the picture and the sound of every tick, whatever files they lie in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from egress.composing.film import Film
from egress.composing.footage import Clip, Sync
from egress.composing.reel import LINGER, MOST, Reel
from egress.composing.soundfile import Counting
from egress.composing.strip import Strip
from egress.model.media import MILLISECOND, SECOND, Nanos, Size
from tests.unit.filming import RATE, SMALL, beeping, damaged, film, number, onsets, pulled

TICK: Nanos = SECOND // 30
TILE = Size(32, 24)


def clip(path: Path, kind: str = "video", *, start: float = 0, end: float = 60, sync: Sync | None = None) -> Clip:
    placed = sync or Sync(((0, round(start * SECOND)),))
    return Clip(path, "video" if kind == "video" else "audio", 0, placed, round(start * SECOND), round(end * SECOND))


@pytest.fixture
def reels() -> Iterator[list[Reel]]:
    """Reels to be closed."""
    made: list[Reel] = []
    yield made
    for reel in made:
        reel.close()


def shown(reel: Reel, at: float) -> int | None:
    picture = reel.picture_at(round(at * SECOND), TICK // 2)
    return None if picture is None else number(picture.frame)


def test_every_tick_has_its_own_picture(tmp_path, reels):
    reel = Reel("v", [clip(film(tmp_path / "a.mp4", 2.0))], pytest.fail)
    reels.append(reel)
    reel.show(SMALL, "cover")
    assert [shown(reel, n / 30) for n in range(60)] == list(range(60))
    assert shown(reel, 5) == 59


def test_pictures_stand_where_their_file_is_aligned(tmp_path, reels):
    sync = Sync(((0, SECOND), (SECOND, 2 * SECOND + 100 * MILLISECOND)))
    reel = Reel("v", [clip(film(tmp_path / "a.mp4", 2.0), start=1.0, sync=sync)], pytest.fail)
    reels.append(reel)
    reel.show(SMALL, "cover")
    assert [shown(reel, at) for at in (0.9, 1.0, 2.1, 2.5)] == [None, 0, 30, 42]


def test_a_track_goes_on_from_file_to_file_and_keeps_its_picture_between_them(tmp_path, reels):
    one, two = film(tmp_path / "a.mp4", 0.5), film(tmp_path / "b.webm", 1.0, codec="libvpx", size=Size(96, 72))
    reel = Reel("v", [clip(one, end=0.5), clip(two, start=1.0)], pytest.fail)
    reels.append(reel)
    reel.show(SMALL, "cover")
    assert [shown(reel, at) for at in (0.0, 0.4, 0.9, 1.0, 1.5)] == [0, 12, 14, 0, 15]


def test_a_clip_ends_where_its_stretch_of_time_ends(tmp_path, reels):
    path = film(tmp_path / "a.mp4", 2.0)
    later = Sync(((0, -SECOND // 2),))
    reel = Reel("v", [clip(path, end=0.5), clip(path, start=0.5, end=1.0, sync=later)], pytest.fail)
    reels.append(reel)
    reel.show(SMALL, "cover")
    assert [shown(reel, at) for at in (0.4, 0.5, 0.9, 1.5)] == [12, 30, 42, 44]


def test_a_time_between_two_files_shows_the_end_of_the_first_and_one_beyond_skips_it(tmp_path, reels):
    one, two = film(tmp_path / "a.mp4", 1.0), film(tmp_path / "b.mp4", 1.0)
    for at, wanted in ((2.0, 29), (3.5, 15), (9.0, 29)):
        reel = Reel("v", [clip(one, end=1.0), clip(two, start=3.0, end=4.0)], pytest.fail)
        reels.append(reel)
        reel.show(SMALL, "cover")
        assert shown(reel, at) == wanted


def test_what_comes_back_into_sight_shows_its_picture_at_once(tmp_path, reels):
    reel = Reel("v", [clip(film(tmp_path / "a.mp4", 6.0, keys=45))], pytest.fail)
    reels.append(reel)
    reel.show(SMALL, "cover")
    assert shown(reel, 0.1) == 3
    reel.show(None, "cover")
    assert shown(reel, 0.2) is None
    reel.show(SMALL, "cover")
    assert shown(reel, 5.0) == 150 % 100


def test_a_new_tile_is_filled_at_once(tmp_path, reels):
    reel = Reel("v", [clip(film(tmp_path / "a.mp4", 2.0))], pytest.fail)
    reels.append(reel)
    for tick, tile in enumerate([SMALL, TILE, SMALL, TILE, TILE]):
        reel.show(tile, "cover")
        picture = reel.picture_at(tick * TICK, TICK // 2)
        assert picture is not None
        assert (picture.frame.width, picture.frame.height, number(picture.frame)) == (tile.width, tile.height, tick)
        # The same object says that nothing has to be drawn anew.
        assert reel.picture_at(tick * TICK, TICK // 2) is picture


def test_only_so_many_pictures_are_made_ahead(tmp_path, reels):
    reel = Reel("v", [clip(film(tmp_path / "a.mp4", 3.0))], pytest.fail)
    reels.append(reel)
    reel.show(SMALL, "cover")
    for tick in range(60):
        shown(reel, tick / 30)
        assert len(reel._shelf) <= MOST + 1


def test_a_damaged_file_is_told_and_shows_a_placeholder_until_it_can_go_on(tmp_path, reels):
    told: list[str] = []
    path = damaged(film(tmp_path / "a.mp4", 4.0, keys=30, size=Size(320, 240)), 0.3)
    reel = Reel("v", [clip(path)], told.append)
    reels.append(reel)
    reel.show(SMALL, "cover")
    seen = [shown(reel, n / 30) for n in range(120)]
    assert seen[:30] == list(range(30))
    assert None in seen[30:60]
    assert seen[60:] == [n % 100 for n in range(60, 120)]
    assert told == ["a.mp4 is damaged; its picture goes on where it can"]


def test_a_file_that_ends_early_is_told_and_shows_a_placeholder(tmp_path, reels):
    told: list[str] = []
    made = clip(film(tmp_path / "a.mp4", 1.0), end=3.0)
    for lasting, wanted in ((True, None), (False, 29)):
        reel = Reel("v", [replace(made, lasting=lasting)], told.append)
        reels.append(reel)
        reel.show(SMALL, "cover")
        assert [shown(reel, n / 30) for n in range(75)][-1] == wanted
    assert told == ["a.mp4 ends 2.0 s early; it has no picture from there on"]


def test_a_file_that_cannot_be_read_leaves_a_placeholder_and_the_next_one_is_shown(tmp_path, reels):
    told: list[str] = []
    (tmp_path / "gone.mp4").write_bytes(b"nothing")
    one, two = film(tmp_path / "a.mp4", 0.5), film(tmp_path / "b.mp4", 1.0)
    clips = [clip(one, end=0.5), clip(tmp_path / "gone.mp4", start=0.5, end=2.0), clip(two, start=2.0)]
    reel = Reel("v", clips, told.append)
    reels.append(reel)
    reel.show(SMALL, "cover")
    assert [shown(reel, at) for at in (0.4, 1.0 + LINGER / SECOND, 1.9, 2.5)] == [12, None, None, 15]
    assert len(told) == 1
    assert "gone.mp4 cannot be read" in told[0]


def test_turned_pictures_are_shown_upright(tmp_path, reels):
    made = clip(film(tmp_path / "a.mp4", 0.5))
    turned = Clip(made.path, made.kind, 0, made.sync, made.start, made.end, ((SECOND // 4, 90),))
    reel = Reel("v", [turned], pytest.fail)
    reels.append(reel)
    reel.show(SMALL, "contain")
    sizes = [reel.picture_at(round(at * SECOND), TICK // 2).source for at in (0.1, 0.4)]
    assert sizes == [SMALL, Size(48, 64)]


def test_a_leap_lands_on_the_latest_keyframe_and_never_goes_back(tmp_path):
    reel = Film(clip(film(tmp_path / "a.mp4", 10.0, keys=60)))
    assert reel.next()[1] == 0
    reel.leap(7 * SECOND)
    assert reel.next()[1] == 6 * SECOND
    # No other keyframe lies before it: decoding goes on where it stands.
    reel.leap(7 * SECOND + SECOND // 2)
    assert reel.next()[1] == pytest.approx(6 * SECOND + TICK, abs=MILLISECOND)
    reel.leap(9 * SECOND)
    assert reel.next()[1] == 8 * SECOND
    reel.close()


def test_the_first_leap_needs_nothing_to_be_read_before_it(tmp_path):
    reel = Film(clip(film(tmp_path / "a.webm", 10.0, keys=60, codec="libvpx")))
    reel.leap(9 * SECOND)
    frame, at = reel.next()
    assert frame.key_frame
    assert 6 * SECOND <= at <= 9 * SECOND
    assert reel._scout is None
    reel.close()


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout"),
    [("a.webm", "libopus", RATE, "stereo"), ("a.m4a", "aac", RATE, "stereo"), ("a.m4a", "aac", 44_100, "mono")],
)
def test_beeps_are_heard_when_they_were(tmp_path, name, codec, rate, layout):
    sound = beeping(4.0, rate=rate)
    if codec == "libopus":
        path = opus_file(tmp_path / name, sound)
    else:
        path = film(tmp_path / name, pictures=False, sound=sound, rate=rate, layout=layout)
    strip = Strip([clip(path, "audio", start=0.5, end=5.0)], pytest.fail)
    assert onsets(pulled(strip, 4.9)) == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.004)


def opus_file(path: Path, sound: np.ndarray, lost: tuple[int, ...] = ()) -> Path:
    """Packets of 20 ms in a file, some of them left out."""
    whole = film(path.with_suffix(".all.webm"), pictures=False, sound=sound, sound_codec="libopus")
    with av.open(str(whole)) as read, av.open(str(path), "w") as written:
        (source,) = read.streams.audio
        target = written.add_stream_from_template(source, opaque=True)
        for index, packet in enumerate(read.demux(source)):
            if packet.pts is not None and index not in lost:
                packet.stream = target
                written.mux(packet)
    return path


def test_a_sender_whose_clock_runs_fast_is_held_to_session_time(tmp_path):
    # 300 ppm: 9 ms in half a minute.
    sync = Sync(((0, 0), (30 * SECOND, 30 * SECOND + 9 * MILLISECOND)))
    path = film(tmp_path / "a.m4a", pictures=False, sound=beeping(30.0))
    strip = Strip([clip(path, "audio", sync=sync)], pytest.fail)
    heard = onsets(pulled(strip, 30.0))
    assert len(heard) == 30
    assert [at - n for n, at in enumerate(heard)] == pytest.approx([0.0003 * n for n in range(30)], abs=0.0025)


def test_lost_packets_are_concealed_and_move_nothing(tmp_path):
    tone = (0.3 * np.sin(2 * np.pi * 400 * np.arange(3 * RATE) / RATE)).astype(np.float32)
    strip = Strip([clip(opus_file(tmp_path / "a.webm", tone, lost=(50, 90, 91)), "audio")], pytest.fail)
    heard = pulled(strip, 2.9)
    power = [float(np.abs(heard[k : k + 480]).max()) for k in range(RATE, RATE + RATE // 2, 480)]
    assert min(power) > 0.2
    # A step would be far steeper than the tone ever is.
    assert float(np.abs(np.diff(heard[4800:])).max()) < 3 * 0.3 * 2 * np.pi * 400 / RATE
    beeps = Strip([clip(opus_file(tmp_path / "b.webm", beeping(4.0), lost=(30, 31, 80)), "audio")], pytest.fail)
    assert onsets(pulled(beeps, 3.9)) == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=0.009)


def test_file_times_in_whole_milliseconds_leave_no_trace():
    counting = Counting()
    # A little slower than its count, too.
    exact = [960.05 * n + 17.3 for n in range(200)]
    places = [counting.take(round(at / 48) * 48, 960) for at in exact]
    assert [missing for _, missing in places] == [0] * 200
    assert all(after - before == 960 for (before, _), (after, _) in pairwise(places))
    assert counting.next + counting.off == pytest.approx(exact[-1] + 960, abs=24)


def test_sound_goes_on_from_file_to_file_and_is_silent_between_them(tmp_path):
    one = film(tmp_path / "a.m4a", pictures=False, sound=beeping(2.0))
    two = opus_file(tmp_path / "b.webm", beeping(2.0))
    strip = Strip([clip(one, "audio", end=2.0), clip(two, "audio", start=3.25, end=5.0)], pytest.fail)
    heard = pulled(strip, 5.0)
    assert onsets(heard) == pytest.approx([0.0, 1.0, 3.25, 4.25], abs=0.004)
    assert not heard[round(2.1 * RATE) : round(3.2 * RATE)].any()


def test_a_strip_begun_late_is_in_step(tmp_path):
    path = film(tmp_path / "a.m4a", pictures=False, sound=beeping(8.0))
    strip = Strip([clip(path, "audio", sync=Sync(((0, -5 * SECOND),)))], pytest.fail)
    assert onsets(pulled(strip, 2.9)) == pytest.approx([0.0, 1.0, 2.0], abs=0.004)


def test_a_muted_strip_fades_and_comes_back_in_step(tmp_path):
    tone = (0.3 * np.sin(2 * np.pi * 400 * np.arange(3 * RATE) / RATE)).astype(np.float32)
    strip = Strip([clip(film(tmp_path / "a.m4a", pictures=False, sound=tone), "audio")], pytest.fail)
    pulled(strip, 0.5)
    strip.mute(True)
    faded = strip.pull(SECOND // 2, 1600)
    assert strip.silent
    assert not faded[:, 240:].any()
    assert strip.pull(SECOND // 2 + TICK, 1600) is None
    strip.mute(False)
    assert strip.pull(SECOND // 2 + 2 * TICK, 1600)[0, 300:].any()


def test_sound_that_cannot_be_read_is_told_and_silent(tmp_path):
    (tmp_path / "a.m4a").write_bytes(b"nothing")
    told: list[str] = []
    good = film(tmp_path / "b.m4a", pictures=False, sound=beeping(1.0))
    strip = Strip([clip(tmp_path / "a.m4a", "audio", end=1.0), clip(good, "audio", start=1.0)], told.append)
    assert onsets(pulled(strip, 1.9)) == pytest.approx([1.0], abs=0.004)
    assert ["a.m4a cannot be heard on" in message for message in told] == [True]
