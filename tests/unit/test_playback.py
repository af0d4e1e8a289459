"""Who may watch, by the token in the path."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from egress.web.app import create_app
from egress.web.origin import Origin
from egress.web.playback import Playback, split
from tests.unit.test_web_playlist import live


class Door:
    """Lets token `good` watch `standup` until 1000, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.now = 900.0

    def __call__(self, token: str, name: str) -> float | None:
        self.asked += 1
        return 1000.0 if (token, name) == ("good", "standup") else None

    def playback(self) -> Playback:
        return Playback(self, clock=lambda: self.now)


def test_a_token_is_looked_at_once_and_ends() -> None:
    door = Door()
    playback = door.playback()
    assert all(playback.admits("good", "standup") for _ in range(5)) and door.asked == 1
    door.now = 1000.0
    assert not playback.admits("good", "standup")


@pytest.mark.parametrize(
    ("token", "name"), [("good", "other"), ("bad", "standup"), ("", "standup"), ("x" * 5000, "standup")]
)
def test_others_stay_out(token: str, name: str) -> None:
    assert not Door().playback().admits(token, name)


def test_the_token_stands_before_the_path() -> None:
    assert split("~abc.def/video/seg-1.m4s") == ("abc.def", "video/seg-1.m4s")
    assert split("video/~x.m4s") == ("", "video/~x.m4s")
    assert split("~abc") == ("abc", "")


async def test_page_playlists_and_media_lie_below_the_token(tmp_path: Path) -> None:
    (tmp_path / "video").mkdir()
    (tmp_path / "video.m3u8").write_text(live())
    (tmp_path / "video" / "seg-0.m4s").write_bytes(b"media")
    app = create_app(
        origins={"standup": Origin(tmp_path), "other": Origin(tmp_path)},
        whip=lambda room: None,
        playback=Door().playback(),
    )
    base = "http://egress.test/live/standup"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as client:
        for path in ("/", "/video.m3u8", "/video/seg-0.m4s", "/~bad/video.m3u8", "/~/video.m3u8"):
            answer = await client.get(base + path)
            assert answer.status_code == 403 and "token" in answer.text
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["cache-control"] == "no-store"
        assert (await client.get("http://egress.test/live/other/~good/video.m3u8")).status_code == 403
        assert (await client.get(f"{base}/~good/video.m3u8")).text == live()
        assert (await client.get(f"{base}/~good/video/seg-0.m4s")).content == b"media"
        page = await client.get(f"{base}/~good/")
        assert page.status_code == 200 and "no-referrer" in page.headers["referrer-policy"]
        assert page.text.count('"../../../static/') == page.text.count("/static/") > 0
        assert (await client.get(f"{base}/~good")).headers["location"] == "~good/"
        assert (await client.options(f"{base}/video.m3u8")).status_code == 204


async def test_where_everybody_may_watch_a_token_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "video.m3u8").write_text(live())
    app = create_app(origins={"standup": Origin(tmp_path)}, whip=lambda room: None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as client:
        assert (await client.get("http://egress.test/live/standup/~any/video.m3u8")).status_code == 200
