from __future__ import annotations

from egress.model.media import MILLISECOND, SECOND
from egress.rooms.congestion import Arrivals
from tests.unit.test_rtcp import decode_feedback


def test_each_arrival_is_told_once_and_gaps_are_told_as_missing() -> None:
    arrivals = Arrivals(1)
    for sequence in (65534, 65535, 1):
        arrivals.add(sequence, SECOND + sequence)
    (first,) = arrivals.feedback(2)
    assert sorted(decode_feedback(first)) == [1, 65534, 65535]
    arrivals.add(2, 2 * SECOND)
    (second,) = arrivals.feedback(2)
    assert sorted(decode_feedback(second)) == [2]
    assert arrivals.feedback(2) == []


def test_a_late_packet_is_told_afterwards() -> None:
    arrivals = Arrivals(1)
    for sequence in (10, 12):
        arrivals.add(sequence, SECOND)
    arrivals.feedback(2)
    arrivals.add(11, SECOND + MILLISECOND)
    arrivals.add(13, SECOND + 2 * MILLISECOND)
    (packet,) = arrivals.feedback(2)
    assert {11, 13} <= set(decode_feedback(packet))


def test_many_arrivals_and_long_pauses_make_several_packets() -> None:
    arrivals = Arrivals(1)
    for sequence in range(1000):
        arrivals.add(sequence, SECOND + sequence * MILLISECOND)
    arrivals.add(1000, 60 * SECOND)
    packets = arrivals.feedback(2)
    told = [seq for packet in packets for seq in decode_feedback(packet)]
    assert sorted(told) == list(range(1001)) and len(packets) >= 4


def test_a_wild_jump_does_not_make_a_wild_packet() -> None:
    arrivals = Arrivals(1)
    arrivals.add(0, SECOND)
    arrivals.feedback(2)
    arrivals.add(30_000, SECOND + MILLISECOND)
    packets = arrivals.feedback(2)
    assert sum(map(len, packets)) < 2000
    assert [seq for packet in packets for seq in decode_feedback(packet)] == [30_000]
