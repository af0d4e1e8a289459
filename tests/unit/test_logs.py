"""Logs of a server: one JSON document a line, with its job, and no secret in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from egress.logs import configure, hidden
from egress.model.secrets import Secret


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_says_when_who_and_what(out: io.StringIO) -> None:
    configure("INFO", out=out)
    logging.getLogger("egress.x").info("began %s", "well")
    logging.getLogger("egress.x").debug("not this")
    with structlog.contextvars.bound_contextvars(job="20260101-120000-abc"):
        logging.getLogger("egress.x").warning("late")
    first, second = lines(out)
    assert (first["message"], first["level"], first["logger"]) == ("began well", "info", "egress.x")
    assert first["timestamp"].endswith("Z") and "job" not in first
    assert second["job"] == "20260101-120000-abc" and second["level"] == "warning"


def test_an_exception_is_one_line(out: io.StringIO) -> None:
    configure("INFO", out=out)
    try:
        raise ValueError("rtmp://host/app/kanarie-77-kanarie")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = lines(out)
    assert "ValueError" in line["exception"] and "kanarie-77" not in json.dumps(line)


@pytest.mark.parametrize("form", ["json", "plain"])
def test_no_secret_in_use_is_in_a_line_wherever_it_stands(out: io.StringIO, form: str) -> None:
    configure("INFO", form, out)
    keys = Secret("key:kanarie-77,other:kanarie-88")
    alone = Secret("kanarie-99")
    log = logging.getLogger("x")
    log.warning("opened %s with %s", "kanarie-77", "kanarie-88")
    log.warning("nested", extra={"said": {"pin": ["kanarie-99", Exception("kanarie-77")]}})
    try:
        raise ValueError("a pin like kanarie-99")
    except ValueError:
        log.exception("failed")
    with structlog.contextvars.bound_contextvars(room="kanarie-99"):
        log.warning("bound")
    assert "kanarie" not in out.getvalue() and out.getvalue().count("nested") == 1 and "ValueError" in out.getvalue()
    del keys, alone
    log.warning("kanarie-99 is a word like others once nobody has it")
    assert "kanarie-99" in out.getvalue()


def test_a_terminal_gets_plain_lines(out: io.StringIO) -> None:
    configure("INFO", "plain", out)
    logging.getLogger("x").warning("careful")
    assert "careful" in out.getvalue() and not out.getvalue().startswith("{")


@pytest.mark.parametrize(
    "text",
    [
        "lost rtmp://host/live/kanarie-77-kanarie again",
        "youtube://kanarie-77-kanarie",
        "https://user:kanarie-77-kanarie@host/x?token=kanarie-77-kanarie",
        "postgresql://me:kanarie-77-kanarie@db/egress",
        "Authorization: Bearer kanarie-77-kanarie",
        "egress_0123456789ab_kanarie-77-kanarie",
        "whsec_kanarie77kanarie",
        "eyJkanarie-77.kanarie-77.kanarie-77",
    ],
)
def test_no_secret_of_an_address_or_token_is_left(text: str) -> None:
    assert "kanarie-77" not in hidden(text) and "kanarie77" not in hidden(text)


def test_other_texts_stay_as_they_are() -> None:
    assert hidden("job 7 ended: disk full (/var/lib/egress)") == "job 7 ended: disk full (/var/lib/egress)"
