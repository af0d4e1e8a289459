"""Degradation as a fold over measurements: it climbs under lasting strain, comes back, and never flaps."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from egress.media.strain import MOST_PATIENCE, PATIENCE, SETTLE, SUSTAINED, WINDOW, Load, Rung, Strain


def load(pressure: int) -> Load:
    """Half a second whose encoder was so busy, per mille."""
    return Load(WINDOW, 15, 0, 0, WINDOW * pressure // 1000)


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


@given(st.lists(st.integers(0, 2000), max_size=200))
def test_whatever_is_measured_it_moves_by_one_rung_and_only_for_a_reason(pressures: list[int]) -> None:
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
