"""What the commands share: settings, addresses, showing a job and its end."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from zoneinfo import ZoneInfo

from egress.model.document import parse
from egress.model.errors import RequestError
from egress.model.media import SECOND, Nanos, Size
from egress.model.providers import cautions
from egress.model.settings import CONFIG_VARIABLE, NAMES, Settings, variable
from egress.model.units import size
from egress.progress import Progress, summary

if TYPE_CHECKING:
    from egress.control.attempts import Ending
    from egress.model.order import JobOrder

DEFAULT_LISTEN = ("127.0.0.1", 8080)


def settings_of(arguments: argparse.Namespace, **flags: str | None) -> Settings:
    """The settings, flags over environment over file over defaults; `flags` are those only one command has."""
    for name in unknown_variables(os.environ):
        print(f"egress: warning: there is no setting {name}; see docs/settings.md", file=sys.stderr)
    if arguments.config:
        # Recovery after a worker's death is a process of its own, and reads the same file.
        os.environ[CONFIG_VARIABLE] = str(arguments.config)
    return Settings.load(config=arguments.config, flags={"spool": arguments.spool or None, **flags})


def nanos_of(name: str, value: float | None, least: float, most: float = math.inf) -> Nanos | None:
    """What a flag says in seconds; raises RequestError when it is no number, or none of `least` to `most`."""
    if value is None:
        return None
    if not (math.isfinite(value) and least <= value <= most):
        wanted = f", {least:g} or more, not" if math.isinf(most) else f" from {least:g} to {most:g}, not"
        message = f"--{name} must be a number of seconds{wanted} {value:g}"
        raise RequestError(message, ((name, message),))
    return round(value * SECOND)


def size_of(text: str | None) -> Size | None:
    """What `--size` says; raises RequestError."""
    if text is None:
        return None
    try:
        return size(text)
    except ValueError as error:
        raise RequestError(f"--size {error}", (("size", str(error)),)) from None


def unknown_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Names that look like our settings and are none: a mistyped token leaves a room open."""
    known = {variable(name) for name in NAMES} | {"EGRESS_CONFIG", "EGRESS_CLIPS"}
    return tuple(sorted(name for name in environ if name.startswith("EGRESS_") and name not in known))


def open_to_strangers(listen: tuple[str, int] | None, token: object) -> bool:
    """Whether anybody on the network may publish."""
    return listen is not None and token is None and listen[0] not in ("localhost", "::1") and listen[0][:4] != "127."


def address(text: str | None) -> tuple[str, int] | None:
    """(host, port) of 'HOST:PORT', '[::1]:8080' or ':8080'; raises RequestError."""
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise RequestError(
            f"--listen {text!r} is not HOST:PORT; write it like 127.0.0.1:8080",
            (("listen", "is not HOST:PORT; write it like 127.0.0.1:8080"),),
        )
    return host.strip("[]") or "127.0.0.1", int(port)


def addresses(given: Sequence[str]) -> tuple[str, ...]:
    """The external streams asked for; `@FILE` (`@-` is standard input) stands for the addresses in it, one a line.

    A stream's address is its secret, and a command line is there for every user of the machine to read.
    """
    found: list[str] = []
    for text in given:
        if not text.startswith("@"):
            found.append(text)
            continue
        try:
            lines = (sys.stdin.read() if text == "@-" else Path(text[1:]).read_text(encoding="utf-8")).splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "is not text"
            raise RequestError(
                f"--rtmp {text}: {why}; name a file with an address a line", (("rtmp", str(why)),)
            ) from None
        found += [line.strip() for line in lines if line.strip()]
    return tuple(found)


def document_of(file: str) -> dict[str, Any]:
    """The YAML or JSON document in a file, `-` for standard input, as JSON knows it; raises RequestError.

    Documents hold secrets, which belong into no command line.
    """
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        why = f"{file}: {error.strerror}; name a file that holds the document as YAML or JSON"
        raise RequestError(why, (("file", why),)) from None
    data: dict[str, Any] = json.loads(json.dumps(parse(raw, file).data, default=str))
    return data


def clock(at: str | None, zone: str = "UTC") -> str:
    """A time of the API as people of a time zone read it: Tue 2026-03-03 02:30:00 CET; "" is none.

    One without an offset is of that zone already.
    """
    if not at:
        return ""
    told, here = datetime.fromisoformat(at), ZoneInfo(zone)
    return f"{told.replace(tzinfo=told.tzinfo or here).astimezone(here):%a %Y-%m-%d %H:%M:%S %Z}"


def say(arguments: argparse.Namespace, document: Mapping[str, Any], line: str) -> None:
    """Write a line about a document, or with --json the document itself."""
    out = Output(sys.stdout)
    out.write((json.dumps(document, ensure_ascii=False) if arguments.json else line) + "\n")
    out.flush()


def finish(ending: Ending, order: JobOrder, *, as_json: bool) -> int:
    """Say what was made, unless the events say it already; returns the exit status."""
    if not as_json:
        out = Output(sys.stdout)
        out.write(f"{summary(ending)}\n  manifest  {ending.event.get('manifest') or order.manifest}\n")
        if ending.event.get("undelivered"):
            out.write(f"  what is in {ending.event['spool']} is delivered by `egress recover`, once it can be\n")
        out.flush()
    return ending.exit_status


def caution(order: JobOrder, show: Callable[[dict[str, Any]], None]) -> None:
    """Warn of what the platforms an order streams to may not like about it."""
    for text in cautions(order.pipeline):
        show({"type": "warning", "message": text})


def printer(as_json: bool) -> Callable[[dict[str, Any]], None]:
    """What shows a job's events: JSON lines on stdout, or progress on stderr."""
    if not as_json:
        return Progress(Output(sys.stderr))
    out = Output(sys.stdout)

    def line(event: dict[str, Any]) -> None:
        out.write(json.dumps(event, ensure_ascii=False) + "\n")
        out.flush()

    return line


class Output:
    """A stream a job goes on without: once it cannot be written, for its reader has gone, nothing more is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write text, if anybody is still there to read it."""
        try:
            self._stream.write(text)
        except OSError:
            self._lose()

    def flush(self) -> None:
        """Hand on what was written."""
        try:
            self._stream.flush()
        except OSError:
            self._lose()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def _lose(self) -> None:
        # Python flushes once more at exit, and complains when that fails.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
