"""A real Chromium for tests: publishes from the publish page, plays on the watch page, and says what it saw."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

PATIENCE = 60.0
"""Seconds any step may take on a busy machine; no test is decided by speed."""


def executable() -> str:
    """Where Chromium is; raises RuntimeError saying how to get it."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise RuntimeError("Chromium is not installed; on Debian: apt-get install chromium")


@asynccontextmanager
async def chromium(*, camera: Path | None = None, microphone: Path | None = None) -> AsyncIterator[Browser]:
    """A headless Chromium with a fake camera and microphone, or with files (.y4m or .mjpeg, .wav) in their place."""
    arguments = _arguments(camera, microphone)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), headless=True, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


def _arguments(camera: Path | None, microphone: Path | None) -> list[str]:
    arguments = [
        "--use-fake-device-for-media-stream=fps=30",
        "--use-fake-ui-for-media-stream",
        "--autoplay-policy=no-user-gesture-required",
        # Without it a page that never opened a camera offers names that nobody here can look up.
        "--disable-features=WebRtcHideLocalIpsWithMdns",
    ]
    if camera is not None:
        arguments.append(f"--use-file-for-fake-video-capture={camera.resolve()}")
    if microphone is not None:
        arguments.append(f"--use-file-for-fake-audio-capture={microphone.resolve()}")
    return arguments


class Tab:
    """One page with what its console complained about."""

    def __init__(self, page: Page, variable: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._variable = variable
        page.set_default_timeout(1000 * PATIENCE)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def until(self, what: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The page's own account once `holds` says so; raises AssertionError with the last account and complaints."""
        told: dict[str, Any] = {}
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    told = await self.told()
                    if holds(told):
                        return told
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{what} did not happen: {told} {self.complaints}") from None

    async def told(self) -> dict[str, Any]:
        """What the page says of itself now; empty before its script has run."""
        script = f"window.{self._variable} ? window.{self._variable}.info() : {{}}"
        answer: dict[str, Any] = await self.page.evaluate(script)
        return answer

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


async def watch(browser: Browser, url: str) -> Tab:
    """Open a watch page (`…/live/NAME/`); its account is `window.player.info()`."""
    tab = Tab(await browser.new_page(), "player")
    await tab.page.goto(url)
    return tab


async def publish(
    browser: Browser,
    url: str,
    *,
    name: str,
    role: str = "guest",
    codec: str = "",
    test: bool = False,
    size: str = "640x360",
    token: str = "",
) -> Tab:
    """Publish from a publish page (`…/publish/ROOM`) by camera or test picture; account `window.publisher.info()`."""
    query = {
        "name": name,
        "role": role,
        "codec": codec,
        "size": size,
        "autostart": "1",
        **({"test": "1"} if test else {}),
    }
    tab = Tab(await browser.new_page(), "publisher")
    await tab.page.goto(f"{url}?{urlencode(query)}#token={token}")
    return tab
