"""What counts as having been held up is what jobs and publishers say; a product is judged by other bars then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from egress.model.media import SECOND
from tests.held_up import cast_held_up, job_held_up
from tests.probe import probe
from tests.product import Faults, make
from tests.recording import UNHURRIED
from tests.world import World

ALIVE = {"type": "alive", "attempt": 1, "late": 0, "repeated": 0, "halved": 0, "refused": 0, "degraded": {}}


def alive(at: float, **figures: Any) -> dict[str, Any]:
    return {**ALIVE, "elapsed": at, "intake": {"late": 0, "overdue": 0, "dropped": 0}, **figures}


def test_a_job_that_keeps_up_says_nothing_and_one_that_does_not_says_how() -> None:
    assert list(job_held_up([alive(1), alive(2.1), alive(3, late=9, repeated=60, halved=55)])) == []
    assert list(job_held_up([])) == []
    told = [alive(1), alive(4.5), alive(5.5, late=90, repeated=90, degraded={"frame_rate": 800, "loop_filter": 0})]
    assert list(job_held_up(told)) == [
        "attempt 1: 90 ticks came late",
        "attempt 1: 90 pictures were missing",
        "attempt 1: it gave up frame_rate",
        "attempt 1: it said nothing for 3.5 s",
    ]


def test_participants_that_are_late_or_lost_say_so() -> None:
    world = World.everyone(2, 8).mutes(1, "video", 3.5)

    def heard(second: float, kind: str, **more: Any) -> dict[str, Any]:
        return {"type": kind, "heard": round((100 + second) * SECOND), **more}

    told = [heard(-0.2, "ready", zero=100 * SECOND)]
    told += [heard(0.3, "published", peer=peer, at=0.3) for peer in ("ada", "grace")]
    told += [heard(3.6, "step", peer="grace", at=3.5), heard(8.1, "done", skipped=2, late=15)]
    assert list(cast_held_up(world.plan, told)) == []
    late = [told[0], heard(2, "published", peer="ada", at=1.9), heard(7, "lost", peer="grace"), *told[2:4]]
    late.append(heard(8.1, "done", skipped=30, late=2))
    assert list(cast_held_up(world.plan, late)) == [
        "Ada did something 1.9 s late",
        "Grace lost the server",
        "participants left out 30 and sent 2 units late",
    ]


def test_who_was_held_up_is_still_judged_by_what_no_machine_excuses(tmp_path: Path) -> None:
    frozen = probe_of(tmp_path, "frozen", Faults(frozen=(3.0, 4.5)))
    assert frozen.violations(UNHURRIED)
    assert replace(frozen, held_up=("late",)).violations(UNHURRIED) == ()
    for name, faults in (
        ("apart", Faults(video_late={0: 0.3, 1: 0.3})),
        ("silent", Faults(silent={0: tuple(range(8))}, hidden={0: tuple(range(8))})),
        ("uneven", Faults(jump=90)),
    ):
        assert replace(probe_of(tmp_path, name, faults), held_up=("late",)).violations(UNHURRIED), name


def probe_of(folder: Path, name: str, faults: Faults) -> Any:
    path = folder / f"{name}.mp4"
    make(path, 2, 7, faults)
    return probe(path, participants=2)
