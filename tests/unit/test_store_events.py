"""Events in the store: in the order of their commits, each delivered to the webhooks that want it, once."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from egress.control import artifacts, deliveries, events, hooks, jobs
from egress.control.store import Store
from egress.model.errors import Conflict, NotFound
from egress.model.job import Artifact
from egress.model.request import read_request
from egress.model.secrets import Secret

SECOND = 1_000_000


def hook(connection, store: Store, **said) -> hooks.Webhook:
    address = hooks.Address(
        Secret("https://u:geheim@h.example/in?token=geheim"), (Secret("whsec_a"), Secret("whsec_b")), "key"
    )
    return hooks.create(connection, store.sealer, address, **said)


def job(connection, store: Store, id_: str = "j", room: str = "local:a") -> str:
    return jobs.create(connection, store.sealer, jobs.Draft(id_, read_request({"room": room}), "p", "me")).job.id


def test_events_are_read_after_a_number_of_a_job_and_of_a_type(store: Store) -> None:
    with store.writing() as connection:
        id_ = job(connection, store)
        made = [events.append(connection, "room.joined", {"name": f"ä {n}"}, job=id_, at=n) for n in range(3)]
        loose = events.append(connection, "server.draining", {})
        first = events.since(connection, 0)[0].seq
        assert events.since(connection, first) == (*made, loose)
        assert events.since(connection, first, job=id_, limit=2) == (made[0], made[1])
        assert events.since(connection, 0, types=("server.draining", "x")) == (loose,)
        assert events.last(connection) == loose.seq and events.since(connection, loose.seq) == ()
        assert made[1].body == {"name": "ä 1"} and len({event.id for event in made}) == 3


def test_numbers_go_up_in_the_order_of_commits_so_that_no_reader_misses_one(store: Store, second: Store, race) -> None:
    read: list[int] = []
    done = threading.Event()

    def follow() -> None:
        last = 0
        while True:
            over = done.wait(0.002)
            with second.reading() as connection:
                found = events.since(connection, last)
            read.extend(event.seq for event in found)
            last = read[-1] if read else 0
            if over and not found:
                return

    reader = threading.Thread(target=follow)
    reader.start()

    def append(own: Store) -> None:
        for number in range(5):
            with own.writing() as connection:
                events.append(connection, "a", {"n": number})
                events.append(connection, "b", {"n": number})

    race(append)
    done.set()
    reader.join()
    assert len(read) == 80 and read == sorted(read)


def test_an_event_of_a_job_that_is_gone_is_refused(store: Store) -> None:
    with pytest.raises(Conflict, match="is gone"), store.writing() as connection:
        events.append(connection, "a", {}, job="none")


def test_an_event_that_was_undone_was_never_there_nor_its_deliveries(store: Store) -> None:
    with store.writing() as connection:
        hook(connection, store)
    with pytest.raises(KeyError), store.writing() as connection:
        events.append(connection, "a", {})
        raise KeyError
    with store.reading() as connection:
        assert events.since(connection, 0) == () and deliveries.counts(connection) == {}


WRITER = """
import sys
from pathlib import Path
from egress.control import events
from egress.control.store import Store
store = Store.open(None, Path(sys.argv[1]))
for number in range(100_000):
    with store.writing() as connection:
        events.append(connection, "a", {"n": number})
    print(number, flush=True)
"""


def test_what_was_committed_before_a_kill_is_there_with_its_deliveries_and_nothing_half(tmp_path: Path) -> None:
    own = Store.open(None, tmp_path)
    with own.writing() as connection:
        hook(connection, own)
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(20):
            process.stdout.readline()
        process.kill()
        told = 20 + len(process.stdout.read().splitlines())
    with own.reading() as connection:
        kept = [event.id for event in events.since(connection, 0, limit=100_000)]
        sent = {one.event_id for one in deliveries.page(connection, limit=100_000).items}
    assert len(kept) in (told, told + 1) and sent == set(kept)
    own.close()


def test_old_events_are_forgotten_and_their_numbers_never_given_again(store: Store) -> None:
    with store.writing() as connection:
        made = [events.append(connection, "a", {}, at=number) for number in range(5)]
        assert events.prune(connection, 9, most=2) == 2
        assert [event.at for event in events.since(connection, 0)] == [2, 3, 4]
        assert events.prune(connection, 9) == 3
        assert events.append(connection, "a", {}).seq > made[-1].seq


def test_a_webhook_is_told_what_it_asked_for(store: Store) -> None:
    with store.writing() as connection:
        everything, jobs_only = hook(connection, store), hook(connection, store, events=("job.*", "x"), mode="livekit")
        off = hook(connection, store, enabled=False)
        event = events.append(connection, "room.joined", {"a": 1}, at=5)
        job(connection, store)
        log = deliveries.page(connection, webhook=everything.id).items
        assert [one.type for one in log] == ["job.starting", "room.joined"]
        assert (log[1].event_id, log[1].body, log[1].next_at, log[1].state) == (event.id, '{"a":1}', 5, "waiting")
        assert [one.type for one in deliveries.page(connection, webhook=jobs_only.id).items] == ["job.starting"]
        assert deliveries.page(connection, webhook=off.id).items == ()
        assert [one.job for one in deliveries.page(connection, job="j", limit=1).items] == ["j"]


def test_a_webhook_shows_nothing_secret_and_opens_whole(store: Store) -> None:
    with store.writing() as connection:
        made = hook(connection, store, note="ours")
        assert "geheim" not in repr(made) and made.shown_url == "https://…@h.example/in?token=…"
        address = hooks.address(connection, store.sealer, made.id)
        assert address.url.reveal() == "https://u:geheim@h.example/in?token=geheim" and "geheim" not in repr(address)
        assert address.secrets == (Secret("whsec_a"), Secret("whsec_b")) and address.name == "key"
        changed = hooks.change(connection, store.sealer, made.id, note="theirs", events=("job.*",))
        assert (changed.note, changed.events, changed.shown_url) == ("theirs", ("job.*",), made.shown_url)
        assert hooks.address(connection, store.sealer, made.id) == address
        hooks.change(connection, store.sealer, made.id, address=hooks.Address(Secret("https://other/"), ()))
        assert hooks.get(connection, made.id).shown_url == "https://other/"


def test_webhooks_are_listed_and_forgotten_with_their_deliveries(store: Store) -> None:
    with store.writing() as connection:
        made = [hook(connection, store, now=number) for number in range(3)]
        events.append(connection, "a", {})
        page = hooks.page(connection, limit=2)
        rest = hooks.page(connection, after=page.next)
        assert [one.id for one in (*page.items, *rest.items)] == [one.id for one in reversed(made)] and not rest.next
        hooks.remove(connection, made[0].id)
        assert deliveries.counts(connection) == {"waiting": 2}
        for call in (hooks.get, hooks.remove):
            with pytest.raises(NotFound):
                call(connection, made[0].id)


def test_a_disabled_webhook_has_its_deliveries_dropped(store: Store) -> None:
    with store.writing() as connection:
        made = hook(connection, store)
        events.append(connection, "a", {})
        hooks.change(connection, store.sealer, made.id, enabled=False)
        events.append(connection, "b", {})
        assert deliveries.counts(connection) == {"dropped": 1}


def test_of_servers_that_claim_at_once_each_delivery_goes_to_one(store: Store, race) -> None:
    with store.writing() as connection:
        hook(connection, store)
        for number in range(60):
            events.append(connection, "a", {}, at=number)

    def claim(own: Store) -> list[str]:
        taken: list[str] = []
        while True:
            with own.writing() as connection:
                found = deliveries.claim(connection, "me", now=100, lease=SECOND, most=7)
            if not found:
                return taken
            taken += [one.id for one in found]

    taken = [id_ for part in race(claim) for id_ in part]
    assert len(taken) == len(set(taken)) == 60


def test_what_a_dead_sender_claimed_comes_back_under_the_same_event_and_is_no_longer_its_own(store: Store) -> None:
    with store.writing() as connection:
        hook(connection, store)
        events.append(connection, "a", {}, at=0)
        first = deliveries.claim(connection, "dead", now=10, lease=100)
        assert deliveries.claim(connection, "b", now=109, lease=100) == ()
        assert deliveries.next_due(connection) == 110
        again = deliveries.claim(connection, "b", now=110, lease=100)
        assert [one.event_id for one in again] == [one.event_id for one in first]
        id_ = first[0].id
        assert not deliveries.delivered(connection, id_, "dead", status=200, now=120)
        assert deliveries.delivered(connection, id_, "b", status=204, now=120)
        assert not deliveries.given_up(connection, id_, "b", error="x")
        kept = deliveries.get(connection, id_)
        assert (kept.state, kept.status, kept.attempts, kept.delivered_at) == ("delivered", 204, 1, 120)
        assert deliveries.next_due(connection) is None


def test_what_failed_is_due_again_at_its_time_the_longest_due_first(store: Store) -> None:
    with store.writing() as connection:
        hook(connection, store)
        a, b = (events.append(connection, "a", {}, at=number).id for number in range(2))
        for one in deliveries.claim(connection, "me", now=5, lease=100):
            later = 40 if one.event_id == a else 30
            assert deliveries.again(connection, one.id, "me", next_at=later, error="e" * 900, status=500)
        assert deliveries.next_due(connection) == 30
        assert deliveries.claim(connection, "me", now=29, lease=1) == ()
        due = deliveries.claim(connection, "me", now=50, lease=100)
        assert [one.event_id for one in due] == [b, a] and due[0].attempts == 1 and len(due[0].error) == 500
        deliveries.given_up(connection, due[0].id, "me", error="too late", status=None)
        deliveries.given_up(connection, due[1].id, "me", error="gone", status=410, state="dropped")
        assert deliveries.counts(connection) == {"failed": 1, "dropped": 1}
        assert len(deliveries.page(connection, states=("failed", "waiting")).items) == 1


def test_deliveries_are_sent_again_under_their_event_ids(store: Store) -> None:
    with store.writing() as connection:
        made = hook(connection, store)
        for number in range(3):
            events.append(connection, "a", {}, at=number)
        for one in deliveries.claim(connection, "me", now=5, lease=100):
            deliveries.given_up(connection, one.id, "me", error="no")
        first = deliveries.page(connection, limit=1)
        again = deliveries.replay(connection, first.items[0].id, now=7)
        assert (again.event_id, again.state, again.next_at) == (first.items[0].event_id, "waiting", 7)
        assert deliveries.replay_failed(connection, made.id, since=1, now=8) == 1
        assert deliveries.counts(connection) == {"waiting": 2, "failed": 1}
        with pytest.raises(NotFound):
            deliveries.replay(connection, "none")
        assert first.next is not None and len(deliveries.page(connection, after=first.next).items) == 2


def test_settled_deliveries_are_forgotten_and_waiting_ones_never(store: Store) -> None:
    with store.writing() as connection:
        hook(connection, store)
        for number in range(4):
            events.append(connection, "a", {}, at=number)
        for one in deliveries.claim(connection, "me", now=5, lease=100, most=3):
            deliveries.delivered(connection, one.id, "me", status=200, now=6)
        assert deliveries.prune(connection, 2) == 2 and deliveries.prune(connection, 100) == 1
        assert deliveries.counts(connection) == {"waiting": 1}


def test_an_artifact_is_told_of_once_and_what_is_learned_of_it_later_kept(store: Store) -> None:
    with store.writing() as connection:
        id_ = job(connection, store)
        first = artifacts.add(connection, id_, Artifact("mp4", "/a.mp4"), now=1)
        again = artifacts.add(connection, id_, Artifact("mp4", "/a.mp4", 5, 6, "ab", {"x": 1}), now=2)
        artifacts.add(connection, id_, Artifact("hls", "/live", 9), now=3)
        assert (again.id, again.created, again.size, again.details) == (first.id, 1, 5, {"x": 1})
        types = [event.type for event in events.since(connection, 0)]
        assert types == ["job.starting", "artifact.ready", "artifact.ready"]
        assert [one.kind for one in artifacts.of_job(connection, id_)] == ["mp4", "hls"]
        with pytest.raises(NotFound):
            artifacts.add(connection, "none", Artifact("mp4", "/b"))


def test_artifacts_are_listed_by_job_room_and_kind(store: Store) -> None:
    with store.writing() as connection:
        a, b = job(connection, store), job(connection, store, "k", "local:b")
        made = [
            artifacts.add(connection, whose, Artifact(kind, f"/{number}"), now=number)
            for number, (whose, kind) in enumerate([(a, "mp4"), (a, "hls"), (b, "mp4")])
        ]
        page = artifacts.page(connection, limit=2)
        assert [*page.items, *artifacts.page(connection, after=page.next).items] == made[::-1]
        assert artifacts.page(connection, job=a).items == (made[1], made[0])
        assert (
            artifacts.page(connection, room="b").items == artifacts.page(connection, room="local:b").items == (made[2],)
        )
        assert artifacts.page(connection, kind="mp4").items == (made[2], made[0])
        artifacts.remove(connection, made[0].id)
        for call in (artifacts.get, artifacts.remove):
            with pytest.raises(NotFound):
                call(connection, made[0].id)
