"""Logs of a server: JSON lines for machines, plain ones for a terminal, each with its job, none with a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog

from egress.model.secrets import HIDDEN, redact_url

Format = Literal["json", "plain", "auto"]

_ADDRESS = re.compile(r"\b(?:rtmps?|srt|youtube|twitch|facebook|mux|postgres(?:ql)?|https?|wss?)://[^\s'\"<>]+")
_BEARER = re.compile(r"(?i)(bearer\s+|egress_[0-9a-f]{12}_|whsec_|\beyJ)[A-Za-z0-9._~+/=-]{8,}")


def configure(level: str, form: Format = "auto", out: TextIO | None = None) -> None:
    """Have all that is logged in this process written as lines to `out` (stderr); `auto` is plain on a terminal.

    Addresses lose their keys, tokens their end. What is bound by `structlog.contextvars` (a job's id) is on every line
    logged meanwhile.
    """
    out = out or sys.stderr
    plain = form == "plain" or (form == "auto" and out.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _message, _without_secrets]
    if plain:
        last.append(structlog.dev.ConsoleRenderer(colors=out.isatty(), event_key="message"))
    else:
        last[1:1] = [structlog.processors.format_exc_info]
        last.append(structlog.processors.JSONRenderer(default=str))
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)


def hidden(text: str) -> str:
    """A text without the secrets that addresses and tokens in it hold."""
    text = _ADDRESS.sub(lambda match: redact_url(match[0]), text)
    return _BEARER.sub(lambda match: match[1] + HIDDEN, text)


def _message(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["message"] = event.pop("event", "")
    # uvicorn says the same once more for terminals.
    event.pop("color_message", None)
    return event


def _without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = hidden(value)
    return event
