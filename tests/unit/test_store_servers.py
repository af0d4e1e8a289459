"""Keys, triggers and servers in the store: who may come in, what was seen before, who is alive."""

from __future__ import annotations

from dataclasses import replace

import pytest

from egress.control import job_moves, jobs, keys, servers, triggers_seen
from egress.control.servers import DEAD_AFTER, Server
from egress.control.store import Store
from egress.model.errors import NotFound, RequestError
from egress.model.job import JobState
from egress.model.request import read_request

ONE = Server("srv_1", "one", "http://one:8080", "/spool", 4000, False, 0, 0)


def test_a_key_lets_in_whoever_presents_it_and_is_not_kept(store: Store) -> None:
    with store.writing() as connection:
        key, secret = keys.create(connection, " CI ", ["start", "read", "read"], rooms=["team-*"])
        found = keys.verify(connection, secret.reveal())
        assert found == key and key.scopes == ("read", "start") and key.name == "CI"
        assert key.caller.may("start") and not key.caller.may("admin") and not key.caller.may_enter("local:other")
        assert key.prefix in secret.reveal()
        rows = connection.exec_driver_sql("SELECT * FROM keys").all()
        assert secret.reveal() not in str(rows) and secret.reveal()[20:] not in str(rows)


def test_what_is_no_key_of_ours_lets_nobody_in(store: Store) -> None:
    with store.writing() as connection:
        _, secret = keys.create(connection, "CI", ["read"])
        right = secret.reveal()
        for wrong in ("", "x", right[:-1], right + "x", right[:-1] + ("A" if right[-1] != "A" else "B"), right.upper()):
            assert keys.verify(connection, wrong) is None
        assert keys.verify(connection, f"egress_{'0' * 12}_{right[-43:]}") is None
        assert keys.verify(connection, "egress_\ud800") is None


def test_a_key_ends_at_its_time_or_when_it_is_revoked(store: Store) -> None:
    with store.writing() as connection:
        short, secret = keys.create(connection, "a", ["read"], expires=100, now=1)
        assert keys.verify(connection, secret.reveal(), now=99) == short
        assert keys.verify(connection, secret.reveal(), now=100) is None
        other, secret = keys.create(connection, "b", ["admin"], now=2)
        assert (keys.usable(connection, now=99), keys.usable(connection, now=100)) == (2, 1)
        assert keys.revoke(connection, other.id, now=7).revoked == 7 == keys.revoke(connection, other.id, now=9).revoked
        assert keys.verify(connection, secret.reveal()) is None and keys.usable(connection, now=100) == 0
        assert [key.name for key in keys.all_keys(connection)] == ["b", "a"]
        with pytest.raises(NotFound):
            keys.revoke(connection, "none")


def test_when_a_key_was_used_is_noted_once_a_minute(store: Store) -> None:
    with store.writing() as connection:
        key, _ = keys.create(connection, "a", ["read"], now=0)
        used = []
        for at in (1, 2, 60_000_001, 60_000_002):
            keys.note_used(connection, key.id, now=at)
            used.append(keys.get(connection, key.id).used)
        assert used == [1, 1, 1, 60_000_002]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"name": " ", "scopes": ["read"]}, "name"),
        ({"name": "a", "scopes": []}, "scopes"),
        ({"name": "a", "scopes": ["raed"]}, "did you mean 'read'"),
        ({"name": "a", "scopes": ["read"], "expires": 5, "now": 5}, "expires"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(store: Store, said, field: str) -> None:
    with pytest.raises(RequestError, match=field), store.writing() as connection:
        keys.create(connection, **said)


def test_a_trigger_is_seen_for_the_first_time_by_one(store: Store, race) -> None:
    def see(own: Store) -> bool:
        with own.writing() as connection:
            return triggers_seen.first_time(connection, "livekit", "EV_1", now=5)

    assert sorted(race(see)) == [False] * 7 + [True]
    with store.writing() as connection:
        assert triggers_seen.first_time(connection, "janus", "EV_1", now=9)
        assert triggers_seen.job_of(connection, "livekit", "EV_1") is None
        triggers_seen.started(connection, "livekit", "EV_1", "j")
        assert triggers_seen.job_of(connection, "livekit", "EV_1") == "j"
        assert triggers_seen.prune(connection, 6) == 1 and triggers_seen.first_time(connection, "livekit", "EV_1")


def test_a_server_lives_as_long_as_its_heart_beats(store: Store) -> None:
    with store.writing() as connection:
        servers.enter(connection, ONE)
        servers.enter(connection, replace(ONE, id="srv_2", name="two", heartbeat=5))
        assert [server.id for server in servers.alive(connection, now=DEAD_AFTER)] == ["srv_2"]
        assert servers.beat(connection, "srv_1", draining=True, now=10) and not servers.beat(connection, "none", now=10)
        assert [(server.id, server.draining) for server in servers.alive(connection, now=DEAD_AFTER + 7)] == [
            ("srv_1", True)
        ]
        servers.enter(connection, replace(ONE, capacity_milli=8000))
        assert [server.capacity_milli for server in servers.all_servers(connection)] == [8000, 4000]
        servers.leave(connection, "srv_1")
        assert servers.prune(connection, 6) == 1 and servers.all_servers(connection) == ()


def test_jobs_of_servers_that_are_gone_are_left_alone(store: Store) -> None:
    with store.writing() as connection:
        servers.enter(connection, replace(ONE, heartbeat=DEAD_AFTER))
        servers.enter(connection, replace(ONE, id="srv_2", heartbeat=0))
        for number, server in enumerate(["srv_1", "srv_2", "srv_3", None, "srv_3"]):
            draft = jobs.Draft(f"j{number}", read_request({"room": "local:a"}), "p", "me", server=server)
            jobs.create(connection, store.sealer, draft, now=number)
        job_moves.move(connection, "j4", JobState.FAILED)
        found = servers.left_alone(connection, now=DEAD_AFTER + 1)
        assert [job.id for job in found] == ["j1", "j2", "j3"]
