"""Pictures of pipelines over HTTP, drawn by a real `egress preview`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from egress.control import pipelines_kept
from egress.control.store import Store
from egress.model.settings import Settings
from tests.unit.front import Stand, browser

pytestmark = pytest.mark.beside


async def test_a_pipeline_of_ones_own_and_shipped_ones_with_pictures_are_drawn(tmp_path: Path) -> None:
    store = Store.open(None, tmp_path)
    text = "name: mine\nsinks: [{kind: rtmp, to: 'rtmp://h/app/key'}]\nlayout: {kind: speaker}\ntheme: light\n"
    await store.write(pipelines_kept.put, store.sealer, "mine", text)
    branded = "name: branded\nsinks: [{kind: mp4, to: a.mp4}]\noverlays: [{kind: image, image: logo.png}]\n"
    await store.write(pipelines_kept.put, store.sealer, "branded", branded)
    stand = Stand(store, tmp_path, Settings(spool=tmp_path))
    async with browser(stand) as web:
        pictures = {}
        for name in ("mine", "record-grid", "speaker-branded"):
            answer = await web.get(f"/api/v1/pipelines/{name}/preview?width=480&participants=3")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), answer.text
            pictures[name] = Image.open(io.BytesIO(answer.content))
            assert pictures[name].size == (480, 270)
        assert pictures["mine"].getpixel((2, 2)) != pictures["record-grid"].getpixel((2, 2))
        assert (await web.get("/api/v1/pipelines/mine/preview?layout=nothing")).status_code == 400
        missing = await web.get("/api/v1/pipelines/branded/preview")
        assert missing.status_code == 400
        assert [one["field"] for one in missing.json()["details"]] == ["overlays[0].image"]
        assert (await web.get("/api/v1/pipelines/audio-only/preview")).status_code in (400, 404)
    store.close()
