"""What waits is bounded, in order, and cut only at keyframes."""

from __future__ import annotations

from egress.sinks.backlog import Backlog
from egress.sinks.stamps import Unit

VIDEO, AUDIO = 0, 1


def _picture(at: int, *, gop: int = 2000, data: bytes = b"v") -> Unit:
    return Unit(VIDEO, "video", at, 0, at % gop == 0, data)


def _sound(at: int) -> Unit:
    return Unit(AUDIO, "audio", at, 0, True, b"a")


def _fill(backlog: Backlog, start: int, end: int, *, gop: int = 2000) -> None:
    for at in range(start, end, 20):
        if at % 40 == 0:
            backlog.push(_picture(at, gop=gop))
        backlog.push(_sound(at))


def _drain(backlog: Backlog, *, final: bool = True) -> list[Unit]:
    units = []
    while (unit := backlog.pop(final=final)) is not None:
        units.append(unit)
    return units


def test_units_come_out_in_time_order_over_the_streams() -> None:
    backlog = Backlog(["video", "audio"])
    for at in range(0, 400, 20):
        backlog.push(_sound(at))
    for at in range(0, 400, 40):
        backlog.push(_picture(at))
    times = [unit.at for unit in _drain(backlog, final=False)]
    assert times == sorted(times)
    assert times[-1] == 360, "sound later than the last picture waits for the next one"
    assert backlog.pop(final=True) is not None


def test_a_stream_that_stays_away_holds_the_other_up_for_two_seconds_only() -> None:
    backlog = Backlog(["video", "audio"])
    for at in range(0, 2600, 40):
        backlog.push(_picture(at))
    assert [unit.at for unit in _drain(backlog, final=False)] == list(range(0, 560, 40))


def test_when_full_whole_picture_groups_go_and_sound_stays_up_to_capacity() -> None:
    backlog = Backlog(["video", "audio"])
    _fill(backlog, 0, 10_000)
    assert backlog.span <= 4000, "two groups of 2 s are longer than 3 s"
    units = _drain(backlog)
    pictures = [unit for unit in units if unit.kind == "video"]
    sounds = [unit for unit in units if unit.kind == "audio"]
    assert pictures[0].key and pictures[0].at % 2000 == 0
    assert pictures[-1].at - pictures[0].at == 40 * (len(pictures) - 1), "no hole among those that stay"
    assert sounds[0].at <= pictures[0].at and sounds[-1].at - sounds[0].at > 3900
    assert backlog.dropped == {"video": 250 - len(pictures), "audio": 500 - len(sounds)}
    assert backlog.bytes == 0


def test_short_groups_still_give_three_seconds() -> None:
    backlog = Backlog(["video", "audio"])
    _fill(backlog, 0, 8000, gop=400)
    assert 2500 < backlog.span <= 3000


def test_a_group_longer_than_all_there_is_room_for_is_dropped_until_the_next_keyframe() -> None:
    backlog = Backlog(["video"])
    for at in range(0, 30_000, 40):
        backlog.push(_picture(at, gop=25_000))
    units = _drain(backlog)
    assert units[0].at == 25_000 and units[0].key


def test_bytes_are_bounded_too() -> None:
    backlog = Backlog(["video"], most_bytes=1000)
    for at in range(0, 1200, 40):
        backlog.push(_picture(at, gop=400, data=bytes(60)))
    assert backlog.bytes <= 1000
    assert _drain(backlog)[0].key


def test_beginning_drops_what_precedes_the_oldest_keyframe() -> None:
    backlog = Backlog(["video", "audio"])
    _fill(backlog, 0, 1000)
    assert backlog.begin() == 0
    for _ in range(10):
        backlog.pop()
    _fill(backlog, 1000, 2500)
    backlog.break_off()
    assert backlog.begin() == 2000
    units = _drain(backlog)
    assert [unit.kind for unit in units if unit.at < 1940] == []
    assert next(unit for unit in units if unit.kind == "video").at == 2000


def test_beginning_waits_for_a_keyframe() -> None:
    backlog = Backlog(["video", "audio"])
    _fill(backlog, 40, 1000)
    assert backlog.begin() is None
    _fill(backlog, 1000, 2040)
    assert backlog.begin() == 2000


def test_sound_alone_begins_with_the_oldest() -> None:
    backlog = Backlog(["audio"])
    assert backlog.begin() is None
    for at in (-21, 0, 21):
        backlog.push(Unit(0, "audio", at, 0, True, b"a"))
    assert backlog.begin() == -21
    assert len(_drain(backlog, final=False)) == 3


def test_what_came_before_the_first_keyframe_of_a_stream_is_not_lost_by_it() -> None:
    backlog = Backlog(["video", "audio"])
    _fill(backlog, 4040, 6060)
    assert backlog.begin() == 6000
    assert backlog.dropped == {"video": 0, "audio": 0}


def test_sound_that_comes_late_does_not_precede_the_keyframe() -> None:
    backlog = Backlog(["video", "audio"])
    backlog.push(_picture(6000))
    assert backlog.begin() == 6000
    for at in range(5800, 6100, 20):
        backlog.push(_sound(at))
    assert min(unit.at for unit in _drain(backlog)) == 5960
    assert backlog.dropped["audio"] == 0
