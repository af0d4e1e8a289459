"""The dashboard in a real Chromium: from somebody's camera to a live player, a changed layout and a recording."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from egress.control.service import Service
from egress.model.settings import Settings
from egress.web.server import WebServer
from egress.web.service import create_service_app
from tests.browser import chromium

pytestmark = pytest.mark.beside

DASHBOARD = Path(__file__).parents[2] / "egress" / "web" / "dashboard"


class Desk:
    """A dashboard in a browser, what it complained of, and a room somebody publishes into."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        # A picture that is not there yet is asked for all the same.
        page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type == "error" and "404" not in said.text else None,
        )

    async def open(self, page: str) -> None:
        await self.page.goto(f"{self.url}/#/{page}")

    async def playing(self, beyond: float = 0.0) -> None:
        await self.page.wait_for_function(
            "(beyond) => { const v = document.querySelector('.player video');"
            " return v && v.currentTime > beyond + 1 && v.videoWidth === 1280; }",
            arg=beyond,
            timeout=30_000,
        )


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    settings = Settings(spool=tmp_path / "spool", listen="127.0.0.1:0")
    async with (
        Service.open(settings, tmp_path / "out") as service,
        WebServer(create_service_app(service)) as web,
        chromium() as browser,
    ):
        made = Desk(await browser.new_page(viewport={"width": 1280, "height": 800}), web.url)
        yield made
        await service.stop_all("the test is over")


async def test_from_a_camera_to_a_live_player_and_a_recording(desk: Desk) -> None:
    page = desk.page
    assert page.context.browser is not None
    camera = await page.context.browser.new_page()
    await camera.goto(f"{desk.url}/publish/studio-1?name=Ada&autostart=1&size=640x360")
    await desk.open("jobs")
    await page.get_by_role("link", name="studio-1", exact=True).click()
    await desk.playing()
    speaker = page.get_by_role("button", name="speaker")
    await speaker.focus()
    await page.keyboard.press("Enter")
    await expect(speaker).to_have_attribute("aria-pressed", "true")
    await page.get_by_label("Chapter").fill("Vote")
    await page.get_by_role("button", name="Mark").click()
    await page.get_by_role("button", name="Stop").click()
    await page.get_by_role("button", name="Stop it now?").click()
    await expect(page.locator(".heading .state")).to_have_text("finished", timeout=30_000)
    await expect(page.get_by_role("link", name="Download").first).to_be_visible()
    await page.evaluate("document.querySelector('.player video').play()")
    await desk.playing()
    await desk.open("recordings")
    await expect(page.get_by_role("link", name="studio-1", exact=True)).to_be_visible()
    assert desk.complaints == []


async def test_a_schedule_is_made_and_says_when_it_fires(desk: Desk) -> None:
    page = desk.page
    await desk.open("schedules")
    await page.get_by_role("button", name="New schedule").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("Evening news")
    await dialog.get_by_label("Room").fill("local:news")
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await page.get_by_role("button", name="New schedule").click()
    await dialog.get_by_label("Name").fill("Evening news")
    await dialog.get_by_label("Room").fill("local:news")
    await dialog.get_by_label("Time", exact=False).first.fill("61 18 * * *")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("when.cron")
    await dialog.get_by_label("Time", exact=False).first.fill("0 18 * * *")
    await dialog.get_by_role("button", name="Save").click()
    row = page.get_by_role("row", name=re.compile("Evening news"))
    await expect(row).to_contain_text("0 18 * * *")
    assert await row.locator("td").nth(3).locator("div").count() == 3
    assert [said for said in desk.complaints if "400" not in said] == []


@pytest.mark.parametrize("name", ["jobs", "recordings", "schedules", "templates", "pipelines", "webhooks", "keys"])
async def test_every_page_fits_a_phone_and_names_its_controls(desk: Desk, name: str) -> None:
    await desk.page.set_viewport_size({"width": 390, "height": 800})
    await desk.open(name)
    await expect(desk.page.locator("main h1")).to_be_visible()
    await desk.page.wait_for_timeout(500)
    assert await desk.page.evaluate("document.documentElement.scrollWidth") <= 390
    nameless = (
        "[...document.querySelectorAll('button, input, select, textarea, a')].filter((e) => !(e.innerText.trim() ||"
    )
    nameless += " e.getAttribute('aria-label') || e.labels?.length)).map((e) => e.outerHTML)"
    assert await desk.page.evaluate(nameless) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_can_be_read_in_both_themes(theme: str) -> None:
    style = (DASHBOARD / "style.css").read_text("utf-8")
    block = style.split(':root[data-theme="dark"] {' if theme == "dark" else ":root {", 1)[1].split("}", 1)[0]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
    for text in ("text", "quiet", "accent", "good", "warn", "bad"):
        for ground in ("back", "panel", "shade"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (theme, text, ground)
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5


def contrast(one: str, two: str) -> float:
    """The contrast of two colours (WCAG 2.2, 1.4.3)."""
    light, dark = sorted((_luminance(one), _luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
