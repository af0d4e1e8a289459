"""Who has the floor when people speak, pause, interrupt, leave, and do their worst."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest

from egress.media.floor import CROSS, ENOUGH, HELD, SILENT, Floor
from egress.model.media import MILLISECOND, SECOND, Nanos

TICK = SECOND // 30
Speaking = Callable[[Nanos], Iterable[str]]


def follow(
    speaking: Speaking, seconds: float, floor: Floor | None = None, tick: Nanos = TICK
) -> list[tuple[Nanos, Floor]]:
    """The floor at every tick."""
    made, floor, at = [], floor or Floor(), 0
    start = floor._at
    while at < seconds * SECOND:
        at += tick
        floor = floor.after(start + at, frozenset(speaking(at)))
        made.append((at, floor))
    return made


def changes(made: list[tuple[Nanos, Floor]]) -> list[tuple[Nanos, str | None]]:
    found: list[tuple[Nanos, str | None]] = [(0, None)]
    for at, floor in made:
        if floor.speaker != found[-1][1]:
            found.append((at, floor.speaker))
    return found[1:]


@pytest.mark.parametrize("tick", [SECOND // 60, TICK, SECOND // 10])
def test_somebody_who_speaks_takes_the_empty_floor_but_a_yes_does_not(tick: Nanos) -> None:
    assert follow(lambda at: ["ann"] if at < 500 * MILLISECOND else [], 3, tick=tick)[-1][1].speaker is None
    ((at, who),) = changes(follow(lambda _: ["ann"], 3, tick=tick))
    assert who == "ann" and ENOUGH <= at <= ENOUGH + 2 * tick


@pytest.mark.parametrize("tick", [SECOND, SECOND // 2, SECOND // 3])
def test_few_pictures_a_second_keep_nobody_from_the_floor(tick: Nanos) -> None:
    made = changes(follow(lambda at: ["ann"] if at <= 8 * SECOND else ["bob"], 16, tick=tick))
    assert [who for _, who in made] == ["ann", "bob"]


def test_a_holder_keeps_the_floor_through_silence_until_another_speaks() -> None:
    def speaking(at: Nanos) -> list[str]:
        return ["ann"] if at < 3 * SECOND else ["bob"] if at > 10 * SECOND else []

    (_, first), (at, second) = changes(follow(speaking, 12))
    assert (first, second) == ("ann", "bob") and 600 <= (at - 10 * SECOND) / MILLISECOND <= 700


def test_short_words_of_others_do_not_take_the_floor() -> None:
    def speaking(at: Nanos) -> list[str]:
        return ["ann", "bob"] if at % (2 * SECOND) < 400 * MILLISECOND else ["ann"]

    assert [who for _, who in changes(follow(speaking, 20))] == ["ann"]


def test_pauses_of_the_holder_are_no_invitation() -> None:
    def speaking(at: Nanos) -> list[str]:
        return [*(["ann"] if at % SECOND < SECOND - SILENT + 2 * TICK else []), *(["bob"] if at > 5 * SECOND else [])]

    made = changes(follow(speaking, 6))
    assert [who for _, who in made] == ["ann"]


def test_who_talks_over_the_holder_for_long_takes_the_floor_and_equals_do_not() -> None:
    def interrupting(at: Nanos) -> list[str]:
        halting = ["ann"] if at < 4 * SECOND or at % (600 * MILLISECOND) < 300 * MILLISECOND else []
        return [*halting, *(["bob"] if at > 4 * SECOND else [])]

    (_, first), (at, second) = changes(follow(interrupting, 10))
    assert (first, second) == ("ann", "bob") and SECOND <= at - 4 * SECOND <= CROSS + SECOND // 2
    made = changes(follow(lambda at: ["ann"] if at < 4 * SECOND else ["ann", "bob"], 20))
    assert [who for _, who in made] == ["ann"]


def test_the_floor_never_flaps() -> None:
    chance = random.Random(11)
    for period in range(50, 2000, 50):

        def alternating(at: Nanos, period: int = period) -> list[str]:
            return [("ann", "bob", "cem")[at // (period * MILLISECOND) % (2 + period % 2)]]

        _calm(changes(follow(alternating, 20)))
    for _ in range(20):
        made, floor, speaking = [], Floor(), set[str]()
        for n in range(900):
            speaking ^= {peer for peer in "abcd" if chance.random() < 0.05}
            floor = floor.after(n * TICK, frozenset(speaking))
            made.append((n * TICK, floor))
            assert set(floor.recent) >= {floor.speaker} - {None}
        _calm(changes(made))


def _calm(made: list[tuple[Nanos, str | None]]) -> None:
    for (before, _), (after, _) in pairwise(made):
        assert after - before >= HELD


def test_who_leaves_loses_the_floor_at_once_and_is_forgotten() -> None:
    floor = follow(lambda at: ["ann", "bob"], 3)[-1][1]
    assert floor.speaker == "ann" and floor.recent == ("ann", "bob")
    left = floor.after(3 * SECOND + TICK, frozenset({"bob"}), frozenset({"bob", "cem"}))
    assert left.speaker == "bob" and left.recent == ("bob",)
    alone = left.after(4 * SECOND, frozenset({"bob"}), frozenset())
    assert alone.speaker is None and alone.recent == ()


def test_the_latest_speaker_comes_first_and_order_changes_only_with_the_floor() -> None:
    def speaking(at: Nanos) -> list[str]:
        return ["ann"] if at < 4 * SECOND else ["bob"] if at < 8 * SECOND else ["cem"]

    made = follow(speaking, 12)
    assert made[-1][1].recent == ("cem", "bob", "ann")
    orders = list(dict.fromkeys(floor.recent for _, floor in made))
    assert len(orders) <= 6


def test_what_was_not_looked_at_is_no_speech() -> None:
    floor = Floor().after(0, frozenset({"ann"})).after(5 * SECOND, frozenset({"ann"}))
    assert floor.speaker is None


def test_the_time_goes_on_while_nobody_speaks() -> None:
    quiet = Floor()
    for tick in range(1, 200):
        quiet = quiet.after(tick * TICK, frozenset(), frozenset({"ann"}))
    spoken, at = quiet, 200 * TICK
    while spoken.speaker is None:
        spoken, at = spoken.after(at, frozenset({"ann"}), frozenset({"ann"})), at + TICK
    assert ENOUGH <= at - 199 * TICK <= ENOUGH + 2 * TICK
