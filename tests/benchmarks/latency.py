"""Glass to glass: from a publisher's camera to a viewer's screen, in Chromium with hls.js on our own watch page.

    python -m tests.benchmarks.latency [--seconds 180] [--pipeline live-hls]

One participant burns a frame counter into its picture, whose frames lie fixed on the clock; the page's video element is
read back through a canvas. Prints the delay, the share of blocking requests and the stalls; exit 1 when a bar breaks.
Run it on a machine with nothing else to do: publisher, worker and browser all run on it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.async_api import Request

from egress.demo import barcode
from egress.demo.picture import LOOP_SECONDS
from tests.browser import Tab, chromium
from tests.recording import recording
from tests.world import World

DELAY, BLOCKING, STALLS = 2.5, 0.9, 0
_FPS = 30
_SETTLED = 10.0
"""Seconds after which a player has found its distance."""

_LOOK = """() => {
  const { video } = window.player;
  const canvas = (window.looking ??= new OffscreenCanvas(640, 360));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0, 640, 360);
  const at = performance.timeOrigin + performance.now();
  const { data } = context.getImageData(0, 0, 640, 360);
  let luma = "";
  for (let row = 0; row < 360; row += 1) {
    for (let column = 0; column < 640; column += 1) luma += String.fromCharCode(data[4 * (640 * row + column) + 1]);
  }
  return [at, btoa(luma)];
}"""


async def look(tab: Tab) -> float | None:
    """How long ago what is on the screen was captured, in seconds; None when the counter cannot be read."""
    at, text = await tab.page.evaluate(_LOOK)
    picture = np.frombuffer(base64.b64decode(text), np.uint8).reshape(360, 640)
    reading = barcode.read(picture)
    if reading is None:
        return None
    # The counter counts from the monotonic clock's zero and begins anew with every loop of ten seconds.
    shown = at / 1000 - time.time() + time.monotonic()
    return (shown - reading.counter / _FPS) % LOOP_SECONDS


async def measure(seconds: float, pipeline: str) -> int:
    """Run the whole chain and print the figures; the number of broken bars."""
    asked: list[bool] = []

    def note(request: Request) -> None:
        if request.url.partition("?")[0].endswith(("video.m3u8", "audio.m3u8")):
            asked.append("_HLS_msn=" in request.url)

    delays: list[float] = []
    blind = 0
    with tempfile.TemporaryDirectory() as name:
        async with recording(Path(name), pipeline=pipeline) as job, chromium() as browser:
            world = World.everyone(1, seconds + 40)
            async with world.perform(job.whip) as cast:
                await cast.until(4)
                tab = Tab(await browser.new_page(), "player")
                tab.page.on("request", note)
                await tab.page.goto(f"{job.url}/live/stage/")
                await tab.until("playing", lambda told: told.get("time", 0) > 1 and told["live"])
                await asyncio.sleep(_SETTLED)
                begun = await tab.told()
                asked = asked[asked.index(True) :] if True in asked else asked
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    delay = await look(tab)
                    if delay is None:
                        blind += 1
                    else:
                        delays.append(delay)
                    await asyncio.sleep(0.25)
                told = await tab.told()
            await job.stop()
    if not delays:
        print("the counter could not be read")
        return 1
    stalls = told["stalls"] - begun["stalls"]
    blocking = sum(asked) / max(1, len(asked))
    delays.sort()
    p50, p95 = statistics.median(delays), delays[int(len(delays) * 0.95)]
    print(
        f"glass to glass over {seconds:.0f} s: p50 {p50:.2f} s, p95 {p95:.2f} s, most {delays[-1]:.2f} s (bar {DELAY})"
    )
    print(f"{len(delays)} looks, {blind} in which the counter could not be read; target {told['targetLatency']} s")
    print(
        f"{blocking:.1%} of {len(asked)} playlist requests block (bar {BLOCKING:.0%}); {stalls} stalls (bar {STALLS})"
    )
    print(f"errors: {told['errors']}; dropped {told['dropped']} of {told['frames']} frames")
    print(f"load of the machine {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    return (p50 > DELAY) + (blocking < BLOCKING) + (stalls > STALLS)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--pipeline", default="live-hls", help="a pipeline's name")
    arguments = parser.parse_args()
    return 1 if asyncio.run(measure(arguments.seconds, arguments.pipeline)) else 0


if __name__ == "__main__":
    sys.exit(main())
