"""When a destination is retried, fails and recovers, on made-up time."""

from __future__ import annotations

from egress.model.errors import Blame
from egress.sinks.backoff import Backoff
from egress.sinks.destination import Destination, DestinationState, Patience
from egress.sinks.rtmp_protocol import Trouble


def _destination() -> Destination:
    return Destination(0.0, Backoff(uniform=lambda _, most: most), Patience())


def test_waits_double_up_to_thirty_seconds_and_begin_anew_after_success() -> None:
    bounds: list[float] = []
    backoff = Backoff(uniform=lambda _, most: bounds.append(most) or most)
    for _ in range(7):
        backoff.next()
    backoff.reset()
    backoff.next()
    assert bounds == [1, 2, 4, 8, 16, 30, 30, 1]
    assert all(0.1 <= Backoff().next() <= 1.0 for _ in range(50))


def test_a_server_that_never_answers_has_failed_within_a_minute() -> None:
    destination = _destination()
    destination.tick(44.9)
    assert destination.state is DestinationState.CONNECTING
    destination.tick(45.0)
    assert destination.state is DestinationState.FAILED
    assert destination.reason and destination.blame is Blame.DESTINATION


def test_three_refusals_of_a_key_that_never_worked_are_enough_and_it_is_still_tried() -> None:
    destination = _destination()
    for now in (0.1, 1.2, 3.3):
        assert destination.state is not DestinationState.FAILED
        destination.lost(now, Trouble.REJECTED, "no such key")
    assert destination.state is DestinationState.FAILED
    assert (destination.reason, destination.blame) == ("no such key", Blame.REQUEST)
    assert destination.retry_at > 3.3


def test_a_short_break_is_retried_within_a_second_and_forgotten() -> None:
    destination = _destination()
    destination.live(0.5)
    destination.tick(30.0)
    destination.lost(40.0, Trouble.CLOSED, "gone")
    assert destination.state is DestinationState.RETRYING
    assert destination.retry_at <= 41.0
    destination.live(41.5)
    destination.tick(200.0)
    assert destination.state is DestinationState.LIVE
    destination.lost(300.0, Trouble.CLOSED, "gone again")
    destination.tick(344.0)
    assert destination.state is DestinationState.RETRYING
    destination.tick(345.0)
    assert destination.state is DestinationState.FAILED


def test_time_without_progress_before_a_stall_was_noticed_counts() -> None:
    destination = _destination()
    destination.live(1.0)
    destination.tick(100.0)
    destination.lost(110.0, Trouble.STALLED, "stalled", idle=10.0)
    destination.tick(145.0)
    assert destination.state is DestinationState.FAILED


def test_a_server_that_accepts_and_hangs_up_over_and_over_fails_and_does_not_flap_back() -> None:
    destination = _destination()
    now = 0.0
    while now < 60:
        destination.live(now)
        destination.lost(now + 5, Trouble.CLOSED, "gone")
        now += 6
    assert destination.state is DestinationState.FAILED
    destination.live(now)
    assert destination.connected
    assert destination.state is DestinationState.FAILED
    destination.tick(now + 12)
    assert destination.state is DestinationState.LIVE


def test_a_name_still_held_by_the_broken_connection_is_given_time() -> None:
    destination = _destination()
    destination.live(0.0)
    destination.tick(60.0)
    for now in (60.0, 61.0, 62.0, 64.0):
        destination.lost(now, Trouble.REJECTED, "already publishing")
    assert destination.state is DestinationState.RETRYING
    destination.tick(81.0)
    assert destination.state is DestinationState.FAILED
    assert destination.blame is Blame.DESTINATION


def test_a_server_that_asks_for_a_new_connection_gets_it_at_once_but_not_in_a_loop() -> None:
    destination = _destination()
    destination.live(0.0)
    destination.lost(20.0, Trouble.MOVED, "asked")
    assert destination.retry_at == 20.0
    destination.live(20.2)
    destination.lost(20.4, Trouble.MOVED, "asked")
    assert destination.retry_at > 20.4


def test_how_it_ends() -> None:
    never, once, failed = _destination(), _destination(), _destination()
    never.end()
    assert never.state is DestinationState.FAILED and "before the server" in never.reason
    once.live(1.0)
    once.end()
    assert once.state is DestinationState.ENDED and once.blame is None
    failed.tick(60.0)
    failed.end()
    assert failed.state is DestinationState.FAILED
