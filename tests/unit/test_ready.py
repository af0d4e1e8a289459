"""Answers kept in memory stay within their bytes."""

from __future__ import annotations

import pytest

from egress.web import ready as module
from egress.web.ready import Memory, Ready


def test_the_oldest_answers_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 100)
    memory = Memory()
    for name in ("a", "b"):
        memory.keep(name, Ready(200, {}, bytes(50), tag="1"))
    assert memory.get("a", "1") is not None
    memory.keep("c", Ready(200, {}, bytes(50), tag="1"))
    assert memory.get("b", "1") is None and memory.get("a", "1") is not None


def test_another_version_is_not_the_one_that_was_kept() -> None:
    memory = Memory()
    memory.keep("a", Ready(200, {}, b"old", tag="1"))
    assert memory.get("a", "2") is None and memory.get("a", "1") is None
