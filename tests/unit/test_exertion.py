"""What a worker's CPU goes to is told by stage, also of threads that have ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from egress.exertion import STAGES, Exertion

BURN = 40
"""CPU milliseconds a thread of these tests uses."""


def burn() -> None:
    """Use CPU, however busy the machine is."""
    begin = time.thread_time_ns()
    while time.thread_time_ns() - begin < BURN * 1_000_000:
        pass


@contextmanager
def busy(*names: str) -> Iterator[None]:
    """Threads of these names that have used CPU, and live on for the length of the context."""
    done = threading.Semaphore(0)
    over = threading.Event()

    def work() -> None:
        burn()
        done.release()
        over.wait()

    threads = [threading.Thread(target=work, name=name) for name in names]
    for thread in threads:
        thread.start()
    for _ in threads:
        done.acquire()
    yield
    over.set()
    for thread in threads:
        thread.join()


def grown(before: dict[str, int], after: dict[str, int]) -> set[str]:
    """The stages that took up what was burnt."""
    return {stage for stage in STAGES if after[stage] - before[stage] >= BURN - 2}


def test_each_thread_counts_for_the_stage_it_works_for() -> None:
    exertion = Exertion()
    for name, stage in (
        ("intake-video", "decode"),
        ("programme", "compose"),
        ("loudness", "mix"),
        ("encode-video-1", "encode"),
        ("sink-hls", "sinks"),
        ("mirror-lane", "sinks"),
        ("announcer", "other"),
    ):
        before = exertion.read()
        with busy(name):
            assert grown(before, exertion.read()) == {stage}, name


def test_the_loop_s_own_thread_receives_and_what_it_did_before_was_its_start() -> None:
    burn()
    exertion = Exertion()
    before = exertion.read()
    assert before["other"] >= BURN and before["receive"] < BURN
    burn()
    assert grown(before, exertion.read()) == {"receive"}


def test_sound_is_taken_out_of_what_the_tick_s_thread_did() -> None:
    exertion = Exertion()
    with busy("programme"):
        whole, parted = exertion.read(), exertion.read(mixed=15_000_000)
    assert parted["mix"] - whole["mix"] == 15
    assert parted["compose"] == whole["compose"] - 15


def test_what_a_thread_did_stays_counted_when_it_has_ended() -> None:
    exertion = Exertion()
    with busy("intake-video"):
        living = exertion.read()["decode"]
    assert living >= BURN
    assert exertion.read()["decode"] == exertion.read()["decode"] == living
