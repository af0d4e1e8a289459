"""Makes the picture of the dashboard that the README shows: a service, three test pictures from Chromium, a live job.

python docs/images/dashboard.py
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from egress.control.service import Service  # noqa: E402
from egress.model.settings import Settings  # noqa: E402
from egress.web.server import WebServer  # noqa: E402
from egress.web.service import create_service_app  # noqa: E402
from tests.browser import chromium  # noqa: E402

PEOPLE = ("Ada", "Grace", "Linus")


async def main(out: Path) -> None:
    """Take the picture once the live player plays."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(spool=Path(folder) / "spool", listen="127.0.0.1:0")
        async with (
            Service.open(settings, Path(folder) / "out") as service,
            WebServer(create_service_app(service)) as web,
            chromium() as browser,
        ):
            for name in PEOPLE:
                tab = await browser.new_page()
                await tab.goto(f"{web.url}/publish/studio?name={name}&autostart=1&test=1&size=640x360")
            page = await browser.new_page(viewport={"width": 1280, "height": 800})
            await page.goto(f"{web.url}/#/jobs")
            await page.get_by_role("link", name="studio", exact=True).click()
            # Not while the machine is too slow, which the page would say.
            playing = (
                "() => document.querySelector('.player video')?.currentTime > 8 && !document.querySelector('.banner')"
            )
            await page.wait_for_function(playing, timeout=180_000)
            await page.screenshot(path=out)
            await service.stop_all("the picture is taken")


if __name__ == "__main__":
    asyncio.run(main(HERE / "dashboard.png"))
