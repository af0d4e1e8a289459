"""The API does what its description says: requests made from it meet no fault, and no answer that is not described.

A run makes the same requests each time. `HYPOTHESIS_PROFILE=explore` makes others, more of them and each time
different ones (tests/conftest.py): for hunting by hand, before a release and after a change of the API.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from egress.control import artifacts, hooks, keys, pipelines_kept, planning, schedules, templates
from egress.control.events import append
from egress.control.scheduler import Scheduler
from egress.control.store import Store
from egress.control.values import micros
from egress.model.job import Artifact
from egress.model.schedule import read_schedule
from egress.model.secrets import Secret
from egress.model.settings import Settings
from egress.model.template import read_template
from egress.web.service import create_service_app
from tests.unit.front import Stand

pytestmark = pytest.mark.beside

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
UNFIT = ("GET /api/v1/events", "GET /api/v1/pipelines/{name}/preview")
"""A stream without end, and pictures drawn by processes: they have tests of their own."""


@dataclass(frozen=True)
class Front:
    """The app, an address of everything there is in it, and a key for all of it."""

    app: FastAPI
    ids: dict[str, dict[str, str]]
    key: str


async def _fill(stand: Stand) -> tuple[dict[str, dict[str, str]], str]:
    """One of everything."""
    store, sealer = stand.store, stand.store.sealer
    running, over = await stand.job(), await stand.job("local:other", over=True)
    folder = stand.root / "hls"
    folder.mkdir()
    (folder / "index.m3u8").write_text("#EXTM3U\n")
    artifact = await store.write(artifacts.add, over.id, Artifact("hls", str(folder / "index.m3u8"), 8))
    doc = read_schedule({"name": "n", "when": {"every": "day"}, "job": {"room": "local:a", "pipeline": "record-grid"}})
    schedule = await store.write(schedules.create, sealer, doc, next_at=planning.first_look(doc, micros()))
    await store.write(templates.put, sealer, read_template({"name": "team", "pipelines": ["record-grid"]}))
    await store.write(pipelines_kept.put, sealer, "mine", "name: mine\nsinks: [{kind: mp4, to: a.mp4}]\n")
    address = hooks.Address(Secret("https://example.org/hook"), (Secret("whsec_" + "a" * 32),))
    webhook = await store.write(hooks.create, sealer, address)
    await store.write(append, "job.test", {"room": "local:standup"}, job=running.id)
    _, secret = await store.write(keys.create, "all", ["admin"])
    stand.picture = stand.root / "latest.jpg"
    stand.picture.write_bytes(b"\xff\xd8")
    stand.logged = stand.root / "worker.log"
    stand.logged.write_text("one\ntwo\n")
    ids = {
        "jobs": {"id": running.id, "name": "stage"},
        "artifacts": {"id": artifact.id, "path": "index.m3u8"},
        "schedules": {"id": schedule.id},
        "templates": {"name": "team"},
        "pipelines": {"name": "mine"},
        "webhooks": {"id": webhook.id},
        "keys": {},
    }
    return ids, secret.reveal()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder: Path = tmp_path_factory.mktemp("api")
    store = Store.open(None, folder)
    stand = Stand(store, folder, Settings(api_rate=0, spool=folder))
    ids, key = asyncio.run(_fill(stand))
    app = create_service_app(stand, scheduler=Scheduler(stand))  # type: ignore[arg-type]
    yield Front(app, ids, key)
    store.close()


def meet(front: Front, operation: Any, statuses: Counter[int]) -> None:
    """Make requests of one operation, most of them about something that is there."""
    known = front.ids.get(operation.path.split("/")[3], {})

    @settings(
        max_examples=settings().max_examples * 3 // 10,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), real=st.integers(0, 3))
    def run(case: Any, real: int) -> None:
        # What is taken away would be missing for all that follow.
        if real and case.path_parameters and case.method != "DELETE":
            case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
        headers = {"host": "localhost", "authorization": f"Bearer {front.key}"}
        answer = case.call_and_validate(checks=CHECKS, headers=headers)
        statuses[answer.status_code] += 1

    run()


def test_requests_made_from_the_description_meet_nothing_it_does_not_say(front: Front) -> None:
    described = schemathesis.openapi.from_asgi("/openapi.json", front.app)
    statuses: Counter[int] = Counter()
    wrong: dict[str, str] = {}
    for found in described.get_all_operations():
        operation = found.ok()
        if operation.label not in UNFIT:
            try:
                meet(front, operation, statuses)
            except (Exception, BaseExceptionGroup) as error:
                wrong[operation.label] = str(error)[:1500]
    assert not wrong, "\n\n".join(f"{label}: {text}" for label, text in wrong.items())
    # All are let in, and both good and bad requests are among them.
    assert statuses[401] == statuses[429] == 0
    assert statuses[200] > 100 and statuses[400] > 100 and statuses[201] > 5 and statuses[404] > 20, statuses
