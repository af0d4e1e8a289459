"""What the HLS sink writes and the origin serves keeps the low-latency rules over HTTP, from live to VOD."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from egress.model.media import SECOND
from egress.model.outputs import HlsDoc
from egress.sinks.base import CAPTION, METADATA, Mark
from egress.sinks.hls import HlsSink
from egress.web.app import create_app
from egress.web.origin import Origin
from egress.web.server import WebServer
from tests.flashes import context, programme
from tests.hls_checker import check, check_live
from tests.hls_findings import Findings

_PAST = 11.0


@contextmanager
def broadcast(sink: HlsSink, seconds: float) -> Iterator[None]:
    """Write the first seconds at once and the others in real time, on a thread as a sink's packets come."""
    show = programme(seconds, keyframe=30)
    bases = {info.id: info.time_base for info in show.streams}
    over, begun = Event(), Event()

    def run() -> None:
        sink.open(show.streams)
        sink.mark(Mark(SECOND, "join", "Ada"))
        sink.mark(Mark(SECOND, METADATA, "{}"))
        sink.mark(Mark(SECOND, CAPTION, "Hello", 8 * SECOND))
        start = time.monotonic() - _PAST
        for packet in show.packets:
            wait = start + float(packet.dts * bases[packet.stream]) - time.monotonic()
            if wait > 0:
                begun.set()
                if over.wait(wait):
                    break
            sink.write(packet)
        begun.set()
        sink.close()

    thread = Thread(target=run)
    thread.start()
    begun.wait(60)
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("playlist", ["event", "sliding"])
async def test_the_origin_answers_a_low_latency_player_by_the_rules(tmp_path: Path, playlist: str) -> None:
    origin = Origin(tmp_path / "hls")
    loop = asyncio.get_running_loop()

    def told(event: dict[str, Any]) -> None:
        loop.call_soon_threadsafe(origin.announce, event)

    doc = HlsDoc(
        kind="hls",
        to="x",
        part="500ms",
        segment="1s",
        playlist=playlist,
        window="9s",
        single_file=playlist == "event",
        captions=({"language": "en"},),
        id3=True,
    )
    sink = HlsSink(doc, context(tmp_path / "spool", tmp_path / "hls", told))
    found = Findings()
    async with WebServer(create_app(origins={"talk": origin}, whip=lambda room: None)) as server:
        url = f"{server.url}/live/talk/index.m3u8"

        def follow() -> None:
            with broadcast(sink, 150):
                live = check_live(url)
                found.violations += live.violations + check(url)
                found.tried |= live.tried

        await asyncio.to_thread(follow)
        assert [str(violation) for violation in found.violations if not violation.should] == []
        assert {"B6.2.5b", "B6.2.5s", "B6.2.6", "B6.2.1c", "A10.1"} <= found.tried
        ended = await asyncio.to_thread(check_live, url)
        ended.violations += await asyncio.to_thread(check, url)
        assert [str(violation) for violation in ended.broken] == []
        assert "B6.2.5e" in ended.tried
