from __future__ import annotations

from tests.world import Expect, World

R, MAY, F = Expect.REQUIRED, Expect.OPTIONAL, Expect.FORBIDDEN


def _expectations(world: World, who: int, kind: str, seconds: range) -> list[Expect]:
    return [world.expect(who, "audio" if kind == "audio" else "video", second) for second in seconds]


def test_all_the_time_is_required_but_the_edges() -> None:
    world = World.everyone(2, 6)
    assert _expectations(world, 0, "audio", range(-1, 8)) == [F, MAY, R, R, R, R, R, MAY, F]


def test_muted_seconds_are_forbidden_for_that_kind_only() -> None:
    world = World.everyone(2, 20).mutes(1, "video", 9.5, 14.5)
    assert _expectations(world, 1, "video", range(8, 17)) == [R, R, F, F, F, F, F, R, R]
    assert _expectations(world, 1, "audio", range(8, 17)) == [R] * 9
    assert _expectations(world, 0, "video", range(8, 17)) == [R] * 9


def test_late_joiner_is_forbidden_before_and_required_a_second_after() -> None:
    world = World.everyone(2, 20).late(1, 4.5)
    assert _expectations(world, 1, "video", range(3, 8)) == [F, F, MAY, R, R]


def test_away_and_back_with_a_mute_that_lasts() -> None:
    world = World.everyone(1, 30).away(0, 10.5, 15.5).mutes(0, "audio", 8.5, 20.5)
    assert _expectations(world, 0, "video", range(9, 19)) == [R, R, F, F, F, F, F, MAY, R, R]
    assert _expectations(world, 0, "audio", range(8, 24)) == [R, *[F] * 12, R, R, R]


def test_unselected_roles_are_forbidden_altogether() -> None:
    world = World.everyone(2, 10).selects("host")
    assert _expectations(world, 0, "video", range(2, 9)) == [R] * 7
    assert _expectations(world, 1, "video", range(2, 9)) == [F] * 7


def test_camera_off_is_heard_and_never_seen() -> None:
    world = World.everyone(2, 10).camera_off(1)
    assert _expectations(world, 1, "video", range(2, 9)) == [F] * 7
    assert _expectations(world, 1, "audio", range(2, 9)) == [R] * 7
