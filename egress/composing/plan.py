"""What is asked of a composition, checked as a whole before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from egress import pipelines
from egress.composing.footage import Footage
from egress.composing.source import footage_of
from egress.model import look_texts, rules
from egress.model.errors import RequestError
from egress.model.look_images import resolve_images
from egress.model.media import SECOND, Nanos, Size
from egress.model.outputs import SINKS, SinkDoc
from egress.model.overriding import restyled
from egress.model.pipeline import Pipeline
from egress.model.problems import Problem, one_of, refuse

KINDS: Mapping[str, str] = {".mp4": "mp4", ".m4a": "audio", ".ogg": "audio", ".mp3": "audio", ".webm": "webm"}
"""The kind of sink that makes a file, by its ending; a folder is HLS."""

JOB = "compose"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request as it comes; None is what the pipeline or the footage says.

    `out` is as it was written: it is a folder for HLS when it ends with a slash. `begin` and `end` are session times.
    """

    source: Path
    out: str
    pipeline: str
    layout: str | None = None
    theme: str | None = None
    size: Size | None = None
    assets: Path | None = None
    begin: Nanos | None = None
    end: Nanos | None = None
    length: Nanos | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A composition that can be made. The one sink of `pipeline` has everything but its place, which is `out`."""

    footage: Footage
    pipeline: Pipeline
    out: Path
    overwrite: bool

    @property
    def sink(self) -> SinkDoc:
        """What is made."""
        return self.pipeline.sinks[0]


def planned(wanted: Wanted) -> Plan:
    """The plan for a request; raises RequestError with what is wrong and how to mend it."""
    kind, out = _place(wanted.out, overwrite=wanted.overwrite)
    pipeline = pipelines.check(wanted.pipeline, wanted.assets)
    pipeline = restyled(pipeline, layout=wanted.layout, theme=wanted.theme, size=wanted.size)
    pipeline = _with_sink(pipeline, kind, out)
    footage = _within(footage_of(wanted.source), wanted)
    texts = look_texts.values(room=footage.room, job=JOB, pipeline=pipeline.name, started=footage.started)
    folders = pipelines.picture_folders(wanted.pipeline, wanted.assets)
    pipeline = look_texts.filled(resolve_images(pipeline, "", folders)[0], texts)
    return Plan(footage, pipeline, out, wanted.overwrite)


def _place(text: str, *, overwrite: bool) -> tuple[str, Path]:
    """The kind of output and its path, refused where it cannot go."""
    out = Path(text)
    kind = "hls" if text.endswith("/") else KINDS.get(out.suffix.lower())
    if kind is None:
        endings = one_of((*KINDS, "/"))
        raise _refused("out", f"--out {text}: name a file or folder that ends with one of {endings} (a folder is HLS)")
    if out.is_dir() and kind != "hls":
        raise _refused("out", f"--out {text} is a folder; name a file in it, or end it with / for HLS")
    if out.exists() and not overwrite:
        raise _refused("out", f"--out {text} exists; remove it, choose another name, or --overwrite")
    parent = out.absolute().parent
    if not parent.is_dir():
        raise _refused("out", f"--out {text}: there is no folder {parent}; make it first")
    probe = parent / f".{out.name}.probe"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise cannot_write(out, error) from None
    return kind, out.absolute()


def cannot_write(out: Path, error: OSError) -> RequestError:
    """The error for a place that cannot be written."""
    return _refused("out", f"--out {out} cannot be written: {error.strerror or error}; choose another place")


def _with_sink(pipeline: Pipeline, kind: str, out: Path) -> Pipeline:
    """The pipeline with one output, as it describes that kind if it has one; raises RequestError."""
    own = next((sink for sink in pipeline.sinks if sink.kind == kind), None)
    changes = {"to": out.name, "required": True}
    sink = SINKS[kind](kind=kind, to=out.name) if own is None else own.model_copy(update=changes)
    if "backup" in type(sink).model_fields:
        sink = sink.model_copy(update={"backup": None})
    video = pipeline.video
    if video is None and kind in ("mp4", "webm"):
        message = f"pipeline {pipeline.name} makes no picture (video: null); name an .m4a file, or another pipeline"
        raise _refused("out", f"--out {out.name}: {message}")
    if video is not None and kind == "audio":
        video = None
    elif video is not None and kind != "hls":
        video = video.model_copy(update={"ladder": ()})
    pipeline = pipeline.model_copy(update={"sinks": (sink,), "video": video})
    found = tuple(dict.fromkeys(finding.problem for finding in rules.check(pipeline)))
    if found:
        raise refuse(f"pipeline {pipeline.name} for --out {out.name}", [_named(problem) for problem in found])
    return pipeline


def _named(problem: Problem) -> Problem:
    """A problem of the one sink as one of what was asked for."""
    return Problem("--out", problem.message) if problem.path == "sinks[0].to" else problem


def _within(footage: Footage, wanted: Wanted) -> Footage:
    """The footage from and to the session times asked for."""
    begin = wanted.begin or 0
    end = min(footage.length, wanted.end if wanted.end is not None else footage.length)
    if begin >= footage.length:
        told = f"--from {begin / SECOND:g} lies beyond the end, which is at {footage.length / SECOND:.1f} s"
        raise _refused("from", f"{told}; name an earlier time")
    if wanted.end is not None and wanted.end <= begin:
        raise _refused("to", f"--to {wanted.end / SECOND:g} does not lie after --from; name a later time")
    if wanted.length is not None:
        end = min(end, begin + wanted.length)
    return footage.without([(0, begin), (end, footage.length)] if (begin, end) != (0, footage.length) else [])


def _refused(field: str, message: str) -> RequestError:
    return RequestError(message, ((field, message),))
