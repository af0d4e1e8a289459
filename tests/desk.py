"""A dashboard in a real Chromium over a service of its own, below any path, as tests use it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Browser, ConsoleMessage, Page, Request, ViewportSize, expect
from starlette.types import ASGIApp, Receive, Scope, Send

from egress.control.service import Service
from egress.model.settings import Settings
from egress.web.server import WebServer
from egress.web.service import create_service_app
from tests.browser import PATIENCE, chromium

PHONE = ViewportSize(width=390, height=800)

# No test is decided by speed.
expect.set_options(timeout=1000 * PATIENCE)


class Below:
    """An app below another path, as a server in front has it that takes the path away: the app does not know."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app, self.prefix = app, prefix
        self.state = app.state  # type: ignore[attr-defined]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            assert scope["path"].startswith(self.prefix), f"{scope['path']} leaves {self.prefix}"
            path = scope["path"].removeprefix(self.prefix)
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self.app(scope, receive, send)


class Desk:
    """A page of a browser at a dashboard, and what it complained of but for answers that are errors."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        page.context.set_default_timeout(1000 * PATIENCE)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._heard)
        self._asked: dict[Request, float] = {}
        page.on("request", lambda request: self._asked.setdefault(request, time.monotonic()))
        page.on("requestfinished", lambda request: self._asked.pop(request, None))
        page.on("requestfailed", lambda request: self._asked.pop(request, None))

    async def shown(self) -> str:
        """What the page shows, and what it still waits for: for whoever asks why a test failed."""
        now = time.monotonic()
        waits = [f"{now - since:.1f} s {request.url}" for request, since in self._asked.items()]
        text = "nothing" if self.page.is_closed() else await self.page.evaluate("document.body.innerText")
        return "\n".join(["The page shows:", text, "It waits for:", *waits])

    async def open(self, page: str) -> None:
        """Go to a page of the dashboard by its name."""
        await self.page.goto(f"{self.url}/#/{page}")

    async def playing(self, *, push: bool = False) -> None:
        """Wait until the player on the page plays; `push` has it play, as often as it takes something else up."""
        await self.page.wait_for_function(
            "(push) => { const v = document.querySelector('.player video');"
            " if (push && v && v.paused && !v.ended) v.play().catch(() => {});"
            " return v && v.currentTime > 1 && v.videoWidth === 1280; }",
            arg=push,
            timeout=1000 * PATIENCE,
        )

    async def stop(self) -> None:
        """Stop the job on the page and wait for its end."""
        await self.page.get_by_role("button", name="Stop", exact=True).click()
        await self.page.get_by_role("button", name="Stop it now?").click()
        await expect(self.page.locator(".heading .state")).to_have_text("finished")

    def _heard(self, said: ConsoleMessage) -> None:
        # Pictures that are not there yet, keys that are wrong and forms that are refused are asked for on purpose.
        if said.type == "error" and "Failed to load resource" not in said.text:
            self.complaints.append(said.text)


@contextlib.asynccontextmanager
async def serving(folder: Path, settings: Settings, prefix: str = "") -> AsyncIterator[tuple[Service, Browser, str]]:
    """A service, a browser, and where the dashboard is; jobs are stopped at the end."""
    async with Service.open(settings, folder / "out") as service:
        app = create_service_app(service)
        async with WebServer(Below(app, prefix) if prefix else app) as web, chromium() as browser:
            yield service, browser, web.url + prefix
            await service.stop_all("the test is over")
