"""The outbox: what webhooks are told arrives signed and once, is tried again for a day, and harms nobody else's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from egress.control import deliveries, events, hooks
from egress.control.outbox import RETRIES, SECOND, Outbox
from egress.control.signing import new_secret, verify_livekit, verify_standard
from egress.control.store import Store
from egress.control.tables import webhooks
from egress.model.internet import anywhere, public
from egress.model.secrets import Secret
from egress.serving import HttpServer


@dataclass
class Receiver:
    """A server that keeps what it is told, and answers as it is asked to."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        self.got.append((dict(request.headers), body))
        if request.url.path == "/slow":
            await self.hold.wait()
        await Response(status_code=self.status, headers=self.headers)(scope, receive, send)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    async with HttpServer(made, grace=1) as server:
        made.url = server.url
        yield made
        made.hold.set()


class Clock:
    """Microseconds that go on only when told to."""

    def __init__(self) -> None:
        self.at = 1_800_000_000 * SECOND

    def __call__(self) -> int:
        return self.at


class Office:
    """A store with webhooks, and an outbox that sends by a clock of its own."""

    def __init__(self, store: Store, **options: Any) -> None:
        self.store, self.clock = store, Clock()
        self.outbox = Outbox(store, "me", judge=options.pop("judge", anywhere), now=self.clock, **options)

    def webhook(self, url: str, **options: Any) -> tuple[str, str]:
        """Its id and its secret."""
        secret = options.pop("secret", new_secret())
        address = hooks.Address(Secret(url), (Secret(secret),), options.pop("name", ""))
        with self.store.writing() as connection:
            return hooks.create(connection, self.store.sealer, address, **options).id, secret

    def happen(self, type_: str = "job.running", **body: Any) -> str:
        with self.store.writing() as connection:
            return events.append(connection, type_, {"job": "j", **body}, at=self.clock.at).id

    async def send(self, after: int = 0) -> None:
        """Let time pass, and send all that is due then."""
        self.clock.at += after
        while await self.outbox.turn() == 0.05 or self.outbox._tasks:
            await self.outbox.settled()

    def log(self) -> list[deliveries.Delivery]:
        with self.store.reading() as connection:
            return list(deliveries.page(connection).items)


async def test_an_event_arrives_signed_and_once(store: Store, receiver: Receiver) -> None:
    office = Office(store)
    _, secret = office.webhook(f"{receiver.url}/hook")
    event = office.happen(room="local:standup")
    await office.send()
    await office.send(3600 * SECOND)
    ((headers, body),) = receiver.got
    assert verify_standard([secret], headers, body, now=1_800_000_000) == event
    said = json.loads(body)
    assert said["type"] == "job.running" and said["data"] == {"job": "j", "room": "local:standup"}
    assert [(one.state, one.status, one.attempts) for one in office.log()] == [("delivered", 204, 1)]


async def test_what_did_not_arrive_is_tried_again_for_a_day_then_given_up(store: Store, receiver: Receiver) -> None:
    office = Office(store)
    office.webhook(f"{receiver.url}/hook")
    event = office.happen()
    receiver.status = 500
    await office.send()
    for number, wait in enumerate(RETRIES, 2):
        await office.send(wait // 2)
        assert len(receiver.got) == number - 1, "not before its time"
        await office.send(wait)
        assert len(receiver.got) == number
    await office.send(48 * 3600 * SECOND)
    assert len(receiver.got) == len(RETRIES) + 1
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {event}
    (one,) = office.log()
    assert (one.state, one.status, one.error) == ("failed", 500, "it answers 500")
    with store.writing() as connection:
        deliveries.replay(connection, one.id, now=office.clock.at)
    receiver.status = 200
    await office.send()
    assert office.log()[0].state == "delivered"


async def test_a_receiver_says_how_long_to_wait(store: Store, receiver: Receiver) -> None:
    office = Office(store)
    office.webhook(receiver.url)
    office.happen()
    receiver.status, receiver.headers = 503, {"Retry-After": "600"}
    await office.send()
    await office.send(599 * SECOND)
    assert len(receiver.got) == 1
    receiver.status = 200
    await office.send(2 * SECOND)
    assert len(receiver.got) == 2


async def test_a_receiver_that_is_gone_is_told_no_more(store: Store, receiver: Receiver) -> None:
    office = Office(store)
    hook, _ = office.webhook(receiver.url)
    for _ in range(3):
        office.happen()
    receiver.status = 410
    await office.send()
    await office.send(24 * 3600 * SECOND)
    with store.reading() as connection:
        assert not hooks.get(connection, hook).enabled
    assert {one.state for one in office.log()} == {"dropped"}
    sent = len(receiver.got)
    office.happen()
    await office.send()
    assert len(receiver.got) == sent


async def test_redirects_are_not_followed(store: Store, receiver: Receiver) -> None:
    office = Office(store)
    office.webhook(receiver.url)
    office.happen()
    receiver.status, receiver.headers = 302, {"Location": f"{receiver.url}/other"}
    await office.send()
    assert len(receiver.got) == 1 and "not followed" in office.log()[0].error


async def test_a_slow_receiver_holds_up_nobody_elses(store: Store, receiver: Receiver) -> None:
    office = Office(store)
    office.webhook(f"{receiver.url}/slow", events=("slow.*",))
    for _ in range(40):
        office.happen("slow.thing")
    office.webhook(f"{receiver.url}/quick", events=("job.*",))
    await office.outbox.turn()
    office.happen()
    for _ in range(200):
        await office.outbox.turn()
        if any(one.state == "delivered" for one in office.log()):
            break
        await asyncio.sleep(0.01)
    assert [one.type for one in office.log() if one.state == "delivered"] == ["job.running"]
    receiver.hold.set()
    await office.outbox.settled()


@pytest.mark.parametrize(
    ("addresses", "words"),
    [(["127.0.0.1"], "loopback"), (["93.184.216.34", "10.0.0.7"], "private"), ([], "no address")],
)
async def test_private_addresses_are_not_connected_to(
    store: Store, receiver: Receiver, addresses: Sequence[str], words: str
) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    office = Office(store, judge=public, resolve=resolve)
    office.webhook("http://hook.test:8080/")
    office.happen()
    await office.send()
    assert not receiver.got and words in office.log()[0].error


async def test_what_a_name_means_a_moment_later_does_not_matter(store: Store, receiver: Receiver) -> None:
    asked = 0

    async def resolve(host: str, port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        return ["127.0.0.1"] if asked == 1 else ["192.0.2.1"]

    office = Office(store, resolve=resolve)
    port = receiver.url.rpartition(":")[2]
    office.webhook(f"http://rebound.test:{port}/")
    office.happen()
    await office.send()
    assert asked == 1 and receiver.got[0][0]["host"] == f"rebound.test:{port}"


async def test_livekits_receivers_hear_their_own_words(store: Store, receiver: Receiver) -> None:
    office = Office(store)
    office.webhook(receiver.url, mode="livekit", name="APIkey", secret="s" * 32)
    office.happen("job.starting", state="starting", room_name="standup")
    office.happen("artifact.ready", id="art")
    artifacts = [{"location": "a.mp4", "size": 7, "duration": 2.0}]
    office.happen("job.failed", state="failed", room_name="standup", reason="no disk", artifacts=artifacts)
    await office.send()
    told = []
    for headers, body in receiver.got:
        assert verify_livekit({"APIkey": "s" * 32}, headers["authorization"], body, now=1_800_000_000) == "APIkey"
        told.append(json.loads(body))
    told.sort(key=lambda one: one["egressInfo"]["status"])
    assert [one["event"] for one in told] == ["egress_ended", "egress_started"]
    assert told[0]["egressInfo"]["error"] == "no disk"
    assert told[0]["egressInfo"]["file_results"][0]["duration"] == "2000000000"
    assert {one.type: one.state for one in office.log()}["artifact.ready"] == "dropped"


@pytest.mark.parametrize("mode", ["standard", "livekit"])
async def test_a_body_stays_small_and_says_what_it_leaves_out(store: Store, receiver: Receiver, mode: str) -> None:
    office = Office(store)
    office.webhook(receiver.url, mode=mode, name="APIkey", secret="c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
    office.happen("job.finished", state="finished", artifacts=[{"location": "é" * 600, "size": 1}] * 100)
    office.happen("job.finished", state="finished", reason="enough", metadata={"a": "é" * 15_000})
    await office.send()
    assert len(receiver.got) == 2 and all(len(body) <= 20_000 for _, body in receiver.got)
    if mode == "standard":
        told = [json.loads(body)["data"] for _, body in receiver.got]
        many, large = sorted(told, key=lambda data: "left_out" in data)
        assert 10 < len(many["artifacts"]) < 20 and len(many["artifacts"]) + many["artifacts_left_out"] == 100
        assert large == {"job": "j", "state": "finished", "reason": "enough", "left_out": ["metadata"]}


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("600", 600), ("Fri, 15 Jan 2027 08:10:00 GMT", 600), ("soon", 0), ("-5", 0), ("99999999999", 24 * 3600), ("", 0)],
)
async def test_seconds_and_dates_are_read_where_a_receiver_asks_to_wait(
    store: Store, receiver: Receiver, said: str, seconds: int
) -> None:
    office = Office(store)
    office.webhook(receiver.url)
    office.happen()
    receiver.status, receiver.headers = 503, {"Retry-After": said}
    await office.send()
    waits = (office.log()[0].next_at - office.clock.at) / SECOND
    assert waits == seconds if seconds else 4 < waits < 6


async def test_a_long_queue_of_a_slow_receiver_is_not_gone_through_for_others(store: Store, receiver: Receiver) -> None:
    office = Office(store)
    office.webhook(f"{receiver.url}/slow", events=("slow.*",))
    for _ in range(300):
        office.happen("slow.thing")
    office.clock.at += SECOND
    office.webhook(f"{receiver.url}/quick", events=("job.*",))
    office.happen()
    await office.outbox.turn()
    await office.outbox.turn()
    async with asyncio.timeout(60):
        while not any(one.state == "delivered" for one in office.log()):
            await asyncio.sleep(0.01)
    receiver.hold.set()
    await office.outbox.settled()


async def test_what_can_be_signed_by_nobody_is_given_up_in_the_end(store: Store, receiver: Receiver) -> None:
    office = Office(store)
    hook, _ = office.webhook(receiver.url)
    office.webhook(receiver.url, secret="no base64 at all")
    with store.writing() as connection:
        connection.execute(update(webhooks).where(webhooks.c.id == hook).values(sealed="s1.other.key"))
    office.happen()
    for wait in (0, *RETRIES):
        await office.send(wait * 2)
    told = office.log()
    assert not receiver.got and [one.state for one in told] == ["failed", "failed"]
    assert any("key" in one.error for one in told)


async def test_what_was_on_its_way_when_a_sender_died_is_sent_when_it_comes_back(
    store: Store, receiver: Receiver
) -> None:
    office = Office(store)
    office.webhook(receiver.url)
    event = office.happen()
    with store.writing() as connection:
        assert deliveries.claim(connection, "me", now=office.clock.at, lease=120 * SECOND)
    running = asyncio.create_task(office.outbox.run())
    try:
        async with asyncio.timeout(60):
            while not receiver.got:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert receiver.got[0][0]["webhook-id"] == event


async def test_two_servers_send_each_once(store: Store, second: Store, receiver: Receiver) -> None:
    office, other = Office(store), Office(second)
    other.outbox = Outbox(second, "other", judge=anywhere, now=office.clock)
    office.webhook(receiver.url)
    events_ = {office.happen() for _ in range(30)}
    for _ in range(20):
        await asyncio.gather(office.outbox.turn(), other.outbox.turn())
        await asyncio.gather(office.outbox.settled(), other.outbox.settled())
        office.clock.at += SECOND
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert sorted(ids) == sorted(events_)


async def test_secrets_of_an_address_are_in_no_error(store: Store) -> None:
    office = Office(store)
    office.webhook("http://127.0.0.1:9/kanarie-77?token=kanarie-77")
    office.happen()
    await office.send()
    assert "kanarie" not in office.log()[0].error and office.log()[0].error


async def test_it_runs_by_itself_and_wakes_at_once(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egress.control.outbox.LOOK_EVERY", 3600.0)
    outbox = Outbox(store, "me", judge=anywhere)
    office = Office(store)
    office.webhook(receiver.url)
    running = asyncio.create_task(outbox.run())
    try:
        await asyncio.sleep(0.2)
        await store.write(events.append, "job.running", {"job": "j"})
        async with asyncio.timeout(60):
            while not receiver.got:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
