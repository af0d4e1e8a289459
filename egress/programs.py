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
    try:
        asked = subprocess.run(
            [ffmpeg, "-hide_banner", "-encoders"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    _, _, rows = asked.stdout.decode(errors="replace").partition("------")
    return frozenset(words[1] for line in rows.splitlines() if len(words := line.split()) > 1)


def check_ffmpeg(pipeline: Pipeline, command: str) -> str:
    """The path of the ffmpeg a pipeline's outputs are made with, "" where none is needed.

    Raises RequestError naming every sink that needs what is not there.
    """
    needing = _needs(pipeline)
    if not needing:
        return ""
    path = find(command)
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
