"""Requests for jobs and schedules: what is understood, what is refused and in which words, what may be shown."""

from __future__ import annotations

from typing import Any

import pytest

from egress.model.errors import RequestError
from egress.model.request import Caller, read_request
from egress.model.schedule import read_schedule

JOB = {"room": "local:standup", "pipeline": "record-grid"}


@pytest.mark.parametrize(
    ("document", "field", "words"),
    [
        ({}, "room", "is required: the address of a room"),
        ({"room": "local:a", "pipelin": "x"}, "pipelin", "did you mean 'pipeline'"),
        ({"room": 5}, "room", "must be text"),
        ({"room": "local:a", "overrides": {"layot": "grid"}}, "overrides.layot", "did you mean 'layout'"),
        ({"room": "local:a", "destinations": [{"name": "x"}]}, "destinations[0].to", "is required"),
        ({"room": "local:a", "metadata": {"a": 5}}, "metadata.a", "must be text"),
        ({"room": "local:a", "duration": "soon"}, "duration", "is not a duration"),
        ([], "", "is not an object"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(document: Any, field: str, words: str) -> None:
    with pytest.raises(RequestError, match="the job") as caught:
        read_request(document)
    assert [path for path, _ in caught.value.problems] == [field]
    assert words in caught.value.problems[0][1]


def test_a_destination_may_be_only_its_address() -> None:
    request = read_request({**JOB, "destinations": ["rtmp://a/b/c", {"to": "youtube://key", "name": "main"}]})
    assert [(d.to, d.name) for d in request.destinations] == [("rtmp://a/b/c", ""), ("youtube://key", "main")]


def test_what_is_shown_of_a_request_holds_no_secret() -> None:
    secret = "kanarie-77"
    inline = {"name": "x", "sinks": [{"kind": "rtmp", "to": f"rtmp://host/app/{secret}"}]}
    shown = read_request(
        {
            "room": "janus+ws://host/1",
            "pipeline": inline,
            "destinations": [f"rtmp://host/app/{secret}"],
            "room_options": {"pin": secret},
            "metadata": {"customer": "7"},
        }
    ).shown()
    assert secret not in str(shown)
    assert shown["room"] == "janus+ws://host/1" and shown["metadata"] == {"customer": "7"}


def test_callers_may_do_what_their_scopes_and_rooms_say() -> None:
    caller = Caller("ci", frozenset({"start"}), ("team-*", "janus+ws://host/*"))
    assert caller.may("start") and not caller.may("stop") and Caller("root", frozenset({"admin"})).may("stop")
    assert caller.may_enter("local:team-7") and caller.may_enter("janus+ws://host/1234")
    assert not caller.may_enter("local:other") and Caller("all").may_enter("local:other")


@pytest.mark.parametrize(
    ("when", "extra", "field", "words"),
    [
        ({}, {}, "when", "says none of them"),
        ({"at": "2026-01-01T10:00", "every": "1h"}, {}, "when", "at and every"),
        ({"at": "tomorrow"}, {}, "when.at", "is not a time"),
        ({"every": "5s"}, {}, "when.every", "too short"),
        ({"cron": "0 9 * * *", "timezone": "Berlin"}, {}, "when.timezone", "is not a time zone"),
        ({"every": "1h", "begin": "2026-01-02T10:00", "end": "2026-01-01T10:00"}, {}, "when.end", "is not after"),
        ({"every": "1h"}, {"duration": "0s"}, "duration", "is no length"),
        ({"every": "1h"}, {"overlap": "maybe"}, "overlap", "must be"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_named(
    when: dict[str, Any], extra: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(RequestError, match="the schedule") as caught:
        read_schedule({"name": "daily", "when": when, "job": JOB, **extra})
    assert [path for path, _ in caught.value.problems] == [field]
    assert words in caught.value.problems[0][1]


def test_a_schedule_keeps_its_job() -> None:
    doc = read_schedule({"name": "daily", "when": {"cron": "0 9 * * *"}, "job": JOB, "lead": "30s"})
    assert doc.job.room == "local:standup" and doc.lead == 30 * 10**9 and doc.overlap == "skip"
