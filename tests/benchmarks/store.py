"""How long the store takes to list, to get and to write with 10,000 jobs in it, in milliseconds: median and p95.

    python -m tests.benchmarks.store                SQLite, and a PostgreSQL of its own
    python -m tests.benchmarks.store sqlite

Beside each stands the bar where there is one. What a request costs beyond this is the web server's.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection

from egress.control import deliveries, events, hooks, job_lists, job_moves, job_views, jobs, keys
from egress.control.job_lists import JobFilter
from egress.control.store import Store
from egress.model.job import JobState
from egress.model.request import read_request
from egress.model.secrets import Secret
from tests.postgres import Postgres

JOBS = 10_000
ROUNDS = 400
ENDS = {"list 50": 2.0, "get": 0.3}
"""Milliseconds these may take on SQLite."""


def fill(store: Store) -> None:
    """Ten thousand jobs of a hundred rooms, all but twenty over."""
    with store.writing() as connection:
        for number in range(JOBS):
            request = {"room": f"local:room-{number % 100}", "metadata": {"course": f"c{number}"}}
            draft = jobs.Draft(f"job-{number:06}", read_request(request), "record-grid", "bench", template="t")
            jobs.create(connection, store.sealer, draft, now=1_700_000_000_000_000 + number * 1000)
            job_moves.move(connection, draft.id, JobState.RUNNING)
            if number < JOBS - 20:
                job_moves.move(connection, draft.id, JobState.STOPPING)
                job_moves.move(connection, draft.id, JobState.FINISHED, reason="asked to stop")


def measure(store: Store, what: str, work: Callable[[], object], rounds: int = ROUNDS) -> None:
    """Print what `work` takes."""
    for _ in range(20):
        work()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    taken.sort()
    bar = f"  bar {ENDS[what]}" if what in ENDS and not store.is_shared else ""
    print(f"  {what:28} {statistics.median(taken):7.3f} {taken[int(len(taken) * 0.95)]:7.3f}{bar}")


def run(store: Store) -> None:
    """Fill the store and measure it."""
    began = time.perf_counter()
    fill(store)
    print(f"  filled in {time.perf_counter() - began:.1f} s")
    page = listed(store, JobFilter()).next
    with store.writing() as connection:
        key = keys.create(connection, "bench", ["read"])[1].reveal()

    def read(work: Callable[[Connection], object]) -> Callable[[], object]:
        def call() -> object:
            with store.reading() as connection:
                return work(connection)

        return call

    def get(connection: Connection) -> bytes:
        return job_views.encode(jobs.get(connection, "job-005000"))

    def listing(only: JobFilter, after: str | None = None) -> Callable[[], object]:
        def call(connection: Connection) -> bytes:
            found = job_lists.page(connection, only, after=after)
            return job_views.encode_page(found.items, found.next)

        return read(call)

    measure(store, "get", read(get))
    measure(store, "list 50", listing(JobFilter()))
    measure(store, "list 50, second page", listing(JobFilter(), page))
    measure(store, "list running", listing(JobFilter(states=(JobState.RUNNING, JobState.STARTING))))
    measure(store, "list finished", listing(JobFilter(states=(JobState.FINISHED,))))
    measure(store, "list finished and failed", listing(JobFilter(states=(JobState.FINISHED, JobState.FAILED))))
    measure(store, "list a room", listing(JobFilter(room="local:room-7")))
    measure(store, "list a template", listing(JobFilter(template="t")))
    measure(store, "list a caller's rooms", listing(JobFilter(rooms=("room-7*",))))
    measure(store, "list a text", listing(JobFilter(text="c4711")), 40)
    measure(store, "events of a job", read(lambda connection: events.since(connection, 0, job="job-005000")))
    measure(store, "verify a key", read(lambda connection: keys.verify(connection, key)))
    measure(store, "count by state", read(job_lists.counts))
    with store.writing() as connection:
        hooks.create(connection, store.sealer, hooks.Address(Secret("https://h.example/"), ()))
    measure(store, "event and delivery", lambda: event(store), 100)
    measure(store, "claim 50 deliveries", lambda: claim(store), 20)
    measure(store, "figures of 20 jobs", lambda: figures(store), 100)
    asyncio.run(together(store))


def listed(store: Store, only: JobFilter) -> job_lists.Page[jobs.KeptJob]:
    """A page of jobs."""
    with store.reading() as connection:
        return job_lists.page(connection, only)


def event(store: Store) -> None:
    """One durable transaction."""
    with store.writing() as connection:
        events.append(connection, "room.joined", {"name": "Ada"}, job="job-009999")


def claim(store: Store) -> None:
    """What the outbox does."""
    with store.writing() as connection:
        deliveries.claim(connection, "bench", now=2_000_000_000_000_000, lease=0)


def figures(store: Store) -> None:
    """What a server does every second."""
    with store.writing(durable=False) as connection:
        said = {
            f"job-{JOBS - number:06}": (number, {"fps": 30, "sinks": [{"bytes": 1}] * 4}) for number in range(1, 21)
        }
        job_moves.set_figures(connection, said)


async def together(store: Store) -> None:
    """Fifty callers at once, each getting and listing by turns, beside one that writes."""
    done = 0
    taken: list[float] = []
    until = time.perf_counter() + 4

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < until:
            began = time.perf_counter()
            if done % 2:
                job_views.encode(await store.read(jobs.get, "job-004000"))
            else:
                found = await store.read(job_lists.page)
                job_views.encode_page(found.items, found.next)
            taken.append((time.perf_counter() - began) * 1000)
            done += 1

    async def writer() -> None:
        while time.perf_counter() < until:
            await store.note(job_moves.set_figures, {"job-009999": (1, {"fps": 30})})
            await store.write(events.append, "room.joined", {"name": "Ada"})
            await asyncio.sleep(0.02)

    await asyncio.gather(writer(), *(caller() for _ in range(50)))
    taken.sort()
    middle, late = statistics.median(taken), taken[int(done * 0.95)]
    print(f"  50 callers: {done / 4:.0f} a second, median {middle:.1f}, p95 {late:.1f}")


def main() -> None:
    """Measure what was asked for."""
    with tempfile.TemporaryDirectory() as folder:
        print("SQLite                            median     p95")
        store = Store.open(None, Path(folder))
        run(store)
        store.close()
    if sys.argv[1:] != ["sqlite"]:
        with tempfile.TemporaryDirectory() as folder, Postgres() as server:
            print("PostgreSQL                        median     p95")
            store = Store.open(server.database(), Path(folder))
            run(store)
            store.close()


if __name__ == "__main__":
    main()
