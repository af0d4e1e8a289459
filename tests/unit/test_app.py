import httpx

from egress.web.app import create_app
from egress.web.origin import Origin


def client(tmp_path, *names):
    app = create_app(origins={name: Origin(tmp_path) for name in names}, whip=lambda room: None)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://egress")


async def test_the_front_door_leads_to_the_only_stream(tmp_path):
    async with client(tmp_path, "all hands") as web:
        answer = await web.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/live/all%20hands/")


async def test_the_front_door_lists_several_streams_and_says_when_there_is_none(tmp_path):
    async with client(tmp_path, "a", "b") as web:
        assert (await web.get("/")).text == "/live/a/\n/live/b/\n"
    async with client(tmp_path) as web:
        assert "/publish/ROOM" in (await web.get("/")).text


async def test_a_stream_that_is_not_there_is_named(tmp_path):
    async with client(tmp_path, "a") as web:
        answer = await web.get("/live/b/")
    assert answer.status_code == 404
    assert "'b'" in answer.text
