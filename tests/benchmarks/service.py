"""How fast the service answers: lists and single jobs over HTTP, with 10 000 jobs in SQLite and in PostgreSQL.

Server and client are processes of their own. Asked at a steady 500 requests a second, whenever the answers come, it
prints percentiles of the time each took from when it was due, and the CPU the server used for each, which says more
than times do on a machine that others use too; asked as fast as it goes, requests a second, and the ratio to
`/healthz`, which does nothing. `--jobs`, `--rate`, `--seconds`, `--database sqlite|postgresql`, `--only WORD` say
otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy import insert

from egress.control import jobs, keys, tables
from egress.control.jobs import Draft
from egress.control.store import Store
from egress.control.values import canonical, micros
from egress.model.request import read_request
from egress.model.secrets import Secret
from egress.model.settings import Settings
from egress.web.server import WebServer, settle
from egress.web.service import create_service_app
from tests.postgres import Postgres
from tests.unit.front import Stand

CONNECTIONS = 32
STATES = ("finished",) * 97 + ("failed", "running", "running")
FIGURES = canonical({"elapsed": 12.5, "fps": 30.0, "bitrate": 2_500_000, "participants": 4, "sinks": [{"kind": "mp4"}]})


@dataclass(frozen=True)
class Times:
    """How long answers took (seconds, sorted), and for how long it was asked."""

    taken: list[float]
    seconds: float

    def at(self, part: float) -> float:
        """A percentile in milliseconds."""
        return self.taken[min(len(self.taken) - 1, int(part * len(self.taken)))] * 1000

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.taken) / self.seconds


def fill(store: Store, count: int) -> tuple[list[str], str]:
    """Jobs as a busy month leaves them; gives their ids and a key."""
    with store.writing() as c:
        request = read_request({"room": "local:standup", "pipeline": "record-grid", "metadata": {"team": "blue"}})
        jobs.create(c, store.sealer, Draft("first", request, "record-grid", "bench"))
        row = dict(c.execute(tables.jobs.select()).mappings().one())
        at = micros()
        rows = [
            row
            | {
                "id": f"20260101-000000-{number:06x}",
                "room": f"local:room-{number % 500}",
                "room_name": f"room-{number % 500}",
                "state": STATES[number % 100],
                "created": at - number * 1_000_000,
                "started": at,
                "figures": FIGURES,
                "unique_room": None,
            }
            for number in range(count - 1)
        ]
        for begin in range(0, len(rows), 500):
            c.execute(insert(tables.jobs), rows[begin : begin + 500])
        _, secret = keys.create(c, "bench", ["read"])
    return [str(one["id"]) for one in rows], secret.reveal()


def serve(database: str | None, count: int, parent: Connection) -> None:
    """Serve; says the CPU used so far whenever the parent sends True, and ends with False."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = Store.open(Secret(database) if database else None, Path(folder))
            ids, key = fill(store, count)
            stand = Stand(store, Path(folder), Settings(api_rate=0, spool=Path(folder)))
            async with WebServer(create_service_app(stand)) as server:  # type: ignore[arg-type]
                settle()
                parent.send((server.port, ids, key))
                while await asyncio.to_thread(parent.recv):
                    usage = os.times()
                    parent.send(usage.user + usage.system)
            store.close()

    asyncio.run(run())


class Client:
    """Connections that stay open, each with one request at a time."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def open(self) -> None:
        """Connect."""
        for _ in range(CONNECTIONS):
            self._free.put_nowait(await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22))

    async def get(self, path: str) -> int:
        """Ask; gives the size of the body."""
        reader, writer = await self._free.get()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._key}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(size)
        self._free.put_nowait((reader, writer))
        return size


async def steadily(ask: Callable[[], Awaitable[int]], rate: float, seconds: float) -> Times:
    """Ask at times that do not wait for answers; each counts from when it was due."""
    taken: list[float] = []
    begun = time.perf_counter()

    async def one(due: float) -> None:
        await ask()
        taken.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due))
    return Times(sorted(taken), time.perf_counter() - begun)


async def flat_out(ask: Callable[[], Awaitable[int]], seconds: float) -> Times:
    """Ask on all connections, again as soon as answered."""
    taken: list[float] = []
    begun = time.perf_counter()

    async def on_and_on() -> None:
        while (at := time.perf_counter()) < begun + seconds:
            await ask()
            taken.append(time.perf_counter() - at)

    await asyncio.gather(*(on_and_on() for _ in range(CONNECTIONS)))
    return Times(sorted(taken), time.perf_counter() - begun)


async def measure(port: int, ids: list[str], key: str, server: Connection, asked_for: argparse.Namespace) -> None:
    """Ask for all there is to ask, and print."""
    rate, seconds = asked_for.rate, asked_for.seconds

    def used() -> float:
        server.send(True)
        return float(server.recv())

    client = Client(port, key)
    await client.open()
    ring = itertools.cycle(ids[:: max(1, len(ids) // 977)])
    half = itertools.cycle([True, False])
    # No two asked at once are the same: reads of the same are done once for all.
    rooms, seconds_ = itertools.cycle(range(500)), itertools.cycle(range(60))
    asked: dict[str, Callable[[], Awaitable[int]]] = {
        "healthz": lambda: client.get("/healthz"),
        "get": lambda: client.get(f"/api/v1/jobs/{next(ring)}"),
        "list of 50": lambda: client.get("/api/v1/jobs"),
        "list running": lambda: client.get("/api/v1/jobs?state=running,starting"),
        "lists of rooms": lambda: client.get(f"/api/v1/jobs?room=room-{next(rooms)}"),
        "pages of 50": lambda: client.get(f"/api/v1/jobs?until=2100-01-01T00:00:{next(seconds_):02}Z"),
        "get and list": lambda: client.get(f"/api/v1/jobs/{next(ring)}" if next(half) else "/api/v1/jobs"),
    }
    floor = 0.0
    for name, ask in asked.items():
        if asked_for.only not in name:
            continue
        await flat_out(ask, 0.5)
        fast = await flat_out(ask, seconds / 2)
        floor = floor or fast.rate
        before = used()
        steady = await steadily(ask, rate, seconds)
        each = (used() - before) / len(steady.taken)
        print(
            f"  {name:15} {fast.rate:6.0f}/s flat out ({fast.rate / floor:4.2f} of healthz)   at {rate:.0f}/s: "
            f"p50 {steady.at(0.5):5.1f} ms  p95 {steady.at(0.95):5.1f} ms  p99 {steady.at(0.99):5.1f} ms  "
            f"mean {statistics.fmean(steady.taken) * 1000:5.1f} ms  CPU {each * 1000:5.2f} ms"
        )


@contextlib.contextmanager
def database(kind: str) -> Iterator[str | None]:
    """The address of an empty one; None is a file."""
    if kind == "sqlite":
        yield None
        return
    with Postgres() as server:
        yield server.database().reveal()


def main() -> None:
    """Measure both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--only", default="", help="a word of the names of what to ask for")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for kind in arguments.database or ("sqlite", "postgresql"):
        with database(kind) as url:
            ours, theirs = context.Pipe()
            child = context.Process(target=serve, args=(url, arguments.jobs, theirs), daemon=True)
            child.start()
            port, ids, key = ours.recv()
            print(f"{kind}, {arguments.jobs} jobs, load {json.dumps([round(one, 1) for one in os.getloadavg()])}")
            asyncio.run(measure(port, ids, key, ours, arguments))
            ours.send(False)
            child.join()


if __name__ == "__main__":
    main()
