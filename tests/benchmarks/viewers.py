"""Many low-latency viewers of one origin: how soon a part's playlist reaches them, and what that costs the origin.

    python -m tests.benchmarks.viewers [--viewers 100] [--seconds 30] [--nginx]

The origin, the programme and the viewers are a process each. Every viewer does what hls.js does with picture and sound
apart: for each rendition a blocking reload with a delta update, then the part it names. Exit 1 when a bar breaks. Run
it on a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import uvloop

from egress.web.app import create_app
from egress.web.origin import Origin
from egress.web.server import WebServer
from tests.broadcast import Broadcast
from tests.nginx_front import NginxFront

LATE, SHARE = 0.050, 0.25
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_PART = re.compile(r'^#EXT-X-PART:.*URI="([^"]+)"', re.MULTILINE)


class Connection:
    """One HTTP/1.1 connection that asks for one thing after the other."""

    def __init__(self, host: str, port: int) -> None:
        self._at = (host, port)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def get(self, path: str) -> tuple[int, bytes, float]:
        """Status, body, and when its first byte was here (monotonic)."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self._at, limit=1 << 20)
        assert self._reader is not None
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n\r\n".encode())
        head = await self._reader.readuntil(_HEAD_END)
        came = time.monotonic()
        length = _LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        return int(head[9:12]), body, came

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


async def follow(at: tuple[str, int], base: str, rendition: str, until: float, seen: list[dict[str, Any]]) -> None:
    """Watch one rendition part by part."""
    connection = Connection(*at)
    status, body, _ = await connection.get(f"{base}/{rendition}.m3u8")
    assert status == 200, status
    text = body.decode()
    whole = text.count("#EXTINF:")
    sequence = re.search(r"MEDIA-SEQUENCE:(\d+)", text)
    msn = int(sequence[1] if sequence else 0) + whole
    part = text.rpartition("#EXTINF:")[2].count("#EXT-X-PART:")
    while time.monotonic() < until:
        query = f"_HLS_msn={msn}&_HLS_part={part}&_HLS_skip=v2"
        asked = time.monotonic()
        status, body, came = await connection.get(f"{base}/{rendition}.m3u8?{query}")
        uris = _PART.findall(body.decode())
        seen.append({"rendition": rendition, "msn": msn, "part": part, "at": came, "asked": asked, "status": status})
        if status != 200 or not uris:
            break
        name = re.search(r"seg-(\d+)\.(\d+)\.m4s", uris[-1])
        assert name is not None, uris
        status, media, _ = await connection.get(f"{base}/{uris[-1]}")
        assert status == 200 and len(media) > 100, status
        msn, part = int(name[1]), int(name[2]) + 1
        if part >= 4:
            msn, part = msn + 1, 0
    connection.close()


async def crowd(url: str, viewers: int, seconds: float) -> list[dict[str, Any]]:
    """What everybody saw."""
    host, _, rest = url.removeprefix("http://").partition("/")
    name, _, port = host.rpartition(":")
    seen: list[dict[str, Any]] = []
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(viewers):
            for rendition in ("video", "audio"):
                group.create_task(follow((name, int(port)), f"/{rest}", rendition, until, seen))
            await asyncio.sleep(2 / viewers)
    return seen


async def origin(folder: str) -> None:
    """Serve a folder; announcements come in on standard input, as JSON lines."""
    loop = asyncio.get_running_loop()
    served = Origin(Path(folder))
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with WebServer(create_app(origins={"talk": served}, whip=lambda room: None)) as server:
        print(server.url, flush=True)
        while line := await reader.readline():
            served.announce(json.loads(line))


def measure(viewers: int, seconds: float, nginx: bool) -> int:
    """Run the three processes and print the figures; the number of broken bars."""
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory())
        folder = Path(name) / "hls"
        own = [sys.executable, "-m", "tests.benchmarks.viewers"]
        serving = subprocess.Popen([*own, "--origin", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert serving.stdin is not None and serving.stdout is not None
        pipe = serving.stdin
        published: dict[tuple[str, int, int], float] = {}

        def announce(event: dict[str, Any]) -> None:
            key = (event["rendition"], event["msn"], event["part"])
            published.setdefault(key, time.monotonic())
            pipe.write(json.dumps(event).encode() + b"\n")
            pipe.flush()

        url = serving.stdout.readline().decode().strip()
        if nginx:
            url = stack.enter_context(NginxFront(Path(name) / "nginx", url)).url
        broadcast = Broadcast(folder, announce, behind=60)
        broadcast.start()
        try:
            time.sleep(6)
            process = psutil.Process(serving.pid)
            watching = subprocess.Popen(
                [*own, "--crowd", f"{url}/live/talk", "--viewers", str(viewers), "--seconds", str(seconds)],
                stdout=subprocess.PIPE,
            )
            time.sleep(4)
            begin, used = time.monotonic(), sum(process.cpu_times()[:2])
            time.sleep(seconds - 8)
            share = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - begin)
            out, _ = watching.communicate(timeout=60)
        finally:
            broadcast.stop()
            serving.stdin.close()
            serving.wait(10)
    return judge(json.loads(out), published, share)


def judge(seen: list[dict[str, Any]], published: dict[tuple[str, int, int], float], share: float) -> int:
    """Print what came out; how many bars are broken."""
    late = []
    for row in seen:
        begun = published.get((row["rendition"], row["msn"], row["part"]))
        # Answers to what was there already when it was asked for say nothing about waiting.
        if begun is not None and row["asked"] < begun:
            late.append(row["at"] - begun)
    wrong = sum(row["status"] != 200 for row in seen)
    late.sort()
    p50, p95, worst = statistics.median(late), late[int(len(late) * 0.95)], late[-1]
    load = os.getloadavg()[0]
    print(f"{len(seen)} playlists, {len(late)} of them waited for, {wrong} not answered with 200")
    print(
        f"after publication: p50 {p50 * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms (bar {LATE * 1e3:.0f}), most {worst:.3f} s"
    )
    print(f"origin: {share:.1%} of a core (bar {SHARE:.0%}); load of the machine {load:.2f} on {os.cpu_count()} cores")
    return (p95 > LATE) + (share > SHARE) + (wrong > 0)


def main() -> int:
    """Run the benchmark, or one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--nginx", action="store_true", help="ask through the nginx of samples/nginx-origin")
    parser.add_argument("--origin", help=argparse.SUPPRESS)
    parser.add_argument("--crowd", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.origin:
        uvloop.run(origin(arguments.origin))
        return 0
    if arguments.crowd:
        print(json.dumps(uvloop.run(crowd(arguments.crowd, arguments.viewers, arguments.seconds))))
        return 0
    return 1 if measure(arguments.viewers, arguments.seconds, arguments.nginx) else 0


if __name__ == "__main__":
    sys.exit(main())
