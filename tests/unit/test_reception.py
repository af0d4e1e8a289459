from __future__ import annotations

from egress.model.media import MILLISECOND, SECOND
from egress.rooms.reception import Reception
from egress.rooms.rtcp import SenderInfo


def test_nothing_is_said_before_the_first_packet() -> None:
    assert Reception(1, 90000).block(0) is None


def test_the_loss_fraction_is_that_of_the_interval() -> None:
    reception = Reception(1, 90000)
    for number in range(100):
        if number % 4:
            reception.add(number, number, number)
    first = reception.block(0)
    for number in range(100, 200):
        reception.add(number, number, number)
    second = reception.block(0)
    assert first is not None and second is not None
    assert (first.fraction, first.lost) == (24 * 256 // 99, 24)
    assert (second.fraction, second.lost, second.highest) == (0, 24, 199)


def test_duplicates_never_make_the_fraction_negative() -> None:
    reception = Reception(1, 90000)
    for number in (1, 2, 2, 2, 3):
        reception.add(number, number, number)
    block = reception.block(0)
    assert block is not None and block.fraction == 0 and block.lost == -2


def test_jitter_settles_at_the_mean_deviation() -> None:
    reception = Reception(1, 90000)
    for index in range(2000):
        late = 10 * MILLISECOND if index % 2 else 0
        reception.add(index, index * 3000, index * SECOND // 30 + late)
    assert 850 <= reception.jitter <= 950


def test_packets_of_one_picture_do_not_count_as_jitter() -> None:
    reception = Reception(1, 90000)
    for index in range(200):
        for part in range(4):
            reception.add(index * 4 + part, index * 3000, index * SECOND // 30 + part * MILLISECOND)
    assert reception.jitter <= 1


def test_reports_answer_the_last_sender_report() -> None:
    reception = Reception(1, 90000)
    reception.add(1, 1, 1)
    before = reception.block(0)
    reception.heard(SenderInfo(1, 0x11112222_33334444, 5), 10 * SECOND)
    after = reception.block(10 * SECOND + SECOND // 2)
    assert before is not None and (before.lsr, before.dlsr) == (0, 0)
    assert after is not None and (after.lsr, after.dlsr) == (0x22223333, 32768)
