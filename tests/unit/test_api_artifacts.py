"""Artifacts over HTTP: ranges, names, links without keys, folders, and addresses of stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from egress.control import artifacts, keys
from egress.control.artifacts import KeptArtifact
from egress.control.store import Store
from egress.model.job import Artifact
from egress.model.secrets import Secret
from egress.model.settings import Settings
from egress.web.api.links import link
from tests.unit.front import Stand, browser

MEDIA = bytes(range(256)) * 4


@pytest.fixture
def stand(tmp_path: Path, store: Store) -> Stand:
    settings = Settings(
        spool=tmp_path,
        api_rate=0,
        s3_access_key="AKIATEST",
        s3_secret_key=Secret("canary-secret"),
        s3_endpoint="http://127.0.0.1:9",
    )
    return Stand(store, tmp_path / "out", settings)


async def made(stand: Stand, kind: str, place: str | Path, room: str = "local:a") -> KeptArtifact:
    job = await stand.job(room, over=True)
    return await stand.store.write(artifacts.add, job.id, Artifact(kind, str(place), 5, 3_000_000_000))


def recording(stand: Stand) -> Path:
    path = stand.root / "recordings" / "stand up.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(MEDIA)
    return path


async def test_a_file_comes_whole_in_parts_and_under_its_name(stand: Stand) -> None:
    artifact = await made(stand, "mp4", recording(stand))
    async with browser(stand) as web:
        listed = (await web.get(f"/api/v1/jobs/{artifact.job}/artifacts")).json()["items"]
        assert listed == [(await web.get(f"/api/v1/artifacts/{artifact.id}")).json()]
        assert (listed[0]["duration"], listed[0]["expires"]) == (3.0, None)
        whole = await web.get(listed[0]["url"])
        assert whole.content == MEDIA and whole.headers["content-type"] == "video/mp4"
        assert whole.headers["content-disposition"].startswith("attachment") and "stand%20up.mp4" in str(whole.headers)
        part = await web.get(listed[0]["url"], headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, MEDIA[10:20])
        assert part.headers["content-range"] == f"bytes 10-19/{len(MEDIA)}"
        assert (await web.get(listed[0]["url"], headers={"Range": "bytes=99999-"})).status_code == 416
        head = await web.head(listed[0]["url"])
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(MEDIA)))


async def test_links_work_without_a_key_for_their_artifact_and_their_time(stand: Stand) -> None:
    artifact, other = await made(stand, "mp4", recording(stand)), await made(stand, "mp4", recording(stand), "local:b")
    _, secret = await stand.store.write(keys.create, "reader", ["read"])
    async with browser(stand, secret.reveal()) as web:
        item = (await web.get(f"/api/v1/artifacts/{artifact.id}")).json()
        lasting = (await web.get(f"/api/v1/artifacts/{artifact.id}/url?for=10m")).json()
        assert item["expires"] and lasting["expires"] < item["expires"]
        assert (await web.get(f"/api/v1/artifacts/{artifact.id}/url?for=9d")).status_code == 400
    async with browser(stand) as web:
        for url in (item["url"], lasting["url"]):
            assert (await web.get(url)).content == MEDIA
            assert (await web.get(url.replace(artifact.id, other.id))).status_code == 401
            assert (await web.get(url[:-2])).status_code == 401
        assert (await web.get(f"/api/v1/artifacts/{artifact.id}/content")).status_code == 401
        over = link(stand.store.sealer, artifact.id, -1)
        assert (await web.get(f"/api/v1/artifacts/{artifact.id}/content?token={over}")).status_code == 401
        assert (
            await web.get(f"/api/v1/artifacts/{artifact.id}?token={item['url'].partition('=')[2]}")
        ).status_code == 401


async def test_a_folder_is_served_below_its_link(stand: Stand) -> None:
    folder = stand.root / "live"
    (folder / "video").mkdir(parents=True)
    (folder / "index.m3u8").write_text("#EXTM3U\n")
    (folder / "video" / "seg-0.m4s").write_bytes(MEDIA)
    (folder / ".job").write_text("secret")
    (stand.root / "outside.mp4").write_bytes(b"x")
    artifact = await made(stand, "hls", folder / "index.m3u8")
    pictures = await made(stand, "thumbnails", f"{folder}/", "local:b")
    _, secret = await stand.store.write(keys.create, "reader", ["read"])
    async with browser(stand, secret.reveal()) as web:
        url = (await web.get(f"/api/v1/artifacts/{artifact.id}")).json()["url"]
        base = (await web.get(f"/api/v1/artifacts/{pictures.id}")).json()["url"]
        assert url.endswith("/index.m3u8") and base.endswith("/") and "/~" in base
    async with browser(stand) as web:
        assert (await web.get(url)).text == "#EXTM3U\n"
        media = await web.get(url.replace("index.m3u8", "video/seg-0.m4s"), headers={"Range": "bytes=0-3"})
        assert (media.status_code, media.content) == (206, MEDIA[:4])
        for path in (".job", "../outside.mp4", "..%2Foutside.mp4", "nothing.mp4", ""):
            answer = await web.get(url.replace("index.m3u8", path))
            assert answer.status_code in (401, 404), path
        assert (await web.get(f"/api/v1/artifacts/{artifact.id}/files/index.m3u8")).status_code == 401


async def test_what_lies_outside_of_the_output_folder_is_not_served(stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "egress.key").write_text("secret")
    stand.root.mkdir()
    (stand.root / "link.mp4").symlink_to(tmp_path / "egress.key")
    outside = await made(stand, "mp4", tmp_path / "egress.key")
    linked = await made(stand, "mp4", stand.root / "link.mp4", "local:b")
    gone = await made(stand, "mp4", stand.root / "gone.mp4", "local:c")
    async with browser(stand) as web:
        for artifact in (outside, linked, gone):
            answer = await web.get(f"/api/v1/artifacts/{artifact.id}/content")
            assert answer.status_code == 404 and "secret" not in answer.text


async def test_what_a_store_has_is_fetched_there_by_an_address_it_knows_as_ours(stand: Stand) -> None:
    artifact = await made(stand, "mp4", "s3://bucket/a/b.mp4")
    azure = await made(stand, "mp4", "azure://account/container/b.mp4", "local:b")
    async with browser(stand) as web:
        item = (await web.get(f"/api/v1/artifacts/{artifact.id}")).json()
        moved = await web.get(item["url"])
        assert moved.status_code == 307 and moved.headers["cache-control"] == "no-store"
        signed = (await web.get(f"/api/v1/artifacts/{artifact.id}/url?for=2h")).json()["url"]
        assert signed.startswith("http://127.0.0.1:9/bucket/a/b.mp4?") and "canary" not in signed + item["url"]
        assert "7200" in signed and "Signature=" in signed
        assert (await web.get(f"/api/v1/artifacts/{azure.id}/url")).status_code in (404, 502)
