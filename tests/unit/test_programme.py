"""The programme with made-up sources and a made-up clock: ticks are run one by one, so speed decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from egress.layouts.base import Box, Tile
from egress.media.compositor import Compositor
from egress.media.floor import Floor
from egress.media.programme import PATIENCE, Programme, ProgrammeStats
from egress.media.samples import Samples
from egress.media.scene import Scene
from egress.media.shelf import Picture
from egress.media.speech import SPEAKING_HOLD
from egress.media.strain import Rung, Step
from egress.model.clock import SessionClock
from egress.model.errors import EgressError
from egress.model.look import Fit
from egress.model.media import MILLISECOND, SECOND, Nanos, Packet, Size
from egress.model.pipeline import Pipeline
from tests.unit.feeding import picture

SIZE = Size(64, 48)


class Clock(SessionClock):
    """Session time is what it is set to."""

    __slots__ = ("time",)

    def __init__(self, time: Nanos = 0) -> None:
        super().__init__(0, datetime.now(UTC))
        object.__setattr__(self, "time", time)

    def set(self, time: Nanos) -> None:
        object.__setattr__(self, "time", time)

    def now(self) -> Nanos:
        time: Nanos = object.__getattribute__(self, "time")
        return time


class Pictures:
    """One grey picture for ever; `asked` are the session times it was asked for."""

    def __init__(self, level: int = 200) -> None:
        self.asked: list[Nanos] = []
        self.shown: list[Size | None] = []
        self.picture = Picture(picture(SIZE, level), 0, SIZE)

    def show(self, size: Size | None, fit: Fit) -> None:
        self.shown.append(size)

    def picture_at(self, at: Nanos, tolerance: Nanos) -> Picture | None:
        self.asked.append(at)
        return self.picture


class Sounds:
    """A level for ever, which falls to nothing within the first block after muting."""

    def __init__(self, level: float = 0.1, *, speaking: bool = False) -> None:
        self.pulled: list[tuple[Nanos, int]] = []
        self.speaking = speaking
        self.silent = False
        self._level = level
        self._muted = False

    def mute(self, muted: bool) -> None:
        self._muted = muted
        self.silent = self.silent and muted

    def pull(self, at: Nanos, samples: int) -> Samples | None:
        self.pulled.append((at, samples))
        block = np.full((2, samples), self._level, np.float32)
        if self._muted:
            block *= 0 if self.silent else np.linspace(1, 0, samples, dtype=np.float32)
            self.silent = True
        return block


class Broken(Sounds):
    """Raises after so many blocks or pictures."""

    def __init__(self, after: int = 0, *, sound: Samples | None = None) -> None:
        super().__init__()
        self._after = after
        self._sound = sound

    def show(self, size: Size | None, fit: Fit) -> None:
        if not self._after:
            raise RuntimeError("no such size")

    def pull(self, at: Nanos, samples: int) -> Samples | None:
        if len(self.pulled) >= self._after:
            self.pulled.append((at, samples))
            if self._sound is not None:
                return self._sound
            raise RuntimeError("the tape tore")
        return super().pull(at, samples)

    def picture_at(self, at: Nanos, tolerance: Nanos) -> Picture | None:
        raise RuntimeError("the film tore")


def tile(peer: str = "ann", track: str | None = "v", audio: str | None = "a") -> Tile:
    return Tile(peer, track, audio, Box(0, 0, 64, 48), "cover", peer, "guest", muted=False)


def heard(*peers: str) -> dict[str, Any]:
    """What a scene says of peers whose voices are tracks called by their first letters."""
    return {"peers": frozenset(peers), "voices": {peer[0]: peer for peer in peers}}


class Show:
    """A programme whose ticks are made by hand."""

    def __init__(self, fps: str | None = "30", overload: str = "degrade") -> None:
        self.packets: list[Packet] = []
        self.errors: list[EgressError] = []
        self.warnings: list[str] = []
        self.floors: list[Floor] = []
        self.pauses: list[tuple[bool, Nanos]] = []
        self.steps: list[Step] = []
        self.clock = Clock()
        self.pipeline = Pipeline.model_validate(
            {
                "name": "test",
                "overload": overload,
                "video": None if fps is None else {"size": str(SIZE), "fps": fps, "bitrate": 100_000},
                "tiles": {"labels": False, "radius": 0, "transition": "0s"},
                "sinks": [{"kind": "mp4", "to": "a.mp4"}],
            }
        )
        self.programme = Programme(
            self.pipeline,
            self.clock,
            self.packets.append,
            self.errors.append,
            self.warnings.append,
            self.floors.append,
            lambda paused, at: self.pauses.append((paused, at)),
            self.steps.append,
        )
        self.closed = False

    @property
    def stats(self) -> ProgrammeStats:
        return self.programme.stats

    def tick(self, late: Nanos = PATIENCE) -> Nanos:
        """Make the next tick so late; returns its session time."""
        at = self.programme.position
        self.clock.set(at + self.pipeline.delay + late)
        assert self.programme._tick()
        return at

    def rest(self) -> None:
        """Wait until nothing waits for the encoders: what they cannot keep up with is not the programme's matter."""
        end = time.monotonic() + 60
        while any(told["waiting"] > 1600 or (n == "video" and told["waiting"]) for n, told in self._encoders()):
            assert time.monotonic() < end and not self.errors
            time.sleep(0.0005)

    def _encoders(self) -> list[tuple[str, Mapping[str, int]]]:
        return list(self.programme.encoders().items())

    def finish(self, at: Nanos = 0) -> Nanos:
        self.closed = True
        return self.programme.finish(at)

    def counts(self) -> tuple[int, int]:
        """Pictures and samples encoded."""
        pictures = [packet.pts for packet in self.packets if packet.stream == "video"]
        assert pictures == list(range(len(pictures)))
        return len(pictures), max(packet.pts + packet.duration for packet in self.packets if packet.stream == "audio")


@pytest.fixture
def make() -> Iterator[Callable[..., Show]]:
    shows: list[Show] = []

    def _make(fps: str | None = "30", overload: str = "degrade") -> Show:
        shows.append(Show(fps, overload))
        return shows[-1]

    yield _make
    for show in shows:
        if not show.closed:
            show.finish()


@pytest.mark.parametrize(
    ("fps", "end", "ticks", "samples"),
    [
        ("30", 2 * SECOND, 60, 96_000),
        ("25", 2 * SECOND, 50, 96_000),
        ("30000/1001", 1001 * SECOND // 1000, 30, 48_048),
        ("30000/1001", SECOND, 30, 48_048),
        (None, SECOND + 1, 51, 48_960),
    ],
)
def test_pictures_and_samples_are_counts(
    make: Callable[..., Show], fps: str | None, end: Nanos, ticks: int, samples: int
) -> None:
    show = make(fps)
    show.clock.set(end + show.pipeline.delay - 1)
    show.programme.start()
    length = show.finish(end)
    assert show.counts() == (0 if fps is None else ticks, samples)
    assert length == ticks * SECOND // (50 if fps is None else Fraction(fps))
    assert show.stats.ticks == ticks
    assert show.stats.error is None and show.errors == []


def test_blocks_adjoin_at_a_rate_that_divides_unevenly(make: Callable[..., Show]) -> None:
    show, sounds = make("30000/1001"), Sounds()
    show.programme.show(Scene(sounds={"a": sounds}), 0)
    for _ in range(10):
        show.tick()
    assert {count for _, count in sounds.pulled} == {1601, 1602}
    assert sum(count for _, count in sounds.pulled) == 10 * 48_000 * 1001 // 30_000


def test_a_tick_up_to_a_quarter_second_late_draws_and_a_later_one_repeats_but_is_heard(
    make: Callable[..., Show],
) -> None:
    show, pictures, sounds = make(), Pictures(), Sounds()
    show.programme.show(Scene((tile(),), {"v": pictures}, {"a": sounds}), 0)
    times = [show.tick(late) for late in (0, PATIENCE, PATIENCE + 1, SECOND, 0)]
    assert pictures.asked == [times[0], times[1], times[4]]
    assert [at for at, _ in sounds.pulled] == times
    assert show.stats.late == 2
    show.finish()
    assert show.counts() == (5, 8_000)
    assert show.stats.repeated == 2 + show.stats.refused


def test_scenes_take_effect_at_their_session_time(make: Callable[..., Show]) -> None:
    show, first, second = make(), Pictures(), Pictures()
    show.programme.show(Scene((tile(track="1"),), {"1": first}), 0)
    show.programme.show(Scene((tile(track="2"),), {"1": first, "2": second}), 100 * MILLISECOND)
    times = [show.tick() for _ in range(6)]
    assert first.asked == [at for at in times if at < 100 * MILLISECOND] and len(first.asked) == 3
    assert second.asked == [at for at in times if at >= 100 * MILLISECOND]
    assert first.shown == [SIZE, None] and second.shown == [SIZE]


def test_speakers_are_marked_and_stay_so_through_a_pause(
    make: Callable[..., Show], monkeypatch: pytest.MonkeyPatch
) -> None:
    marked: list[set[str]] = []
    monkeypatch.setattr(Compositor, "speaking", lambda _, peers: marked.append(set(peers)))
    show, ann, bob = make("10"), Sounds(speaking=True), Sounds()
    tiles = (tile("ann", None, "a"), tile("bob", None, "b"), tile("cat", None, None))
    show.programme.show(Scene(tiles, sounds={"a": ann, "b": bob}, **heard("ann", "bob")), 0)
    show.tick()
    ann.speaking, bob.speaking = False, True
    for _ in range(6):
        show.tick()
    assert SPEAKING_HOLD == SECOND // 2
    assert marked == [{"ann"}, *[{"ann", "bob"}] * 4, {"bob"}, {"bob"}]


def test_sound_that_leaves_is_faded_before_it_is_let_go(make: Callable[..., Show]) -> None:
    show, leaving, staying = make(), Sounds(), Sounds(0.0)
    mixed: list[Samples] = []
    mix = show.programme._made.mixer.mix
    show.programme._made.mixer.mix = lambda blocks, n: mixed.append(sum(blocks)) or mix(blocks, n)  # type: ignore
    show.programme.show(Scene(sounds={"a": leaving, "b": staying}), 0)
    show.programme.show(Scene(sounds={"b": staying}), 66 * MILLISECOND)
    for _ in range(5):
        show.tick()
    heard = np.concatenate(mixed, axis=1)[0]
    assert len(leaving.pulled) == 3 and len(staying.pulled) == 5
    assert heard[3_199] == np.float32(0.1) and heard[4_799] == 0 and not heard[4_800:].any()
    assert np.abs(np.diff(heard)).max() < 0.001


@pytest.mark.parametrize(
    ("broken", "why"),
    [(Broken(after=2), "the tape tore"), (Broken(sound=np.zeros((2, 7), np.float32)), "(2, 7)")],
)
def test_sound_that_fails_is_left_out_and_told_once(make: Callable[..., Show], broken: Broken, why: str) -> None:
    show, whole, pictures = make(), Sounds(), Pictures()
    show.programme.show(Scene((tile(),), {"v": pictures}, {"bad": broken, "a": whole}), 0)
    for number in range(6):
        if number == 4:
            show.programme.show(Scene((tile(),), {"v": pictures}, {"bad": broken, "a": whole}), 0)
        show.tick()
    asked = len(broken.pulled)
    show.programme.show(Scene((tile(),), {"v": pictures}, {"a": whole}), 0)
    show.tick()
    assert len(broken.pulled) == asked <= 3
    assert len(show.warnings) == 1 and "track bad" in show.warnings[0] and why in show.warnings[0]
    assert len(whole.pulled) == len(pictures.asked) == 7
    assert show.stats.left_out == 1 and show.errors == []


@pytest.mark.parametrize("after", [0, 1])
def test_pictures_that_fail_are_left_out_and_told_once(make: Callable[..., Show], after: int) -> None:
    show, whole = make(), Pictures()
    tiles = (tile("ann", "bad", None), tile("bob", "v", None))
    show.programme.show(Scene(tiles, {"bad": Broken(after), "v": whole}), 0)
    for _ in range(3):
        show.tick()
    assert len(show.warnings) == 1 and ("the film tore" if after else "no such size") in show.warnings[0]
    assert len(whole.asked) == 3 and show.stats.left_out == 1


def test_sound_that_is_no_number_or_too_loud_is_counted(make: Callable[..., Show]) -> None:
    show = make(None)
    show.programme.show(Scene(sounds={"a": Sounds(float("nan")), "b": Sounds(0.8), "c": Sounds(0.8)}), 0)
    for _ in range(5):
        show.tick()
    assert show.stats.broken == 5 and show.stats.limited > 0 and show.warnings == []


def test_a_failure_of_the_tick_itself_is_told_and_ends_it(make: Callable[..., Show]) -> None:
    show = make()
    show.programme.show(Scene((tile("ann", None, None),)), 0)

    def fail(peers: object) -> None:
        raise ZeroDivisionError("no canvas")

    assert show.programme._made.compositor is not None
    show.programme._made.compositor.speaking = fail  # type: ignore[method-assign]
    show.clock.set(show.pipeline.delay)
    show.programme.start()
    show.finish(SECOND)
    assert [error.message for error in show.errors] == ["the programme failed: ZeroDivisionError: no canvas"]
    assert show.stats.error == show.errors[0].message


def test_what_the_room_server_says_of_speakers_stands_above_their_sound(make: Callable[..., Show]) -> None:
    show, ann, bob = make("10"), Sounds(speaking=True), Sounds(speaking=True)
    said = {"ann": False, "cem": True}
    scene = Scene(sounds={"a": ann, "b": bob}, speaking=said, **heard("ann", "bob"))
    scene = replace(scene, peers=scene.peers | {"cem"})
    show.programme.show(scene, 0)
    for _ in range(10):
        show.tick()
    assert [(floor.speaker, set(floor.recent)) for floor in show.floors] == [("bob", {"bob", "cem"})]
    show.programme.show(replace(scene, peers=frozenset({"ann", "cem"}), voices={"a": "ann"}), SECOND)
    show.tick()
    assert show.floors[-1].speaker == "cem" and len(show.floors) == 2


def test_a_revision_takes_the_place_of_all_that_was_to_follow(make: Callable[..., Show]) -> None:
    show, first, second, third = make("10"), Pictures(), Pictures(), Pictures()
    scenes = [Scene((tile(track="v"),), {"v": pictures}) for pictures in (first, second, third)]
    show.programme.show(scenes[0], 0)
    show.programme.show(scenes[1], SECOND)
    show.tick()
    assert show.programme.position == SECOND // 10
    show.programme.revise([(show.programme.position, scenes[2]), (SECOND // 2, scenes[0])])
    for _ in range(14):
        show.tick()
    assert len(third.asked) == 4 and len(first.asked) == 11 and not second.asked


def test_a_scene_for_the_past_is_on_at_the_next_tick(make: Callable[..., Show]) -> None:
    show, pictures = make(), Pictures()
    for _ in range(10):
        show.tick()
    show.programme.show(Scene((tile(track="v"),), {"v": pictures}), 0)
    assert pictures.asked == [show.tick()]


def test_a_pause_is_silent_at_both_ends_and_begins_and_ends_with_keyframes(make: Callable[..., Show]) -> None:
    show, sound, pictures = make("10", "off"), Sounds(), Pictures()
    mixed: list[Samples] = []
    mix = show.programme._made.mixer.mix
    show.programme._made.mixer.mix = lambda blocks, n: mixed.append(sum(blocks)) or mix(blocks, n)  # type: ignore
    on = Scene((tile(),), {"v": pictures}, {"a": sound})
    for number in range(30):
        if number in (0, 17):
            show.programme.show(on, show.programme.position)
        if number == 7:
            show.programme.show(replace(on, paused=True), show.programme.position)
        show.tick()
        show.rest()
    assert show.pauses == [(True, 800 * MILLISECOND), (False, 1700 * MILLISECOND)]
    loud = [bool(np.any(block != 0)) for block in mixed]
    assert loud == [True] * 8 + [False] * 10 + [True] * 12
    assert not mixed[7][:, -1].any() and np.abs(np.diff(np.concatenate(mixed[:17], axis=1))).max() < 0.001
    assert len(pictures.asked) == 30
    show.finish()
    assert [packet.pts for packet in show.packets if packet.stream == "video" and packet.key] == [0, 8, 17, 20]


def test_a_pause_from_the_very_beginning_begins_there(make: Callable[..., Show]) -> None:
    show, sound = make("10"), Sounds()
    show.programme.show(Scene(sounds={"a": sound}, paused=True), 0)
    for _ in range(3):
        show.tick()
    assert show.pauses == [(True, 0)]


def test_a_pause_that_is_taken_back_at_once_never_was(make: Callable[..., Show]) -> None:
    show, sound = make("10"), Sounds()
    on = Scene(sounds={"a": sound})
    for scene in (on, replace(on, paused=True), on, on):
        show.programme.show(scene, show.programme.position)
        show.tick()
    assert show.pauses == [] and not sound._muted


def test_sound_on_one_side_is_mono_there_and_others_are_untouched(make: Callable[..., Show]) -> None:
    show, left, both = make(None), Sounds(0.2), Sounds(0.1)
    mixed: list[list[Samples]] = []
    mix = show.programme._made.mixer.mix
    show.programme._made.mixer.mix = lambda blocks, n: mixed.append(list(blocks)) or mix(blocks, n)  # type: ignore
    show.programme.show(Scene(sounds={"a": left, "b": both}, pans={"a": "left"}), 0)
    show.tick()
    show.programme.show(Scene(sounds={"b": both}), 0)
    show.tick()
    panned, plain = mixed[0]
    assert np.allclose(panned[0], 0.2) and not panned[1].any() and (plain == np.float32(0.1)).all()
    fading = mixed[1][1]
    assert fading[0].any() and not fading[1].any()


class Easy(Pictures):
    """A picture that can be made for less."""

    def __init__(self) -> None:
        super().__init__()
        self.rungs: list[Rung] = []
        self.overdue = 0

    def relieve(self, rung: Rung, after: Nanos) -> None:
        self.rungs.append(rung)


def test_under_lasting_overload_quality_goes_step_by_step_and_comes_back_and_nothing_stalls(
    make: Callable[..., Show],
) -> None:
    show, small, large, sounds = make(), Easy(), Easy(), Sounds()
    tiny = replace(tile("bob", "s", None), box=Box(0, 0, 16, 12))
    scene = Scene((tile("ann", "l", "a"), tiny), {"l": large, "s": small}, {"a": sounds})
    show.programme.show(scene, 0)
    assert show.programme._made.video is not None
    for number in range(900):
        show.programme._made.video.main.busy += 40 * MILLISECOND if number < 500 else 5 * MILLISECOND
        show.tick(0)
        show.rest()
    assert [step.rung for step in show.steps[:4]] == [1, 2, 3, 4] == [step.before + 1 for step in show.steps[:4]]
    assert {step.why for step in show.steps[:4]} == {"encoding takes too long"}
    while show.programme._made.ticks < 2200 and show.stats.rung:
        show.tick(0)
        show.rest()
    assert [step.rung for step in show.steps] == [1, 2, 3, 4, 3, 2, 1, 0]
    assert small.rungs == [1, 2, 3, 4, 3, 2, 1, 0] and large.rungs == []
    stats = show.stats
    assert stats.late == stats.refused == 0
    assert stats.halved == len(sounds.pulled) - len(large.asked) > 100
    assert stats.degraded["loop_filter"] > stats.degraded["small_tiles"] > stats.degraded["preset"] > 0
    assert stats.degraded["preset"] > stats.degraded["frame_rate"] > 0
    show.finish()
    assert show.programme._made.video.main.swaps == 2
    pictures, samples = show.counts()
    assert pictures == stats.ticks and samples >= stats.ticks * 1600
    keys = [packet.pts for packet in show.packets if packet.key and packet.stream == "video"]
    assert keys == list(range(0, pictures, 60))
    assert show.stats.repeated == stats.halved


def test_a_stall_is_caught_up_with_and_costs_no_quality(make: Callable[..., Show]) -> None:
    show = make()
    show.programme.show(Scene((tile(),), {"v": Pictures()}), 0)
    for number in range(240):
        stalled = 100 <= number < 109
        show.tick(300 * MILLISECOND - (number - 100) * 30 * MILLISECOND if stalled else 0)
        show.rest()
    assert show.steps == [] and show.stats.rung == 0
    assert set(show.stats.degraded.values()) == {0}


def test_with_overload_off_nothing_is_given_up(make: Callable[..., Show]) -> None:
    show = make(overload="off")
    assert show.programme._made.video is not None
    for _ in range(120):
        show.programme._made.video.main.busy += SECOND
        show.tick(0)
    assert show.steps == [] and show.stats.halved == 0


def test_the_time_of_ticks_is_told(make: Callable[..., Show]) -> None:
    show = make()
    assert show.stats.tick == {"p50": 0, "p99": 0, "max": 0}
    moved = show.programme._made.make

    def slow(**how: Any) -> None:
        moved(**how)
        show.clock.set(show.clock.now() + 7 * MILLISECOND)

    show.programme._made.make = slow  # type: ignore[method-assign]
    for _ in range(10):
        show.tick(0)
    assert show.stats.tick["max"] == 7000 and 7000 <= show.stats.tick["p50"] <= 7500
