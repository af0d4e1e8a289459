"""The HLS origin over HTTP: files, playlists, and the low-latency server rules."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.responses import Response

from egress.web import files
from egress.web.app import create_app
from egress.web.origin import Origin
from egress.web.server import WebServer
from tests.unit.test_web_playlist import live

PLAYLIST = "application/vnd.apple.mpegurl"


class Folder:
    """An HLS folder as a worker writes it: atomic files, then the announcement."""

    def __init__(self, path: Path, origin: Origin) -> None:
        self.path = path
        self.origin = origin

    def write(self, name: str, content: str | bytes) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(target)

    def announce(self, rendition: str = "video", *, ended: bool = False) -> None:
        self.origin.announce(
            {"type": "hls", "folder": str(self.path), "rendition": rendition, "msn": 0, "part": 0, "ended": ended}
        )

    async def waiting(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.origin.waiting != count:
                await asyncio.sleep(0.001)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "hls"
    path.mkdir()
    made = Folder(path, Origin(path))
    made.write("index.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nvideo.m3u8\n")
    made.write("video.m3u8", live())
    made.write("video/init.mp4", b"init")
    made.write("video/seg-0.m4s", bytes(range(100)))
    return made


@pytest_asyncio.fixture
async def client(folder: Folder) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(origins={"standup": folder.origin}, whip=lambda room: None)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://egress.test/live/standup/") as made:
        yield made


async def test_serves_media_with_its_type_and_cors(client: httpx.AsyncClient) -> None:
    answer = await client.get("video/seg-0.m4s")
    assert (answer.status_code, answer.content) == (200, bytes(range(100)))
    assert answer.headers["content-type"] == "video/iso.segment"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await client.get("video/init.mp4")).headers["content-type"] == "video/mp4"


async def test_audio_init_segments_are_audio(client: httpx.AsyncClient, folder: Folder) -> None:
    folder.write("audio/init.mp4", b"init")
    assert (await client.get("audio/init.mp4")).headers["content-type"] == "audio/mp4"


async def test_media_may_be_cached_for_good_where_the_address_is_never_used_again(folder: Folder) -> None:
    app = create_app(origins={"job-1": Origin(folder.path, max_age=31_536_000)}, whip=lambda room: None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://egress.test") as client:
        answer = await client.get("/live/job-1/video/init.mp4")
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert (await client.get("/live/job-1/video.m3u8")).headers["cache-control"] == "no-cache"


async def test_serves_byte_ranges(client: httpx.AsyncClient) -> None:
    answer = await client.get("video/seg-0.m4s", headers={"Range": "bytes=10-19"})
    assert (answer.status_code, answer.content) == (206, bytes(range(10, 20)))
    assert answer.headers["content-range"] == "bytes 10-19/100"
    assert (await client.get("video/seg-0.m4s", headers={"Range": "bytes=200-"})).status_code == 416


async def test_answers_head_and_options(client: httpx.AsyncClient) -> None:
    head = await client.head("video/seg-0.m4s")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "100")
    head = await client.head("video.m3u8")
    assert (head.status_code, head.content) == (200, b"") and int(head.headers["content-length"]) > 0
    options = await client.options("video.m3u8")
    assert options.status_code == 204 and "Range" in options.headers["access-control-allow-headers"]


@pytest.mark.parametrize("name", ["video/seg-0.m4s", "video.m3u8"])
async def test_what_the_client_has_is_not_sent_again(client: httpx.AsyncClient, folder: Folder, name: str) -> None:
    tag = (await client.get(name)).headers["etag"]
    again = await client.get(name, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content) == (304, b"")
    folder.write(name, b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n")
    assert (await client.get(name, headers={"If-None-Match": tag})).status_code == 200


async def test_playlists_are_gzipped_for_those_who_take_it(client: httpx.AsyncClient) -> None:
    zipped = await client.get("video.m3u8", headers={"Accept-Encoding": "br, gzip;q=0.8"})
    assert zipped.headers["content-encoding"] == "gzip" and zipped.text == live()
    assert zipped.headers["content-type"] == PLAYLIST and zipped.headers["vary"] == "Accept-Encoding"
    plain = await client.get("video.m3u8", headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in plain.headers and plain.text == live()
    assert zipped.headers["etag"] != plain.headers["etag"]
    assert "last-modified" in plain.headers


@pytest.mark.parametrize(
    "path",
    [
        "..%2fsecret.m4s",
        "video/..%2f..%2fsecret.m4s",
        "%2e%2e/secret.m4s",
        "/etc/hostname",
        "link.m4s",
        "out/secret.m4s",
        ".hidden.m4s",
        ".video.m3u8.tmp",
        "state.json",
        "video",
        "video/seg-0.m4s/x.m4s",
        "nul%00.m4s",
        "back%5cslash.m4s",
        "a" * 2000 + ".m4s",
    ],
)
async def test_nothing_outside_or_hidden_is_served(client: httpx.AsyncClient, folder: Folder, path: str) -> None:
    outside = folder.path.parent / "secret.m4s"
    outside.write_text("secret")
    (folder.path / "link.m4s").symlink_to(outside)
    (folder.path / "out").symlink_to(folder.path.parent)
    for name in (".hidden.m4s", "state.json"):
        (folder.path / name).write_text("secret")
    answer = await client.get(httpx.URL("http://egress.test", raw_path=b"/live/standup/" + path.encode()))
    assert answer.status_code == 404 and answer.text != "secret"


async def test_unknown_names_are_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("video/none.m4s")).status_code == 404
    assert (await client.get("none.m3u8")).status_code == 404
    assert (await client.get("http://egress.test/live/other/index.m3u8")).status_code == 404
    assert (await client.get("http://egress.test/live/other/")).status_code == 404


async def test_asking_for_playlists_that_are_not_there_leaves_nothing_behind(
    client: httpx.AsyncClient, folder: Folder
) -> None:
    folder.announce()
    known = (await client.get("video.m3u8")).status_code, len(folder.origin._reading), len(folder.origin._versions)
    (folder.path / "folder.m3u8").mkdir()
    for name in ("folder", *(f"none-{number}" for number in range(200))):
        assert (await client.get(f"{name}.m3u8?_HLS_msn=3&_HLS_part=2")).status_code == 404
    assert (200, len(folder.origin._reading), len(folder.origin._versions)) == known == (200, 0, 1)
    assert not folder.origin._changes


async def test_without_announcements_nothing_blocks_and_nothing_is_promised(
    client: httpx.AsyncClient, folder: Folder
) -> None:
    answer = await client.get("video.m3u8?_HLS_msn=3&_HLS_part=2")
    assert answer.status_code == 200 and "CAN-BLOCK-RELOAD" not in answer.text
    assert (await client.get("video/seg-3.2.m4s")).status_code == 404
    folder.write("video.m3u8", live(growing=4))
    assert (await client.get("video.m3u8")).text == live(growing=4)


async def test_a_reload_blocks_until_its_part_is_announced(client: httpx.AsyncClient, folder: Folder) -> None:
    folder.announce()
    reload = asyncio.create_task(client.get("video.m3u8?_HLS_msn=3&_HLS_part=2"))
    await folder.waiting(1)
    folder.announce("audio")
    folder.announce("video")
    await asyncio.sleep(0.01)
    assert not reload.done()
    folder.write("video.m3u8", live(growing=3))
    folder.announce()
    answer = await reload
    assert answer.status_code == 200 and "seg-3.2.m4s" in answer.text and "CAN-BLOCK-RELOAD=YES" in answer.text
    assert folder.origin.waiting == 0


async def test_a_reload_without_part_blocks_until_the_segment_is_whole(
    client: httpx.AsyncClient, folder: Folder
) -> None:
    folder.announce()
    reload = asyncio.create_task(client.get("video.m3u8?_HLS_msn=3"))
    await folder.waiting(1)
    folder.write("video.m3u8", live(growing=8))
    folder.announce()
    await asyncio.sleep(0.05)
    assert not reload.done()
    folder.write("video.m3u8", live(whole=4, growing=0))
    folder.announce()
    assert "video/seg-3.m4s" in (await reload).text


async def test_everyone_who_waits_gets_the_same_answer(client: httpx.AsyncClient, folder: Folder) -> None:
    folder.announce()
    reloads = [asyncio.create_task(client.get("video.m3u8?_HLS_msn=3&_HLS_part=2")) for _ in range(50)]
    await folder.waiting(50)
    folder.write("video.m3u8", live(growing=3))
    folder.announce()
    answers = await asyncio.gather(*reloads)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["etag"] for answer in answers}) == 1


async def test_a_playlist_without_announcements_of_its_own_wakes_with_any(
    client: httpx.AsyncClient, folder: Folder
) -> None:
    folder.write("iframes.m3u8", live())
    folder.announce()
    reload = asyncio.create_task(client.get("iframes.m3u8?_HLS_msn=3&_HLS_part=2"))
    await folder.waiting(1)
    folder.write("iframes.m3u8", live(growing=3))
    folder.announce()
    assert (await reload).status_code == 200


@pytest.mark.parametrize(
    "query", ["_HLS_part=1", "_HLS_msn=x", "_HLS_msn=-1", "_HLS_msn=1e3", "_HLS_msn=5", "_HLS_msn=3&_HLS_part=8"]
)
async def test_wrong_directives_are_refused_at_once(client: httpx.AsyncClient, folder: Folder, query: str) -> None:
    folder.announce()
    assert (await client.get(f"video.m3u8?{query}")).status_code == 400


@pytest.mark.parametrize("query", ["_HLS_part=1", "_HLS_msn=99", "_HLS_msn=x", "_HLS_skip=YES"])
async def test_directives_are_ignored_once_the_stream_has_ended(
    client: httpx.AsyncClient, folder: Folder, query: str
) -> None:
    folder.announce()
    folder.write("video.m3u8", live(whole=20, ended=True))
    assert (await client.get(f"video.m3u8?{query}")).text == live(whole=20, ended=True)


async def test_the_end_wakes_those_who_wait(client: httpx.AsyncClient, folder: Folder) -> None:
    folder.announce()
    reload = asyncio.create_task(client.get("video.m3u8?_HLS_msn=3&_HLS_part=5"))
    await folder.waiting(1)
    folder.write("video.m3u8", live(ended=True))
    folder.announce(ended=True)
    assert "#EXT-X-ENDLIST" in (await reload).text


async def test_a_part_that_never_comes_ends_in_503(client: httpx.AsyncClient, folder: Folder) -> None:
    # The shortest target duration is a second, so the loop's clock is made to fly.
    folder.announce()
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, 0.0
    reload = asyncio.create_task(client.get("video.m3u8?_HLS_msn=3&_HLS_part=2"))
    await folder.waiting(1)
    try:
        loop.time = lambda: real() + ahead  # type: ignore[method-assign]
        ahead = 11.9
        await asyncio.sleep(0.01)
        assert not reload.done()
        ahead = 12.1
        assert (await reload).status_code == 503
    finally:
        loop.time = real  # type: ignore[method-assign]


async def test_silence_lets_everyone_go_and_promises_nothing(client: httpx.AsyncClient, folder: Folder) -> None:
    folder.announce()
    reload = asyncio.create_task(client.get("video.m3u8?_HLS_msn=3&_HLS_part=2"))
    part = asyncio.create_task(client.get("video/seg-3.2.m4s"))
    await folder.waiting(2)
    folder.origin.silence()
    assert (await reload).status_code == 200 and "CAN-BLOCK-RELOAD" not in (await reload).text
    assert (await part).status_code == 404


async def test_a_server_that_stops_does_not_keep_viewers_waiting(folder: Folder) -> None:
    folder.announce()
    app = create_app(origins={"standup": folder.origin}, whip=lambda room: None)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        # Were it not let go, the reload would end in 503 after three target durations.
        async with WebServer(app, grace=50) as server:
            url = f"{server.url}/live/standup/video.m3u8?_HLS_msn=3&_HLS_part=2"
            reload = asyncio.create_task(client.get(url))
            await folder.waiting(1)
        assert (await reload).status_code == 200


async def test_no_more_may_wait_than_allowed(folder: Folder) -> None:
    origin = folder.origin = Origin(folder.path, max_waiting=1)
    app = create_app(origins={"standup": origin}, whip=lambda room: None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://egress.test") as client:
        folder.announce()
        url = "/live/standup/video.m3u8?_HLS_msn=3&_HLS_part=2"
        first = asyncio.create_task(client.get(url))
        await folder.waiting(1)
        assert (await client.get(url)).status_code == 503
        assert origin.refused == 1
        origin.silence()
        assert (await first).status_code == 200


async def test_a_hinted_part_is_sent_when_it_is_whole(client: httpx.AsyncClient, folder: Folder) -> None:
    folder.announce()
    part = asyncio.create_task(client.get("video/seg-3.2.m4s"))
    await folder.waiting(1)
    folder.write("video/seg-3.2.m4s", b"part")
    folder.write("video.m3u8", live(growing=3))
    folder.announce()
    assert ((await part).status_code, (await part).content) == (200, b"part")
    assert (await client.get("video/seg-3.9.m4s")).status_code == 404


async def test_a_hint_that_was_not_kept_is_not_found(client: httpx.AsyncClient, folder: Folder) -> None:
    folder.announce()
    part = asyncio.create_task(client.get("video/seg-3.2.m4s"))
    await folder.waiting(1)
    folder.write("video.m3u8", live(ended=True))
    folder.announce(ended=True)
    assert (await part).status_code == 404


async def test_delta_updates_on_request(client: httpx.AsyncClient, folder: Folder) -> None:
    folder.write("video.m3u8", live(whole=20))
    folder.announce()
    delta = await client.get("video.m3u8?_HLS_msn=19&_HLS_skip=YES")
    assert "#EXT-X-SKIP:SKIPPED-SEGMENTS=14" in delta.text and "CAN-BLOCK-RELOAD=YES" in delta.text
    full = await client.get("video.m3u8?_HLS_msn=19")
    assert "#EXT-X-SKIP" not in full.text and full.headers["etag"] != delta.headers["etag"]
    folder.write("video.m3u8", live(whole=3))
    assert "#EXT-X-SKIP" not in (await client.get("video.m3u8?_HLS_skip=v2")).text


async def test_an_answer_to_who_waited_may_be_kept_by_a_cache_in_front(
    client: httpx.AsyncClient, folder: Folder
) -> None:
    folder.announce()
    waited = await client.get("video.m3u8?_HLS_msn=2")
    assert waited.headers["cache-control"] == "public, max-age=1"
    assert (await client.get("video.m3u8")).headers["cache-control"] == "no-cache"
    assert (await client.get("video.m3u8?_HLS_msn=9")).headers["cache-control"] == "no-store"
    folder.write("video.m3u8", live(ended=True))
    folder.announce(ended=True)
    assert (await client.get("video.m3u8?_HLS_msn=2")).headers["cache-control"] == "no-cache"


async def test_an_answer_is_kept_longer_where_the_address_is_never_used_again(folder: Folder) -> None:
    folder.origin = Origin(folder.path, max_age=31_536_000)
    app = create_app(origins={"job-1": folder.origin}, whip=lambda room: None)
    folder.announce()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://egress.test") as client:
        answer = await client.get("/live/job-1/video.m3u8?_HLS_msn=2")
        assert answer.headers["cache-control"] == "public, max-age=24"


async def test_says_how_far_other_renditions_reach_as_of_now(client: httpx.AsyncClient, folder: Folder) -> None:
    report = '#EXT-X-RENDITION-REPORT:URI="audio.m3u8",LAST-MSN=3,LAST-PART=0\n'
    folder.write("video.m3u8", live() + report)
    folder.announce()
    assert report in (await client.get("video.m3u8")).text
    before = (await client.get("video.m3u8")).headers["etag"]
    folder.origin.announce({"type": "hls", "rendition": "audio", "msn": 3, "part": 4, "ended": False})
    after = await client.get("video.m3u8")
    assert 'URI="audio.m3u8",LAST-MSN=3,LAST-PART=4' in after.text and after.headers["etag"] != before


async def test_delta_updates_leave_old_date_ranges_out_for_who_asks(client: httpx.AsyncClient, folder: Folder) -> None:
    def joins(*names: str) -> str:
        lines = [f'#EXT-X-DATERANGE:ID="{name}",START-DATE="2026-01-01T00:00:00.000Z"\n' for name in names]
        return live(whole=20).replace("#EXT-X-MAP", "".join(lines) + "#EXT-X-MAP")

    loop = asyncio.get_running_loop()
    real, ahead = loop.time, 0.0
    try:
        loop.time = lambda: real() + ahead  # type: ignore[method-assign]
        folder.write("video.m3u8", joins("a", "b"))
        folder.announce()
        full = await client.get("video.m3u8")
        assert "CAN-SKIP-DATERANGES=YES" in full.text
        ahead = 30
        folder.write("video.m3u8", joins("b", "c"))
        folder.announce()
        delta = (await client.get("video.m3u8?_HLS_skip=v2")).text
        assert '#EXT-X-SKIP:SKIPPED-SEGMENTS=14,RECENTLY-REMOVED-DATERANGES="a"' in delta
        assert "#EXT-X-VERSION:10" in delta and 'ID="c"' in delta and 'ID="b"' not in delta
        plain = (await client.get("video.m3u8?_HLS_skip=YES")).text
        assert 'ID="b"' in plain and "REMOVED" not in plain and "#EXT-X-VERSION:9" in plain
        ahead = 60
        folder.write("video.m3u8", joins("b", "c", "d"))
        folder.announce()
        delta = (await client.get("video.m3u8?_HLS_skip=v2")).text
        assert 'RECENTLY-REMOVED-DATERANGES=""' in delta and 'ID="c"' not in delta and 'ID="d"' in delta
    finally:
        loop.time = real  # type: ignore[method-assign]


def in_one_file(size: int) -> str:
    """A live playlist whose parts are ranges of one file, `size` bytes of which are listed."""
    text = live().partition("#EXT-X-PRELOAD-HINT")[0]
    return f'{text}#EXT-X-PRELOAD-HINT:TYPE=PART,URI="video/all.mp4",BYTERANGE-START={size}\n'


async def test_the_hinted_bytes_of_a_growing_file_come_when_they_are_whole(
    client: httpx.AsyncClient, folder: Folder
) -> None:
    folder.write("video/all.mp4", bytes(150))
    folder.write("video.m3u8", in_one_file(100))
    folder.announce()
    assert (await client.get("video.m3u8")).status_code == 200
    asked = asyncio.create_task(client.get("video/all.mp4", headers={"Range": "bytes=100-"}))
    await folder.waiting(1)
    folder.write("video/all.mp4", bytes(100) + b"x" * 100 + b"half of the next")
    folder.announce()
    await asyncio.sleep(0.02)
    assert not asked.done()
    folder.write("video.m3u8", in_one_file(200))
    folder.announce()
    answer = await asked
    assert (answer.status_code, answer.content) == (206, b"x" * 100)
    assert answer.headers["content-range"] == "bytes 100-199/200"


async def test_no_more_of_a_growing_file_is_sent_than_is_listed(client: httpx.AsyncClient, folder: Folder) -> None:
    folder.write("video/all.mp4", bytes(150))
    folder.write("video.m3u8", in_one_file(100))
    folder.announce()
    assert (await client.get("video.m3u8")).status_code == 200
    answer = await client.get("video/all.mp4", headers={"Range": "bytes=50-"})
    assert (answer.headers["content-range"], len(answer.content)) == ("bytes 50-99/100", 50)
    assert {"etag", "last-modified"}.isdisjoint(answer.headers) and answer.headers["cache-control"] == "no-store"
    assert (await client.get("video/all.mp4", headers={"Range": "bytes=120-130"})).status_code == 416
    known = {"Range": "bytes=0-9", "If-Range": '"kept from before"'}
    assert len((await client.get("video/all.mp4", headers=known)).content) == 100
    assert len((await client.get("video/all.mp4")).content) == 100
    folder.write("video.m3u8", live(ended=True))
    folder.announce(ended=True)
    assert (await client.get("video.m3u8")).status_code == 200
    assert len((await client.get("video/all.mp4")).content) == 150


async def test_a_file_that_grows_while_it_is_sent_ends_where_it_was_listed(
    client: httpx.AsyncClient, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("video/all.mp4", bytes(100))
    folder.write("video.m3u8", in_one_file(100))
    folder.announce()
    assert (await client.get("video.m3u8")).status_code == 200
    respond = files.respond

    def grown_meanwhile(*told: Any) -> Response:
        with (folder.path / "video/all.mp4").open("ab") as file:
            file.write(b"the next part")
        return respond(*told)

    monkeypatch.setattr(files, "respond", grown_meanwhile)
    answer = await client.get("video/all.mp4")
    assert (answer.status_code, answer.content) == (200, bytes(100))


async def test_small_files_are_read_once(client: httpx.AsyncClient, folder: Folder, monkeypatch) -> None:
    read = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or real(path))
    answers = await asyncio.gather(*(client.get("video/seg-0.m4s") for _ in range(20)))
    assert {answer.content for answer in answers} == {bytes(range(100))} and read == ["seg-0.m4s"]
    folder.write("video/seg-0.m4s", b"other")
    assert (await client.get("video/seg-0.m4s")).content == b"other"
    (folder.path / "video/seg-0.m4s").unlink()
    assert (await client.get("video/seg-0.m4s")).status_code == 404


async def test_announcements_for_others_change_nothing(client: httpx.AsyncClient, folder: Folder) -> None:
    event = {"type": "hls", "folder": "/elsewhere", "rendition": "video", "msn": 0, "part": 0, "ended": False}
    folder.origin.announce(event)
    folder.origin.announce({"type": "alive"})
    assert "CAN-BLOCK-RELOAD" not in (await client.get("video.m3u8")).text


async def test_a_playlist_is_rendered_once_per_version(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressed = []
    real = gzip.compress
    monkeypatch.setattr(gzip, "compress", lambda *a, **k: compressed.append(1) or real(*a, **k))
    await asyncio.gather(*(client.get("video.m3u8") for _ in range(20)))
    assert len(compressed) == 1


async def test_a_growing_stream_is_followed_part_by_part(client: httpx.AsyncClient, folder: Folder) -> None:
    async def write() -> None:
        for step in range(30):
            segment, part = divmod(step, 3)
            folder.write("video.m3u8", live(whole=3 + segment, growing=part + 1, parts_of=3))
            folder.announce()
            await asyncio.sleep(0.002)

    folder.announce()
    writer = asyncio.create_task(write())
    for step in range(30):
        segment, part = divmod(step, 3)
        answer = await client.get(f"video.m3u8?_HLS_msn={3 + segment}&_HLS_part={part}")
        assert answer.status_code == 200
    await writer


async def test_the_pages_come_with_a_strict_policy(client: httpx.AsyncClient) -> None:
    for path in ("/live/standup/", "/publish/standup"):
        page = await client.get(f"http://egress.test{path}")
        assert page.status_code == 200 and "default-src 'none'" in page.headers["content-security-policy"]
        assert "<script>" not in page.text and "style=" not in page.text and "//" not in page.text.replace("://", "")
    assert (await client.get("http://egress.test/live/standup")).headers["location"] == "standup/"
    assert (await client.get("http://egress.test/static/watch.js")).status_code == 200


async def test_health_counts_live_streams(client: httpx.AsyncClient) -> None:
    assert (await client.get("http://egress.test/health")).json() == {"status": "ok", "live": 1, "waiting": 0}
