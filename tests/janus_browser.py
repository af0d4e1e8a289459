"""Publishers in a real Chromium: simulcast, H.264, VP9; they flash, beep and carry bar codes as all others do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from playwright.async_api import Browser, Page

from egress.demo.people import person
from egress.model.clock import monotonic
from egress.model.media import MILLISECOND, Size
from tests.browser import PATIENCE
from tests.janus_server import JanusServer

SAMPLE = Path(__file__).parents[1] / "samples" / "janus-recording"
_PAGE = Path(__file__).parent / "janus_page" / "index.html"
HD = Size(1280, 720)


@dataclass(frozen=True, slots=True)
class Caller:
    """One publisher: which person it plays, in which codec (VP8, H264, VP9), with three layers or one."""

    index: int
    codec: str = "VP8"
    simulcast: bool = False
    size: Size = HD


class JanusPage:
    """The page with publishers in it."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def publish(self, janus: JanusServer, room: int | str, *callers: Caller) -> None:
        """Publish into a room one after the other; raises what the page says went wrong."""
        people = []
        for caller in callers:
            who = person(caller.index)
            people.append(
                {
                    "person": who.index,
                    "name": who.name,
                    "colour": list(who.colour),
                    "tone": who.tone,
                    "codec": caller.codec,
                    "simulcast": caller.simulcast,
                    "size": [caller.size.width, caller.size.height],
                }
            )
        common = {"server": janus.ws, "room": room, "secret": janus.api_secret}
        clock = monotonic() / MILLISECOND - time.time() * 1000
        await self._page.evaluate("words => start(...words)", [common, people, clock])

    async def leave(self, index: int) -> None:
        """One publisher leaves."""
        await self._page.evaluate("index => leave(index)", index)

    async def layers(self, index: int) -> list[dict[str, Any]]:
        """What a publisher sends: `frameWidth`, `keyFramesEncoded` and `pliCount` of each layer."""
        found: list[dict[str, Any]] = await self._page.evaluate("index => layers(index)", index)
        return found

    async def slowest(self) -> float:
        """The longest the page has taken from one picture to the next since it was last asked, in seconds."""
        return float(await self._page.evaluate("slowest()"))


@contextmanager
def serving(*folders: Path) -> Iterator[str]:
    """The address of these folders' files for the length of the context; the first that has a file gives it."""

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            name = path.split("?")[0].strip("/") or "index.html"
            found = (folder / name for folder in folders if (folder / name).is_file())
            return str(next(found, folders[0] / "nothing"))

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


@asynccontextmanager
async def janus_page(browser: Browser) -> AsyncIterator[JanusPage]:
    """A page whose publishers leave when the context ends."""
    with serving(_PAGE.parent, SAMPLE) as address:
        page = await browser.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        await page.goto(address)
        await page.wait_for_function("window.ready")
        try:
            yield JanusPage(page)
        finally:
            await page.close()
