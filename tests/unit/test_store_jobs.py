"""Jobs in the store: made once, moved by the one table, found again, and told of in the same transaction."""

from __future__ import annotations

import itertools
import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from egress.control import artifacts, events, job_lists, job_moves, job_views, jobs
from egress.control.job_lists import JobFilter
from egress.control.jobs import Draft, RoomTaken
from egress.control.store import Store
from egress.model.errors import Blame, Conflict, NotFound, RequestError
from egress.model.job import ENDED, TRANSITIONS, Artifact, JobState
from egress.model.request import read_request

NUMBERS = itertools.count(1)


def draft(room: str = "local:standup", **said: Any) -> Draft:
    request = read_request({"room": room, "metadata": said.pop("metadata", {})})
    said = {"id": f"job-{next(NUMBERS):05}", "pipeline": "record-grid", "caller": "ci"} | said
    return Draft(request=request, **said)


def make(connection: Connection, store: Store, room: str = "local:standup", now: int | None = None, **said: Any) -> str:
    return jobs.create(connection, store.sealer, draft(room, **said), now=now).job.id


def end(connection: Connection, id_: str) -> None:
    assert job_moves.move(connection, id_, JobState.FAILED, reason="x", blame=Blame.ROOM)


def test_a_job_is_kept_as_it_was_asked_for(store: Store) -> None:
    request = read_request(
        {
            "room": "janus+wss://h/janus/12%2034",
            "room_options": {"pin": "1"},
            "metadata": {"a": "ä\0"},
            "duration": "5m",
        }
    )
    asked = Draft("j", request, "live", "ci", cost_milli=1500, server="s", template="t", pipeline_doc={"name": "live"})
    with store.writing() as connection:
        job = jobs.create(connection, store.sealer, asked, now=7).job
    assert (job.state, job.room_name, job.created, job.moved, job.started) == (JobState.STARTING, "12 34", 7, 7, None)
    with store.reading() as connection:
        assert jobs.get(connection, "j") == job
        assert jobs.request(connection, store.sealer, "j") == (request, {"name": "live"})
        assert jobs.shown_request(connection, "j") == request.shown()
        with pytest.raises(NotFound):
            jobs.get(connection, "k")
        with pytest.raises(NotFound):
            jobs.request(connection, store.sealer, "k")


def test_the_same_request_under_one_key_makes_one_job_and_another_one_is_refused(store: Store) -> None:
    with store.writing() as connection:
        first = jobs.create(connection, store.sealer, draft(idempotency_key="k", body_hash="1"))
        again = jobs.create(connection, store.sealer, draft(idempotency_key="k", body_hash="1"))
        assert not first.repeated and again.repeated and again.job.id == first.job.id
        with pytest.raises(Conflict, match="idempotency key"):
            jobs.create(connection, store.sealer, draft(idempotency_key="k", body_hash="2"))
        assert not jobs.create(connection, store.sealer, draft(idempotency_key="k", body_hash="2", caller="x")).repeated
        assert jobs.forget_keys(connection, 1 << 60) == 2
        assert not jobs.create(connection, store.sealer, draft(idempotency_key="k", body_hash="2")).repeated


def test_equal_bodies_have_one_hash() -> None:
    assert jobs.body_hash({"a": 1, "b": [2]}) == jobs.body_hash(json.loads('{"b": [2], "a": 1}'))
    assert jobs.body_hash({"a": 1}) != jobs.body_hash({"a": "1"})


def test_servers_that_start_the_same_at_once_make_one_job(store: Store, race) -> None:
    def start(own: Store) -> str:
        with own.writing() as connection:
            asked = draft(idempotency_key="k", body_hash="1", unique_room=jobs.unique_key("t", "local:a", "p"))
            return jobs.create(connection, own.sealer, asked).job.id

    assert len(set(race(start))) == 1
    with store.reading() as connection:
        assert [event.type for event in events.since(connection, 0)] == ["job.starting"]


def test_a_room_is_taken_while_its_job_lives(store: Store, race) -> None:
    key = jobs.unique_key("t", "local:a", "p")

    def start(own: Store) -> tuple[bool, str]:
        try:
            with own.writing() as connection:
                return True, make(connection, own, unique_room=key)
        except RoomTaken as error:
            return False, error.job

    outcomes = race(start)
    made = [job for did, job in outcomes if did]
    assert len(made) == 1 and {job for _, job in outcomes} == set(made)
    with store.writing() as connection:
        end(connection, made[0])
        assert make(connection, store, unique_room=key) != made[0]


states = st.sampled_from(JobState)


@settings(max_examples=settings().max_examples // 5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(states, max_size=12))
def test_a_job_moves_as_the_table_says_and_every_move_is_told_once(store: Store, steps: list[JobState]) -> None:
    with store.writing() as connection:
        id_ = make(connection, store)
        expected, told = JobState.STARTING, ["job.starting"]
        for step in steps:
            moved = job_moves.move(connection, id_, step)
            assert (moved is not None) == (step in TRANSITIONS[expected])
            if moved is not None:
                expected, told = step, [*told, f"job.{step}"]
            job = jobs.get(connection, id_)
            assert job.state is expected and (job.ended is not None) == (expected in ENDED) == job.is_over
        assert [event.type for event in events.since(connection, 0, job=id_)] == told


def test_of_servers_that_move_a_job_at_once_one_does(store: Store, race) -> None:
    with store.writing() as connection:
        id_ = make(connection, store)

    def move(own: Store) -> bool:
        with own.writing() as connection:
            return job_moves.move(connection, id_, JobState.RUNNING) is not None

    assert sorted(race(move)) == [False] * 7 + [True]
    with store.reading() as connection:
        assert [event.type for event in events.since(connection, 0)] == ["job.starting", "job.running"]


def test_a_move_keeps_what_was_said_before_and_times_of_its_own(store: Store) -> None:
    with store.writing() as connection:
        id_ = make(connection, store, server="a", now=1)
        assert job_moves.move(connection, id_, JobState.RUNNING, server="b") is None
        assert job_moves.move(connection, id_, JobState.RUNNING, expect=JobState.RECOVERING) is None
        job_moves.move(connection, id_, JobState.RUNNING, server="a", now=2)
        job_moves.move(connection, id_, JobState.RECOVERING, reason="died", blame=Blame.US, now=3)
        job_moves.move(connection, id_, JobState.RUNNING, now=4, details={"attempt": 2})
        artifacts.add(connection, id_, Artifact("mp4", "/a.mp4", 5, 6))
        job_moves.move(connection, id_, JobState.STOPPING, now=5)
        job = job_moves.move(connection, id_, JobState.FINISHED, duration_ns=9, now=6)
        assert job is not None
        assert (job.started, job.moved, job.ended, job.reason, job.blame) == (2, 6, 6, "died", Blame.US)
        told = events.since(connection, 0, job=id_)
    assert told[3].body["attempt"] == 2 and [event.at for event in told[:4]] == [1, 2, 3, 4]
    assert [one["location"] for one in told[-1].body["artifacts"]] == ["/a.mp4"]


def test_a_stop_is_asked_for_once_and_its_first_reason_stays(store: Store) -> None:
    with store.writing() as connection:
        id_ = make(connection, store)
        for reason in ("asked by Ada", "asked by Bob"):
            job = job_moves.ask_stop(connection, id_, reason)
        assert (job.desired, job.reason, job.state) == ("stop", "asked by Ada", JobState.STARTING)
        end(connection, id_)
        over = make(connection, store)
        end(connection, over)
        assert job_moves.ask_stop(connection, over, "late").desired == "run"
        types = [event.type for event in events.since(connection, 0)]
        assert types.count("job.asked_to_stop") == 1
        with pytest.raises(NotFound):
            job_moves.ask_stop(connection, "none", "x")


def test_a_job_of_a_server_that_is_gone_is_taken_by_one(store: Store, race) -> None:
    with store.writing() as connection:
        id_ = make(connection, store, server="gone")
    names = itertools.count()

    def take(own: Store) -> bool:
        with own.writing() as connection:
            return job_moves.take_over(connection, id_, f"server-{next(names)}", "gone")

    assert sum(race(take)) == 1
    with store.writing() as connection:
        server = jobs.get(connection, id_).server
        assert server is not None and job_moves.begin_attempt(connection, id_, "other") is None
        assert [job_moves.begin_attempt(connection, id_, server) for _ in range(2)] == [1, 2]
        end(connection, id_)
        assert job_moves.begin_attempt(connection, id_, server) is None
        assert not job_moves.take_over(connection, id_, "x", server)


def test_figures_are_of_living_jobs_only(store: Store) -> None:
    with store.writing() as connection:
        alive, over = make(connection, store), make(connection, store)
        end(connection, over)
    with store.writing(durable=False) as connection:
        job_moves.set_figures(connection, {alive: (5, {"fps": 30}), over: (5, {"fps": 30}), "none": (1, {})})
        job_moves.set_figures(connection, {})
        job_moves.set_live(connection, alive, {"live": {"url": "/live/x/"}, "whip": "/whip/x"})
        job_moves.set_cost(connection, alive, 250)
        seen = job_views.view(jobs.get(connection, alive))
        assert jobs.get(connection, over).figures_json is None
    assert (seen["figures"], seen["duration"], seen["cost"]) == ({"fps": 30}, 5e-9, 0.25)
    assert (seen["live"], seen["links"]["live"], seen["whip"]) == ({"url": "/live/x/"}, "/live/x/", "/whip/x")


def test_a_view_is_the_same_one_by_one_and_in_a_page(store: Store) -> None:
    with store.writing() as connection:
        for number in range(3):
            make(connection, store, now=number * 1_000_000, metadata={"n": f'{number} \u2028 ä "'})
        found = job_lists.page(connection, limit=2)
    page = json.loads(job_views.encode_page(found.items, found.next))
    assert page == {"items": [job_views.view(job) for job in found.items], "next": found.next}
    assert page["items"] == [json.loads(job_views.encode(job)) for job in found.items]
    assert page["items"][0]["created"] == "1970-01-01T00:00:02.000000Z" and page["items"][0]["started"] is None
    assert page["items"][0]["metadata"] == {"n": '2 \u2028 ä "'}


def test_only_a_job_that_is_over_is_forgotten_with_all_it_left(store: Store) -> None:
    with store.writing() as connection:
        id_ = make(connection, store, idempotency_key="k")
        made = artifacts.add(connection, id_, Artifact("mp4", "/a"))
        with pytest.raises(Conflict, match="stop it first"):
            jobs.remove(connection, id_)
        end(connection, id_)
        jobs.remove(connection, id_)
        for gone in (lambda: jobs.get(connection, id_), lambda: artifacts.get(connection, made.id)):
            with pytest.raises(NotFound):
                gone()
        assert [(event.type, event.job) for event in events.since(connection, 0)] == [("job.removed", None)]
        assert not jobs.create(connection, store.sealer, draft(idempotency_key="k")).repeated


def test_pages_hold_every_job_once_the_latest_first_though_others_come_meanwhile(store: Store) -> None:
    with store.writing() as connection:
        made = [make(connection, store, now=number // 3) for number in range(20)]
        found, after = [], None
        while True:
            page = job_lists.page(connection, limit=6, after=after)
            found += [job.id for job in page.items]
            make(connection, store, now=99)
            if (after := page.next) is None:
                break
        assert found == sorted(made, reverse=True)
        with pytest.raises(RequestError, match="cursor"):
            job_lists.page(connection, after="nonsense")


def test_lists_hold_what_fits_all_that_was_said(store: Store) -> None:
    with store.writing() as connection:
        a = make(connection, store, "local:team-a", now=1, template="t", schedule="s", server="one")
        b = make(connection, store, "janus+ws://h/team-b", now=2, pipeline="live", metadata={"who": "Ada_100%"})
        c = make(connection, store, "local:other", now=3, server="one")
        end(connection, c)

        def ids(**said: Any) -> list[str]:
            return [job.id for job in job_lists.page(connection, JobFilter(**said)).items]

        assert ids() == [c, b, a]
        assert ids(states=(JobState.FAILED,)) == [c]
        assert ids(states=(JobState.STARTING, JobState.RUNNING)) == [b, a]
        assert ids(room="team-b") == ids(room="janus+ws://h/team-b") == [b]
        assert ids(rooms=("team-*",)) == [b, a] and ids(rooms=("local:*",)) == [c, a] and ids(rooms=("TEAM-*",)) == []
        assert (
            ids(template="t") == ids(schedule="s") == [a]
            and ids(pipeline="live") == [b]
            and ids(server="one") == [c, a]
        )
        assert ids(since=2) == [c, b] and ids(until=2) == [a] and ids(since=2, until=3) == [b]
        assert ids(text="ADA_100%") == [b] and ids(text="a_a") == [] and ids(text="%") == [b]
        assert ids(rooms=("local:*",), states=(JobState.FAILED,), text="other") == [c]
        assert [job.id for job in job_lists.living(connection)] == [a, b]
        assert [job.id for job in job_lists.living(connection, "one")] == [a]
        assert [job.id for job in job_lists.in_room(connection, "local:team-a", "t")] == [a]
        assert job_lists.in_room(connection, "local:other") == ()
        assert job_lists.counts(connection) == {("starting", None): 2, ("failed", "room"): 1}
        job_moves.set_cost(connection, a, 300)
        job_moves.set_cost(connection, c, 400)
        assert job_lists.cost(connection, "one") == 300


NAMES = ("a", "A", "ab", "a-b", "a]b", "[a", "a*b", "a?b", "a.b", "a\\b", "(a)", "a^", "é", "!a", "")
PATTERNS = (
    "*",
    "?",
    "a*",
    "[a]*",
    "[!a]*",
    "[a-b]?",
    "[",
    "[a",
    "a[*]b",
    "a[]]b",
    "a\\*",
    "a.b",
    "(*)",
    "*^",
    "a$",
    "[!]a]*",
    "é",
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_of_rooms_mean_in_the_database_what_they_mean_to_callers(store: Store, pattern: str) -> None:
    with store.writing() as connection:
        made = {make(connection, store, f"local:x/{name}") for name in NAMES}
        found = job_lists.page(connection, JobFilter(rooms=(f"x/{pattern}",)), limit=200).items
        assert {job.id for job in found} <= made
    assert {job.room_name for job in found} == {f"x/{name}" for name in NAMES if fnmatchcase(name, pattern)}
