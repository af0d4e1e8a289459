"""Logs of a server: JSON lines for machines, plain ones for a terminal, each with its job, none with a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from egress.model.secrets import HIDDEN, living, redact_url

_ADDRESS = re.compile(r"\b(?:rtmps?|srt|youtube|twitch|facebook|mux|postgres(?:ql)?|https?|wss?)://[^\s'\"<>]+")
_BEARER = re.compile(r"(?i)(bearer\s+|egress_[0-9a-f]{12}_|whsec_|\beyJ)[A-Za-z0-9._~+/=-]{8,}")


def configure(level: str, form: str = "auto", out: TextIO | None = None) -> None:
    """Have all that is logged in this process written as lines to `out` (stderr); `form` is one of LOG_FORMATS.

    Addresses lose their keys, tokens their end, and no value of a `Secret` that is in use is shown. What is bound by
    `structlog.contextvars` (the ids of a job, of a request) is on every line logged meanwhile.
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
    last: list[Any] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        # Here for both forms: what an exception says is looked through as well.
        structlog.processors.format_exc_info,
        structlog.processors.StackInfoRenderer(),
        _message,
        _without_secrets,
        structlog.dev.ConsoleRenderer(
            colors=out.isatty(), event_key="message", exception_formatter=structlog.dev.plain_traceback
        )
        if plain
        else structlog.processors.JSONRenderer(),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)


def hidden(text: str) -> str:
    """A text without the secrets that are in use, and those that addresses and tokens in it hold."""
    for secret in sorted((value for value in living() if value in text), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _ADDRESS.sub(lambda match: redact_url(match[0]), text)
    return _BEARER.sub(lambda match: match[1] + HIDDEN, text)


def _message(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["message"] = event.pop("event", "")
    # uvicorn says the same once more for terminals.
    event.pop("color_message", None)
    return event


def _without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        event[name] = _shown(value)
    return event


def _shown(value: Any) -> Any:
    match value:
        case bool() | int() | float() | None:
            return value
        case dict():
            return {hidden(str(name)): _shown(one) for name, one in value.items()}
        case list() | tuple():
            return [_shown(one) for one in value]
        case _:
            return hidden(str(value))
