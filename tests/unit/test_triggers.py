"""Triggers start one job each life of a room, in whatever order and however often they come."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from egress.control import events, job_moves, templates, triggers_seen
from egress.control.store import Store
from egress.control.trigger import Kind, Outcome, Trigger
from egress.control.triggers import Triggers
from egress.model.errors import NoCapacity, NotFound, RequestError
from egress.model.template import read_template
from tests.unit.ticking import MINUTE, PATIENCE, SECOND, Standing, VirtualClock, at, standing

NOON = at("2026-05-04T12:00")


@pytest.fixture
def service(store: Store) -> Standing:
    return standing(store, VirtualClock(NOON))


def template(service: Standing, name: str = "team", **more: Any) -> None:
    doc = read_template({"name": name, "rooms": ["team-*"], "pipelines": ["record-grid"], **more})
    with service.store.writing() as connection:
        templates.put(connection, service.store.sealer, doc)


def event(kind: Kind = "room_started", id_: str = "", room: str = "team-a", **more: Any) -> Trigger:
    said: dict[str, Any] = {"source": "livekit", "at": NOON, "session": "RM_1"} | more
    return Trigger(event_id=id_ or f"{kind} {room} {sorted(more.items())}", kind=kind, room=room, **said)


def results(outcomes: tuple[Outcome, ...]) -> list[str]:
    return [one.result for one in outcomes]


def note_of(service: Standing, id_: str, source: str = "livekit") -> str:
    with service.store.reading() as connection:
        seen = triggers_seen.get(connection, source, id_)
    assert seen is not None
    return seen.note


class Working:
    """Triggers at work."""

    def __init__(self, service: Standing) -> None:
        self.service = service
        self.triggers = Triggers(service, service.clock)
        self.task = asyncio.create_task(self.triggers.run())

    async def take(self, trigger: Trigger, template: str | None = None) -> list[str]:
        found = results(await self.triggers.take(trigger, template))
        await self.rest()
        return found

    async def go(self, at: int) -> None:
        self.service.clock.jump(at)
        await self.rest()

    async def rest(self) -> None:
        end = time.monotonic() + PATIENCE
        while self.triggers.starting or not self.service.clock.resting(1, 0):
            assert time.monotonic() < end and not self.task.done(), "the triggers do not come to rest"
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def working(service: Standing) -> AsyncIterator[Working]:
    work = Working(service)
    try:
        await work.rest()
        yield work
    finally:
        work.task.cancel()
        await asyncio.gather(work.task, return_exceptions=True)


async def test_a_room_that_begins_starts_the_job_of_each_pipeline_of_its_template(service: Standing) -> None:
    template(service, pipelines=["record-grid", "live-hls"], server="local:{room}")
    template(service, "others", rooms=["other-*"])
    template(service, "off", enabled=False)
    template(service, "never", start="never")
    async with working(service) as work:
        assert await work.take(event(id_="EV_1")) == ["starting", "starting"]
    found = [(job.room, job.template, job.pipeline, job.trigger, job.caller) for job in service.jobs()]
    assert sorted(found) == [
        ("local:team-a", "team", "live-hls", "livekit:EV_1", "trigger:livekit"),
        ("local:team-a", "team", "record-grid", "livekit:EV_1", "trigger:livekit"),
    ]
    assert note_of(service, "EV_1") == "team started"


async def test_an_event_that_comes_twice_and_others_of_the_same_room_start_nothing_more(service: Standing) -> None:
    template(service)
    async with working(service) as work:
        first = event(id_="EV_1")
        assert await work.take(first) == ["starting"]
        assert await work.take(first) == ["duplicate"]
        assert (await work.triggers.take(first))[0].job == service.jobs()[0].id
        assert await work.take(event("peer_joined", role="host")) == ["started_before"]
        # Not even when it was stopped by hand: this meeting is not to be recorded.
        service.end(service.jobs()[0].id)
        assert await work.take(event("peer_joined", "EV_9")) == ["started_before"]
        assert await work.take(event(session="RM_2")) == ["starting"]
    assert len(service.jobs()) == 2


async def test_a_start_that_comes_after_the_end_starts_nothing(service: Standing) -> None:
    template(service)
    async with working(service) as work:
        assert await work.take(event("room_ended")) == ["ended"]
        assert await work.take(event()) == ["over"]
        assert await work.take(event(session="RM_2")) == ["starting"]
    assert len(service.jobs()) == 1


async def test_an_end_stops_nothing(service: Standing) -> None:
    template(service)
    async with working(service) as work:
        await work.take(event())
        await work.take(event("room_ended"))
    assert service.jobs()[0].desired == "run" and service.stopped == []


async def test_rooms_without_sessions_live_as_long_as_their_job(service: Standing) -> None:
    template(service, server="janus+wss://janus.example.org/{room}")

    def janus(kind: Kind = "peer_joined", after: int = 0) -> Trigger:
        return event(kind, source="janus", session="", server="janus+", at=NOON + after)

    async with working(service) as work:
        assert await work.take(janus()) == ["starting"]
        assert await work.take(janus(after=1)) == ["running"]
        service.clock.jump(NOON + MINUTE)
        service.end(service.jobs()[0].id)
        assert await work.take(janus(after=30 * SECOND)) == ["over"]
        assert await work.take(janus(after=2 * MINUTE)) == ["starting"]
        assert await work.take(janus("room_ended", after=3 * MINUTE)) == ["ended"]
        assert await work.take(janus("room_ended", after=2 * MINUTE + 1)) == ["ended"]
        service.end(service.jobs()[1].id)
        assert await work.take(janus(after=3 * MINUTE - 1)) == ["over"]
        assert await work.take(janus(after=3 * MINUTE + 1)) == ["starting"]
    assert len(service.jobs()) == 3


async def test_two_servers_that_hear_of_one_room_at_once_start_one_job(store: Store, second: Store) -> None:
    one = standing(store, VirtualClock(NOON), "one")
    two = standing(second, VirtualClock(NOON), "two")
    template(one, one_per_room=False)
    async with working(one) as first, working(two) as other:
        work = [first.triggers, other.triggers]
        taken = [work[n % 2].take(event(id_=str(n // 2), session="")) for n in range(8)]
        found = [outcome for outcomes in await asyncio.gather(*taken) for outcome in results(outcomes)]
        assert found.count("duplicate") == 4
        async with asyncio.timeout(PATIENCE):
            while not one.jobs() or first.triggers.starting or other.triggers.starting:
                await asyncio.sleep(0.001)
    assert len(one.jobs()) == 1


async def test_only_templates_of_that_server_and_of_that_role_are_for_it(service: Standing) -> None:
    template(service, "local", rooms=["*"])
    template(service, "janus", rooms=["*"], server="janus+ws://127.0.0.1/{room}")
    template(service, "hosts", rooms=["*"], start="role:host")
    async with working(service) as work:
        await work.take(event(server="janus+"))
        assert [job.template for job in service.jobs()] == ["janus"]
        await work.take(event("peer_joined", role="host", room="b", server="local:"))
        assert sorted(job.template or "" for job in service.jobs() if job.room == "local:b") == ["hosts", "local"]
        await work.take(event("peer_joined", role="guest", room="c"), "hosts")
        assert await work.take(event(room="d"), "hosts") == ["no_template"]
        assert await work.take(event("peer_joined", role="host", room="d"), "hosts") == ["starting"]
    assert [job.template for job in service.jobs() if job.room == "local:d"] == ["hosts"]


async def test_a_job_somebody_started_in_that_room_is_the_one(service: Standing) -> None:
    template(service)
    async with working(service) as work:
        await work.take(event(id_="1", session="RM_1"))
        assert await work.take(event(id_="2", session="RM_2")) == ["starting"]
    assert len(service.jobs()) == 1
    with service.store.reading() as connection:
        assert triggers_seen.job_of(connection, "livekit", "2") == service.jobs()[0].id


async def test_a_refused_start_is_told_and_the_next_event_tries_again(service: Standing) -> None:
    template(service)
    service.refuse = RequestError("there is no pipeline 'record-grid'")
    async with working(service) as work:
        assert await work.take(event(id_="EV_1")) == ["starting"]
        assert note_of(service, "EV_1") == "team failed: there is no pipeline 'record-grid'"
        with service.store.reading() as connection:
            (said,) = [one for one in events.since(connection, 0) if one.type == "trigger.failed"]
        assert said.body["template"] == "team" and "no pipeline" in said.body["reason"]
        service.refuse = None
        assert await work.take(event("peer_joined")) == ["starting"]
    assert len(service.jobs()) == 1


async def test_a_start_without_room_is_tried_again_until_the_room_is_over(service: Standing) -> None:
    template(service)
    service.refuse = NoCapacity("full")
    async with working(service) as work:
        assert await work.take(event(id_="1")) == ["starting"]
        assert await work.take(event(id_="2", room="team-b", session="RM_2")) == ["starting"]
        assert await work.take(event("room_ended", room="team-b", session="RM_2")) == ["ended"]
        service.refuse = None
        await work.go(NOON + 16 * SECOND)
        assert [job.room for job in service.jobs()] == ["local:team-a"]
        assert "ended before there was a place" in note_of(service, "2")
        service.refuse = NoCapacity("full")
        await work.take(event(id_="3", room="team-c", session="RM_3"))
        await work.go(NOON + 5 * MINUTE)
        assert note_of(service, "3") == "team starting"
        await work.go(NOON + 11 * MINUTE)
        assert note_of(service, "3") == "team failed: full"


async def test_what_a_server_had_taken_in_is_started_by_the_next_one(service: Standing) -> None:
    template(service)
    assert results(await Triggers(service, service.clock).take(event())) == ["starting"]
    assert service.jobs() == []
    async with working(service) as work:
        assert service.jobs() == []
        await work.go(NOON + 16 * SECOND)
    assert len(service.jobs()) == 1


async def test_who_waits_for_a_room_gets_the_closest_template_and_hears_of_refusals(service: Standing) -> None:
    template(service, "any", rooms=["*"])
    template(service, "teams")
    triggers = Triggers(service, service.clock)

    async def come(id_: str, room: str) -> Outcome:
        return await triggers.open(event(id_=id_, room=room, source="whip", session="", server="local:"))

    opened, same = await asyncio.gather(come("1", "team-a"), come("2", "team-a"))
    assert [job.template for job in service.jobs()] == ["teams"]
    assert {opened.job, same.job} <= {service.jobs()[0].id, None} and opened.job
    assert (await come("3", "team-a")).job == service.jobs()[0].id
    with service.store.writing() as connection:
        job_moves.ask_stop(connection, service.jobs()[0].id, "enough")
    service.refuse = NoCapacity("full")
    with pytest.raises(NoCapacity):
        await come("4", "b")
    service.refuse = None
    assert (await come("5", "b")).result == "running"
    assert [job.template for job in service.jobs() if job.room == "local:b"] == ["any"]


async def test_names_say_the_role_where_the_room_server_tells_none(service: Standing) -> None:
    names = {"host": ["*(host)", "Prof. *"]}
    template(service, rooms=["*"], server="janus+ws://127.0.0.1/{room}", start="role:Host", role_names=names)
    async with working(service) as work:
        told = {"source": "janus", "session": "", "server": "janus+"}
        assert await work.take(event("peer_joined", name="Ada", **told)) == ["no_template"]
        assert await work.take(event("peer_joined", name="Grace (HOST)", **told)) == ["starting"]
        assert await work.take(event("peer_joined", name="Prof. Ada", room="b", **told)) == ["starting"]
        assert await work.take(event("peer_joined", name="Prof. Ada", role="guest", room="c", **told)) == [
            "no_template"
        ]


async def test_a_publisher_opens_the_room_of_a_template_that_waits_for_its_role(service: Standing) -> None:
    template(service, start="role:host")
    triggers = Triggers(service, service.clock)
    with pytest.raises(NotFound, match=r"waits for host to come, and you are guest.*\?role=host"):
        await triggers.open_room("team-a", "guest")
    with pytest.raises(NotFound, match="no template is for it"):
        await triggers.open_room("other", "host")
    job = await triggers.open_room("team-a", "Host")
    assert job is not None and [one.id for one in service.jobs()] == [job]
    assert await triggers.open_room("team-a", "host") == job
