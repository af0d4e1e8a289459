from __future__ import annotations

import numpy as np
import pytest

from egress.media.samples import Samples
from egress.media.tape import LENGTH, Tape


def counting(begin: int, count: int) -> Samples:
    return np.tile(np.arange(begin, begin + count, dtype=np.float32), (2, 1))


def test_an_empty_tape_is_silent() -> None:
    assert not Tape().read(123, 10).any()


def test_sound_is_found_at_its_position_and_silence_around_it() -> None:
    tape = Tape()
    tape.skip_to(1000)
    tape.append(counting(1, 50))
    assert tape.end == 1050
    assert tape.read(995, 60)[0].tolist() == [0.0] * 5 + list(range(1, 51)) + [0.0] * 5


def test_a_long_recording_keeps_its_last_half_second_at_least() -> None:
    tape = Tape()
    tape.skip_to(0)
    for begin in range(0, 4 * LENGTH, 960):
        tape.append(counting(begin, 960))
    end = tape.end
    assert end is not None
    assert tape.read(end - LENGTH // 2, LENGTH // 2)[0].tolist() == list(range(end - LENGTH // 2, end))
    assert tape.start >= end - LENGTH


def test_short_gaps_are_silence_and_long_ones_forget() -> None:
    tape = Tape()
    tape.skip_to(0)
    tape.append(counting(1, 100))
    tape.skip_to(200)
    assert tape.read(99, 1)[0, 0] == 100.0 and not tape.read(100, 100).any()
    tape.skip_to(10_000_000)
    assert (tape.start, tape.end) == (10_000_000, 10_000_000)
    with pytest.raises(ValueError, match="wound back"):
        tape.skip_to(5)


def test_the_end_can_be_faded_out_as_far_as_it_was_not_heard() -> None:
    tape = Tape()
    tape.skip_to(0)
    tape.append(np.ones((2, 100), np.float32))
    tape.fade_out(since=90, samples=50)
    sound = tape.read(0, 100)[0]
    assert sound[:90].min() == 1.0 and sound[-1] == 0.0


def test_forgetting_leaves_silence() -> None:
    tape = Tape()
    tape.skip_to(0)
    tape.append(counting(1, 100))
    tape.forget()
    assert not tape.read(0, 100).any()
    assert tape.end == tape.start == 100


def test_sound_of_two_channels_makes_both_of_what_was_one() -> None:
    tape = Tape()
    tape.skip_to(0)
    tape.append(counting(1, 10)[:1])
    assert tape.read(0, 10).shape == (1, 10)
    tape.append(counting(11, 10) * np.array([[1], [2]], np.float32))
    assert tape.read(8, 4).tolist() == [[9, 10, 11, 12], [9, 10, 22, 24]]
    tape.append(counting(21, 10)[:1])
    assert tape.read(20, 2).tolist() == [[21, 22], [21, 22]]


def test_a_tape_knows_where_nothing_is_heard() -> None:
    tape = Tape()
    assert tape.silent(0, 100)
    tape.skip_to(50)
    assert tape.silent(0, 1000)
    tape.append(counting(1, 10))
    tape.skip_to(100)
    assert tape.silent(0, 50) and not tape.silent(0, 51)
    assert not tape.silent(59, 10) and tape.silent(60, 100)
    tape.forget()
    assert tape.silent(0, 1000)


def test_what_is_read_does_not_change_with_the_tape() -> None:
    tape = Tape()
    tape.skip_to(0)
    tape.append(counting(1, 10))
    sound = tape.read(0, 10)
    tape.fade_out(since=0, samples=10)
    assert sound[0].tolist() == list(range(1, 11))
