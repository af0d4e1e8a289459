"""What another server of the same database holds is found there: rooms and streams by a redirect, logs by an errand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from egress.control import detached_run, servers
from egress.control.following import Follower
from egress.control.holders import Holders
from egress.control.service import Service
from egress.control.values import micros
from egress.model.errors import NotFound
from egress.model.request import Caller, JobRequest
from egress.model.settings import Settings
from egress.serving import listener_on
from egress.web.server import WebServer
from egress.web.service import create_service_app
from tests import fake_worker
from tests.postgres import Postgres

ADMIN = Caller("tests", frozenset({"admin"}))


@contextlib.asynccontextmanager
async def reached(folder: Path, *, advertised: bool = True, **more: str) -> AsyncIterator[tuple[Service, str]]:
    """A service and its address."""
    listener = listener_on("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    environ = {f"EGRESS_{name.upper()}": value for name, value in more.items()} | {"EGRESS_CAPACITY": "8"}
    if advertised:
        environ["EGRESS_ADVERTISE"] = f"{url}/"
    settings = Settings.load(flags={"spool": folder / "spool"}, environ=environ)
    async with (
        Service.open(settings, folder / "out", url=url) as service,
        WebServer(create_service_app(service), listener=listener),
    ):
        yield service, url


async def running(service: Service, room: str = "local:stand up") -> Follower:
    """A job that streams, whose worker is in its room."""
    made = await service.start(JobRequest(room=room, pipeline="live-hls"), ADMIN)
    follower = service.supervisor.followers[made.job.id]
    async with asyncio.timeout(60):
        await follower.ready.wait()
    return follower


async def over(service: Service, follower: Follower) -> None:
    """Have a job end."""
    await service.stop(follower.id, "enough")
    async with asyncio.timeout(60):
        await follower.over.wait()


async def test_publishers_and_viewers_are_sent_on_and_logs_fetched(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detached_run, "spawn", fake_worker.spawn)
    monkeypatch.setattr("egress.control.holders.REMEMBERED", 0.0)
    shared = {"database": postgres.database().reveal(), "secret_key": "k" * 32}
    async with (
        reached(tmp_path / "a", **shared) as (here, url),
        reached(tmp_path / "b", **shared) as (there, other),
        httpx.AsyncClient(base_url=url, trust_env=False) as web,
    ):
        follower = await running(there)
        name = "/live/stand%20up"
        for path in (f"{name}/", f"{name}/index.m3u8?_HLS_msn=1", f"{name}-2/a.m3u8", f"/live/{follower.id}/~t.x/"):
            sent = await web.get(path)
            assert (sent.status_code, sent.headers["location"]) == (307, f"{other}{path}")
            assert sent.headers["access-control-allow-origin"] == "*"
        page = await web.get("/publish/stand%20up?role=host", follow_redirects=True)
        assert (page.status_code, str(page.url)) == (200, f"{other}/publish/stand%20up?role=host")
        offer = {"Content-Type": "application/sdp", "Authorization": "Bearer of-the-job"}
        for verb, path in (
            ("POST", "/whip/stand%20up?peer=ada"),
            ("DELETE", "/whip/stand%20up/1"),
            ("PATCH", "/whip/x/1"),
        ):
            sent = await web.request(verb, path, headers=offer, content=b"v=0")
            found = (sent.status_code, sent.headers.get("location"))
            assert found == ((307, f"{other}{path}") if "stand" in path else (404, None))
        assert (await web.request("OPTIONS", "/whip/stand%20up", headers=offer)).status_code == 204
        # Nothing is sent on that is nowhere, or here, and nobody in a circle.
        assert (await web.get("/live/nobody/")).status_code == 404
        async with httpx.AsyncClient(base_url=other, trust_env=False) as their:
            assert (await their.get(f"{name}-9/")).status_code == 404
        log = await web.get(f"/api/v1/jobs/{follower.id}/log")
        assert (log.status_code, log.text) == (200, f"attempt 1 of {follower.id}\n")
        # A stream that is over stays a while where it was, but a room that runs comes first.
        await over(there, follower)
        assert (await web.get(f"{name}/")).headers["location"] == f"{other}{name}/"
        again = await running(here)
        assert "location" not in (await web.get(f"{name}/")).headers
        async with httpx.AsyncClient(base_url=other, trust_env=False) as their:
            assert (await their.get(f"/live/{again.id}/")).headers["location"] == f"{url}/live/{again.id}/"
        await over(here, again)


async def test_without_an_address_to_send_on_to_nobody_is_sent_and_a_silent_server_is_named(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detached_run, "spawn", fake_worker.spawn)
    shared = {"database": postgres.database().reveal(), "secret_key": "k" * 32}
    async with (
        reached(tmp_path / "a", **shared) as (here, url),
        reached(tmp_path / "b", advertised=False, **shared) as (there, _),
        httpx.AsyncClient(base_url=url, trust_env=False) as web,
    ):
        follower = await running(there)
        assert (await web.get("/live/stand%20up/")).status_code == 404
        job = await here.stop(follower.id)
        async with asyncio.timeout(60):
            await follower.over.wait()
        silent = replace(there.server, id="srv_silent", heartbeat=micros() - 3600 * 1_000_000, advertised=None)
        await here.store.write(servers.enter, silent)
        with pytest.raises(NotFound, match=r"is on the server that ran it, srv_silent: .* has not been heard of"):
            await here.log(replace(job, id="20260101-000000-000001", server="srv_silent"), 10)


async def test_what_is_nowhere_is_looked_for_once_in_a_while(tmp_path: Path, postgres: Postgres) -> None:
    times = iter((0.0, 1.9, 2.0))
    shared = {"database": postgres.database().reveal(), "secret_key": "k" * 32}
    async with reached(tmp_path, **shared) as (service, _):
        asked: list[str] = []
        read = service.store.read

        async def counted(work: object, server: str, name: str) -> object:
            asked.append(name)
            return await read(work, server, name)  # type: ignore[arg-type]

        service.store.read = counted  # type: ignore[assignment, method-assign]
        holders = Holders(service.store, service.server.id, lambda: next(times))
        for _ in range(3):
            assert await holders.of("nobody") is None
        assert await holders.of("a\0b") is None and asked == ["nobody"] * 2
        service.store.read = read  # type: ignore[method-assign]
