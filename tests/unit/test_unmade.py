"""What stands in for a programme: no streams, but pauses and an end."""

from __future__ import annotations

from egress.media.scene import Scene
from egress.media.unmade import Unmade
from egress.model.clock import SessionClock
from egress.model.media import MILLISECOND, Nanos


def test_it_makes_nothing_and_tells_of_pauses() -> None:
    told: list[tuple[bool, Nanos]] = []
    programme = Unmade(SessionClock.start(), 0, lambda paused, at: told.append((paused, at)))
    programme.start()
    programme.show(Scene(), 0)
    programme.revise(((5, Scene(paused=True)), (6, Scene(paused=True))))
    programme.show(Scene(), 9)
    assert told == [(True, 5), (False, 9)]
    assert programme.infos == () and programme.encoders() == {} and programme.stats.ticks == 0


def test_it_ends_once_what_was_captured_before_has_come() -> None:
    clock = SessionClock.start()
    programme = Unmade(clock, 60 * MILLISECOND, lambda paused, at: None)
    end = clock.now() + 20 * MILLISECOND
    assert programme.position == 0
    assert programme.finish(end) == end
    assert clock.now() >= end + 60 * MILLISECOND
