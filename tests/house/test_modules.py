"""Modules are small, say what they are for, and leave nothing half-done."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.tree import ROOT, modules, texts

MOST_LINES = 330
"""Lines that are not blank: a longer module hides a second noun."""

UNFINISHED = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("module", modules(), ids=_id)
def test_a_module_is_short_and_says_what_it_is_for(module: Path) -> None:
    text = module.read_text("utf-8")
    tree = ast.parse(text)
    if tree.body:
        assert ast.get_docstring(tree), "the first line of a module says what it is for"
    assert sum(bool(line.strip()) for line in text.splitlines()) <= MOST_LINES
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            plain = isinstance(node, ast.ClassDef) and len(node.body) <= 4
            assert ast.get_docstring(node) or plain, f"{node.name} says what it is for"


def test_nothing_is_left_for_later() -> None:
    for path in texts():
        words = set(path.read_text("utf-8").replace("(", " ").replace(":", " ").split())
        assert not words & set(UNFINISHED), path


def test_no_test_is_skipped() -> None:
    marks = ("mark." + "skip", "pytest." + "skip(", "mark." + "xfail", "unittest." + "mock")
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text("utf-8")
        assert not any(mark in text for mark in marks), path
