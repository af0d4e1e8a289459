"""`egress preview`: what a pipeline looks like, without any room, as a picture or a clip."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from egress.commands.common import settings_of
from egress.model.errors import RequestError
from egress.model.media import SECOND, Nanos, Size
from egress.model.units import size
from egress.preview import output
from egress.preview import script as scripts
from egress.preview.people import MOST
from egress.preview.plan import Wanted, planned

DONE = 0
LONGEST = 600.0
"""Seconds a clip may have: longer ones are for real rooms."""

_PARTICIPANTS = 4


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    count = arguments.participants
    if count is not None and not 0 <= count <= MOST:
        raise RequestError(f"--participants must be 0 to {MOST}", (("participants", f"must be 0 to {MOST}"),))
    at = _nanos("at", arguments.at, 0.0, scripts.LONGEST / SECOND)
    seconds = _nanos("seconds", arguments.seconds, 0.001, LONGEST)
    script = scripts.load(Path(arguments.script)) if arguments.script else scripts.Script(participants=_PARTICIPANTS)
    wanted = Wanted(
        pipeline=arguments.pipeline,
        out=Path(arguments.out),
        script=script,
        participants=count if count is not None else script.participants or 0,
        names=arguments.names,
        screen=arguments.screen,
        size=_size(arguments.size),
        layout=arguments.layout,
        theme=arguments.theme,
        assets=settings_of(arguments).assets,
        at=at,
        length=seconds,
        overwrite=arguments.overwrite,
    )
    output.make(planned(wanted), lambda message: print(f"egress: warning: {message}", file=sys.stderr))
    print(arguments.out)
    return DONE


def _nanos(name: str, value: float | None, least: float, most: float) -> Nanos | None:
    if value is None:
        return None
    if not (math.isfinite(value) and least <= value <= most):
        message = f"--{name} must be a number of seconds from {least:g} to {most:g}, not {value:g}"
        raise RequestError(message, ((name, message),))
    return round(value * SECOND)


def _size(text: str | None) -> Size | None:
    if text is None:
        return None
    try:
        return size(text)
    except ValueError as error:
        raise RequestError(f"--size {error}", (("size", str(error)),)) from None
