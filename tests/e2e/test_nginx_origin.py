"""The sample's nginx in front of the origin: one request upstream for everybody who waits, and nothing stale."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from egress.web.app import create_app
from egress.web.origin import Origin
from egress.web.server import WebServer
from tests.nginx_front import NginxFront
from tests.unit.test_origin import Folder
from tests.unit.test_web_playlist import live

pytestmark = pytest.mark.beside

VIEWERS = 100


def counted(app: ASGIApp, asked: Counter[str]) -> ASGIApp:
    """The app, counting what it is asked for."""

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            asked[f"{scope['path']}?{scope['query_string'].decode()}"] += 1
        await app(scope, receive, send)

    return counting


async def test_one_request_upstream_for_all_who_wait(tmp_path: Path) -> None:
    path = tmp_path / "hls"
    path.mkdir()
    folder = Folder(path, Origin(path))
    folder.write("video.m3u8", live())
    folder.announce()
    asked: Counter[str] = Counter()
    app = counted(create_app(origins={"talk": folder.origin}, whip=lambda room: None), asked)
    limits = httpx.Limits(max_connections=3 * VIEWERS)
    async with WebServer(app) as server:
        with NginxFront(tmp_path / "nginx", server.url) as front:
            async with httpx.AsyncClient(base_url=front.url, timeout=60, limits=limits, trust_env=False) as client:
                playlist, part = "/live/talk/video.m3u8", "/live/talk/video/seg-3.2.m4s"
                wanted = f"{playlist}?_HLS_msn=3&_HLS_part=2"
                before = await client.get(playlist)
                waiting = [asyncio.create_task(client.get(url)) for url in (wanted, part) for _ in range(VIEWERS)]
                await folder.waiting(2)
                # Everybody has come before there is anything to give.
                await asyncio.sleep(1)
                assert folder.origin.waiting == 2 and not any(task.done() for task in waiting)
                folder.write("video/seg-3.2.m4s", b"part")
                folder.write("video.m3u8", live(growing=3))
                folder.announce()
                answers = await asyncio.gather(*waiting)
                assert {answer.status_code for answer in answers} == {200}
                assert all("seg-3.2.m4s" in answer.text for answer in answers[:VIEWERS])
                assert all(answer.content == b"part" for answer in answers[VIEWERS:])
                assert asked[wanted] == 1 and asked[f"{part}?"] == 1
                # Without directives it is never older than now; a later part is another key; refusals are not kept.
                assert (
                    (await client.get(playlist)).text
                    == live(growing=3)
                    .replace("CONTROL:", "CONTROL:CAN-BLOCK-RELOAD=YES,")
                    .replace("BACK=1.5", "BACK=1.5,CAN-SKIP-DATERANGES=YES")
                    != before.text
                )
                later = f"{playlist}?_HLS_msn=3&_HLS_part=1"
                assert (await client.get(later)).status_code == 200 and asked[later] == 1
                for _ in range(2):
                    assert (await client.get(f"{playlist}?_HLS_msn=90")).status_code == 400
                assert asked[f"{playlist}?_HLS_msn=90"] == 2
                zipped = await client.get(wanted, headers={"Accept-Encoding": "gzip"})
                plain = await client.get(wanted, headers={"Accept-Encoding": "identity"})
                assert zipped.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
                assert zipped.text == plain.text
