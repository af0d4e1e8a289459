"""Schedules fire once, whatever happens: two servers, restarts, outages, summer time, and jobs in the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from egress.control import events, occurrences, planning, schedules, servers
from egress.control.occurrences import Occurrence
from egress.control.schedules import KeptSchedule
from egress.control.store import Store
from egress.control.values import Micros, rfc3339
from egress.model.errors import Conflict, NoCapacity, RequestError
from egress.model.schedule import read_schedule
from tests.unit.ticking import HOUR, MINUTE, SECOND, Standing, VirtualClock, at, running, standing

NOON = at("2026-05-04T12:00")
BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def schedule(service: Standing, room: str = "standup", **more: Any) -> KeptSchedule:
    doc = read_schedule({"name": room, "job": {"room": f"local:{room}", "pipeline": "record-grid"}, **more})
    now = service.clock.now()
    with service.store.writing() as connection:
        look = planning.first_look(doc, now)
        return schedules.create(connection, service.store.sealer, doc, next_at=look, now=now)


def hourly(service: Standing, **more: Any) -> KeptSchedule:
    return schedule(service, when={"cron": "0 * * * *"}, **more)


def fired(store: Store, kept: KeptSchedule) -> list[Occurrence]:
    with store.reading() as connection:
        return list(occurrences.page(connection, kept.id, limit=1000).items)[::-1]


def states(store: Store, kept: KeptSchedule) -> list[str]:
    return [f"{rfc3339(one.fire_at)[11:16]} {one.state}" for one in fired(store, kept)]


def told(store: Store) -> list[tuple[str, int]]:
    with store.reading() as connection:
        found = events.since(connection, 0)
    return [(event.type, event.body["count"]) for event in found if event.type.startswith("schedule.")]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOON)


@pytest.fixture
def service(store: Store, clock: VirtualClock) -> Standing:
    return standing(store, clock)


async def test_200_schedules_of_one_minute_fire_once_each_over_two_servers(
    store: Store, second: Store, clock: VirtualClock
) -> None:
    one, two = standing(store, clock, "one"), standing(second, clock, "two")
    made = [schedule(one, f"room-{number}", when={"at": "2026-05-04T13:00"}) for number in range(200)]
    async with running(one, two) as work:
        assert one.jobs() == []
        await work.go(at("2026-05-04T13:00") - 1)
        assert one.jobs() == []
        await work.go(at("2026-05-04T13:00"))
        await work.go(at("2026-05-04T13:01"))
        assert Counter(job.schedule for job in one.jobs()) == Counter(kept.id for kept in made)
        assert len(one.started) + len(two.started) == 200
        assert [one.state for kept in made for one in fired(store, kept)] == ["started"] * 200


async def test_what_a_server_that_died_had_begun_is_finished_by_another_one_and_starts_no_second_job(
    store: Store, second: Store, clock: VirtualClock
) -> None:
    one, two = standing(store, clock, "one"), standing(second, clock, "two")
    made = [schedule(one, f"room-{number}", when={"at": "2026-05-04T12:10"}) for number in range(20)]
    async with running(one) as dying:
        # Its jobs are kept, and it dies before that is noted of the schedules.
        one.hold = asyncio.Event()
        clock.jump(NOON + 10 * MINUTE)
        while len(one.started) < 8:
            await asyncio.sleep(0.001)
        await dying.end()
        left = [kept for kept in made if fired(store, kept)]
        assert {state.state for kept in left for state in fired(store, kept)} == {"claimed"} and len(left) == 8
    one.beat()
    two.beat()
    async with running(two) as work:
        # The others do not wait until it counts as dead.
        assert len(two.started) == 12
        assert sorted({one.state for kept in made for one in fired(store, kept)}) == ["claimed", "started"]
        await work.go(NOON + 11 * MINUTE)
        assert Counter(job.schedule for job in one.jobs()) == Counter(kept.id for kept in made)
        assert {one.state for kept in made for one in fired(store, kept)} == {"started"}
        assert all(one.job for kept in made for one in fired(store, kept))


async def test_a_server_takes_up_after_its_restart_what_it_had_claimed(service: Standing) -> None:
    kept = schedule(service, when={"at": "2026-05-04T12:10"})
    service.clock.jump(NOON + 10 * MINUTE)
    with service.store.writing() as connection:
        occurrences.claim(connection, kept.id, service.clock.now(), service.server.id, now=service.clock.now())
        schedules.set_next(connection, kept.id, kept.next_at, None)
    async with running(service):
        assert [job.schedule for job in service.jobs()] == [kept.id]
        assert states(service.store, kept) == ["12:10 started"]


@pytest.mark.parametrize(
    ("begin", "zone", "expected"),
    [
        ("2026-03-28T20:00", BERLIN, ["03-29T01:00"]),
        ("2026-10-24T20:00", BERLIN, ["10-25T00:30"]),
        ("2027-03-14T01:00", NEW_YORK, ["03-14T07:00"]),
    ],
)
async def test_a_night_of_a_change_of_the_clock_has_one_job(
    store: Store, begin: str, zone: str, expected: list[str]
) -> None:
    service = standing(store, VirtualClock(at(begin)))
    when = {"cron": "30 2 * * *", "timezone": zone}
    kept = schedule(service, when=when, lead="5m", duration="1h")
    async with running(service) as work:
        for quarter in range(1, 4 * 14):
            await work.go(at(begin) + quarter * 15 * MINUTE - 5 * MINUTE)
    found = fired(store, kept)
    assert [rfc3339(one.fire_at)[5:16] for one in found] == expected and {one.state for one in found} == {"started"}
    assert [(request.duration, when) for request, when in service.started] == [
        (65 * 60 * 10**9, found[0].fire_at - 5 * MINUTE)
    ]


async def test_after_an_outage_one_job_starts_late_and_ends_as_planned(service: Standing) -> None:
    kept = hourly(service, duration="50m")
    service.clock.jump(at("2026-05-04T15:20"))
    async with running(service):
        assert states(service.store, kept) == ["13:00 missed", "14:00 missed", "15:00 started"]
        assert [request.duration for request, _ in service.started] == [30 * 60 * 10**9]
        assert "0:20:00 late" in fired(service.store, kept)[-1].note
        assert told(service.store) == [("schedule.missed", 2)]


@pytest.mark.parametrize("more", [{"duration": "10m"}, {"misfire": "skip"}, {"grace": "15m"}])
async def test_what_is_over_or_may_not_start_late_was_missed(service: Standing, more: dict[str, Any]) -> None:
    kept = hourly(service, **more)
    service.clock.jump(at("2026-05-04T13:20"))
    async with running(service) as work:
        assert states(service.store, kept) == ["13:00 missed"] and service.jobs() == []
        await work.go(at("2026-05-04T14:00"))
        assert states(service.store, kept) == ["13:00 missed", "14:00 started"]


async def test_after_a_year_only_the_last_misses_are_kept(service: Standing) -> None:
    kept = schedule(service, when={"every": "1m"}, misfire="skip")
    service.clock.jump(at("2027-05-04T12:00") + 30 * SECOND)
    async with running(service):
        found = fired(service.store, kept)
    assert len(found) == planning.LISTED and "before it were missed as well" in found[0].note
    assert [one.state for one in found].count("started") == 1 == len(service.started)


async def test_a_time_is_left_out_while_the_job_before_runs(service: Standing) -> None:
    kept = hourly(service)
    async with running(service) as work:
        await work.go(at("2026-05-04T13:00"))
        await work.go(at("2026-05-04T14:00"))
        service.end(service.jobs()[0].id)
        await work.go(at("2026-05-04T15:00"))
    assert states(service.store, kept) == ["13:00 started", "14:00 skipped", "15:00 started"]
    assert service.jobs()[0].id in fired(service.store, kept)[1].note
    assert told(service.store) == [("schedule.skipped", 1)]


async def test_jobs_planned_one_after_the_other_do_not_stand_in_their_way(service: Standing) -> None:
    kept = hourly(service, duration="1h", lead="1m")
    async with running(service) as work:
        await work.go(at("2026-05-04T12:59"))
        await work.go(at("2026-05-04T13:59"))
    assert states(service.store, kept) == ["13:00 started", "14:00 started"]


async def test_jobs_may_run_beside_one_another(service: Standing) -> None:
    kept = hourly(service, overlap="allow")
    async with running(service) as work:
        await work.go(at("2026-05-04T13:00"))
        await work.go(at("2026-05-04T14:00"))
    assert states(service.store, kept) == ["13:00 started", "14:00 started"]


async def test_the_job_before_is_stopped_and_waited_for(service: Standing) -> None:
    kept = hourly(service, overlap="stop")
    async with running(service) as work:
        await work.go(at("2026-05-04T13:00"))
        old = service.jobs()[0].id
        await work.go(at("2026-05-04T14:00"), busy=1)
        assert service.stopped == [old] and len(service.jobs()) == 1
        service.end(old)
        await work.go(at("2026-05-04T14:00") + SECOND)
        assert states(service.store, kept) == ["13:00 started", "14:00 started"]
        slow = service.jobs()[1].id
        await work.go(at("2026-05-04T15:00"), busy=1)
        await work.go(at("2026-05-04T15:01"))
        # It does not end: the next one starts all the same.
        assert service.stopped == [old, slow] and len(service.jobs()) == 3


async def test_a_schedule_at_rest_fires_nothing_and_goes_on_with_its_next_time(service: Standing) -> None:
    kept = hourly(service)
    async with running(service) as work:
        with service.store.writing() as connection:
            schedules.pause(connection, kept.id, True, next_at=None)
        await work.go(at("2026-05-04T14:30"))
        with service.store.reading() as connection:
            doc = schedules.open_schedule(connection, service.store.sealer, kept.id)
        look = planning.first_look(doc, service.clock.now())
        await service.store.write(schedules.pause, kept.id, False, next_at=look)
        await work.go(at("2026-05-04T15:00"))
    assert states(service.store, kept) == ["15:00 started"]


async def test_a_change_wakes_the_scheduler_and_a_fired_time_does_not_come_again(service: Standing) -> None:
    kept = hourly(service, lead="10m")
    async with running(service) as work:
        await work.go(at("2026-05-04T12:50"))
        doc = read_schedule({**kept.document, "name": "otherwise", "overlap": "allow"})
        look = planning.first_look(doc, service.clock.now())
        assert look == at("2026-05-04T12:50")
        await service.store.write(schedules.change, service.store.sealer, kept.id, doc, next_at=look)
        await work.rest()
        assert states(service.store, kept) == ["13:00 started"]
        await work.go(at("2026-05-04T13:50"))
    assert states(service.store, kept) == ["13:00 started", "14:00 started"]


async def test_a_refused_start_is_kept_with_its_reason_and_told(service: Standing) -> None:
    kept = hourly(service)
    service.refuse = RequestError("there is no pipeline 'record-grid'")
    async with running(service) as work:
        await work.go(at("2026-05-04T13:00"))
    assert states(service.store, kept) == ["13:00 failed"]
    assert fired(service.store, kept)[0].note == "there is no pipeline 'record-grid'"
    assert told(service.store) == [("schedule.failed", 1)]


async def test_a_full_server_leaves_the_job_to_another_one(store: Store, second: Store, clock: VirtualClock) -> None:
    one, two = standing(store, clock, "one"), standing(second, clock, "two")
    kept = hourly(one, duration="30m")
    one.refuse = NoCapacity("full")
    two.draining = True
    async with running(one, two) as work:
        await work.go(at("2026-05-04T13:00"))
        assert states(store, kept) == ["13:00 claimed"] and fired(store, kept)[0].server is None
        two.draining = False
        await work.go(at("2026-05-04T13:00") + 5 * SECOND)
    assert states(store, kept) == ["13:00 started"] and len(two.started) == 1


async def test_a_job_that_nobody_has_room_for_fails_when_its_time_is_over(service: Standing) -> None:
    kept = hourly(service, duration="1m")
    service.refuse = NoCapacity("full")
    async with running(service) as work:
        for step in range(5):
            await work.go(at("2026-05-04T13:00") + step * 16 * SECOND)
    assert states(service.store, kept) == ["13:00 failed"] and fired(service.store, kept)[0].note == "full"


async def test_a_draining_server_fires_nothing(service: Standing) -> None:
    kept = hourly(service)
    service.draining = True
    async with running(service) as work:
        await work.go(at("2026-05-04T13:00"))
    assert states(service.store, kept) == []


async def test_a_schedule_can_be_run_at_once(service: Standing) -> None:
    kept = hourly(service, duration="20m")
    async with running(service) as work:
        created = await work.schedulers[0].run_now(kept.id)
        assert created.job.schedule == kept.id
        assert [one.job for one in fired(service.store, kept)] == [created.job.id]
        assert service.started[0][0].duration == 20 * 60 * 10**9
        service.clock.jump(NOON + SECOND)
        with pytest.raises(Conflict, match=created.job.id):
            await work.schedulers[0].run_now(kept.id)
        service.end(created.job.id)
        service.refuse = RequestError("no")
        with pytest.raises(RequestError, match="no"):
            await work.schedulers[0].run_now(kept.id)
        assert [one.state for one in fired(service.store, kept)] == ["started", "failed"]


async def test_a_schedule_removed_while_it_starts_its_job_harms_nobody(service: Standing) -> None:
    kept, other = hourly(service), hourly(service, room="other")
    service.hold = asyncio.Event()
    async with running(service) as work:
        service.clock.jump(at("2026-05-04T13:00"))
        while len(service.started) < 2:
            await asyncio.sleep(0.001)
        await service.store.write(schedules.remove, kept.id)
        service.hold.set()
        await work.rest()
    assert states(service.store, other) == ["13:00 started"]


@pytest.mark.parametrize(
    "when",
    [
        {"at": "2026-05-04T11:59"},
        {"every": "1h", "end": "2026-05-04T11:30"},
        {"every": "99999999h"},
        {"at": "9999-12-31T23:59", "timezone": NEW_YORK},
        {"at": "0001-01-01T00:00", "timezone": "Asia/Tokyo"},
    ],
)
def test_what_never_fires_is_no_schedule(when: dict[str, Any]) -> None:
    doc = read_schedule({"name": "x", "job": {"room": "local:x"}, "when": when})
    with pytest.raises(RequestError, match="never fires"):
        planning.first_look(doc, NOON)


def test_a_lead_of_more_than_a_day_is_refused() -> None:
    with pytest.raises(RequestError, match="lead"):
        read_schedule({"name": "x", "job": {"room": "local:x"}, "when": {"every": "1h"}, "lead": "25h"})


def test_lead_and_lateness_are_bounded_to_the_microsecond() -> None:
    doc = read_schedule({"name": "x", "job": {"room": "local:x"}, "when": {"cron": "0 13 * * *"}, "lead": "5m"})
    time: Micros = at("2026-05-04T13:00")
    assert planning.first_look(doc, NOON) == time - 5 * MINUTE
    found = planning.plan(doc, time - 5 * MINUTE, time - 5 * MINUTE)
    assert (found.start, found.missed, found.next_at) == (time, (), time + 24 * HOUR - 5 * MINUTE)
    assert planning.plan(doc, time - 5 * MINUTE, time + HOUR).start == time
    assert planning.plan(doc, time - 5 * MINUTE, time + HOUR + 1).missed == (time,)
    short = doc.model_copy(update={"duration": 10**9 * 60})
    assert planning.can_start(short, time, time + 59 * SECOND) and not planning.can_start(
        short, time, time + 59 * SECOND + 1
    )


def test_servers_are_known_by_their_heartbeats(service: Standing) -> None:
    with service.store.reading() as connection:
        assert [one.id for one in servers.alive(connection, now=NOON + 29 * SECOND)] == [service.server.id]
        assert servers.alive(connection, now=NOON + 31 * SECOND) == ()
