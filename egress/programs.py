"""Programs of this machine that jobs use beside our own: where they are, and what they can do."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from functools import cache

from egress.model.audio_files import wanted
from egress.model.outputs import AudioFileDoc, SrtDoc, WebmDoc
from egress.model.pipeline import Pipeline
from egress.model.problems import Problem, refuse

FFMPEG = "ffmpeg"
ENCODERS = ("libvpx", "libvpx-vp9", "libopus", "libmp3lame", "aac")
"""All that an output may need of it."""

_PATIENCE = 20.0
_INSTALL = "install it (apt-get install ffmpeg), or say where it is: EGRESS_FFMPEG"


def find(command: str) -> str | None:
    """The absolute path of a program, given by name or path; None when there is none that can be run."""
    return shutil.which(command)


@cache
def encoders(ffmpeg: str) -> frozenset[str]:
    """The encoders an ffmpeg has; empty when it cannot be run."""
    _, _, rows = _told(ffmpeg, "-encoders").partition("------")
    return frozenset(words[1] for line in rows.splitlines() if len(words := line.split()) > 1)


@cache
def _sends(ffmpeg: str) -> frozenset[str]:
    """The protocols an ffmpeg can write to; empty when it cannot be run."""
    _, _, rows = _told(ffmpeg, "-protocols").partition("Output:")
    return frozenset(rows.split())


def srt_problem(ffmpeg: str) -> str:
    """Why no stream can be sent over SRT with this ffmpeg ("" for none there is), and the fix; "" when one can."""
    if not ffmpeg:
        return f"is sent by ffmpeg, and there is none here; {_INSTALL}"
    if "srt" in _sends(ffmpeg):
        return ""
    return f"is sent by ffmpeg, and {ffmpeg} was built without SRT; use one that has it (Debian's has): EGRESS_FFMPEG"


def _told(ffmpeg: str, question: str) -> str:
    try:
        asked = subprocess.run(
            [ffmpeg, "-hide_banner", question], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.decode(errors="replace")


def check_ffmpeg(pipeline: Pipeline, command: str) -> str:
    """The path of the ffmpeg a pipeline's outputs are made with; "" where there is none, and none is needed.

    Raises RequestError naming every sink that needs what is not there.
    """
    needing = _needs(pipeline)
    path = find(command)
    if not needing:
        # A running job may be told to send over SRT as well.
        return path or ""
    if path is None:
        missing = f"is made by ffmpeg, and {command!r} is no program here; {_INSTALL}"
        raise refuse(f"pipeline {pipeline.name}", [Problem(field, missing) for field in needing])
    has = encoders(path)
    found = [
        Problem(field, f"is made by ffmpeg, and {path} has no {name}; use one that has: EGRESS_FFMPEG")
        for field, names in needing.items()
        for name in names
        if name not in has
    ]
    if problem := srt_problem(path):
        found += [
            Problem(f"sinks[{index}].kind", problem)
            for index, sink in enumerate(pipeline.sinks)
            if isinstance(sink, SrtDoc)
        ]
    if found:
        raise refuse(f"pipeline {pipeline.name}", found)
    return path


def _needs(pipeline: Pipeline) -> Mapping[str, tuple[str, ...]]:
    """The sinks that need ffmpeg, by their fields, and the encoders each takes."""
    found: dict[str, tuple[str, ...]] = {}
    for index, sink in enumerate(pipeline.sinks):
        match sink:
            case WebmDoc():
                sound = ("libopus",) if pipeline.audio.codec != "opus" else ()
                found[f"sinks[{index}].kind"] = ("libvpx-vp9" if sink.codec == "vp9" else "libvpx", *sound)
            case AudioFileDoc() if (encoder := wanted(sink, pipeline.audio.codec)) is not None:
                found[f"sinks[{index}].to"] = (encoder,)
            case SrtDoc():
                found[f"sinks[{index}].kind"] = ()
    return found
