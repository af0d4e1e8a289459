"""The way others do it: a Chromium shows the same videos in a CSS grid on an X server, and ffmpeg grabs its picture.

    python -m tests.benchmarks.browser [--participants 9] [--seconds 15] [--runs 3] [--json FILE]

CPU seconds a second of Chromium, Xvfb and ffmpeg (x11grab, libx264 superfast zerolatency at 3 Mbit/s), beside those of
our worker and its sender for as many publishers over WebRTC, in turn. The browser plays files: it receives nothing, and
nobody takes its sound; ours receives, mixes, and writes MP4, HLS and RTMP. Needs chromium, xvfb and ffmpeg of Debian.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import av

from egress.model.media import Size
from tests.benchmarks import clips, harness, peers, room
from tests.benchmarks.peers import Setting

SETTING = Setting(Size(1280, 720), "superfast", "zerolatency")
BAR = 0.5
SETTLED = 6.0
"""Seconds until the browser has started and every video plays."""

_FLAGS = (
    "--no-sandbox",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-infobars",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-features=Translate,MediaRouter",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--hide-scrollbars",
    "--mute-audio",
    "--kiosk",
    "--window-position=0,0",
)
"""As recorders start it; Debian's own are added by its wrapper."""

_PAGE = """<!doctype html><style>
body {{ margin: 0; background: #000; overflow: hidden }}
main {{ position: relative; width: {width}px; height: {height}px }}
video {{ position: absolute; object-fit: cover }}
</style><main>{videos}</main><script>
let frames = 0;
const count = () => {{ frames += 1; requestAnimationFrame(count); }};
count();
setInterval(() => {{
  const told = [...document.querySelectorAll("video")].map((v) => v.getVideoPlaybackQuality());
  const sum = (name) => told.reduce((a, q) => a + q[name], 0);
  new Image().src = `http://127.0.0.1:{port}/?shown=${{sum("totalVideoFrames")}}&dropped=${{sum("droppedVideoFrames")}}`
    + `&painted=${{frames}}&at=${{performance.now()}}`;
}}, 500);
</script>"""


@contextmanager
def telling() -> Iterator[tuple[int, list[dict[str, float]]]]:
    """A port to which a page tells its figures, and those it told."""
    told: list[dict[str, float]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            values = parse_qs(urlsplit(self.path).query)
            if "at" in values:
                told.append({name: float(value[0]) for name, value in values.items()})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, told
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program for the length of the context."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def display() -> int:
    """The number of a display that nobody has."""
    return next(number for number in range(90, 190) if not Path(f"/tmp/.X11-unix/X{number}").exists())


def run(participants: int, seconds: float) -> dict[str, float]:
    """One recording by a browser."""
    size = SETTING.canvas
    with tempfile.TemporaryDirectory() as name, telling() as (port, told):
        folder = Path(name)
        videos = "".join(
            f'<video src="{path.as_uri()}" autoplay loop muted '
            f'style="left:{box.x}px;top:{box.y}px;width:{box.width}px;height:{box.height}px"></video>'
            for path, box in zip(clips.participants(participants), peers.boxes(participants, size), strict=True)
        )
        page = folder / "page.html"
        page.write_text(_PAGE.format(width=size.width, height=size.height, videos=videos, port=port))
        screen = f":{display()}"
        with started("Xvfb", screen, "-screen", "0", f"{size}x24", "-nolisten", "tcp") as server:
            time.sleep(1)
            words = [*_FLAGS, f"--display={screen}", f"--window-size={size.width},{size.height}"]
            words += [f"--user-data-dir={folder / 'profile'}", "--allow-file-access-from-files"]
            with started("chromium", *words, f"--app={page.as_uri()}") as browser:
                time.sleep(SETTLED)
                if not told:
                    raise SystemExit("the browser shows nothing")
                before, first = spent(browser.pid, server.pid), told[-1]
                grabbed = grab(screen, seconds, folder / "out.mp4")
                after, last = spent(browser.pid, server.pid), told[-1]
                memory = sum(map(proportional, harness.tree(browser.pid)))
        moves(folder / "out.mp4", participants)
    passed = (last["at"] - first["at"]) / 1000
    used = {name: (after[name] - before[name]) / grabbed.wall for name in before}
    return {
        **used,
        "ffmpeg": grabbed.cpu / seconds,
        "sum": sum(used.values()) + grabbed.cpu / seconds,
        "memory": memory / 1e6,
        "shown": (last["shown"] - first["shown"]) / passed / participants,
        "dropped": (last["dropped"] - first["dropped"]) / passed / participants,
        "painted": (last["painted"] - first["painted"]) / passed,
    }


def grab(screen: str, seconds: float, out: Path) -> harness.Spent:
    """Record the screen."""
    words = ["ffmpeg", "-v", "error", "-y", "-f", "x11grab", "-framerate", "30", "-draw_mouse", "0"]
    words += ["-video_size", str(SETTING.canvas), "-i", screen, "-t", str(seconds), *peers.x264(SETTING)]
    return harness.run([*words, "-pix_fmt", "yuv420p", str(out)])


def spent(browser: int, server: int) -> dict[str, float]:
    """CPU seconds so far."""
    return {"chromium": sum(map(harness.used, harness.tree(browser))), "xvfb": harness.used(server)}


def proportional(pid: int) -> int:
    """A process's share of memory (PSS) in bytes: Chromium's processes have much in common."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def moves(path: Path, participants: int) -> None:
    """See that every tile moves in what was grabbed."""
    with av.open(str(path)) as container:
        kept: list[Any] = [f.to_ndarray(format="gray").astype(float) for f in container.decode(video=0)]
    for number, box in enumerate(peers.boxes(participants, SETTING.canvas)):
        region = (slice(box.y, box.y + box.height), slice(box.x, box.x + box.width))
        if abs(kept[30][region] - kept[100][region]).mean() < 0.5:
            raise SystemExit(f"tile {number} of the grabbed picture does not move")


def main() -> int:
    """Measure; exits with 1 when the bar is broken."""
    parser = harness.arguments(__doc__, runs=3)
    parser.add_argument("--participants", type=int, nargs="+", default=[9])
    parser.add_argument("--seconds", type=float, default=15.0)
    options = parser.parse_args()
    report = harness.Report("browser", {"seconds": options.seconds, "runs": options.runs})
    for participants in options.participants:
        given: list[tuple[dict[str, float], room.Span]] = []
        for _ in range(options.runs):
            theirs = run(participants, options.seconds)
            given.append((theirs, asyncio.run(room.run(participants, options.seconds))))
        mid = {name: statistics.median(theirs[name] for theirs, _ in given) for name in given[0][0]}
        ours = [span for _, span in given]
        report.table(
            f"{participants} participants, {SETTING}: CPU s/s",
            ("", "browser", "ours"),
            [
                ("Chromium", mid["chromium"], None),
                ("Xvfb", mid["xvfb"], None),
                ("ffmpeg, or worker", mid["ffmpeg"], room.middle(ours, "worker")),
                ("sender of the stream", None, room.middle(ours, "senders")),
                ("together", mid["sum"], room.middle(ours, "cost")),
                ("memory, MB", mid["memory"], room.middle(ours, "memory")),
                ("pictures a second of each video", mid["shown"], room.middle(ours, "fps")),
                ("of these dropped", mid["dropped"], None),
                ("repaints a second", mid["painted"], None),
            ],
        )
        against = harness.ratio([span.cost for span in ours], [theirs["sum"] for theirs, _ in given])
        if participants == 9:
            report.bar("9 participants, against the browser", against, BAR)
        report.facts[f"ratio_{participants}"] = against
        report.facts[f"browser_{participants}"] = json.loads(json.dumps(mid))
    return report.close(options.json)


if __name__ == "__main__":
    sys.exit(main())
