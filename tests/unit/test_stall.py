"""Whether a server still takes what it is sent, on made-up time."""

from __future__ import annotations

from egress.sinks.stall import StallWatch


def test_a_server_whose_kernel_takes_everything_is_not_idle() -> None:
    watch = StallWatch(0.0, 1000)
    assert all(watch.idle(t, written=100 * t, pending=0, acks=0) == 0 for t in range(60))


def test_bytes_that_stay_in_the_socket_are_idleness() -> None:
    watch = StallWatch(0.0, 1000)
    watch.idle(1.0, written=1000, pending=0, acks=0)
    idle = [watch.idle(float(t), written=1000 + 100 * t, pending=100 * t, acks=0) for t in range(2, 13)]
    assert idle[-1] == 11.0


def test_a_slow_trickle_is_progress() -> None:
    watch = StallWatch(0.0, 1000)
    assert all(watch.idle(float(t), written=1000 * t, pending=999 * t, acks=0) == 0 for t in range(1, 60))


def test_a_server_that_stopped_acknowledging_is_idle_though_its_kernel_swallows() -> None:
    watch = StallWatch(0.0, 1000)
    for t in range(10):
        assert watch.idle(float(t), written=1000 * t, pending=0, acks=t) == 0
    idle = [watch.idle(float(t), written=1000 * t, pending=0, acks=9) for t in range(10, 20)]
    assert idle[:2] == [0, 0]
    assert idle[-1] == 10.0


def test_a_server_with_a_wider_window_than_asked_for_is_not_idle_between_acknowledgements() -> None:
    watch = StallWatch(0.0, 1000)
    assert all(watch.idle(float(t), written=1000 * t, pending=0, acks=t // 15) == 0 for t in range(120))


def test_a_server_that_never_acknowledges_is_not_idle_for_that() -> None:
    watch = StallWatch(0.0, 1000)
    assert all(watch.idle(float(t), written=10_000 * t, pending=0, acks=min(t, 1)) == 0 for t in range(60))
