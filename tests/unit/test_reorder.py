from __future__ import annotations

import itertools
import random

import pytest

from egress.model.media import MILLISECOND, Nanos
from egress.rooms.reorder import WINDOW, Reorder
from egress.rooms.rtp import RtpPacket

HOLD = 300 * MILLISECOND
RTT = 20 * MILLISECOND


class Bench:
    def __init__(self) -> None:
        self.out: list[int] = []
        self.holes: list[int] = []
        self.order = Reorder(lambda p: self.out.append(p.timestamp), self.holes.append, hold=HOLD)

    def add(self, number: int, at: Nanos = 0, *, repair: bool = False) -> None:
        packet = RtpPacket(96, number & 0xFFFF, number, 1, b"x", arrived=at)
        self.order.add(number, packet, repair=repair)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_packets_in_order_pass_at_once(bench: Bench) -> None:
    for number in range(5, 9):
        bench.add(number)
    assert bench.out == [5, 6, 7, 8] and not bench.order.holes


def test_swapped_packets_are_put_in_order(bench: Bench) -> None:
    for number in (1, 3, 2, 5, 6, 4):
        bench.add(number)
    assert bench.out == [1, 2, 3, 4, 5, 6] and bench.order.lost == 0


def test_a_missing_packet_holds_back_those_behind_it_for_a_bounded_time(bench: Bench) -> None:
    bench.add(1, 0)
    bench.add(3, 10)
    bench.order.expire(HOLD + 9)
    assert bench.out == [1] and bench.order.holes
    bench.order.expire(HOLD + 10)
    assert bench.out == [1, 3] and bench.holes == [1] and bench.order.lost == 1 and not bench.order.holes


def test_two_holes_run_out_each_in_its_own_time(bench: Bench) -> None:
    bench.add(1, 0)
    bench.add(3, 10)
    bench.add(5, 100)
    bench.order.expire(HOLD + 50)
    assert bench.out == [1, 3]
    bench.order.expire(HOLD + 100)
    assert bench.out == [1, 3, 5] and bench.order.lost == 2


def test_missing_packets_are_asked_for_again_an_rtt_apart_but_not_for_ever(bench: Bench) -> None:
    bench.add(1, 0)
    bench.add(4, 0)
    asked = [at for at in range(0, 1000 * MILLISECOND, MILLISECOND) if bench.order.to_ask(at, RTT)]
    assert len(asked) == 10
    assert all(later - sooner >= RTT for sooner, later in itertools.pairwise(asked))


def test_a_repair_fills_the_hole_and_is_counted(bench: Bench) -> None:
    bench.add(1, 0)
    bench.add(3, 0)
    assert bench.order.to_ask(0, RTT) == [2]
    bench.add(2, 5 * MILLISECOND, repair=True)
    assert bench.out == [1, 2, 3] and bench.order.recovered == 1 and bench.order.lost == 0


def test_a_path_that_reorders_is_given_patience_before_asking(bench: Bench) -> None:
    bench.add(1, 0)
    bench.add(3, 0)
    bench.add(2, 8 * MILLISECOND)
    bench.add(5, 10 * MILLISECOND)
    assert bench.order.to_ask(12 * MILLISECOND, RTT) == []
    assert bench.order.to_ask(18 * MILLISECOND, RTT) == [4]


def test_duplicates_and_late_ones_are_counted_not_delivered(bench: Bench) -> None:
    for number in (1, 2, 2, 4, 4):
        bench.add(number)
    bench.order.expire(HOLD)
    bench.add(3)
    bench.add(3)
    assert bench.out == [1, 2, 4]
    assert (bench.order.duplicates, bench.order.late) == (3, 1)


def test_after_an_outage_nothing_old_is_waited_for(bench: Bench) -> None:
    bench.add(1, 0)
    bench.add(50, HOLD + 1)
    assert bench.out == [1, 50] and bench.holes == [48] and not bench.order.holes


def test_a_hole_wider_than_the_window_is_given_up_at_once(bench: Bench) -> None:
    bench.add(1, 0)
    bench.add(3, 0)
    bench.add(WINDOW + 100, 1)
    assert bench.out == [1, 3, WINDOW + 100]
    assert not bench.order.holes and bench.order.lost == WINDOW + 97


def test_any_mix_of_loss_and_reordering_is_delivered_ascending_and_accounted_for() -> None:
    rng = random.Random(4)
    for _ in range(30):
        bench = Bench()
        bench.add(0)
        numbers = list(range(1, 400))
        sent = [n for n in numbers if rng.random() > 0.05]
        sent.sort(key=lambda n: n + rng.uniform(0, 12))
        now = 0
        for number in sent:
            now += MILLISECOND
            bench.add(number, now)
            bench.order.expire(now)
        bench.order.expire(now + HOLD)
        assert bench.out == sorted(bench.out)
        assert len(set(bench.out)) == len(bench.out)
        assert len(bench.out) + sum(bench.holes) == max(sent) + 1
        assert set(bench.out) == {0, *sent}
