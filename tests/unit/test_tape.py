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
