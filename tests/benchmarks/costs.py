"""Jobs of many kinds against the cost model that lets jobs in (egress.control.cost).

    python -m tests.benchmarks.costs [--case NAME ...] [--seconds 10] [--runs 1] [--keep] [--json FILE]

Each row is one job with publishers over WebRTC: CPU seconds a second by stage, measured and, below it, as the model
says. --keep puts the measured rows into measured.json, to which tests/unit/test_cost.py holds the model: only rows of a
quiet machine, which kept up, are worth keeping.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egress import pipelines
from egress.control.cost import cost
from egress.model.checking import read
from egress.model.media import Codec, Size
from egress.model.pipeline import Pipeline
from egress.model.streams import RtmpDoc
from tests.benchmarks import clips, harness, room

STAGES = ("receive", "decode", "compose", "mix", "encode", "sinks", "senders")

_KEPT = Path(__file__).with_name("measured.json")

_STREAM = RtmpDoc(kind="rtmp", to="rtmp://127.0.0.1/live/key")

_MP4 = "sinks: [{kind: mp4, to: a.mp4}]"


@dataclass(frozen=True, slots=True)
class Case:
    """A pipeline, by name or as text, and who is there."""

    pipeline: str
    participants: int
    camera: Size = clips.SIZE
    rtmp: bool = False

    @property
    def document(self) -> Pipeline:
        """The pipeline."""
        document = read(self.pipeline, "case") if "\n" in self.pipeline else pipelines.load(self.pipeline)
        return document.model_copy(update={"sinks": (*document.sinks, _STREAM)}) if self.rtmp else document


def _case(video: str, participants: int = 4, sinks: str = _MP4, **more: Any) -> Case:
    return Case(f"name: case\nvideo: {video}\n{sinks}\n", participants, **more)


CASES = {
    "1 in 720p": Case("record-grid", 1),
    "4 in 720p": Case("record-grid", 4),
    "9 in 720p": Case("record-grid", 9),
    "16 in 720p": Case("record-grid", 16),
    "9 in 720p, MP4, HLS and RTMP": Case("live-hls", 9, rtmp=True),
    "4 in 1080p": _case("{size: 1920x1080, bitrate: 5M}"),
    "4 of 1280x720 in 720p": _case("{size: 1280x720}", camera=Size(1280, 720)),
    "4 in 720p ultrafast": _case("{size: 1280x720, preset: ultrafast}"),
    "4 in 720p veryfast": _case("{size: 1280x720, preset: veryfast}"),
    "4 in 360p": _case("{size: 640x360, bitrate: 800k}"),
    "4 in 720p, 480p and 360p": _case(
        "{size: 1280x720, ladder: [{size: 854x480, bitrate: 1200k}, {size: 640x360, bitrate: 600k}]}",
        sinks="sinks: [{kind: hls, to: a/}]",
    ),
    "4 heard only": _case("null", sinks="sinks: [{kind: audio, to: a.m4a}]"),
    "9 tracks only": Case("name: case\nsinks: [{kind: tracks, to: a/}]\n", 9),
}


def measured(case: Case, seconds: float) -> dict[str, float]:
    """CPU seconds a second of one job by stage."""
    span = asyncio.run(room.run(case.participants, seconds, pipeline=case.pipeline, camera=case.camera, rtmp=case.rtmp))
    return {
        **span.stages,
        "senders": span.senders,
        "total": span.cost,
        "strained": span.strained,
        "repeated": span.repeated,
    }


def measured_rows() -> dict[str, dict[str, float]]:
    """What jobs were measured to cost: CPU seconds a second by stage and in all, by case."""
    rows: dict[str, dict[str, float]] = json.loads(_KEPT.read_text("utf-8"))
    return rows


def main() -> int:
    """Measure and compare."""
    parser = harness.arguments(__doc__, runs=1)
    parser.add_argument("--case", nargs="+", choices=CASES, default=[*CASES], metavar="NAME")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--keep", action="store_true", help="for tests and the model")
    options = parser.parse_args()
    report = harness.Report("costs", {"seconds": options.seconds, "runs": options.runs, "codec": str(Codec.VP8)})
    rows: list[tuple[Any, ...]] = []
    found = {}
    for name in options.case:
        case = CASES[name]
        runs = [measured(case, options.seconds) for _ in range(options.runs)]
        medians = {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
        if medians["strained"] or medians["repeated"] > room.USABLE:
            print(f"{name}: the machine did not keep up, so what it cost says nothing")
            continue
        said = cost(case.document, [case.camera] * case.participants)
        predicted = {stage: getattr(said, stage) / 1000 for stage in STAGES} | {"total": said.total / 1000}
        error = 100 * (predicted["total"] / medians["total"] - 1)
        rows.append((name, *(medians[stage] for stage in STAGES), medians["total"], None))
        rows.append(
            ("  as the model says", *(predicted[stage] for stage in STAGES), predicted["total"], f"{error:+.0f} %")
        )
        found[name] = {stage: round(medians[stage], 3) for stage in (*STAGES, "total")}
        print(name, *(harness.text(value) for value in rows[-1][1:]), flush=True)
    report.facts["measured"] = found
    if options.keep:
        _KEPT.write_text(json.dumps({**measured_rows(), **found}, indent=1) + "\n", "utf-8")
    report.table("CPU s/s of a job", ("job", *STAGES, "together", "off by"), rows)
    return report.close(options.json)


if __name__ == "__main__":
    sys.exit(main())
