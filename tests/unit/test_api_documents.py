"""Pipelines, templates, schedules and webhooks over HTTP: kept, checked, shown without their secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from egress.control import events, hooks, keys, schedules
from egress.control.scheduler import Scheduler
from egress.control.signing import check_secret
from egress.control.store import Store
from egress.model import checking
from egress.model.settings import Settings
from egress.web.api.redaction import is_redacted, redacted
from tests.unit.front import Stand, browser

KEY = "canary-abcd-efgh"
PIPELINE = f"""name: mine # with a remark
about: Ours.
sinks:
  - {{kind: mp4, to: "a.mp4"}}
  - {{kind: rtmp, to: "rtmp://live.example.org/app/{KEY}", required: false}}
"""
JOB = {"room": "local:a", "pipeline": "record-grid"}


@pytest.fixture
def stand(tmp_path: Path, store: Store) -> Stand:
    return Stand(store, tmp_path, Settings(spool=tmp_path, api_rate=0))


async def test_a_pipeline_is_kept_as_written_and_shown_without_its_keys(stand: Stand) -> None:
    _, secret = await stand.store.write(keys.create, "reader", ["read"])
    _, admin = await stand.store.write(keys.create, "admin", ["admin"])
    yaml = {"Content-Type": "application/yaml"}
    path = "/api/v1/pipelines/mine"
    async with browser(stand, admin.reveal()) as web:
        assert (await web.put(path, content=PIPELINE, headers=yaml)).status_code == 201
        again = await web.put(path, content=PIPELINE, headers=yaml)
        assert (again.status_code, again.json()["version"]) == (200, 2)
        assert (await web.put(f"{path}?version=1", content=PIPELINE, headers=yaml)).status_code == 409
        shown = (await web.get(path)).json()["document"]
        assert KEY not in shown and "# with a remark" in shown and "rtmp://live.example.org/app/…" in shown
        assert (await web.get(f"{path}?secrets=true")).json()["document"] == PIPELINE
        lost = await web.put(path, content=shown, headers=yaml)
        assert lost.status_code == 400 and "secret" in lost.text
        for name, body, status in (
            ("other", PIPELINE, 409),
            ("record-grid", PIPELINE.replace("mine", "record-grid", 1), 409),
            ("mine", "name: mine\nsinks: []\n", 400),
        ):
            assert (await web.put(f"/api/v1/pipelines/{name}", content=body, headers=yaml)).status_code == status
        assert (await web.put(path, content=b"\xff", headers=yaml)).status_code == 400
        web.headers["Authorization"] = f"Bearer {secret.reveal()}"
        assert (await web.get(f"{path}?secrets=true")).status_code == 403
        listed = (await web.get("/api/v1/pipelines?limit=200")).json()["items"]
        assert {"name": "mine", "about": "Ours.", "own": True, "version": 2} in listed
        assert [one["name"] for one in listed] == sorted(one["name"] for one in listed)
        first = (await web.get("/api/v1/pipelines?limit=1")).json()
        second = (await web.get(f"/api/v1/pipelines?limit=1&cursor={first['next']}")).json()
        assert [*first["items"], *second["items"]] == listed[:2]
        shipped = (await web.get("/api/v1/pipelines/record-grid")).json()
        assert not shipped["own"] and checking.read(shipped["document"], "x").name == "record-grid"
        web.headers["Authorization"] = f"Bearer {admin.reveal()}"
        assert (await web.delete("/api/v1/pipelines/record-grid")).status_code == 409
        assert (await web.delete(path)).status_code == 204 and (await web.get(path)).status_code == 404


@pytest.mark.parametrize(
    "text",
    [
        PIPELINE,
        '{"sinks": [{"kind": "rtmp", "to": "rtmp:\\/\\/h\\/app\\/' + KEY + '"}]}',
        f"sinks:\n- kind: rtmp\n  to: >-\n    rtmp://h/app/{KEY}\n",
        f"a: &a rtmp://h/app/{KEY}\nsinks:\n- {{kind: rtmp, to: *a}}\n",
        f"sinks:\n- {{kind: srt, to: 'srt://h:1?streamid={KEY}&passphrase={KEY}'}}\n",
        f"sinks:\n- {{kind: mp4, to: 's3://b/k.mp4', backup: 'https://u:{KEY}@h/x'}}\n",
        f'sinks:\n- {{kind: rtmp, to: "rtmp://h/app/\\x63{KEY[1:]}"}}\n',
    ],
)
def test_no_way_of_writing_an_address_shows_its_secret(text: str) -> None:
    shown = redacted(text)
    assert KEY not in shown and KEY[1:] not in shown and is_redacted(shown) and not is_redacted(text)


async def test_everything_wrong_with_a_pipeline_is_said_with_its_line(stand: Stand) -> None:
    async with browser(stand) as web:

        async def check(text: str) -> Any:
            answer = await web.post(
                "/api/v1/pipelines/check", content=text, headers={"Content-Type": "application/yaml"}
            )
            assert answer.status_code == 200
            return answer.json()

        assert await check(PIPELINE) == {"ok": True, "name": "mine", "problems": [], "warnings": []}
        bad = await check("name: x\nsinks:\n  - {kind: mp5, to: a}\n  - {kind: mp4}\n")
        assert not bad["ok"] and {(one["field"], one["line"]) for one in bad["problems"]} >= {("sinks[1].to", 4)}
        assert "(line" not in str(bad)
        assert (await check("{"))["problems"][0]["field"] == ""
        assert (await web.get("/api/v1/pipelines/schema")).json()["title"] == "Egress pipeline"


async def test_a_template_is_kept_under_its_name(stand: Stand) -> None:
    async with browser(stand) as web:
        path = "/api/v1/templates/team"
        made = await web.put(path, json={"pipelines": ["record-grid"], "room_options": {"pin": KEY}})
        assert made.status_code == 201 and KEY not in made.text
        assert made.json()["document"]["pipelines"] == ["record-grid"]
        assert (await web.put(path, json={"name": "other", "pipelines": ["x"]})).status_code == 400
        wrong = await web.put(path, json={"pipelines": [], "colour": 1})
        assert {one["field"] for one in wrong.json()["details"]} == {"pipelines", "colour"}
        assert (await web.get("/api/v1/templates")).json()["items"] == [made.json()]
        assert (await web.delete(path)).status_code == 204 and (await web.get(path)).status_code == 404


async def test_a_schedule_says_when_it_fires_rests_and_goes_on(stand: Stand) -> None:
    async with browser(stand) as web:
        when = {"cron": "0 18 * * *", "timezone": "Europe/Berlin"}
        made = await web.post("/api/v1/schedules", json={"name": "n", "when": when, "job": JOB})
        assert made.status_code == 201, made.text
        path, one = made.headers["location"], made.json()
        assert len(one["next"]) == 5 == len(set(one["next"])) and one["when"]["cron"] == "0 18 * * *"
        assert (await web.get(path)).json() == one
        paused = (await web.post(f"{path}/pause")).json()
        assert paused["paused"] and paused["next"] == []
        changed = await web.put(path, json={"name": "m", "when": {"every": "day"}, "job": JOB})
        assert changed.json()["paused"] and changed.json()["name"] == "m"
        assert (await stand.store.read(schedules.get, one["id"])).next_at is None
        resumed = (await web.post(f"{path}/resume")).json()
        assert not resumed["paused"] and len(resumed["next"]) == 5
        assert (await stand.store.read(schedules.get, one["id"])).next_at is not None
        assert (await web.post(f"{path}/run")).status_code == 409
        for when, field in (({"cron": "x"}, "when.cron"), ({"at": "2020-01-01T00:00"}, "when"), ({}, "when")):
            wrong = await web.post("/api/v1/schedules", json={"name": "n", "when": when, "job": JOB})
            assert wrong.status_code == 400 and wrong.json()["details"][0]["field"] == field
        assert (await web.get(f"{path}/occurrences")).json() == {"items": [], "next": None}
        assert (await web.delete(path)).status_code == 204 and (await web.get(path)).status_code == 404


async def test_the_job_of_a_schedule_starts_when_asked(stand: Stand) -> None:
    async with browser(stand, scheduler=Scheduler(stand)) as web:  # type: ignore[arg-type]
        body = {"name": "n", "when": {"every": "day"}, "job": JOB}
        path = (await web.post("/api/v1/schedules", json=body)).headers["location"]
        started = await web.post(f"{path}/run")
        assert (started.status_code, started.json()["room"]) == (201, "local:a"), started.text


async def test_a_webhooks_secret_is_said_once_and_its_address_without_secrets(stand: Stand) -> None:
    async with browser(stand) as web:
        made = await web.post("/api/v1/webhooks", json={"url": f"https://u:{KEY}@example.org/h?token={KEY}"})
        assert made.status_code == 201 and KEY not in made.text
        one = made.json()
        check_secret(one["secret"])
        listed = (await web.get("/api/v1/webhooks")).json()["items"]
        assert listed == [{name: value for name, value in one.items() if name != "secret"}]
        path = made.headers["location"]
        changed = await web.put(path, json={"url": "https://example.org/h", "events": ["job.*"], "note": "cms"})
        assert (changed.json()["events"], changed.json()["note"]) == (["job.*"], "cms")
        address = await stand.store.read(hooks.address, stand.store.sealer, one["id"])
        assert [secret.reveal() for secret in address.secrets] == [one["secret"]]
        other = "whsec_" + "b" * 32
        await web.put(path, json={"url": "https://example.org/h", "secret": other})
        address = await stand.store.read(hooks.address, stand.store.sealer, one["id"])
        assert [secret.reveal() for secret in address.secrets] == [other, one["secret"]]
        for body, field in (
            ({"url": "ftp://example.org"}, "url"),
            ({"url": "https://"}, "url"),
            ({"url": "https://example.org:0/"}, "url"),
            ({"url": "http://localhost:9000/h"}, "url"),
            ({"url": "http://[fd00::1]/h"}, "url"),
            ({"url": "http://localhost.:9000/h"}, "url"),
            ({"url": "http://2130706433/h"}, "url"),
            ({"url": "http://0x7f000001/h"}, "url"),
            ({"url": "http://127.1/h"}, "url"),
            ({"url": "http://0300.0250.1.1/h"}, "url"),
            ({"url": "https://example.org", "secret": "short"}, "secret"),
            ({"url": "https://example.org", "mode": "livekit"}, "name"),
            ({"url": "https://example.org", "events": ["no spaces"]}, "events[0]"),
        ):
            wrong = await web.post("/api/v1/webhooks", json=body)
            assert (wrong.status_code, wrong.json()["details"][0]["field"]) == (400, field), wrong.text


async def test_a_webhook_that_is_put_as_it_is_shown_keeps_its_address(stand: Stand) -> None:
    url = f"https://u:{KEY}@example.org/h?token={KEY}"
    async with browser(stand) as web:
        one = (
            await web.post("/api/v1/webhooks", json={"url": url, "mode": "livekit", "name": "APIkey", "secret": KEY})
        ).json()
        path = f"/api/v1/webhooks/{one['id']}"
        kept = await web.put(path, json={"url": one["url"], "mode": "livekit", "enabled": False})
        assert (kept.json()["url"], kept.json()["enabled"]) == (one["url"], False)
        address = await stand.store.read(hooks.address, stand.store.sealer, one["id"])
        assert (address.url.reveal(), address.name) == (url, "APIkey")
        other = await web.put(path, json={"url": "https://example.com/live/…cdef"})
        assert (other.status_code, other.json()["details"][0]["field"]) == (400, "url")


async def test_a_test_is_told_to_one_webhook_and_a_delivery_is_sent_again(stand: Stand) -> None:
    async with browser(stand) as web:
        paths = [
            (await web.post("/api/v1/webhooks", json={"url": f"https://example.org/{n}", "events": [kind]})).headers[
                "location"
            ]
            for n, kind in enumerate(("job.*", "*"))
        ]
        sent = await web.post(f"{paths[0]}/test")
        assert (sent.status_code, sent.json()["type"], sent.json()["state"]) == (202, "webhook.test", "waiting")
        assert (await web.get(f"{paths[0]}/deliveries")).json()["items"] == [sent.json()]
        assert (await web.get(f"{paths[1]}/deliveries?state=waiting,failed")).json()["items"] == []
        assert (await web.get(f"{paths[1]}/deliveries?state=lost")).status_code == 400
        again = await web.post(f"{paths[0]}/deliveries/{sent.json()['id']}/replay")
        assert (again.status_code, again.json()["event_id"]) == (202, sent.json()["event_id"])
        assert (await web.post(f"{paths[1]}/deliveries/{sent.json()['id']}/replay")).status_code == 404
    assert [event.type for event in await stand.store.read(events.since, 0)] == ["webhook.test"]
