"""`egress record`: one job in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from egress.foreground import Ending, Foreground
from egress.model.errors import RequestError
from egress.model.order import JobOrder
from egress.model.settings import Settings
from egress.ordering import MILLISECOND, make_order
from egress.progress import Progress, summary

DEFAULT_LISTEN = ("127.0.0.1", 8080)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    settings = settings_of(arguments)
    listen = address(arguments.listen or settings.listen)
    if listen is None and arguments.room.startswith("local:"):
        # A local room nobody can reach would be no room: publishers need an address to come in.
        listen = DEFAULT_LISTEN
    order = make_order(
        arguments.room,
        pipeline=arguments.pipeline,
        root=arguments.to,
        spool=settings.spool,
        seconds=arguments.seconds,
        streams=addresses(arguments.rtmp),
        whip_token=settings.whip_token.reveal() if settings.whip_token else None,
        reorder=settings.reorder_ms * MILLISECOND,
        log_level=settings.log_level,
        overwrite=arguments.overwrite,
    )
    job = Foreground(order, on_event=_printer(arguments.json), listen=listen)
    return finish(asyncio.run(job.run()), order, as_json=arguments.json)


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
    """Say how it ended; returns the exit status."""
    if as_json:
        print(
            json.dumps({"type": "ended", "state": ending.state, "reason": ending.reason, "manifest": order.manifest}),
            flush=True,
        )
    else:
        print(summary(ending))
        print(f"  manifest  {order.manifest}")
    return ending.exit_status


def _printer(as_json: bool) -> Any:
    if not as_json:
        return Progress(sys.stderr)

    def line(event: dict[str, Any]) -> None:
        print(json.dumps(event, ensure_ascii=False), flush=True)

    return line
