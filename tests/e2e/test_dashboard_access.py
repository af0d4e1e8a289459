"""The dashboard where keys and tokens are wanted, below another path: who comes in, publishes, watches."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from egress.control import keys
from egress.control.service import Service
from egress.model.secrets import Secret
from egress.model.settings import Settings
from tests.browser import PATIENCE
from tests.desk import Desk, serving

pytestmark = [pytest.mark.beside, pytest.mark.asyncio(loop_scope="module")]

PREFIX = "/egress"


class Guarded:
    """A service that wants keys, and a browser at it."""

    def __init__(self, service: Service, browser: Browser, url: str) -> None:
        self.service, self.browser, self.url = service, browser, url

    async def key(self, *scopes: str, rooms: tuple[str, ...] = ()) -> tuple[str, str]:
        """(id, key) of another key."""
        made, secret = await self.service.store.write(keys.create, "somebody", scopes, rooms=rooms)
        return made.id, secret.reveal()

    async def desk(self) -> Desk:
        """A page of its own at the login."""
        context = await self.browser.new_context(viewport={"width": 1280, "height": 800})
        desk = Desk(await context.new_page(), self.url)
        await desk.open("jobs")
        return desk


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    folder = tmp_path_factory.mktemp("access")
    settings = Settings(
        spool=folder / "spool", listen="127.0.0.1:0", token_secret=Secret("t" * 32), playback_secret=Secret("p" * 32)
    )
    async with serving(folder, settings, PREFIX) as (service, browser, url):
        yield Guarded(service, browser, url)


ASKING = """async (paths) => {
  const { get } = await import(new URL("dashboard/api.js", document.baseURI));
  await Promise.allSettled(paths.map(get));
}"""
"""Several requests at once, all under way before the first is answered."""


async def enter(page: Page, key: str) -> None:
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Enter").click()


async def test_a_wrong_key_is_told_so_and_the_right_one_comes_in_and_leaves(guarded: Guarded) -> None:
    desk = await guarded.desk()
    page = desk.page
    await expect(page.get_by_label("API key")).to_be_focused()
    await expect(page.get_by_role("alert")).to_have_count(0)
    await enter(page, "egress_wrong")
    await expect(page.get_by_role("alert")).to_contain_text("not valid here")
    await page.reload()
    await expect(page.get_by_role("alert")).to_have_count(0)
    _, key = await guarded.key("read")
    await enter(page, key)
    await expect(page.locator(".online")).to_have_text("connected")
    await desk.open("webhooks")
    await expect(page.get_by_role("alert")).to_contain_text("needs the scope admin")
    await page.get_by_role("button", name="Leave").click()
    await expect(page.get_by_label("API key")).to_be_visible()
    assert await page.evaluate("JSON.stringify(sessionStorage)") == "{}"
    assert desk.complaints == []
    await page.context.close()


async def test_a_key_that_is_revoked_meanwhile_leads_back_to_the_login(guarded: Guarded) -> None:
    desk = await guarded.desk()
    id_, key = await guarded.key("read")
    _, admin = await guarded.key("admin")
    await enter(desk.page, key)
    await expect(desk.page.locator(".online")).to_have_text("connected")
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {admin}"}, timeout=PATIENCE) as web:
        assert (await web.delete(f"{guarded.url}/api/v1/keys/{id_}")).status_code == 204
    await desk.page.evaluate(ASKING, ["jobs", "artifacts", "server"])
    await expect(desk.page.get_by_role("alert")).to_contain_text("revoked")
    await expect(desk.page.get_by_label("API key")).to_be_visible()
    await desk.page.context.close()


async def test_who_has_a_key_publishes_and_watches_with_tokens_of_their_own(guarded: Guarded) -> None:
    desk = await guarded.desk()
    page = desk.page
    _, key = await guarded.key("read", "start", "stop", rooms=("local:studio*",))
    await enter(page, key)
    async with page.context.expect_page() as opened:
        await page.get_by_role("button", name="Publish your camera").click()
    camera = await opened.value
    await camera.wait_for_url(re.compile(rf"^{guarded.url}/publish/studio#token=ey[\w.-]+$"), wait_until="commit")
    await camera.get_by_role("button", name="Publish").click()
    await expect(camera.get_by_role("status")).to_have_text("publishing")
    await page.get_by_role("link", name="studio", exact=True).click()
    await desk.playing()
    async with page.context.expect_page() as opened:
        await page.get_by_role("button", name="Watch page").click()
    viewer = await opened.value
    await viewer.wait_for_url(re.compile(rf"^{guarded.url}/live/studio/~ey[\w.-]+/$"), wait_until="commit")
    await viewer.wait_for_function("() => document.querySelector('video')?.currentTime > 1", timeout=1000 * PATIENCE)
    await viewer.close()
    async with camera.expect_response(lambda response: response.request.method == "DELETE") as gone:
        await camera.get_by_role("button", name="Stop").click()
    left = await gone.value
    # 404: that its connection was closed was heard of first.
    assert left.status in (200, 404) and re.fullmatch(rf"{guarded.url}/whip/studio/[\w-]+", left.url)
    await expect(camera.get_by_role("status")).to_have_text("not publishing")
    await desk.stop()
    await expect(page.get_by_role("link", name="Download").first).to_have_attribute("href", re.compile(PREFIX))
    assert desk.complaints == []
    await page.context.close()
