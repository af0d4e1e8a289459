"""Errors over HTTP: one shape for all, and nothing of what is inside."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from egress.control.store import Store
from egress.model import errors
from egress.model.settings import Settings
from egress.web import answers
from egress.web.limits import LARGEST_BODY, Rate
from tests.unit.front import Stand, browser

PROBLEMS = (("room", "is wrong"),)


@pytest.mark.parametrize(
    ("error", "status", "code", "blame"),
    [
        (errors.RequestError("x", PROBLEMS), 400, "bad_request", "request"),
        (errors.Unauthorized("x"), 401, "unauthorized", "request"),
        (errors.Forbidden("x"), 403, "forbidden", "request"),
        (errors.NotFound("x"), 404, "not_found", "request"),
        (errors.Conflict("x"), 409, "conflict", "request"),
        (answers.TooLarge("x"), 413, "too_large", "request"),
        (answers.Unsupported("x"), 415, "unsupported_media_type", "request"),
        (errors.TooMany("x", 3.2), 429, "too_many", "request"),
        (errors.RoomRefused("x"), 502, "room_refused", "room"),
        (errors.RoomUnreachable("x"), 502, "room_unreachable", "room"),
        (errors.DestinationError("x"), 502, "destination", "destination"),
        (errors.NoCapacity("x"), 503, "no_capacity", "us"),
        (errors.Draining("x"), 503, "draining", "us"),
        (errors.Fault("x"), 500, "fault", "us"),
    ],
)
def test_every_error_has_its_status_and_code(error: errors.EgressError, status: int, code: str, blame: str) -> None:
    answer = answers.of_error(error)
    body = json.loads(bytes(answer.body))
    assert (answer.status_code, body["code"], body["blame"]) == (status, code, blame)
    assert list(body) == ["code", "message", "details", "blame"] and body["code"] in answers.CODES
    assert answer.headers.get("retry-after") == {429: "4", 503: "2"}.get(
        status, "2" if code == "room_unreachable" else None
    )
    assert body["details"] == ([{"field": "room", "message": "is wrong"}] if status == 400 else [])


def test_a_fault_shows_where_to_look_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        body = json.loads(bytes(answers.of_error(errors.Fault("password=hunter2 at /srv")).body))
    number = body["message"].rpartition(" ")[2]
    assert "hunter2" not in json.dumps(body) and "/srv" not in json.dumps(body)
    assert number in caplog.text and "hunter2" in caplog.text


@pytest.fixture
def stand(tmp_path: Path, store: Store) -> Stand:
    return Stand(store, tmp_path, Settings(spool=tmp_path, api_rate=0))


async def test_what_the_framework_refuses_looks_the_same(stand: Stand) -> None:
    async with browser(stand) as web:
        for method, path, status, code, field in (
            ("GET", "/nothing", 404, "not_found", None),
            ("GET", "/api/v1/nothing", 404, "not_found", None),
            ("PATCH", "/api/v1/jobs", 405, "method_not_allowed", None),
            ("GET", "/api/v1/jobs?limit=0", 400, "bad_request", "limit"),
            ("GET", "/api/v1/jobs?limit=x", 400, "bad_request", "limit"),
            ("GET", "/api/v1/jobs?since=yesterday", 400, "bad_request", "since"),
            ("GET", "/api/v1/jobs?since=2026-01-01T00:00:00", 400, "bad_request", "since"),
            ("GET", "/api/v1/jobs?state=dancing", 400, "bad_request", "state"),
            ("GET", "/api/v1/jobs?cursor=x", 400, "bad_request", "cursor"),
            ("GET", "/api/v1/jobs/" + "x" * 101, 400, "bad_request", "id"),
        ):
            answer = await web.request(method, path)
            body = answer.json()
            assert (answer.status_code, body["code"]) == (status, code), (path, body)
            assert [detail["field"] for detail in body["details"]] == ([field] if field else []), body
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_bodies_are_judged_before_they_are_read_whole(stand: Stand) -> None:
    async def endless():
        for _ in range(3):
            yield b" " * (LARGEST_BODY // 2)

    json_type = {"Content-Type": "application/json"}
    async with browser(stand) as web:
        for content, headers, status in (
            (b"x" * (LARGEST_BODY + 1), json_type, 413),
            (endless(), json_type, 413),
            (b"{}", {"Content-Type": "text/plain"}, 415),
            (b"{}", {}, 415),
            (b"{", json_type, 400),
            (b"[" * 100_000, json_type, 400),
            (b'{"room": NaN}', json_type, 400),
            (b"\xff", json_type, 400),
            (b"null", json_type, 400),
            (b'{"room": "local:\\ud800"}', json_type, 400),
        ):
            answer = await web.post("/api/v1/jobs", content=content, headers=headers)
            assert answer.status_code == status, (headers, answer.text)


async def test_a_failure_of_ours_is_an_answer(stand: Stand) -> None:
    stand.unreachable = ZeroDivisionError("inside")
    async with browser(stand) as web:
        answer = await web.post("/api/v1/jobs", json={"room": "local:a"})
        assert (answer.status_code, answer.json()["code"]) == (500, "fault") and "inside" not in answer.text
        stand.unreachable = errors.RoomUnreachable("the room server does not answer")
        answer = await web.post("/api/v1/jobs", json={"room": "local:a"})
        assert (answer.status_code, answer.json()["code"]) == (502, "room_unreachable")


async def test_who_asks_too_often_waits_and_others_do_not(tmp_path: Path, store: Store) -> None:
    async with browser(Stand(store, tmp_path, Settings(spool=tmp_path, api_rate=1))) as web:
        statuses = [(await web.get("/api/v1/jobs")).status_code for _ in range(3)]
        late = await web.get("/api/v1/jobs")
        other = await web.get("/api/v1/jobs", headers={"Authorization": "Bearer other"})
        assert (await web.get("/healthz")).status_code == 200
    assert statuses == [200, 200, 429] and late.headers["retry-after"] == "1" and other.status_code == 401


def test_a_bucket_fills_again_and_callers_are_bounded() -> None:
    now = [0.0]
    rate = Rate(2, lambda: now[0])
    for _ in range(4):
        rate.take("a")
    with pytest.raises(errors.TooMany) as refused:
        rate.take("a")
    assert refused.value.after == 0.5 and rate.refused == 1
    now[0] = 0.5
    rate.take("a")
    rate.give_back("a")
    rate.take("a")
    for number in range(20_000):
        rate.take(str(number))
    assert len(rate._buckets) == 10_000
