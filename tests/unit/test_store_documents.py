"""Pipelines, templates and schedules in the store: with versions, secrets sealed; and times claimed once."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from egress.control import occurrences, pipelines_kept, schedules, templates
from egress.control.store import Store
from egress.model.errors import Conflict, NotFound, RequestError
from egress.model.schedule import read_schedule
from egress.model.template import read_template

TEXT = "name: ours\nabout: What we do.\nsinks:\n  - {kind: rtmp, to: 'rtmp://host/live/geheim-geheim'}\n"


def template(name: str = "team", **said):
    return read_template({"name": name, "pipelines": "record-grid", "room_options": {"pin": "geheim"}} | said)


def schedule(name: str = "nightly"):
    job = {"room": "local:a", "pipeline": "record-grid", "room_options": {"pin": "geheim"}}
    return read_schedule({"name": name, "when": {"every": "day"}, "job": job, "duration": "1h"})


def test_a_pipeline_is_kept_as_written_and_loaded_beside_the_shipped_ones(store: Store) -> None:
    with store.writing() as connection:
        kept, first = pipelines_kept.put(connection, store.sealer, "ours", TEXT)
        assert first and (kept.version, kept.about) == (1, "What we do.")
        assert pipelines_kept.text(connection, store.sealer, "ours") == TEXT
        assert pipelines_kept.load(connection, store.sealer, "ours").name == "ours"
        assert pipelines_kept.load(connection, store.sealer, "record-grid").name == "record-grid"
        kept, first = pipelines_kept.put(connection, store.sealer, "ours", TEXT + "# two", version=1)
        assert not first and kept.version == 2 and pipelines_kept.all_pipelines(connection) == (kept,)
        with pytest.raises(Conflict, match="version 2"):
            pipelines_kept.put(connection, store.sealer, "ours", TEXT, version=1)
        pipelines_kept.remove(connection, "ours")
        for call in (pipelines_kept.get, pipelines_kept.remove):
            with pytest.raises(NotFound):
                call(connection, "ours")
        with pytest.raises(NotFound):
            pipelines_kept.load(connection, store.sealer, "ours")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("other", TEXT, "the document says 'ours'"),
        ("record-grid", TEXT.replace("ours", "record-grid"), "of Egress itself"),
        ("schema", TEXT.replace("ours", "schema"), "an address of the API"),
        ("ours", "name: ours\nsinks: []\n", "sinks"),
        ("ours", "- no\n", "mapping"),
    ],
)
def test_a_pipeline_that_is_wrong_is_not_kept(store: Store, name: str, text: str, says: str) -> None:
    with store.writing() as connection:
        with pytest.raises(RequestError, match=says):
            pipelines_kept.put(connection, store.sealer, name, text)
        assert pipelines_kept.all_pipelines(connection) == ()


def test_a_template_is_kept_in_the_place_of_the_one_before(store: Store) -> None:
    with store.writing() as connection:
        doc = template(destinations=["rtmp://host/live/geheim-geheim"], stop={"empty_for": "1m"})
        kept, first = templates.put(connection, store.sealer, doc, version=0, now=1)
        assert first and "geheim" not in str(kept) and kept.document["stop"]["empty_for"] == "1m"
        assert templates.open_template(connection, store.sealer, "team") == doc
        kept, first = templates.put(connection, store.sealer, template(enabled=False), now=2)
        assert not first and (kept.version, kept.created, kept.updated, kept.enabled) == (2, 1, 2, False)
        for version in (0, 1, 3):
            with pytest.raises(Conflict, match="version 2"):
                templates.put(connection, store.sealer, doc, version=version)
        templates.remove(connection, "team")
        for call in (templates.get, templates.remove):
            with pytest.raises(NotFound):
                call(connection, "team")
        with pytest.raises(NotFound):
            templates.open_template(connection, store.sealer, "team")


def test_templates_are_listed_by_name_and_those_that_start_something_opened(store: Store) -> None:
    with store.writing() as connection:
        for name in ("c", "a", "b"):
            templates.put(connection, store.sealer, template(name, enabled=name != "b"))
        page = templates.page(connection, limit=2)
        rest = templates.page(connection, after=page.next)
        assert [one.name for one in (*page.items, *rest.items)] == ["a", "b", "c"] and rest.next is None
        assert [doc.name for doc in templates.open_enabled(connection, store.sealer)] == ["a", "c"]


def test_a_schedule_is_kept_changed_and_opened(store: Store) -> None:
    with store.writing() as connection:
        kept = schedules.create(connection, store.sealer, schedule(), next_at=5)
        assert "geheim" not in str(kept) and kept.document["when"]["every"] == "day" and kept.version == 1
        assert schedules.open_schedule(connection, store.sealer, kept.id) == schedule()
        changed = schedules.change(connection, store.sealer, kept.id, schedule("weekly"), next_at=7, version=1)
        assert (changed.name, changed.next_at, changed.version) == ("weekly", 7, 2)
        with pytest.raises(Conflict):
            schedules.change(connection, store.sealer, kept.id, schedule(), next_at=7, version=1)
        schedules.remove(connection, kept.id)
        for call in (schedules.get, schedules.remove):
            with pytest.raises(NotFound):
                call(connection, kept.id)
        with pytest.raises(NotFound):
            schedules.pause(connection, kept.id, True, next_at=None)


def test_schedules_are_due_by_their_time_unless_they_rest(store: Store) -> None:
    with store.writing() as connection:
        a, b, c = (
            schedules.create(connection, store.sealer, schedule(str(at)), next_at=at, now=at or 0).id
            for at in (20, 10, None)
        )
        assert schedules.next_due(connection) == 10
        assert [one.id for one in schedules.due(connection, 19)] == [b]
        assert [one.id for one in schedules.due(connection, 20)] == [b, a]
        assert schedules.pause(connection, b, True, next_at=None).paused
        assert [one.id for one in schedules.due(connection, 99)] == [a] and schedules.next_due(connection) == 20
        assert schedules.set_next(connection, a, 20, 30) and not schedules.set_next(connection, a, 20, 40)
        assert schedules.set_next(connection, c, None, 25)
        assert not schedules.pause(connection, b, False, next_at=50).paused
        page = schedules.page(connection, limit=2)
        rest = schedules.page(connection, after=page.next)
        assert [one.id for one in (*page.items, *rest.items)] == [a, b, c]


def claims(connection: Connection, schedule_: str) -> list[tuple[int, str]]:
    return [(one.fire_at, one.state) for one in occurrences.page(connection, schedule_).items]


def test_every_time_of_a_schedule_is_claimed_by_one_server(store: Store, race) -> None:
    with store.writing() as connection:
        made = [schedules.create(connection, store.sealer, schedule(), next_at=60).id for _ in range(20)]

    def fire(own: Store) -> list[str]:
        fired = []
        for id_ in made:
            with own.writing() as connection:
                if occurrences.claim(connection, id_, 60, "me"):
                    fired.append(id_)
        return fired

    assert sorted(id_ for part in race(fire) for id_ in part) == sorted(made)


def test_even_writers_that_take_no_turn_claim_a_time_once(store: Store, race) -> None:
    with store.writing() as connection:
        id_ = schedules.create(connection, store.sealer, schedule(), next_at=60).id

    def fire(own: Store) -> bool:
        with own.writing(durable=False) as connection:
            return occurrences.claim(connection, id_, 60, "me")

    assert sorted(race(fire)) == [False] * 7 + [True]


def test_what_became_of_a_time_is_said_once(store: Store) -> None:
    with store.writing() as connection:
        id_ = schedules.create(connection, store.sealer, schedule(), next_at=60).id
        assert occurrences.last(connection, id_) is None
        assert occurrences.claim(connection, id_, 60, "a", now=60)
        assert occurrences.claim(connection, id_, 120, "a", state="missed", note="nobody was there", now=200)
        assert occurrences.settle(connection, id_, 60, "started", job="j", now=61)
        assert not occurrences.settle(connection, id_, 60, "failed")
        assert not occurrences.settle(connection, id_, 120, "started", job="k")
        assert claims(connection, id_) == [(120, "missed"), (60, "started")]
        last = occurrences.last(connection, id_)
        assert last is not None and (last.fire_at, last.note) == (120, "nobody was there")
        page = occurrences.page(connection, id_, limit=1)
        assert [one.job for one in occurrences.page(connection, id_, after=page.next).items] == ["j"]


def test_a_time_whose_server_died_at_it_is_taken_over_by_one(store: Store, race) -> None:
    with store.writing() as connection:
        id_ = schedules.create(connection, store.sealer, schedule(), next_at=60).id
        occurrences.claim(connection, id_, 60, "dead", now=60)
        assert occurrences.unsettled(connection, 60) == ()
        (left,) = occurrences.unsettled(connection, 61)

    def take(own: Store) -> bool:
        with own.writing() as connection:
            return occurrences.reclaim(connection, left, "alive", now=100)

    assert sum(race(take)) == 1
    with store.writing() as connection:
        assert occurrences.unsettled(connection, 100) == ()
        assert occurrences.prune(connection, 1000) == 0
        occurrences.settle(connection, id_, 60, "failed", note="the room is unknown")
        assert occurrences.prune(connection, 1000) == 1
