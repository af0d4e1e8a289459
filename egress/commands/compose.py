"""`egress compose`: recorded tracks, or plain media files, made into one programme, as fast as the machine allows."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from egress.commands.common import Output, nanos_of, settings_of, size_of
from egress.composing import output
from egress.composing.plan import Wanted, planned
from egress.model.media import SECOND
from egress.programs import check_ffmpeg
from egress.progress import people

DONE = 0
_MOST_NAMED = 10


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    settings = settings_of(arguments)
    plan = planned(
        Wanted(
            source=Path(arguments.source),
            out=arguments.out,
            pipeline=arguments.pipeline,
            layout=arguments.layout,
            theme=arguments.theme,
            size=size_of(arguments.size),
            assets=settings.assets,
            begin=nanos_of("from", arguments.begin, 0.0),
            end=nanos_of("to", arguments.end, 0.001),
            length=nanos_of("seconds", arguments.seconds, 0.001),
            overwrite=arguments.overwrite,
        )
    )
    ffmpeg = check_ffmpeg(plan.pipeline, settings.ffmpeg)
    show = _Lines() if arguments.json else _Bar()
    if left_out := plan.footage.left_out:
        named = ", ".join(left_out[:_MOST_NAMED]) + (", …" if len(left_out) > _MOST_NAMED else "")
        show({"type": "warning", "message": f"left out, for their names are not those of media files: {named}"})
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        made = output.make(plan, show, ffmpeg)
    finally:
        show.end()
        signal.signal(signal.SIGTERM, before)
    row = {
        "kind": made.kind,
        "location": made.location,
        "size": made.size,
        "duration": round(made.duration / SECOND, 3),
        "sha256": made.sha256,
        **made.details,
    }
    if arguments.json:
        show({"type": "state", "state": "finished", "reason": "all of it is composed", "artifacts": [row]})
    else:
        print(made.location)
    return DONE


class _Lines:
    """Events as JSON lines on stdout."""

    def __init__(self) -> None:
        self._out = Output(sys.stdout)

    def __call__(self, event: dict[str, Any]) -> None:
        self._out.write(json.dumps(event, ensure_ascii=False) + "\n")
        self._out.flush()

    def end(self) -> None:
        """Nothing is left open."""


class _Bar:
    """One line on a terminal that says how far it is; only warnings where there is none."""

    def __init__(self) -> None:
        self._out = Output(sys.stderr)
        self._live = self._out.isatty()

    def __call__(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "alive" if self._live:
                left = f"{100 * event['share']:5.1f} %  {event['speed']:.1f} x realtime"
                self._out.write(f"\r\x1b[K{left}  {people(event['participants'])}")
                self._out.flush()
            case "transcoding" if self._live:
                self._out.write(f"\r\x1b[Ktranscoding {event['percent']:.1f} %")
                self._out.flush()
            case "warning":
                clear = "\r\x1b[K" if self._live else ""
                self._out.write(f"{clear}egress: warning: {event['message']}\n")
                self._out.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._live:
            self._out.write("\r\x1b[K")
            self._out.flush()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
