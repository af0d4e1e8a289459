"""What the commands share: settings, addresses, showing a job and its end."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from egress.foreground import Ending
from egress.model.errors import RequestError
from egress.model.order import JobOrder
from egress.model.settings import Settings
from egress.progress import Progress, summary

DEFAULT_LISTEN = ("127.0.0.1", 8080)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings, flags over environment over file over defaults."""
    flags = {"spool": arguments.spool} if arguments.spool else {}
    return Settings.load(config=arguments.config, flags=flags)


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


def finish(ending: Ending, order: JobOrder, *, as_json: bool) -> int:
    """Say what was made, unless the events say it already; returns the exit status."""
    if not as_json:
        print(summary(ending))
        print(f"  manifest  {order.manifest}")
    return ending.exit_status


def printer(as_json: bool) -> Callable[[dict[str, Any]], None]:
    """What shows a job's events: JSON lines on stdout, or progress on stderr."""
    if not as_json:
        return Progress(sys.stderr)

    def line(event: dict[str, Any]) -> None:
        print(json.dumps(event, ensure_ascii=False), flush=True)

    return line
