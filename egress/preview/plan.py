"""What is asked of a preview, checked as a whole before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from egress import pipelines
from egress.model import look_texts, rules
from egress.model.directing import directed
from egress.model.errors import RequestError
from egress.model.look_images import resolve_images
from egress.model.media import SECOND, Nanos, Size
from egress.model.overriding import restyled
from egress.model.pipeline import Pipeline, Video
from egress.model.problems import one_of, refuse
from egress.preview.people import Guest, Names, guests
from egress.preview.rehearsal import Rehearsal
from egress.preview.script import Script

IMAGES = (".png", ".jpg", ".webp")
CLIPS = (".mp4",)

SETTLED: Nanos = 2 * SECOND
"""How long after the last thing that happens a picture is taken, unless said otherwise."""

_CLIP: Nanos = 5 * SECOND
_JOB = "preview"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request as it comes: `at` is when a picture is taken, `length` how long a clip is; None is what suits."""

    pipeline: str
    out: Path
    script: Script = field(default_factory=Script)
    participants: int = 0
    names: Names = "plain"
    screen: bool = False
    size: Size | None = None
    layout: str | None = None
    theme: str | None = None
    assets: Path | None = None
    at: Nanos | None = None
    length: Nanos | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A preview that can be made: `at` is None for a clip, of the length given."""

    pipeline: Pipeline
    video: Video
    rehearsal: Rehearsal
    out: Path
    at: Nanos | None
    length: Nanos


def planned(wanted: Wanted) -> Plan:
    """The plan for a request; raises RequestError with what is wrong and how to mend it."""
    check_place(wanted.out, overwrite=wanted.overwrite)
    clip = wanted.out.suffix.lower() in CLIPS
    if clip and wanted.at is not None:
        raise _refused("at", f"--at is for pictures, and {wanted.out.name} is a clip; leave it out, or use --seconds")
    if not clip and wanted.length is not None:
        raise _refused("seconds", f"--seconds is for clips, and {wanted.out.name} is a picture; use --at")
    pipeline = _changed(pipelines.check(wanted.pipeline, wanted.assets), wanted)
    if pipeline.video is None:
        raise _refused("pipeline", f"pipeline {pipeline.name} makes no picture (video: null); preview another one")
    folders = pipelines.picture_folders(wanted.pipeline, wanted.assets)
    script = wanted.script
    texts = look_texts.values(room=script.room, job=_JOB, pipeline=pipeline.name, started=script.started)
    pipeline = look_texts.filled(resolve_images(pipeline, "", folders)[0], texts)
    obey = partial(directed, pipeline=pipeline, folders=folders, values=texts)
    rehearsal = Rehearsal(pipeline, obey, script, _guests(wanted), screen=wanted.screen)
    start = pipeline.cards.start.duration if pipeline.cards.start else 0
    last = max([start, *(cue.at for cue in rehearsal.cues)])
    length = wanted.length if wanted.length is not None else max(_CLIP, last + SETTLED)
    if stop := next((cue for cue in rehearsal.cues if cue.stop), None):
        length = min(length, stop.at + (pipeline.cards.end.duration if pipeline.cards.end else 0))
    at = None if clip else wanted.at if wanted.at is not None else last + SETTLED
    assert pipeline.video is not None
    return Plan(pipeline, pipeline.video, rehearsal, wanted.out, at, length)


def check_place(path: Path, *, overwrite: bool) -> None:
    """Refuse a place a preview cannot go to; raises RequestError with the fix."""
    if path.suffix.lower() not in (*IMAGES, *CLIPS):
        raise _refused("out", f"--out {path}: a preview ends with one of {one_of((*IMAGES, *CLIPS))}; name it so")
    if path.is_dir():
        raise _refused("out", f"--out {path} is a folder; name a file, like {path / 'preview.png'}")
    if path.exists() and not overwrite:
        raise _refused("out", f"--out {path} exists; remove it, choose another name, or --overwrite")
    if not path.parent.is_dir():
        raise _refused("out", f"--out {path}: there is no folder {path.parent}; make it first")
    temporary = beside(path)
    try:
        temporary.write_bytes(b"")
        temporary.unlink()
    except OSError as error:
        raise cannot_write(path, error) from None


def beside(path: Path) -> Path:
    """Where a file is written until it is whole."""
    return path.with_name(f"{path.name}.tmp")


def cannot_write(path: Path, error: OSError) -> RequestError:
    """The error for a place that cannot be written."""
    return _refused("out", f"--out {path} cannot be written: {error.strerror or error}; choose another place")


def _changed(pipeline: Pipeline, wanted: Wanted) -> Pipeline:
    """The pipeline with the layout, theme and size asked for instead of its own."""
    pipeline = restyled(pipeline, layout=wanted.layout, theme=wanted.theme, size=wanted.size)
    if wanted.size is not None and (problems := tuple(finding.problem for finding in rules.check(pipeline))):
        raise refuse(f"--size {wanted.size}", problems)
    return pipeline


def _guests(wanted: Wanted) -> tuple[Guest, ...]:
    there = guests(wanted.participants, wanted.names)
    if wanted.screen and not there:
        raise _refused("screen", "--screen needs somebody who shares; add --participants 1 or more")
    return tuple(replace(guest, speaking=False) for guest in there) if _speaks(wanted.script) else there


def _speaks(script: Script) -> bool:
    """Whether a script says itself who speaks."""
    return any(getattr(moment.step, "do", "") == "speak" for moment in script.moments)


def _refused(field: str, message: str) -> RequestError:
    return RequestError(message, ((field, message),))
