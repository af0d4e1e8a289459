"""A process is told apart from another that has its number, and is killed with all of its session."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace

from egress.control.processes import Process, _fields


def _gone(pid: int) -> bool:
    """Whether a process has ended; nobody may have asked for its status yet."""
    fields = _fields(pid)
    return not fields or fields[0] == "Z"


def test_another_process_of_the_same_number_is_not_touched() -> None:
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        there = Process.of(child.pid)
        assert there is not None and there.alive
        other = replace(there, began=there.began - 1)
        assert not other.alive and other.handle() is None
        other.kill()
        other.kill_session()
        assert child.poll() is None
        there.kill()
        assert child.wait(10) == -9
        assert not there.alive and Process.of(child.pid) is None
        there.kill()
    finally:
        child.kill()
        child.wait()


def test_what_a_dead_leader_left_behind_is_killed_with_its_session() -> None:
    script = "sleep 60 & echo $!; sleep 60"
    leader = subprocess.Popen(["sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert leader.stdout is not None
    left = int(leader.stdout.readline())
    process = Process.of(leader.pid)
    assert process is not None
    leader.kill()
    leader.wait()
    assert not _gone(left)
    process.kill_session()
    limit = time.monotonic() + 60
    while not _gone(left) and time.monotonic() < limit:
        time.sleep(0.01)
    assert _gone(left)
    ours = Process.of(os.getpid())
    assert ours is not None and ours.alive
    leader.stdout.close()
