"""What composing, mixing and encoding cost, as CPU time and as ratios: `python -m tests.benchmarks.composing`.

Absolute figures do not travel between machines; the ratios and the ceilings printed beside them do. All variants of
one question run interleaved, and the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from egress.layouts.base import View
from egress.layouts.grid import grid
from egress.media.compositor import Compositor
from egress.media.encoder import DEPTH, VideoEncoder
from egress.media.mixer import Mixer
from egress.media.planes import planes
from egress.media.scene import Style
from egress.model.look import (
    AnyOverlay,
    ClockOverlay,
    LayoutDoc,
    LowerThirdOverlay,
    TilesDoc,
    TitleOverlay,
    WatermarkOverlay,
)
from egress.model.media import SECOND, Packet, Size
from egress.model.pipeline import Video
from egress.model.room import Peer, PeerJoined, Room, Track, TrackPublished, TrackSource

CANVAS = Size(1280, 720)
FPS = 30


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report; `ceiling` is what the value may be at most, None where nothing was promised."""

    name: str
    value: float
    unit: str
    ceiling: float | None = None

    def __str__(self) -> str:
        verdict = "" if self.ceiling is None else f"(at most {self.ceiling:g})"
        if self.ceiling is not None and self.value > self.ceiling:
            verdict += "  OVER"
        return f"{self.name:58} {self.value:10.3f} {self.unit:8} {verdict}"


@dataclass(frozen=True, eq=False)
class Shot:
    frame: av.VideoFrame


def interleaved(variants: Mapping[str, Callable[[], object]], rounds: int, calls: int) -> dict[str, float]:
    """Median microseconds of CPU per call of each variant, all variants taking turns."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, call in variants.items():
            begin = time.thread_time_ns()
            for _ in range(calls):
                call()
            times[name].append((time.thread_time_ns() - begin) / calls / 1000)
    return {name: statistics.median(taken) for name, taken in times.items()}


def people(count: int) -> Room:
    room = Room("bench")
    for k in range(count):
        room = room.after(PeerJoined(Peer(f"p{k}", f"Participant {k}")))
        room = room.after(TrackPublished(Track(f"v{k}", f"p{k}", "video", TrackSource.CAMERA)))
        room = room.after(TrackPublished(Track(f"a{k}", f"p{k}", "audio", TrackSource.MIC)))
    return room


def noise(size: Size, seed: int = 0) -> av.VideoFrame:
    random = np.random.default_rng(seed)
    frame = av.VideoFrame(size.width, size.height, "yuv420p")
    for plane in planes(frame):
        plane[...] = random.integers(16, 235, plane.shape)
    return frame


BARE = Style(tiles=TilesDoc(labels=False, marks=False, radius=0, transition=0))
DRESSED = Style(tiles=TilesDoc(radius=8, transition=0))
FADING = Style(tiles=TilesDoc.model_validate({"radius": 8, "transition": "1s"}))
OVERLAYS: dict[str, AnyOverlay] = {
    "a clock": ClockOverlay(kind="clock"),
    "a title": TitleOverlay(kind="title", text="Weekly meeting of everyone who can come"),
    "a lower third": LowerThirdOverlay(kind="lower-third", title="Ada Lovelace", subtitle="Analyst, London"),
    "a watermark": WatermarkOverlay(kind="watermark", text="CONFIDENTIAL"),
}


class Grid:
    """N sources of 640x360 on the canvas, all new at every tick; of the peers one speaks, the others are muted."""

    def __init__(self, count: int, canvas: Size, source: Size, style: Style = DRESSED) -> None:
        doc = LayoutDoc()
        self.tiles = tiles = [
            replace(tile, muted=k > 0) for k, tile in enumerate(grid(View(people(count)), canvas, doc))
        ]
        self.count = count
        self.size = tiles[0].box.size
        self.sources = [noise(source, k) for k in range(count)]
        self.scaled = [noise(self.size, k) for k in range(count)]
        self.reformatters = [VideoReformatter() for _ in range(count)]
        self.compositor = Compositor(canvas)
        self.compositor.arrange(tiles, style)
        self.compositor.speaking({"p0"})
        self.frames = 0

    def scale(self) -> list[av.VideoFrame]:
        return [
            reformatter.reformat(
                source,
                self.size.width,
                self.size.height,
                "yuv420p",
                None,
                None,
                Interpolation.BILINEAR,
                None,
                None,
                None,
                None,
                1,
            )
            for reformatter, source in zip(self.reformatters, self.sources, strict=True)
        ]

    def paint(self) -> None:
        shots = {f"v{k}": Shot(frame) for k, frame in enumerate(self.scaled)}
        self.compositor.draw(shots.get, 0)

    def compose(self) -> None:
        shots = {f"v{k}": Shot(frame) for k, frame in enumerate(self.scale())}
        self.compositor.draw(shots.get, 0)

    def idle(self) -> None:
        self.compositor.draw(self._same.get, 0)

    def settle(self) -> None:
        self._same = {f"v{k}": Shot(frame) for k, frame in enumerate(self.scaled)}
        self.compositor.draw(self._same.get, 0)

    def arrange(self) -> None:
        """Change the arrangement and paint it."""
        self.compositor.arrange(self.tiles, DRESSED)
        self.compositor.draw(lambda _: None, 0)

    def fade(self) -> None:
        """One frame of a transition; a new one begins before each ends."""
        if self.frames % FPS == 0:
            self.tiles.reverse()
            self.compositor.arrange(self.tiles, FADING)
        self.frames += 1
        self.compositor.draw(self._same.get, self.frames * SECOND // (FPS + 1))


def dressing(rounds: int) -> list[Row]:
    """What names, corners, marks and overlays add to scaling and copying the pictures of nine tiles."""
    styles = {"bare": BARE, "dressed": DRESSED}
    styles |= {f"with {name}": replace(DRESSED, overlays=(doc,)) for name, doc in OVERLAYS.items()}
    styles["with all overlays"] = replace(DRESSED, overlays=tuple(OVERLAYS.values()))
    styles["radius 24, border 3"] = Style(tiles=TilesDoc(radius=24, border=3, transition=0))
    jobs = {name: Grid(9, CANVAS, Size(640, 360), style) for name, style in styles.items()}
    whole = interleaved({name: job.compose for name, job in jobs.items()}, rounds, 10)
    paint = interleaved({name: job.paint for name, job in jobs.items()}, rounds, 40)
    rows = [Row("9 bare tiles: scale and copy", whole["bare"], "us")]
    for name in list(styles)[1:]:
        # Scaling takes most of the time and varies more than dressing costs: it is the same, and measured once.
        added = paint[name] - paint["bare"]
        ceiling = 10.0 if name in ("dressed", "with all overlays") else None
        rows.append(Row(f"9 tiles {name}: added to each tick", added, "us"))
        rows.append(Row(f"9 tiles {name}: part of the whole", 100 * added / (whole["bare"] + added), "%", ceiling))
    crowd = Grid(49, CANVAS, Size(64, 64))
    crowd.settle()
    spent = interleaved({"9": jobs["dressed"].arrange, "49": crowd.arrange}, rounds, 5)
    rows += [Row(f"arranging {name} tiles anew, and painting them", value, "us") for name, value in spent.items()]
    jobs["dressed"].settle()
    spent = interleaved({"fade": jobs["dressed"].fade}, rounds, 2 * FPS)
    rows.append(Row("one frame of a transition, pictures standing still", spent["fade"], "us"))
    return rows


def composing(rounds: int) -> list[Row]:
    rows = []
    for count in (4, 9, 16):
        job = Grid(count, CANVAS, Size(640, 360))
        spent = interleaved({"scale": job.scale, "compose": job.compose, "paint": job.paint}, rounds, 20)
        job.settle()
        spent |= interleaved({"idle": job.idle}, rounds, 200)
        rows += [
            Row(f"{count} tiles: scale and compose", spent["compose"] * FPS / 1e6, "CPU s/s"),
            Row(f"{count} tiles: compose against scaling alone", spent["compose"] / spent["scale"], "x", 2.0),
            Row(f"{count} tiles: painting one new picture with its label", spent["paint"] / count, "us"),
            Row(f"{count} tiles: a tick with nothing new", spent["idle"], "us"),
        ]
    tiny = Grid(9, Size(160, 160), Size(32, 32))
    spent = interleaved({"compose": tiny.compose}, rounds, 200)
    rows.append(Row("9 tiles of next to no pixels: Python's own share", spent["compose"], "us", 100 + 9 * 40))
    return rows


def mixing(rounds: int) -> list[Row]:
    random = np.random.default_rng(0)
    variants: dict[str, Callable[[], object]] = {}
    for count in (1, 4, 9, 16, 50):
        for loud, level in (("talking", 0.3 / count), ("limiting", 1.0)):
            blocks = [(level * random.uniform(-1, 1, (2, 960))).astype(np.float32) for _ in range(count)]
            mixer = Mixer(2)
            variants[f"{count} sources, {loud}"] = lambda m=mixer, b=blocks: m.mix(b, 960)  # type: ignore[misc]
    return [
        Row(f"mix 20 ms of {name}", spent, "us", 50.0 if name == "16 sources, talking" else None)
        for name, spent in interleaved(variants, rounds, 200).items()
    ]


def encoding(seconds: int) -> list[Row]:
    rows = []
    random = np.random.default_rng(7)
    cells = random.integers(40, 210, (CANVAS.height // 16 + 24, CANVAS.width // 16 + 24)).astype(np.uint8)
    wide = np.kron(cells, np.ones((16, 16), np.uint8)) // 2 + 40
    grain = [random.integers(0, 5, (CANVAS.height, CANVAS.width)).astype(np.uint8) for _ in range(5)]
    for preset in ("ultrafast", "superfast", "veryfast"):
        doc = Video(size=CANVAS, preset=preset)
        packets: list[Packet] = []
        encoder = VideoEncoder(doc, packets.append)
        canvas = noise(CANVAS)
        offers, spent = [], 0.0
        for n in range(seconds * FPS):
            x, y = (3 * n) % 300, n % 300
            planes(canvas)[0][...] = wide[y : y + CANVAS.height, x : x + CANVAS.width] + grain[n % 5]
            while encoder.stats()["waiting"] >= DEPTH:
                time.sleep(0.001)
            own = time.thread_time()
            begin = time.process_time()
            encoder.offer(n, canvas)
            offers.append(time.thread_time() - own)
            while encoder.stats()["pictures"] <= n:
                time.sleep(0.001)
            spent += time.process_time() - begin
        encoder.close(seconds * FPS)
        bits = np.array([8 * len(packet.data) for packet in packets])
        rows += [
            Row(f"encode {CANVAS} {preset} zerolatency", spent / seconds, "CPU s/s"),
            Row(f"{preset}: handing one picture over", statistics.median(offers) * 1e6, "us"),
            Row(f"{preset}: off the bitrate asked for", abs(bits.sum() / seconds / doc.bitrate - 1) * 100, "%", 10),
            Row(
                f"{preset}: fullest two seconds against the bitrate",
                float(np.convolve(bits, np.ones(2 * FPS), "valid").max()) / 2 / doc.bitrate,
                "x",
                1.25,
            ),
        ]
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds; the median counts")
    parser.add_argument("--seconds", type=int, default=10, help="seconds of video to encode per preset")
    options = parser.parse_args()
    rows = composing(options.rounds) + dressing(options.rounds) + mixing(options.rounds) + encoding(options.seconds)
    print("\n".join(map(str, rows)))
    return int(any(row.ceiling is not None and row.value > row.ceiling for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
