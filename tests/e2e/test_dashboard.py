"""The dashboard in a real Chromium: from somebody's camera to a live player, a changed layout and a recording."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from egress.model.settings import Settings
from tests.browser import PATIENCE
from tests.desk import PHONE, Desk, serving

pytestmark = [pytest.mark.beside, pytest.mark.asyncio(loop_scope="module")]

DASHBOARD = Path(__file__).parents[2] / "egress" / "web" / "dashboard"
PAGES = ("jobs", "recordings", "schedules", "templates", "pipelines", "webhooks", "keys")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Browser, str]]:
    folder = tmp_path_factory.mktemp("dashboard")
    settings = Settings(spool=folder / "spool", listen="127.0.0.1:0")
    async with serving(folder, settings) as (_, browser, url):
        yield browser, url


@pytest_asyncio.fixture(loop_scope="module")
async def desk(place: tuple[Browser, str]) -> AsyncIterator[Desk]:
    browser, url = place
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    made = Desk(await context.new_page(), url)
    yield made
    print(await made.shown())
    await context.close()
    assert made.complaints == []


async def test_from_a_camera_to_a_live_player_and_a_recording(desk: Desk) -> None:
    page = desk.page
    await desk.open("jobs")
    async with page.context.expect_page() as opened:
        await page.get_by_role("button", name="Publish your camera").click()
    camera = await opened.value
    await expect(camera.get_by_label("Your name")).not_to_have_value("")
    await camera.get_by_role("button", name="Publish").click()
    await page.get_by_role("link", name="studio", exact=True).click()
    await expect(page.locator(".heading")).to_contain_text("1 in the room")
    await desk.playing()
    speaker = page.get_by_role("button", name="speaker")
    await speaker.focus()
    await page.keyboard.press("Enter")
    await expect(speaker).to_have_attribute("aria-pressed", "true")
    happened = page.get_by_role("log", name="What happened").get_by_role("listitem")
    await expect(happened.filter(has_text="Layout changed")).not_to_have_count(0)
    await page.get_by_role("button", name="Pause").click()
    await expect(happened.filter(has_text="Paused")).to_have_count(1)
    await expect(page.locator(".heading .state")).to_have_text("paused")
    await page.reload()
    await page.get_by_role("button", name="Resume").click()
    await expect(page.locator(".heading .state")).to_have_text("live")
    await expect(happened.filter(has_text="Resumed")).to_have_count(1)
    await expect(happened.last).to_contain_text("Asked for")
    await expect(page.locator(".stages")).to_contain_text("encoding")
    await page.get_by_label("Chapter").fill("Vote")
    await page.get_by_role("button", name="Mark").click()
    await page.get_by_text("The worker's log").click()
    await expect(page.locator("pre.log")).not_to_be_empty()
    await desk.stop()
    await camera.close()
    await expect(happened.filter(has_text="Finished")).to_have_count(1)
    await expect(page.get_by_role("link", name="Download").first).to_be_visible()
    await desk.playing(push=True)
    await desk.open("recordings")
    await expect(page.get_by_role("link", name="studio", exact=True)).to_be_visible()


async def test_more_of_what_happened_is_shown_when_asked_and_what_is_given_up_is_said(desk: Desk) -> None:
    page = desk.page
    events: list[dict[str, Any]] = [
        {"seq": n, "job": "one", "at": "2026-11-23T10:00:00Z", "type": "warning", "body": {"message": f"Number {n}"}}
        for n in range(1, 60)
    ]
    slow = {"level": 2, "was": 1, "degraded": ["loop_filter", "small_tiles"], "why": "ticks are late"}
    events.append(events[0] | {"seq": 60, "type": "overload", "body": slow})
    job = {"id": "one", "room": "local:one", "state": "running", "pipeline": "live-hls", "links": {}}
    job |= {"figures": {"rung": 2, "repeated": 9, "halved": 2, "late": 4}}

    async def answer(route: Route) -> None:
        path, _, query = route.request.url.partition("?")
        if not path.endswith("/events"):
            await route.fulfill(json=job)
            return
        before = int(re.search(r"before=(\d+)", query)[1]) or 61  # type: ignore[index]
        items = [event for event in events[::-1] if event["seq"] < before][:50]
        await route.fulfill(json={"items": items, "next": str(items[-1]["seq"]) if len(items) == 50 else None})

    await page.route("**/api/v1/jobs/one**", answer)
    await desk.open("jobs/one")
    await expect(page.locator(".banner.warn")).to_contain_text("small tiles move at half the rate")
    await expect(page.get_by_role("figure").filter(has_text="Lost pictures")).to_contain_text("7")
    listed = page.get_by_role("log").get_by_role("listitem")
    await expect(listed).to_have_count(50)
    await expect(listed.first).to_contain_text("Too slow a machine")
    await page.get_by_role("button", name="What was before").click()
    await expect(listed.last).to_contain_text("Number 1")
    await expect(listed).to_have_count(60)


async def test_a_job_is_started_with_what_can_be_watched_at_once_and_capacity_follows(desk: Desk) -> None:
    page = desk.page
    await desk.open("jobs")
    await expect(page.locator(".heading")).to_contain_text("0.0 of")
    await page.get_by_role("button", name="Start a job").first.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("Pipeline")).to_have_value("live-hls")
    await dialog.get_by_label("Room").first.fill("local:desk")
    await dialog.get_by_role("button", name="Start").click()
    # The list may show it before the answer comes that leads to its page.
    await page.wait_for_url(re.compile("#/jobs/."))
    await expect(page.get_by_role("heading", name="desk")).to_be_visible()
    await desk.open("jobs")
    await expect(page.locator(".heading")).not_to_contain_text("0.0 of")
    await page.get_by_role("link", name="desk", exact=True).click()
    await expect(page.locator(".heading .state")).to_have_text("live")
    await page.get_by_role("button", name="Stop", exact=True).click()
    await page.get_by_role("button", name="Stop it now?").click()
    await expect(page.locator(".heading .controls")).to_have_count(0)


FOLLOWING = r"""async () => {
  const { follow } = await import(new URL("dashboard/api.js", document.baseURI));
  const asked = [], told = [], states = [];
  const stream = (signal, text) => new Response(new ReadableStream({ start(c) {
    if (text) c.enqueue(new TextEncoder().encode(text));
    signal.addEventListener("abort", () => c.error(signal.reason));
  } }));
  const answers = [
    (o) => stream(o.signal, 'id: 7\n\nevent: event\nid: 8\ndata: {"seq": 8}\n\n'),
    () => { throw new TypeError("network"); },
    () => new Response("{}", { status: 503 }),
    () => new Response("{}", { status: 401 }),
  ];
  window.fetch = async (url, options) => {
    asked.push(options.headers["Last-Event-ID"] || "");
    return answers[asked.length - 1](options);
  };
  await new Promise((done) => follow((kind, data) => told.push([kind, data.seq]), (now) => {
    states.push(now);
    if (asked.length === 4) setTimeout(done, 1500); // Longer than it would wait before a fifth time.
  }, 100));
  return { asked, told, states };
}"""


async def test_a_silent_stream_of_events_is_begun_anew_and_one_that_refuses_is_given_up(desk: Desk) -> None:
    await desk.page.goto(f"{desk.url}/healthz")
    await desk.page.set_content(f"<base href='{desk.url}/'>")
    seen = await desk.page.evaluate(FOLLOWING)
    assert seen["told"] == [["event", 8]]
    assert seen["asked"] == ["", "8", "8", "8"]
    assert seen["states"] == [True, False, False, False, False]


async def test_all_is_looked_at_again_after_something_was_missed(desk: Desk) -> None:
    page = desk.page
    looks: list[str] = []
    page.on("request", lambda request: looks.append(request.url) if "jobs?state=starting" in request.url else None)
    missed = 'event: missed\ndata: {"count": 3}\n\n'
    await page.route("**/api/v1/events", lambda route: route.fulfill(content_type="text/event-stream", body=missed))
    await desk.open("jobs")
    async with asyncio.timeout(PATIENCE):
        while len(looks) < 2:
            await asyncio.sleep(0.05)
    await page.unroute("**/api/v1/events")
    await expect(page.locator(".online")).to_have_text("connected")


async def test_a_schedule_is_made_and_says_when_it_fires(desk: Desk) -> None:
    page = desk.page
    await desk.open("schedules")
    await page.get_by_role("button", name="New schedule").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("Evening news")
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await page.get_by_role("button", name="New schedule").click()
    await dialog.get_by_label("Name").fill("Evening news")
    await dialog.get_by_label("Room", exact=True).fill("local:news")
    await dialog.get_by_label("Time", exact=False).first.fill("61 18 * * *")
    await dialog.get_by_label("Start earlier by").fill("2m")
    await dialog.get_by_label("While the last one runs").select_option("stop")
    await dialog.get_by_label("After an outage").select_option("skip")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("when.cron")
    await dialog.get_by_label("Time", exact=False).first.fill("0 18 * * *")
    await dialog.get_by_role("button", name="Save").click()
    row = page.get_by_role("row", name=re.compile("Evening news"))
    await expect(row).to_contain_text("0 18 * * *")
    assert await row.locator("td").nth(3).locator("div div").count() == 3
    await row.get_by_role("button", name="Edit").click()
    await expect(dialog.get_by_label("Start earlier by")).to_have_value("2m")
    await expect(dialog.get_by_label("While the last one runs")).to_have_value("stop")
    await expect(dialog.get_by_label("After an outage")).to_have_value("skip")
    await expect(dialog.get_by_role("combobox", name="Pipeline")).to_have_value("live-hls")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_have_count(0)


async def test_a_webhook_is_changed_and_keeps_what_is_not_shown_of_its_address(desk: Desk) -> None:
    page = desk.page
    await desk.open("webhooks")
    await page.get_by_role("button", name="New webhook").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Address").fill("http://hooks.invalid/hooks?token=abcdefghijkl")
    await dialog.get_by_role("button", name="Save").click()
    await expect(page.locator(".banner")).to_contain_text("whsec_")
    await page.get_by_role("button", name="I have it").click()
    row = page.get_by_role("row", name=re.compile("hooks"))
    await row.get_by_role("button", name="Edit").click()
    await dialog.get_by_label("Events").fill("job.*, nonsense!")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("events[1]")
    await dialog.get_by_label("Events").fill("job.*")
    await dialog.get_by_label("It is told what happens").uncheck()
    await dialog.get_by_role("button", name="Save").click()
    await expect(row).to_contain_text("off")
    await expect(row).to_contain_text("job.*")


async def test_who_makes_the_first_key_goes_on_with_it(desk: Desk) -> None:
    page = desk.page
    await desk.open("keys")
    await page.get_by_role("button", name="New key").click()
    await page.get_by_label("Name").fill("somebody")
    await page.get_by_role("button", name="Make it").click()
    await expect(page.locator(".banner")).to_contain_text("egress_")
    row = page.get_by_role("row", name=re.compile("somebody"))
    await expect(row).to_contain_text("admin")
    await desk.open("jobs")
    async with page.context.expect_page() as opened:
        await page.get_by_role("button", name="Publish your camera").click()
    # Nothing signs tokens here.
    await expect((await opened.value).get_by_label("Token")).to_have_value(re.compile("^egress_"))
    await desk.open("keys")
    await row.get_by_role("button", name="Revoke").click()
    await row.get_by_role("button", name="Revoke it?").click()
    await expect(page.get_by_label("API key")).to_be_visible()
    await page.reload()
    await expect(row).to_contain_text("revoked")


async def test_pictures_long_in_the_making_hold_nothing_up(desk: Desk) -> None:
    page = desk.page
    asked: list[str] = []

    async def never(route: Route) -> None:
        asked.append(route.request.url)

    await page.route("**/preview", never)
    for seen in (2, 4):
        await desk.open("pipelines")
        await expect(page.locator(".card").nth(3)).to_be_visible()
        async with asyncio.timeout(PATIENCE):
            while len(asked) < seen:
                await asyncio.sleep(0.05)
        await page.get_by_role("button", name="New pipeline").click()
        await expect(page.get_by_role("button", name="Check")).to_be_visible()
        assert len(asked) == seen, "those of a page that was left are given up"
        await desk.open("templates")
        await expect(page.get_by_role("button", name="New template")).to_be_visible()


async def test_what_is_wrong_with_a_document_is_shown_at_its_line(desk: Desk) -> None:
    page = desk.page
    await desk.open("pipelines")
    await page.get_by_role("button", name="New pipeline").click()
    text = page.get_by_role("dialog").get_by_label("Document")
    await text.fill("name: mine\nabout: Mine.\nvideo: {size: 12}\nsinks:\n  - {kind: mp4, to: a.mp4}\n")
    for button in ("Check", "Save"):
        await page.get_by_role("dialog").get_by_role("button", name=button).click()
        await expect(page.get_by_role("alert")).to_contain_text("video.size")
        assert await page.locator(".gutter .bad").all_inner_texts() == ["3"]
    await page.get_by_role("button", name="line 3").click()
    assert await selected(page) == "video: {size: 12}"
    await desk.open("templates")
    await page.get_by_role("button", name="Edit").click()
    await text.fill('{\n  "rooms": ["x*"],\n  "pipelines": ["live-hls"],\n  "stop": {\n    "max": "soon"\n  }\n}')
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("button", name="line 5").click()
    assert await selected(page) == '    "max": "soon"'
    await text.fill('{\n  "rooms": ["x*"]\n  "pipelines": ["live-hls"]\n}')
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert")).to_contain_text("line 3")


async def selected(page: Page) -> str:
    said: str = await page.evaluate(
        "(() => { const t = document.activeElement; return t.value.slice(t.selectionStart, t.selectionEnd); })()"
    )
    return said


async def test_every_page_fits_a_phone_and_names_its_controls(desk: Desk) -> None:
    await desk.page.set_viewport_size(PHONE)
    nameless = (
        "[...document.querySelectorAll('button, input, select, textarea, a')].filter((e) => !(e.innerText.trim() ||"
        " e.getAttribute('aria-label') || e.labels?.length)).map((e) => e.outerHTML)"
    )
    for name in PAGES:
        await desk.open(name)
        await expect(desk.page.locator(f"nav [aria-current][href='#/{name}']")).to_be_visible()
        await expect(desk.page.locator("main h1")).to_be_visible()
        await expect(desk.page.locator("main")).not_to_contain_text("Loading")
        assert await desk.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
        assert await desk.page.evaluate(nameless) == [], name


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
