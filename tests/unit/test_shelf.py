from __future__ import annotations

import random
from itertools import pairwise

import av

from egress.media.shelf import ROOM, Picture, Shelf
from egress.model.media import MILLISECOND, SECOND, Size

FRAME = av.VideoFrame(2, 2, "yuv420p")
TICK = SECOND // 30


def picture(at: int) -> Picture:
    return Picture(FRAME, at, Size(2, 2))


def watch(times: list[int], fps: int = 30, seconds: int = 20) -> list[int | None]:
    """What a canvas at `fps` shows of pictures stamped so, each put on the shelf 50 ms ahead."""
    shelf, seen, ahead = Shelf(), [], list(times)
    for number in range(seconds * fps):
        at = number * SECOND // fps
        while ahead and ahead[0] <= at + 50 * MILLISECOND:
            shelf.put(picture(ahead.pop(0)))
        shown = shelf.pick(at, SECOND // fps // 2)
        seen.append(shown.at if shown else None)
    return seen


def changes(seen: list[int | None]) -> int:
    return len(set(seen) - {None})


def test_nothing_is_shown_before_the_first_picture_is_due() -> None:
    shelf = Shelf()
    shelf.put(picture(SECOND))
    assert shelf.pick(0, TICK // 2) is None
    assert shelf.pick(SECOND, TICK // 2) is not None


def test_the_newest_due_picture_wins_and_the_others_are_counted() -> None:
    shelf = Shelf()
    for at in (0, 5, 10):
        shelf.put(picture(at * MILLISECOND))
    shown = shelf.pick(TICK, TICK // 2)
    assert shown is not None and shown.at == 10 * MILLISECOND
    assert shelf.skipped == 2


def test_a_picture_stays_until_the_next_is_due() -> None:
    shelf = Shelf()
    shelf.put(picture(0))
    assert [shelf.pick(n * TICK, TICK // 2) for n in range(3)] == [shelf.current] * 3


def test_a_30_fps_source_is_shown_picture_by_picture_at_any_phase() -> None:
    chance = random.Random(5)
    for phase in range(0, 34, 2):
        times = [round(n * TICK + phase * MILLISECOND + chance.uniform(-4, 4) * MILLISECOND) for n in range(620)]
        seen = watch(times)
        assert changes(seen) >= 29.5 * 20, phase


def test_a_source_slightly_too_slow_repeats_only_what_it_lacks() -> None:
    chance = random.Random(6)
    for hertz in (29.97, 30.003):
        times = [round(n * SECOND / hertz + chance.gauss(0, 2) * MILLISECOND) for n in range(630)]
        assert changes(watch(times)) >= 29 * 20


def test_a_60_fps_source_gives_every_other_picture() -> None:
    times = [n * SECOND // 60 for n in range(1250)]
    seen = [at for at in watch(times) if at is not None]
    steps = {round((b - a) / MILLISECOND) for a, b in pairwise(seen)}
    assert steps == {33}


def test_a_slow_source_is_never_early_by_more_than_a_tick() -> None:
    seen = watch([n * SECOND // 7 for n in range(150)])
    assert changes(seen) == 7 * 20
    assert all(at is None or at <= number * TICK + TICK for number, at in enumerate(seen))


def test_time_that_goes_back_drops_what_lies_ahead() -> None:
    shelf = Shelf()
    shelf.put(picture(0))
    shelf.pick(0, 0)
    shelf.put(picture(9 * SECOND))
    shelf.put(picture(MILLISECOND))
    shown = shelf.pick(TICK, TICK // 2)
    assert shown is not None and shown.at == MILLISECOND
    assert len(shelf) == 0


def test_a_shelf_nobody_looks_at_stays_small() -> None:
    shelf = Shelf()
    for number in range(100):
        shelf.put(picture(number * TICK))
    assert len(shelf) == ROOM
    assert shelf.skipped == 100 - ROOM


def test_the_newest_can_be_replaced_on_the_shelf_or_once_shown() -> None:
    shelf = Shelf()
    shelf.put(picture(0))
    resized = picture(0)
    shelf.replace_newest(resized)
    assert shelf.pick(0, 0) is resized
    again = picture(0)
    shelf.replace_newest(again)
    assert shelf.pick(TICK, 0) is again
    assert shelf.newest is again
    shelf.clear()
    assert shelf.pick(TICK, 0) is None


def test_evenness_never_costs_more_lip_sync_than_the_tick_itself() -> None:
    chance = random.Random(6)
    for phase in range(0, 34, 2):
        # A clock a little fast carries the pictures past every phase while they are watched.
        times = [round(n * TICK * 1.0004 + (phase + chance.uniform(-4, 4)) * MILLISECOND) for n in range(620)]
        off = sorted(at - n * SECOND // 30 for n, at in enumerate(watch(times)) if at is not None)
        assert abs(off[len(off) // 2]) <= TICK // 2 + MILLISECOND
        assert max(-off[len(off) // 20], off[-len(off) // 20]) <= TICK // 2 + 8 * MILLISECOND
