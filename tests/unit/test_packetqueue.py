from __future__ import annotations

from egress.media.packetqueue import PACKETS, PacketQueue, SoundPacket


def packet(number: int, *, fresh: bool = False) -> SoundPacket:
    return SoundPacket(number * 960, 960, bytes([number % 256]), gap=False, fresh=fresh)


def filled(count: int, room: int = 960 * PACKETS) -> PacketQueue:
    queue = PacketQueue(room)
    for number in range(count):
        queue.put(packet(number, fresh=number == 0))
    return queue


def taken(queue: PacketQueue) -> SoundPacket:
    first = queue.first(None)
    assert first is not None
    took = queue.take(first)
    assert took is not None
    return took


def test_packets_come_out_in_order() -> None:
    queue = filled(3)
    assert [taken(queue) for _ in range(3)] == [packet(0, fresh=True), packet(1), packet(2)]
    assert queue.first(None) is None and len(queue) == 0


def test_a_packet_dropped_since_it_was_looked_at_is_not_taken_and_costs_no_other() -> None:
    queue = filled(3, room=2 * 960)
    seen = queue.first(None)
    assert seen is not None
    queue.put(packet(3))
    assert queue.dropped == 1
    assert queue.take(seen) is None and not queue.reject(seen)
    assert taken(queue) == packet(1, fresh=True)


def test_what_ended_before_the_reader_is_late_and_hands_on_that_the_encoder_began_anew() -> None:
    queue = filled(4)
    assert queue.first(2 * 960) == packet(2)
    assert queue.late == 2
    assert taken(queue).fresh
    assert not taken(queue).fresh


def test_a_broken_packet_hands_on_that_the_encoder_began_anew() -> None:
    queue = filled(2)
    first = queue.first(None)
    assert first is not None and queue.reject(first)
    assert taken(queue) == packet(1, fresh=True)


def test_what_is_passed_over_is_neither_late_nor_dropped() -> None:
    queue = filled(4)
    queue.pass_over(3 * 960)
    assert (len(queue), queue.late, queue.dropped) == (1, 0, 0)
    assert taken(queue).fresh


def test_the_queue_is_bounded_by_count() -> None:
    queue = PacketQueue(1 << 40)
    for number in range(PACKETS + 7):
        queue.put(packet(number))
    assert (len(queue), queue.dropped) == (PACKETS, 7)
