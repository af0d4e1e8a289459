"""The app of the service beside its API: publishers in, live streams out, pages, health, previews."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from egress.control.store import Store
from egress.control.tokens import Tokens
from egress.model.errors import Fault, NoCapacity, RequestError
from egress.model.pipeline import Pipeline
from egress.model.secrets import Secret
from egress.model.settings import Settings
from egress.web.origins import Origins
from egress.web.previews import MOST_WAITING, Previews
from egress.web.server import WebServer
from tests.unit.front import OFFER, OFFERED, SECRET, Stand, browser
from tests.unit.test_web_playlist import live


@pytest.fixture
def stand(tmp_path: Path, store: Store) -> Stand:
    return Stand(store, tmp_path, Settings(spool=tmp_path, api_rate=0))


async def test_the_worker_hears_the_token_it_wants_whatever_let_the_publisher_in(tmp_path: Path, store: Store) -> None:
    heard: list[str | None] = []

    async def worker(request: Request) -> Response:
        heard.append(request.headers.get("authorization"))
        return PlainTextResponse("v=0", 201, {"Location": "/whip/standup/one"})

    stand = Stand(store, tmp_path, Settings(spool=tmp_path, whip_token=Secret("everybodys")), Tokens([SECRET]))
    inner = Starlette(
        routes=[Route("/whip/{room}", worker, methods=["POST"]), Route("/whip/{room}/one", worker, methods=["DELETE"])]
    )
    async with WebServer(inner) as server, browser(stand) as web:
        job = await stand.job("local:standup")
        stand.run(job, whip=f"{server.url}/whip/standup", token=Secret("the-jobs-own"))
        app: Any = web._transport.app  # type: ignore[attr-defined]
        async with app.router.lifespan_context(app):
            for token in (
                "everybodys",
                "the-jobs-own",
                stand.tokens.mint("whip", "cam", seconds=60, rooms=["standup"]),
            ):
                answer = await web.post("/whip/standup", headers={"Authorization": f"Bearer {token}"}, content=b"v=0")
                assert (answer.status_code, answer.headers["location"]) == (201, "/whip/standup/one")
            gone = await web.delete("/whip/standup/one", headers={"Authorization": "Bearer everybodys"})
            assert gone.status_code == 201
            assert (await web.delete("/whip/standup/one")).status_code == 401
    assert heard == ["Bearer the-jobs-own"] * 4 and not stand.opened


async def test_a_publisher_opens_the_room_it_comes_to(stand: Stand) -> None:
    async with browser(stand) as web:
        assert (await web.post("/whip/new", content=OFFER, headers=OFFERED)).status_code == 404
        assert stand.opened == ["new"]
        assert (await web.options("/whip/other")).status_code == 204
        assert (await web.delete("/whip/other/one")).status_code == 404
    assert stand.opened == ["new"]


@pytest.mark.parametrize(
    ("offer", "kind", "status", "says"),
    [
        (OFFER, "application/json", 415, "application/sdp"),
        (b"v=0", "application/sdp", 400, "no m-line"),
        (OFFER.partition(b"a=ice")[0], "application/sdp", 400, "no ICE credentials"),
        (b"\xff", "application/sdp", 400, "not UTF-8"),
        (b"x" * 300_000, "application/sdp", 413, "256 KiB"),
    ],
)
async def test_an_offer_that_no_worker_would_take_opens_no_room(
    stand: Stand, offer: bytes, kind: str, status: int, says: str
) -> None:
    async with browser(stand) as web:
        answer = await web.post("/whip/new", content=offer, headers={"Content-Type": kind})
        assert answer.status_code == status and says in answer.text
    assert not stand.opened


async def test_publishers_are_in_the_role_of_their_token_or_else_in_the_one_they_say(
    tmp_path: Path, store: Store
) -> None:
    heard: list[str | None] = []

    async def worker(request: Request) -> Response:
        heard.append(request.query_params.get("role"))
        return Response(status_code=201, headers={"Location": f"{request.url.path}/one"})

    stand = Stand(store, tmp_path, tokens=Tokens([SECRET]))
    host = stand.tokens.mint("whip", "camera", seconds=60, role="host")
    anyone = stand.tokens.mint("whip", "camera", seconds=60)
    inner = Starlette(routes=[Route("/whip/{rest:path}", worker, methods=["POST"])])
    async with WebServer(inner) as server, browser(stand) as web:

        async def publish(token: str, query: str) -> int:
            headers = {"Authorization": f"Bearer {token}", **OFFERED}
            return (await web.post(f"/whip/standup{query}", content=OFFER, headers=headers)).status_code

        for token, query in ((host, ""), (host, "?role=Host"), (anyone, "?role=speaker"), (anyone, "")):
            assert await publish(token, query) == 404
        assert stand.roles == ["host", "host", "speaker", "guest"]
        assert await publish(host, "?role=guest") == 403
        stand.run(await stand.job(), whip=f"{server.url}/whip/standup")
        app: Any = web._transport.app  # type: ignore[attr-defined]
        async with app.router.lifespan_context(app):
            for token, query in ((host, ""), (host, "?role=Host&name=Ada"), (anyone, "?role=speaker"), (anyone, "")):
                assert await publish(token, query) == 201
            assert await publish(host, "?role=guest") == 403
    assert heard == ["host", "host", "speaker", None]


async def test_live_streams_go_by_the_names_of_rooms_and_jobs(stand: Stand) -> None:
    folders = [stand.root / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        (folder / "video.m3u8").write_text(live())
    job = await stand.job("local:all hands")
    async with browser(stand) as web:
        assert (await web.get("/live/all%20hands/")).status_code == 404
        stand.run(job, *folders)
        for name in ("all%20hands", "all%20hands-2", job.id, f"{job.id}-2"):
            assert (await web.get(f"/live/{name}/")).headers["content-security-policy"].startswith("default-src 'none'")
            assert (await web.get(f"/live/{name}/video.m3u8")).text == live()
        assert (await web.get("/live/all%20hands-3/video.m3u8")).status_code == 404
        stand.running.clear()
        assert (await web.get("/live/all%20hands/video.m3u8")).status_code == 404


async def test_who_waits_for_a_stream_is_woken_and_let_go_when_it_is_over(stand: Stand) -> None:
    folder = stand.root / "one"
    folder.mkdir()
    job = await stand.job("local:a")
    stand.run(job, folder)
    origins = Origins(stand)  # type: ignore[arg-type]
    origins.announce(job.id, {"type": "hls", "folder": str(folder), "rendition": "video", "msn": 1, "part": 0})
    assert set(origins) == {"a", job.id}
    origin = origins["a"]
    assert origin is origins[job.id] and origins.get("b") is None and len(origins) == 2
    origins.look()
    assert origins["a"] is origin
    stand.running.clear()
    origins.look()
    assert "a" not in origins and origins.waiting == 0
    with pytest.raises(KeyError):
        origins["a"]


async def test_pages_are_strict_and_health_says_how_it_is(stand: Stand) -> None:
    async with browser(stand) as web:
        for path in ("/", "/publish/a"):
            page = await web.get(path)
            policy = page.headers["content-security-policy"]
            assert page.status_code == 200 and "unsafe" not in policy and "script-src 'self'" in policy
            assert page.headers["referrer-policy"] == "no-referrer"
        assert (await web.get("/dashboard/app.js")).headers["cache-control"] == "no-cache"
        assert (await web.get("/dashboard/../service.py")).status_code == 404
        assert (await web.get("/healthz")).json()["status"] == "ok"
        assert (await web.get("/readyz")).status_code == 200
        stand.draining = True
        assert (await web.get("/readyz")).status_code == 503
        assert (await web.get("/healthz")).status_code == 200
        assert (await web.get("/openapi.json")).json()["openapi"].startswith("3.1")


PIPELINE = Pipeline.model_validate({"name": "mine", "sinks": [{"kind": "mp4", "to": "a.mp4"}]})
ASKED: dict[str, Any] = {"participants": 2, "layout": None, "theme": None, "width": 320}


class Drawn(Previews):
    """Draws without drawing, when it is let."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.runs: list[list[str]] = []
        self.let = asyncio.Event()
        self.error: Exception | None = None

    async def _run(self, arguments: list[str], assets: Path | None) -> None:
        self.runs.append(arguments)
        await self.let.wait()
        if self.error is not None:
            raise self.error
        self._write_picture(arguments[1].removeprefix("--out="))

    def _write_picture(self, path: str) -> None:
        Path(path).write_bytes(b"png")


async def test_a_picture_is_drawn_once_for_all_who_want_it(tmp_path: Path) -> None:
    previews = Drawn(tmp_path / "previews")
    wanted = [asyncio.create_task(previews.picture(PIPELINE, None, **ASKED)) for _ in range(MOST_WAITING)]
    while not previews.runs:
        await asyncio.sleep(0)
    with pytest.raises(NoCapacity):
        await previews.picture(PIPELINE, None, **ASKED)
    previews.let.set()
    (path,) = set(await asyncio.gather(*wanted))
    assert path.read_bytes() == b"png" and len(previews.runs) == 1
    other = PIPELINE.model_copy(update={"about": "Others."})
    assert await previews.picture(other, None, **ASKED) != path
    assert await previews.picture(PIPELINE, None, **{**ASKED, "theme": "light"}) != path and len(previews.runs) == 3
    assert "--theme=light" in previews.runs[2] and "--size=320x180" in previews.runs[2]
    assert len(list(path.parent.iterdir())) == 3


@pytest.mark.parametrize("error", [RequestError("x"), Fault("x")])
async def test_a_picture_that_fails_leaves_nothing(tmp_path: Path, error: Exception) -> None:
    previews = Drawn(tmp_path / "previews")
    previews.error = error
    previews.let.set()
    with pytest.raises(type(error)):
        await previews.picture(PIPELINE, None, **ASKED)
    assert not list((tmp_path / "previews").iterdir())


async def test_no_secret_of_a_pipeline_goes_to_its_picture(tmp_path: Path) -> None:
    sinks = [{"kind": "rtmp", "to": "rtmp://h/app/canary"}]
    previews = Drawn(tmp_path / "previews")
    wanted = asyncio.create_task(
        previews.picture(Pipeline.model_validate({"name": "m", "sinks": sinks}), None, **ASKED)
    )
    while not previews.runs:
        await asyncio.sleep(0)
    source = await asyncio.to_thread(Path(previews.runs[0][0]).read_text)
    assert "canary" not in source and "canary" not in str(previews.runs)
    previews.let.set()
    await wanted
