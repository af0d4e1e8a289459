"""`egress preview`: what a pipeline looks like, without any room, as a picture or a clip."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from egress.commands.common import nanos_of, settings_of, size_of
from egress.model.errors import RequestError
from egress.model.media import SECOND
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
    at = nanos_of("at", arguments.at, 0.0, scripts.LONGEST / SECOND)
    seconds = nanos_of("seconds", arguments.seconds, 0.001, LONGEST)
    script = scripts.load(Path(arguments.script)) if arguments.script else scripts.Script(participants=_PARTICIPANTS)
    wanted = Wanted(
        pipeline=arguments.pipeline,
        out=Path(arguments.out),
        script=script,
        participants=count if count is not None else script.participants or 0,
        names=arguments.names,
        screen=arguments.screen,
        size=size_of(arguments.size),
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
