"""A store that is away: in the middle of a job, and across its end; and how soon a job is over, also one that crashed.

    python -m tests.benchmarks.outage away        the store is gone for --seconds while the job records
    python -m tests.benchmarks.outage across      it goes while the job records, and comes back --seconds after the stop
    python -m tests.benchmarks.outage stop        all sinks, a store that is there: from the stop to the end
    python -m tests.benchmarks.outage crash       the same, of a job whose worker was killed in the middle

Real publishers, `egress record` with MP4, HLS and sound into moto (signatures checked) over a connection that is cut.
Prints the figures; exit 1 when something is lost or stays behind, or the MP4 was not in its place 3 s after the stop
(after the store's return, where it was away).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from tests.janus_proxy import TcpProxy
from tests.recording import Event, Recording, recording
from tests.s3_server import BUCKET, S3Server
from tests.world import World

FINAL = 3.0
"""Seconds from the stop, or from the store's return, to the MP4 in its place."""

BEFORE, AFTER = 15.0, 20.0
"""Seconds recorded before something happens, and after it."""

PIPELINE = f"""
name: outage
video: {{size: 640x360, bitrate: 3M, preset: ultrafast}}
sinks:
  - kind: mp4
    to: s3://{BUCKET}/{{job}}/stage.mp4
  - kind: hls
    segment: 2s
    to: s3://{BUCKET}/{{job}}/live
  - kind: audio
    to: s3://{BUCKET}/{{job}}/stage.m4a
"""


@contextmanager
def settings(server: S3Server, port: int) -> Iterator[None]:
    """An environment whose settings lead to the store by the proxy."""
    wanted = {**server.environment, "EGRESS_S3_ENDPOINT": f"http://127.0.0.1:{port}"}
    before = dict(os.environ)
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


async def play(job: Recording, server: S3Server, proxy: TcpProxy, case: str, seconds: float) -> tuple[float, float]:
    """Run a case up to the job's end; when the clock to the MP4 began, and the seconds it then took."""
    await job.until(of_type("alive"))
    await asyncio.sleep(BEFORE)
    if case == "crash":
        job.worker.kill()
        await job.until(lambda event: event.get("type") == "alive" and event.get("attempt") == 2, 60)
        await asyncio.sleep(AFTER)
    if case == "stop":
        await asyncio.sleep(AFTER)
    if case in ("away", "across"):
        proxy.cut()
        await asyncio.sleep(seconds if case == "away" else BEFORE)
    if case == "away":
        await proxy.mend()
        await asyncio.sleep(AFTER)
    job.process.send_signal(2)
    began = time.monotonic()
    if case == "across":
        await asyncio.sleep(seconds)
        await proxy.mend()
        began = time.monotonic()
    there = await asyncio.wait_for(appears(server), 180)
    await job.ended(180)
    return began, there - began


def of_type(kind: str) -> Callable[[Event], bool]:
    """Fits events of a type."""
    return lambda event: event.get("type") == kind


async def measure(case: str, seconds: float) -> int:
    """Run one case and print the figures; the number of broken bars."""
    with tempfile.TemporaryDirectory() as name, S3Server(Path(name)) as server:
        folder = Path(name)
        async with TcpProxy(server.port) as proxy:
            world = World.everyone(2, seconds + 120)
            with settings(server, proxy.port):
                async with recording(folder, pipeline=PIPELINE) as job, world.perform(job.whip):
                    began, mp4 = await play(job, server, proxy, case, seconds)
        return account(case, job, server, folder, began, mp4)


def account(case: str, job: Recording, server: S3Server, folder: Path, began: float, mp4: float) -> int:
    """Print what became of a job, and compare the store with what it says; the number of broken bars."""
    ended = {row["location"].rsplit("/", 1)[-1]: row for row in job.ending["artifacts"]}
    over = job.heard[-1] / 1e9 - began
    alive = [(at, event) for event, at in zip(job.events, job.heard, strict=True) if event.get("type") == "alive"]
    gaps = [(after - before) / 1e9 for (before, _), (after, _) in itertools.pairwise(alive)]
    wrong = [] if job.ending["state"] == "finished" else [f"the job {job.ending['state']}: {job.ending.get('reason')}"]
    file = folder / "fetched.mp4"
    (key,) = [key for key in server.objects() if key.endswith("/stage.mp4")]
    file.write_bytes(server.read(key))
    row = ended["stage.mp4"]
    if hashlib.sha256(file.read_bytes()).hexdigest() != row["sha256"]:
        wrong.append("the object is not the file")
    with av.open(str(file)) as container:
        shown = sum(1 for packet in container.demux(video=0) if packet.size)
        length = (container.duration or 0) / av.time_base
    pieces, gone = listed(server)
    wrong += [f"{name} is listed and not there" for name in gone]
    if server.uploads():
        wrong.append(f"unfinished uploads stay behind: {server.uploads()}")
    if any(path for path in job.spool.iterdir()):
        wrong.append("the spool is not empty")
    if mp4 > FINAL:
        wrong.append(f"the MP4 was {mp4:.1f} s late (bar {FINAL:.0f} s)")
    said = sorted(
        {sink["upload_problem"] for _, event in alive for sink in event["sinks"] if sink.get("upload_problem")}
    )
    print(f"{case}: MP4 final after {mp4:.2f} s, the job over after {over:.2f} s; {length:.1f} s, {shown} pictures")
    print(f"  signs of life at most {max(gaps):.1f} s apart; HLS lists {pieces} files, {len(gone)} of them missing")
    print(f"  said meanwhile: {said}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for line in wrong:
        print(f"  WRONG: {line}")
    return len(wrong)


async def appears(server: S3Server) -> float:
    """When the MP4 was in its place; it is looked for four times a second."""
    while not [key for key in await asyncio.to_thread(server.objects) if key.endswith("/stage.mp4")]:
        await asyncio.sleep(0.25)
    return time.monotonic()


def listed(server: S3Server) -> tuple[int, list[str]]:
    """How many files the HLS lists name, and those that are not in the store."""
    there = set(server.objects())
    named: set[str] = set()
    for key in there:
        if key.endswith((".m3u8",)):
            root = key.rpartition("/")[0]
            text = server.read(key).decode()
            names = [line for line in text.splitlines() if line and not line.startswith("#")]
            named |= {f"{root}/{name}" for name in names + re.findall(r'URI="([^"]+)"', text)}
    return len(named), sorted(named - there)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=["away", "across", "stop", "crash"])
    parser.add_argument("--seconds", type=float, default=60, help="how long the store is away")
    arguments = parser.parse_args()
    return 1 if asyncio.run(measure(arguments.case, arguments.seconds)) else 0


if __name__ == "__main__":
    sys.exit(main())
