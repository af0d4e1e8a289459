"""Clips into one MP4: `egress compose` against ffmpeg, GStreamer, and what libav itself needs.

    python -m tests.benchmarks.compose [--count 4 9 16] [--canvas 1280x720] [--preset veryfast] [--runs 5] [--json FILE]

CPU seconds (user and system, all threads and children, the start of each process too) for a second of output. Clips are
640x360 at 30, H.264 and AAC; all tools have the same tiles, bitrate, keyframes, buffer and preset of x264, and AAC at
128 kbit/s. ffmpeg scales with `scale`, stacks with `xstack` and mixes with `amix`; GStreamer does it with `compositor`
and `audiomixer`. GStreamer's x264enc rates by a pass of its own (`cbr`), and each tool has its own number of threads.
Tiles are plain, for others cannot draw names; ours limits and measures the sound as well. Every product is looked at:
size, length, pictures, tiles that move.

`pip install imageio-ffmpeg` gives the newest ffmpeg that PyPI has; Debian's are ffmpeg and gstreamer1.0-tools,
gstreamer1.0-plugins-good, -ugly, gstreamer1.0-libav.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from egress.model.media import Size
from egress.model.units import size as parse_size
from tests.benchmarks import clips, floor, harness, peers
from tests.benchmarks.peers import Setting

PEER, FLOOR, GST = 1.05, 1.10, 0.90
"""Bars of ours with veryfast and 4, 9 and 16 clips: against an ffmpeg, the floor, and, from 9 on, GStreamer."""

OURS, GSTREAMER = "egress", "GStreamer"

_PIPELINE = """name: benchmark
layout: {{kind: grid, gap: {gap}}}
tiles: {{labels: false, marks: false, speaking: false, radius: 0}}
video: {{size: {canvas}, fps: 30, bitrate: {bitrate}, keyframe: 2s, preset: {preset}, tune: {tune}}}
audio: {{bitrate: 128k}}
sinks: [{{kind: mp4, to: out.mp4}}]
"""


def tools(folder: Path, files: list[Path], setting: Setting, only: list[str] | None) -> dict[str, list[str]]:
    """The commands by the names of their tools; each writes NAME.mp4 into the folder."""
    source = folder / "clips"
    source.mkdir()
    for number, path in enumerate(files):
        (source / f"clip-{number:02}.mp4").symlink_to(path)
    pipeline = folder / "pipeline.yaml"
    pipeline.write_text(
        _PIPELINE.format(
            canvas=setting.canvas, bitrate=setting.bitrate, preset=setting.preset, tune=setting.tune, gap=peers.GAP
        )
    )

    def out(name: str) -> Path:
        return folder / f"{name}.mp4"

    own = [sys.executable, "-m", "egress.cli", "compose", str(source), "--pipeline", str(pipeline)]
    own += ["--overwrite", "--out"]
    found = {OURS: [*own, str(out(OURS))]}
    if (debian := shutil.which("ffmpeg")) is not None:
        name = f"ffmpeg {version(debian)}"
        found[name] = peers.ffmpeg(debian, files, setting, out(name))
    if (newest := peers.newest_ffmpeg()) is not None:
        name = f"ffmpeg {newest[1]}"
        found[name] = peers.ffmpeg(newest[0], files, setting, out(name))
    if peers.gstreamer():
        found[GSTREAMER] = peers.gst(files, setting, out(GSTREAMER))
    return {name: words for name, words in found.items() if only is None or any(one in name for one in only)}


def version(ffmpeg: str) -> str:
    """Which ffmpeg this is."""
    import subprocess

    words = subprocess.run([ffmpeg, "-version"], capture_output=True, text=True, check=True).stdout.split()
    return words[2].partition("-")[0].lstrip("n")


def measure(
    report: harness.Report, count: int, setting: Setting, seconds: int, runs: int, only: list[str] | None
) -> tuple[Any, ...]:
    """All tools in turn; a row of the table: floor, and of each tool its cost and its ratio to the floor."""
    files = clips.scenes(count, seconds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = tools(folder, files, setting, only)
        floors: list[dict[str, float]] = []

        def variant(words: list[str]) -> Callable[[], harness.Spent]:
            return lambda: harness.run(words)

        def libav() -> harness.Spent:
            floors.append(
                floor.measure(files, setting.canvas, setting.preset, setting.tune, setting.bitrate, peers.GAP)
            )
            return harness.Spent(floors[-1]["floor"] * seconds, 0.0, 0)

        spent = harness.interleaved(
            {**{tool: variant(words) for tool, words in commands.items()}, "floor": libav}, runs
        )
        for tool in commands:
            if problem := peers.check(folder / f"{tool}.mp4", count, setting, seconds):
                raise SystemExit(f"{tool}, {count} clips, {setting}: {problem}")
    costs = {tool: [one.cpu / seconds for one in all_] for tool, all_ in spent.items()}
    medians = {tool: statistics.median(values) for tool, values in costs.items()}
    parts = {part: statistics.median(row[part] for row in floors) for part in floor.PARTS}
    report.facts.setdefault("rows", []).append(
        {
            "clips": count,
            "canvas": str(setting.canvas),
            "preset": setting.preset,
            "tune": setting.tune,
            "cpu": medians,
            "parts": parts,
            "wall": {tool: statistics.median(one.wall for one in spent[tool]) / seconds for tool in commands},
            "memory": {tool: max(one.memory for one in spent[tool]) for tool in commands},
        }
    )
    if OURS in commands and setting.preset == "veryfast" and count in (4, 9, 16):
        for tool in commands:
            if tool.startswith("ffmpeg"):
                report.bar(f"{count} clips, {setting}: against {tool}", harness.ratio(costs[OURS], costs[tool]), PEER)
        report.bar(f"{count} clips, {setting}: against the floor", harness.ratio(costs[OURS], costs["floor"]), FLOOR)
        if count >= 9 and GSTREAMER in commands:
            report.bar(
                f"{count} clips, {setting}: against GStreamer", harness.ratio(costs[OURS], costs[GSTREAMER]), GST
            )
    return (count, medians["floor"], *(cell for tool in commands for cell in _cells(tool, spent, costs, seconds)))


def _cells(tool: str, spent: dict[str, Any], costs: dict[str, list[float]], seconds: int) -> tuple[Any, ...]:
    wall = statistics.median(one.wall for one in spent[tool]) / seconds
    memory = max(one.memory for one in spent[tool]) / 1e6
    against = harness.ratio(costs[tool], costs["floor"])
    return (f"{statistics.median(costs[tool]):.3f} ({against:.2f})", f"{wall:.2f}", f"{memory:.0f}")


def main() -> int:
    """Measure; exits with 1 when a bar is broken."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--count", type=int, nargs="+", default=[1, 4, 9, 16, 25])
    parser.add_argument("--canvas", type=parse_size, nargs="+", default=[Size(1280, 720), Size(1920, 1080)])
    parser.add_argument("--preset", nargs="+", choices=("veryfast", "superfast"), default=["veryfast", "superfast"])
    parser.add_argument("--seconds", type=int, default=20, help="of each clip")
    parser.add_argument("--only", nargs="+", metavar="TOOL", help="those whose names hold one of these words")
    options = parser.parse_args()
    report = harness.Report("compose", {"seconds": options.seconds, "runs": options.runs})
    for canvas in options.canvas:
        for preset in options.preset:
            setting = Setting(canvas, preset, "zerolatency" if preset == "superfast" else "none")
            rows = [
                measure(report, count, setting, options.seconds, options.runs, options.only) for count in options.count
            ]
            names = list(report.facts["rows"][-1]["wall"])
            columns = ["clips", "floor", *(cell for name in names for cell in (name, "wall", "MB"))]
            report.table(f"{setting}: CPU s/s (against the floor), wall s/s, MB", columns, rows)
    return report.close(options.json)


if __name__ == "__main__":
    sys.exit(main())
