"""Degradation as a fold over measurements: it climbs under lasting strain, comes back, and never flaps."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from egress.media.strain import (
    BEHIND,
    GROSS,
    GROSS_SUSTAINED,
    HOPELESS,
    MOST_PATIENCE,
    PATIENCE,
    SETTLE,
    SUSTAINED,
    WINDOW,
    Load,
    Rung,
    Strain,
)

TICK = WINDOW // 15


def load(pressure: int) -> Load:
    """Half a second whose encoder was so busy, per mille."""
    return Load(WINDOW, 15, 0, 0, WINDOW * pressure // 1000)


def gross(excess: int) -> Load:
    """Half a second in which each picture took an encoder so much of a tick, per mille; so it did few of them."""
    return Load(WINDOW, 15, 4, 0, WINDOW, 6, 7, tick=WINDOW * 1000 // excess // 5, encoded=5)


def folded(pressures: Iterable[int], state: Strain | None = None) -> list[Strain]:
    states = [state or Strain()]
    for pressure in pressures:
        states.append(states[-1].after(load(pressure)))
    return states


def test_lasting_strain_climbs_every_rung_in_order_and_rests_at_the_last() -> None:
    rungs = [state.rung for state in folded([1000] * 40)]
    assert sorted(set(rungs)) == list(Rung) and rungs == sorted(rungs)
    assert rungs.index(Rung.LOOP_FILTER) == SUSTAINED


def test_it_comes_back_one_rung_at_a_time_once_there_is_time_to_spare() -> None:
    states = folded([1000] * 40 + [300] * 5 * (PATIENCE + SETTLE))
    rungs = [state.rung for state in states]
    assert rungs[-1] is Rung.NONE
    assert all(abs(b - a) <= 1 for a, b in itertools.pairwise(rungs))


def test_one_stall_does_nothing_however_bad_it_is() -> None:
    stall = Load(WINDOW, 15, 15, WINDOW, WINDOW, 6, 9, 50, 9)
    assert stall.pressure >= 1000
    for length in (1, 2):
        states = [Strain()]
        for measured in [load(300)] * 5 + [stall] * length + [load(300)] * 5:
            states.append(states[-1].after(measured))
        assert {state.rung for state in states} == {Rung.NONE}


def test_a_quiet_machine_stays_at_the_top_for_ever() -> None:
    # As measured on a quiet machine at 1080p30, veryfast: busy, with a slow half second now and then.
    day = ([600, 640, 580, 720, 610, 880] * 5 + [960]) * 1000
    assert {state.rung for state in folded(day)} == {Rung.NONE}


def test_who_relapses_waits_twice_as_long_before_the_next_step_back() -> None:
    """A machine that keeps up at rung 1 and not at 0 may try, less and less often."""
    state, steps = Strain(), 0
    patiences = []
    for _ in range(4000):
        after = state.after(load(600 if state.rung else 1000))
        if after.rung > state.rung:
            steps += 1
            patiences.append(after.patience)
        state = after
    assert patiences[:4] == [PATIENCE, 2 * PATIENCE, 4 * PATIENCE, 8 * PATIENCE] and max(patiences) == MOST_PATIENCE
    assert steps <= 4000 // MOST_PATIENCE + 6


def test_only_what_helps_is_given_up() -> None:
    means = frozenset({Rung.PRESET, Rung.FRAME_RATE})
    state, rungs = Strain(), []
    for pressure in [1000] * 20 + [100] * 60:
        state = state.after(load(pressure), means)
        if not rungs or rungs[-1] is not state.rung:
            rungs.append(state.rung)
    assert rungs == [Rung.NONE, Rung.PRESET, Rung.FRAME_RATE, Rung.PRESET, Rung.NONE]


def test_every_part_that_does_not_keep_up_is_named() -> None:
    quiet = (WINDOW, 15)
    assert Load(*quiet, 15, 0, 0).why == "ticks begin late"
    assert Load(*quiet, 0, WINDOW, 0).why == "drawing takes too long"
    assert Load(*quiet, 0, 0, WINDOW).why == "encoding takes too long"
    assert Load(*quiet, 0, 0, 0, 6, 5).why == "pictures found no room at an encoder"
    assert Load(*quiet, 0, 0, 0, 0, 0, 45, 9).why == "pictures are decoded too late"
    for late, busy, expected in ((0, 0, 0), (7, 0, 933), (2, 800, 800)):
        assert Load(*quiet, late, 0, WINDOW * busy // 1000).pressure == expected


def test_gross_overload_takes_several_steps_at_once_and_light_one_never_does() -> None:
    for excess, expected in ((GROSS, Rung.PRESET), (HOPELESS, Rung.FRAME_RATE), (1200, Rung.NONE)):
        measured = gross(excess)
        assert abs(measured.excess - excess) <= 1
        state = Strain()
        for _ in range(GROSS_SUSTAINED):
            assert state.rung is Rung.NONE
            state = state.after(gross(excess + 1))
        assert state.rung is expected
    # What was given up is not waited for while it is plainly not enough.
    state = Strain()
    for _ in range(2 * GROSS_SUSTAINED):
        state = state.after(gross(GROSS + 1), settle=SETTLE + 4)
    assert state.rung is Rung.FRAME_RATE


def test_gross_overload_is_told_by_the_work_of_ticks_and_by_ticks_that_stay_behind() -> None:
    assert Load(WINDOW, 5, 5, WINDOW, 0, tick=TICK).excess == 3000
    assert Load(WINDOW, 15, 15, 0, 0, tick=TICK, behind=BEHIND).excess == GROSS
    assert Load(WINDOW, 15, 15, WINDOW // 2, WINDOW // 4, tick=TICK, encoded=15, behind=BEHIND - 1).excess == 500
    assert Load(WINDOW, 15, 0, 0, WINDOW, tick=TICK).excess == 0


def test_a_stall_that_is_caught_up_with_is_gross_in_one_measurement_only_and_does_nothing() -> None:
    stalled = Load(2 * WINDOW, 8, 1, 2 * WINDOW, 0, tick=TICK, behind=30 * BEHIND)
    caught_up = Load(WINDOW, 37, 30, WINDOW // 2, 0, tick=TICK)
    state = Strain()
    for measured in [load(300)] * 3 + [stalled, caught_up] + [load(300)] * 3:
        state = state.after(measured)
        assert state.rung is Rung.NONE


ALL = frozenset(Rung) - {Rung.NONE}
MEANS = st.sampled_from([ALL, frozenset({Rung.PRESET, Rung.FRAME_RATE})])
MEASURED = st.one_of(st.integers(0, 1400).map(load), st.integers(1000, 5000).map(gross))


@given(MEASURED, MEANS, st.integers(SETTLE, 8))
def test_under_constant_load_it_only_ever_goes_up_and_comes_to_rest(
    measured: Load, means: frozenset[Rung], settle: int
) -> None:
    state, rungs = Strain(), [Rung.NONE]
    for _ in range(400):
        state = state.after(measured, means, settle)
        rungs.append(state.rung)
    assert rungs == sorted(rungs) and set(rungs) <= means | {Rung.NONE}
    top = 4 * (SUSTAINED + settle)
    assert rungs[top:] == [rungs[-1]] * (401 - top)
    assert rungs[-1] is (Rung.FRAME_RATE if measured.pressure >= 900 else Rung.NONE)


@given(st.lists(MEASURED, max_size=100), MEANS)
def test_whatever_happened_before_it_comes_back_to_full_quality_when_calm(
    before: list[Load], means: frozenset[Rung]
) -> None:
    state = Strain()
    for measured in before:
        state = state.after(measured, means)
    for _ in range(4 * (MOST_PATIENCE + SETTLE) + 8):
        below = state.rung
        state = state.after(load(300), means)
        assert state.rung <= below
    assert state.rung is Rung.NONE


@given(st.lists(st.tuples(MEASURED, st.integers(1, 60)), max_size=30), MEANS)
def test_steps_of_any_minute_are_few(spans: list[tuple[Load, int]], means: frozenset[Rung]) -> None:
    """Each way down takes its patience, so what goes up again and again is bounded by how often it came down."""
    state, steps = Strain(), []
    for measured, times in spans:
        for _ in range(times):
            after = state.after(measured, means)
            steps.append(after.rung is not state.rung)
            state = after
    minute = 60 * 2
    most = max((sum(steps[n : n + minute]) for n in range(len(steps))), default=0)
    assert most <= 2 * (minute // (PATIENCE + SETTLE)) + len(Rung)


@given(st.lists(st.integers(0, 2000), max_size=200))
def test_short_of_gross_overload_it_moves_by_one_rung_and_only_for_a_reason(pressures: list[int]) -> None:
    states = folded(pressures)
    last = -1
    for n, (before, after) in enumerate(itertools.pairwise(states)):
        if after.rung is before.rung:
            continue
        assert abs(after.rung - before.rung) == 1
        assert n - last > SETTLE
        recent = pressures[last + 1 : n + 1]
        if after.rung > before.rung:
            assert sum(p >= 900 for p in recent) >= SUSTAINED and pressures[n] >= 900
        else:
            assert all(p < 900 for p in recent[-PATIENCE:]) and len(recent) >= PATIENCE
        last = n
