"""What the documentation says of the API is what the API takes: addresses, bodies, and how webhooks are verified."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from egress.control import signing
from egress.model import control
from egress.web.api.call import PREFIX
from egress.web.api.commands import AnyCommand
from egress.web.service import NOUNS
from tests.house import api_reference
from tests.house.tree import ROOT, texts

PAGES = tuple(path for path in texts() if path.suffix == ".md" and "curl " in path.read_text("utf-8"))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SAID = {name: said for noun in NOUNS for name, said in noun.said.items()}
PATHS = {
    (method.upper(), path): said["operationId"]
    for path, methods in api_reference.description()["paths"].items()
    for method, said in methods.items()
}


def _calls(page: Path) -> Iterator[tuple[str, str, str | None]]:
    """(method, path, body) of every curl line to the API."""
    for language, block in _FENCE.findall(page.read_text("utf-8")):
        for line in block.replace("\\\n", " ").splitlines() if language == "sh" else ():
            words = shlex.split(line, comments=True)
            address = next((word for word in words if PREFIX in word and not word.startswith("-")), None)
            if words[:1] != ["curl"] or address is None:
                continue
            body = next((words[n + 1] for n, word in enumerate(words) if word in ("-d", "--data-binary")), None)
            method = next((words[n + 1] for n, word in enumerate(words) if word == "-X"), "POST" if body else "GET")
            yield method, PREFIX + address.split(PREFIX)[1].partition("?")[0], body


def _operation(method: str, path: str) -> str | None:
    for (known, pattern), name in PATHS.items():
        if known == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
            return name
    return None


def _take(name: str, body: Any) -> None:
    """Read a body as its route does."""
    model: Any = SAID[name].takes.get("application/json")
    if model is AnyCommand:
        control.read(body)
    elif model is not None and issubclass(model, control.Command):
        control.read({**body, "command": get_args(model.model_fields["command"].annotation)[0]})
    elif model is not None:
        model.model_validate(body)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_calls_shown_are_ones_the_api_takes(page: Path) -> None:
    for method, path, body in _calls(page):
        if path.startswith(f"{PREFIX}/hooks/"):
            assert method == "POST", path
            continue
        name = _operation(method, path)
        assert name is not None, f"{method} {path}"
        if body is not None and not body.startswith("@"):
            _take(name, json.loads(body))


@pytest.mark.parametrize("name", [name for name, said in SAID.items() if isinstance(said.example, dict)])
def test_examples_of_the_description_are_taken(name: str) -> None:
    _take(name, SAID[name].example)


def test_every_call_is_in_the_reference() -> None:
    shown = {_operation(method, path) for method, path, _ in _calls(ROOT / "docs" / "api.md")}
    assert shown == set(SAID)


def test_the_way_to_verify_webhooks_verifies_ours_and_no_others() -> None:
    text = (ROOT / "docs" / "service.md").read_text("utf-8")
    (code,) = [block for language, block in _FENCE.findall(text) if language == "python"]
    there: dict[str, Any] = {}
    exec(code, there)
    verify, secret, body, now = there["verify"], signing.new_secret(), b'{"type": "job.finished"}', int(time.time())
    headers = signing.standard_headers([signing.new_secret(), secret], "evt_1", now, body)
    assert verify(secret, headers, body)
    assert not verify(secret, headers, body + b" ")
    assert not verify(signing.new_secret(), headers, body)
    assert not verify(secret, signing.standard_headers([secret], "evt_1", now - 301, body), body)
