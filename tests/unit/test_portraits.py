"""Pictures from a real server on this machine, and everything that must not be asked, taken or decoded."""

from __future__ import annotations

import asyncio
import io
import struct
import threading
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import numpy as np
import pytest
from PIL import Image

from egress import portraits as module
from egress.media.avatar import SIDE, Picture, PortraitError, picture_of
from egress.model.internet import Address, anywhere, public
from egress.model.media import MILLISECOND, SECOND, Nanos
from egress.portraits import (
    AT_ONCE,
    KEPT,
    MAX_BYTES,
    MAX_REDIRECTS,
    Portraits,
)
from tests.unit.waiting import until

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def image(width: int = 8, height: int = 8, colour: tuple[int, int, int] = RED) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def file(picture: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


PNG = file(image(), "PNG")


def near(picture: Picture, x: int, y: int, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(picture[y, x, :3].astype(int) - colour).max() < 40) and picture[y, x, 3] == 255


Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def moved(to: str) -> bytes:
    return answer(b"", f"Location: {to}", status="302 Found")


class Server:
    """Answers paths; `asked` are the paths, `heads` the whole requests, `busiest` how many were open at once."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.heads: list[str] = []
        self.busy = self.busiest = 0
        self.gone = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            self.heads.append(head)
            self.asked.append(path)
            said = self.answers.get(path.partition("?")[0], answer(b"", status="404 Not Found"))
            if isinstance(said, bytes):
                writer.write(said)
                await writer.drain()
            else:
                await said(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.gone.set()
        finally:
            self.busy -= 1
            writer.close()

    def url(self, path: str, host: str = "pictures.test") -> str:
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()


def here(address: Address) -> str:
    """The real rule, but for the one address the server listens on."""
    return "" if str(address) == "127.0.0.1" else public(address)


class Names:
    """Answers lookups, one list after another and the last for ever; `asked` are the names."""

    def __init__(self, **hosts: list[list[str]]) -> None:
        self.hosts = {name.replace("_", "."): found for name, found in hosts.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        found = self.hosts.get(host, [["127.0.0.1"]])
        return found.pop(0) if len(found) > 1 else found[0]


@asynccontextmanager
async def fetcher(judge: Any = here, names: Names | None = None, **options: Any) -> AsyncIterator[Portraits]:
    portraits = Portraits(judge, names or Names(), **options)
    try:
        yield portraits
    finally:
        await portraits.close()


async def refusal(portraits: Portraits, url: str) -> str:
    with pytest.raises(PortraitError) as caught:
        await portraits.get(url)
    return caught.value.message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP"])
async def test_a_picture_is_fetched_cut_to_a_square_and_cannot_be_written_to(server: Server, kind: str) -> None:
    wide = image(90, 30, BLUE)
    wide.paste(GREEN, (30, 0, 60, 30))
    server.answers["/a"] = answer(file(wide, kind, quality=95), "Content-Type: text/plain")
    async with fetcher() as portraits:
        picture = await portraits.get(server.url("/a?key=1"))
    assert picture.shape == (SIDE, SIDE, 4) and picture.dtype == np.uint8 and not picture.flags.writeable
    assert all(near(picture, x, y, GREEN) for x in (12, 128, 243) for y in (2, 253))


async def test_a_request_says_the_name_and_carries_nothing_else(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    server.answers["/a"] = answer(b"", "Location: /b", "Set-Cookie: id=7; Path=/", status="302 Found")
    server.answers["/b"] = answer(PNG)
    async with fetcher() as portraits:
        await portraits.get(server.url("/a?x=%20y#part"))
    first, second = server.heads
    assert first.startswith("GET /a?x=%20y HTTP/1.1\r\n") and f"\r\nHost: pictures.test:{server.port}\r\n" in first
    assert second.startswith("GET /b ")
    for head in (first, second):
        assert not {"cookie", "authorization", "referer"} & {line.split(":")[0].lower() for line in head.split("\r\n")}


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://pictures.test/a", "http or https"),
        ("file:///etc/passwd", "http or https"),
        ("data:image/png;base64,AAAA", "http or https"),
        ("http://", "http or https"),
        ("http://[::1", "cannot be read"),
        ("http://ann:canary@pictures.test/a", "user name or password"),
        ("http://pictures.test:99999/a", "no possible port"),
    ],
)
async def test_other_addresses_are_refused_before_anything_is_looked_up(url: str, why: str) -> None:
    names = Names()
    async with fetcher(names=names) as portraits:
        message = await refusal(portraits, url)
    assert why in message and "canary" not in message and not names.asked


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "0"]
)
async def test_this_machine_is_not_asked_however_it_is_written(server: Server, host: str) -> None:
    portraits = Portraits()
    message = await refusal(portraits, server.url("/a?canary", host))
    await portraits.close()
    assert ("private_avatars" in message or host == "0") and "canary" not in message and not server.asked


async def test_the_setting_allows_this_machine(server: Server) -> None:
    server.answers["/a"] = answer(PNG)
    portraits = Portraits(anywhere)
    assert near(await portraits.get(server.url("/a", "127.0.0.1")), 9, 9, RED)
    await portraits.close()


async def test_a_name_is_refused_if_any_of_its_addresses_is(server: Server) -> None:
    names = Names(mixed_test=[["127.0.0.1", "10.0.0.7"]], hidden_test=[["64:ff9b::a00:7"]])
    async with fetcher(names=names) as portraits:
        assert "mixed.test leads to 10.0.0.7, a private address" in await refusal(
            portraits, server.url("/a", "mixed.test")
        )
        assert "a private address" in await refusal(portraits, server.url("/a", "hidden.test"))
    assert not server.asked


async def test_a_name_that_changes_its_mind_is_asked_where_it_was_judged(server: Server) -> None:
    server.answers["/a"] = answer(PNG)
    names = Names(turning_test=[["127.0.0.1"], ["10.0.0.7"]])
    async with fetcher(names=names) as portraits:
        await portraits.get(server.url("/a", "turning.test"))
        assert names.asked == ["turning.test"] and server.asked == ["/a"]
        assert "10.0.0.7" in await refusal(portraits, server.url("/b", "turning.test"))
    assert server.asked == ["/a"]


async def test_the_next_address_is_tried_where_one_does_not_answer(server: Server) -> None:
    server.answers["/a"] = answer(PNG)

    def local(address: Address) -> str:
        return "" if address.is_loopback else public(address)

    async with fetcher(local, Names(two_test=[["127.0.0.2", "127.0.0.1"]], none_test=[["127.0.0.2"]])) as portraits:
        await portraits.get(server.url("/a", "two.test"))
        assert "none.test did not give it" in await refusal(portraits, server.url("/a", "none.test"))


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("http://inside.test/a", "inside.test leads to 10.0.0.7"),
        ("//inside.test/a", "inside.test leads to 10.0.0.7"),
        ("ftp://pictures.test/a", "http or https"),
        ("http://ann:canary@pictures.test/a", "user name or password"),
        ("http://[::1/a", "no address"),
        ("http://pictures.test:0/", "no possible port"),
    ],
)
async def test_every_redirect_is_judged_anew(server: Server, to: str, why: str) -> None:
    server.answers["/a"] = moved(to)
    async with fetcher(names=Names(inside_test=[["10.0.0.7"]])) as portraits:
        message = await refusal(portraits, server.url("/a"))
    assert why in message and "canary" not in message and server.asked == ["/a"]


async def test_a_few_redirects_are_followed_and_no_more(server: Server) -> None:
    for step in range(MAX_REDIRECTS + 1):
        server.answers[f"/{step}"] = moved(f"/{step + 1}")
    server.answers[f"/{MAX_REDIRECTS + 1}"] = answer(PNG)
    async with fetcher() as portraits:
        await portraits.get(server.url("/1"))
        assert len(server.asked) == MAX_REDIRECTS + 1
        assert "redirect" in await refusal(portraits, server.url("/0"))
    assert server.asked[-1] == f"/{MAX_REDIRECTS}"


async def test_what_is_not_given_is_told_without_the_query(server: Server) -> None:
    async with fetcher() as portraits:
        assert await refusal(portraits, server.url("/none?token=canary")) == "pictures.test answers 404"


async def test_a_length_too_large_is_not_even_begun(server: Server) -> None:
    server.answers["/a"] = answer(b"", length=MAX_BYTES + 1)
    async with fetcher() as portraits:
        assert "more than 2 MB" in await refusal(portraits, server.url("/a"))


async def test_a_body_without_end_is_left_at_the_limit(server: Server) -> None:
    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            await writer.drain()

    server.answers["/a"] = flood
    async with fetcher() as portraits:
        assert "more than 2 MB" in await refusal(portraits, server.url("/a"))
        await asyncio.wait_for(server.gone.wait(), 60)


async def test_a_length_that_lies_takes_nothing_more_and_fails_when_less_comes(server: Server) -> None:
    server.answers["/less"] = answer(PNG, length=len(PNG) + 10)
    server.answers["/more"] = answer(PNG + bytes(5000), length=len(PNG))
    async with fetcher() as portraits:
        assert "did not give it" in await refusal(portraits, server.url("/less"))
        assert near(await portraits.get(server.url("/more")), 9, 9, RED)


async def test_a_server_that_drips_is_left_at_the_limit(server: Server) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.005)

    server.answers["/a"] = drip
    # Long enough for the way to the server on a busy machine.
    async with fetcher(within=2000 * MILLISECOND) as portraits:
        assert await refusal(portraits, server.url("/a?canary")) == "pictures.test took longer than 2 s"
        await asyncio.wait_for(server.gone.wait(), 60)


async def test_a_lookup_that_hangs_is_left_at_the_limit() -> None:
    async def hang(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    portraits = Portraits(here, hang, within=20 * MILLISECOND)
    assert "took longer" in await refusal(portraits, "https://pictures.test/")
    await portraits.close()


async def test_resolvers_that_hang_hold_up_neither_the_end_nor_more_than_a_few_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        free.wait()
        raise OSError(-3, "Temporary failure in name resolution")

    def looking() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "lookup of a stranger"]

    monkeypatch.setattr("socket.getaddrinfo", hang)
    portraits = Portraits(within=30 * MILLISECOND)
    try:
        said = await asyncio.gather(*(refusal(portraits, f"https://{n}.test/") for n in range(AT_ONCE + 2)))
        assert all("took longer" in message for message in said)
        assert len(looking()) == AT_ONCE and all(thread.daemon for thread in looking())
        await portraits.close()
    finally:
        free.set()
    await until(lambda: not looking())


async def test_a_name_nobody_knows_is_told() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    portraits = Portraits(here, unknown)
    assert await refusal(portraits, "https://pictures.test/") == (
        "pictures.test has no address: Name or service not known"
    )
    await portraits.close()


async def test_many_askers_make_one_fetch_and_what_is_known_is_not_asked_again(server: Server) -> None:
    server.answers["/a"] = answer(PNG)
    async with fetcher() as portraits:
        found = await asyncio.gather(*(portraits.get(server.url("/a")) for _ in range(50)))
        assert server.asked == ["/a"] and all(picture is found[0] for picture in found)
        assert await portraits.get(server.url("/a")) is found[0] and server.asked == ["/a"]


async def test_failures_are_remembered_for_a_minute(server: Server) -> None:
    clock: list[Nanos] = [0]
    async with fetcher(now=lambda: clock[0]) as portraits:
        for _ in range(2):
            assert "answers 404" in await refusal(portraits, server.url("/a"))
        clock[0] = 60 * SECOND - 1
        assert "answers 404" in await refusal(portraits, server.url("/a"))
        assert server.asked == ["/a"]
        server.answers["/a"] = answer(PNG)
        clock[0] = 60 * SECOND
        await portraits.get(server.url("/a"))
        clock[0] = 10**6 * SECOND
        await portraits.get(server.url("/a"))
        assert server.asked == ["/a", "/a"]


async def test_the_unused_are_forgotten_first(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEPT == 64
    monkeypatch.setattr(module, "KEPT", 2)
    for name in "abc":
        server.answers[f"/{name}"] = answer(PNG)
    async with fetcher() as portraits:
        for name in "abacab":
            await portraits.get(server.url(f"/{name}"))
    assert "".join(path[1:] for path in server.asked) == "abcb"


async def test_a_few_at_once_and_no_more_than_can_wait(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 10)
    opened = asyncio.Event()

    async def later(writer: asyncio.StreamWriter) -> None:
        await opened.wait()
        writer.write(answer(PNG))

    server.answers["/a"] = later
    names = Names()
    async with fetcher(names=names) as portraits:
        tasks = [asyncio.create_task(portraits.get(server.url(f"/a?{n}"))) for n in range(10)]
        await until(lambda: server.busy == AT_ONCE)
        assert len(names.asked) == AT_ONCE
        assert "waited for" in await refusal(portraits, server.url("/a?10"))
        opened.set()
        await asyncio.gather(*tasks)
        assert server.busiest == AT_ONCE and len(server.asked) == 10
        await portraits.get(server.url("/a?10"))


async def test_a_fetch_goes_on_while_anybody_waits(server: Server) -> None:
    opened = asyncio.Event()

    async def later(writer: asyncio.StreamWriter) -> None:
        await opened.wait()
        writer.write(answer(PNG))

    server.answers["/a"] = later
    async with fetcher() as portraits:
        one, two = (asyncio.create_task(portraits.get(server.url("/a"))) for _ in range(2))
        await until(lambda: bool(server.asked))
        one.cancel()
        await asyncio.wait({one})
        assert one.cancelled() and not two.done()
        opened.set()
        assert near(await two, 9, 9, RED) and server.asked == ["/a"]


async def test_a_fetch_ends_with_the_last_who_waits(server: Server) -> None:
    opened = asyncio.Event()

    async def later(writer: asyncio.StreamWriter) -> None:
        await opened.wait()
        writer.write(answer(PNG))

    server.answers["/a"] = later
    async with fetcher() as portraits:
        two = asyncio.create_task(portraits.get(server.url("/a")))
        await until(lambda: bool(server.asked))
        two.cancel()
        # Who comes while the fetch is being given up gets one of its own.
        three = asyncio.create_task(portraits.get(server.url("/a")))
        await asyncio.wait({two})
        assert two.cancelled()
        opened.set()
        await three
        assert server.asked == ["/a", "/a"]


async def test_the_end_tells_whoever_waits(server: Server) -> None:
    async def never(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server.answers["/a"] = never
    async with fetcher() as portraits:
        waiting = asyncio.create_task(refusal(portraits, server.url("/a")))
        await until(lambda: bool(server.asked))
        await portraits.close()
        assert "the job ends" in await waiting
        assert "the job ends" in await refusal(portraits, server.url("/b"))


def bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def webp_bomb() -> bytes:
    side = (16383).to_bytes(3, "little")
    chunk = b"VP8X" + (10).to_bytes(4, "little") + b"\x02\0\0\0" + side + side
    return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk


NOISE = Image.fromarray(np.random.default_rng(3).integers(0, 255, (64, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no PNG, JPEG or WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no PNG, JPEG or WebP"),
        (b"<!doctype html><img src=a.png>", "no PNG, JPEG or WebP"),
        (file(image(), "GIF", save_all=True, append_images=[image(8, 8, BLUE)]), "no PNG, JPEG or WebP"),
        (file(image(), "TIFF"), "no PNG, JPEG or WebP"),
        (bomb(50_000, 50_000), "50000x50000 pixels"),
        (bomb(0, 9), "broken PNG"),
        (webp_bomb(), "pixels; 16 million"),
        (file(NOISE, "JPEG")[:900], "broken JPEG"),
        (file(NOISE, "PNG")[:900], "broken PNG"),
        (file(NOISE, "WebP")[:300], "broken WebP"),
        (PNG[:10], "broken PNG"),
        (file(NOISE, "JPEG") + b"\xff\xda" * 40, "scans"),
    ],
)
def test_what_is_no_picture_or_too_large_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(PortraitError, match=why):
        picture_of(data)


async def test_a_refused_file_is_remembered_like_any_failure(server: Server) -> None:
    server.answers["/a"] = answer(b"<svg/>", "Content-Type: image/png")
    async with fetcher() as portraits:
        for _ in range(2):
            assert "no PNG, JPEG or WebP" in await refusal(portraits, server.url("/a"))
    assert server.asked == ["/a"]


@pytest.mark.parametrize("kind", ["WebP", "PNG"])
def test_the_first_picture_stands_for_an_animation(kind: str) -> None:
    picture = picture_of(file(image(), kind, save_all=True, append_images=[image(8, 8, BLUE)], duration=100))
    assert near(picture, 128, 128, RED)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_shown_upright(orientation: int) -> None:
    upright = image(40, 40, BLUE)
    upright.paste(RED, (0, 0, 20, 20))
    upright.paste(GREEN, (20, 0, 40, 20))
    # What a camera held that way would store: the inverse of what EXIF says is to be done.
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(inverse[orientation]) if orientation in inverse else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = picture_of(file(stored, "JPEG", exif=exif, quality=95))
    assert near(picture, 40, 40, RED) and near(picture, 215, 40, GREEN) and near(picture, 40, 215, BLUE)


def test_transparent_grey_and_deep_pictures_keep_their_looks() -> None:
    clear = picture_of(file(Image.new("RGBA", (9, 9), (10, 20, 30, 0)), "PNG"))
    assert clear[9, 9, 3] == 0
    grey = picture_of(file(Image.new("L", (9, 9), 128), "JPEG"))
    assert near(grey, 9, 9, (128, 128, 128))
    deep = picture_of(file(Image.fromarray(np.full((9, 9), 128 << 8, np.uint16)), "PNG"))
    assert near(deep, 9, 9, (128, 128, 128))
    cmyk = picture_of(file(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "JPEG"))
    assert cmyk[9, 9, 0] > 180 and cmyk[9, 9, 1] < 60


def test_the_addresses_of_tests_are_judged_like_all() -> None:
    assert here(ip_address("127.0.0.1")) == "" and here(ip_address("127.0.0.2")) != ""
