"""What Prometheus is told: jobs, outputs, webhooks and requests, under labels that name nobody."""

from __future__ import annotations

from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from egress.control import events, hooks, job_moves, jobs, keys
from egress.control.hooks import Address
from egress.control.jobs import Draft
from egress.control.service import Service
from egress.control.signing import new_secret
from egress.model.errors import Blame
from egress.model.job import JobState
from egress.model.request import read_request
from egress.model.secrets import Secret
from egress.model.settings import Settings
from egress.web.service import create_service_app


async def told(client: httpx.AsyncClient, **headers: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Every sample by its name and the values of its labels."""
    answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


async def test_what_is_and_what_was_asked_is_told(tmp_path: Path) -> None:
    settings = Settings(spool=tmp_path / "spool", listen="127.0.0.1:8080")
    async with Service.open(settings, tmp_path / "out") as service:
        store = service.store
        with store.writing() as connection:
            draft = Draft("job-1", read_request({"room": "local:secret-room"}), "live-hls", "somebody")
            jobs.create(connection, store.sealer, draft)
            job_moves.move(connection, "job-1", JobState.FAILED, blame=Blame.US)
            address = Address(Secret("http://127.0.0.1:9/"), (Secret(new_secret()),))
            hooks.create(connection, store.sealer, address)
            events.append(connection, "job.running", {"job": "j"})
        transport = httpx.ASGITransport(create_service_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            await client.get("/api/v1/jobs/nobody")
            await client.get("/api/v1/jobs")
            await client.get("/surely/not/there")
            found = await told(client)
    assert found["egress_jobs"] == {("us", "failed"): 1.0}
    assert sum(found["egress_webhook_deliveries"].values()) == 1
    assert found["egress_capacity_cores"][()] > 0 and found["egress_running_jobs"][()] == 0
    asked = found["egress_http_requests_total"]
    assert asked[("/api/v1/jobs/{id}", "404")] == 1 and asked[("/api/v1/jobs", "200")] == 1
    assert asked[("other", "404")] == 1
    assert found["egress_http_seconds_count"][("/api/v1/jobs",)] == 1
    assert "secret-room" not in str(found) and "nobody" not in str(found)


async def test_strangers_are_told_nothing_where_there_are_keys(tmp_path: Path) -> None:
    settings = Settings(spool=tmp_path / "spool", listen="127.0.0.1:8080")
    async with Service.open(settings, tmp_path / "out") as service:
        with service.store.writing() as connection:
            _, secret = keys.create(connection, "prometheus", ["read"])
        transport = httpx.ASGITransport(create_service_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            assert (await client.get("/metrics")).status_code == 401
            assert await told(client, Authorization=f"Bearer {secret.reveal()}")
