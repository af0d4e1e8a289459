"""Subscribers hear what happened in order, whoever wrote it, and a slow one hears what it missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from egress.control import events, job_moves, jobs
from egress.control.jobs import Draft
from egress.control.store import Store
from egress.control.tasks import end
from egress.control.updates import MOST, Subscription, Update, Updates
from egress.model.job import JobState
from egress.model.request import JobRequest


@asynccontextmanager
async def following(store: Store) -> AsyncIterator[Updates]:
    """Updates of a store."""
    updates = Updates(store)
    await updates.begin()
    task = asyncio.create_task(updates.run())
    await asyncio.sleep(0)
    try:
        yield updates
    finally:
        await end(task)


def make(store: Store, id_: str) -> None:
    """Keep a job."""
    draft = Draft(id=id_, request=JobRequest(room="local:a"), pipeline="x", caller="me")
    with store.writing() as connection:
        jobs.create(connection, store.sealer, draft)


async def taken(source: AsyncIterator[Update], count: int) -> list[Update]:
    """The next updates."""
    async with asyncio.timeout(60):
        return [await anext(source) for _ in range(count)]


async def test_events_come_in_order_and_jobs_as_they_are_after_them(store: Store) -> None:
    make(store, "job-1")
    async with following(store) as updates, updates.subscribe() as source:
        await store.write(job_moves.move, "job-1", JobState.RUNNING)
        told = await taken(source, 2)
        await store.write(events.append, "room.joined", {"peer": "Ada"}, job="job-1")
        told += await taken(source, 1)
        assert [(u.kind, u.data.get("type") or u.data["state"], u.room) for u in told] == [
            ("event", "job.running", "local:a"),
            ("job", "running", "local:a"),
            ("event", "room.joined", "local:a"),
        ]
        assert told[0].seq == told[1].seq < told[2].seq
        assert told[2].data["body"] == {"peer": "Ada"}


async def test_what_another_server_writes_is_told_as_well(store: Store, second: Store) -> None:
    if not store.is_shared:
        return
    make(store, "job-1")
    async with following(store) as updates, updates.subscribe() as source:
        await second.write(job_moves.move, "job-1", JobState.RUNNING)
        assert (await taken(source, 1))[0].data["type"] == "job.running"


async def test_who_asks_for_one_job_hears_of_no_other(store: Store) -> None:
    make(store, "job-1")
    make(store, "job-2")
    async with following(store) as updates, updates.subscribe("job-2") as source:
        for id_ in ("job-1", "job-2"):
            await store.write(job_moves.move, id_, JobState.RUNNING)
        assert {update.job for update in await taken(source, 2)} == {"job-2"}


async def test_a_slow_subscriber_is_told_how_much_it_missed_and_goes_on() -> None:
    subscription = Subscription(None, 0)
    for number in range(MOST + 5):
        subscription.offer(Update("event", number, "job-1"))
    source = aiter(subscription)
    told = await taken(source, MOST + 1)
    assert [update.seq for update in told[:-1]] == list(range(MOST))
    assert (told[-1].kind, told[-1].data) == ("missed", {"count": 5})
    subscription.offer(Update("event", 900, "job-1"))
    assert (await taken(source, 1))[0].seq == 900


async def test_figures_give_way_to_newer_ones_of_their_job() -> None:
    subscription = Subscription(None, 0)
    for number in range(3 * MOST):
        subscription.offer(Update("figures", number, "job-1", {"n": number}))
    subscription.offer(Update("figures", 7, "job-2"))
    told = await taken(aiter(subscription), 2)
    assert [(update.job, update.data.get("n")) for update in told] == [("job-1", 3 * MOST - 1), ("job-2", None)]


async def test_a_subscription_ends_with_the_service() -> None:
    subscription = Subscription(None, 0)
    subscription.offer(Update("event", 1, None))
    subscription.close()
    assert [update.seq async for update in subscription] == [1]
