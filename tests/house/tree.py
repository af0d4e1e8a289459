"""The project's own files, and what they import: what the house tests look at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NOT_OURS = {"__pycache__", "vendor", "node_modules", "build", "dist", "egress-demo"}
_FOLDERS = ("egress", "tests", "pipelines", "docs", "samples", ".ci")
_TEXT = {".py", ".md", ".yaml", ".yml", ".toml", ".json", ".js", ".html", ".css", ".sh", ""}


@cache
def modules() -> tuple[Path, ...]:
    """Every Python module of the package."""
    return tuple(sorted(p for p in (ROOT / "egress").rglob("*.py") if not _NOT_OURS & set(p.parts)))


@cache
def texts() -> tuple[Path, ...]:
    """Every text file written by us."""
    found = [p for p in ROOT.iterdir() if p.is_file() and p.suffix in _TEXT and p.name != ".git"]
    for folder in _FOLDERS:
        found.extend(p for p in (ROOT / folder).rglob("*") if p.is_file() and p.suffix in _TEXT)
    return tuple(sorted(p for p in found if not _NOT_OURS & set(p.relative_to(ROOT).parts) and _is_text(p)))


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\0" not in file.read(1024)


def name_of(module: Path) -> str:
    """The dotted name of a module."""
    parts = module.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name: str) -> str:
    """The room of the house a dotted name lives in: 'egress.rooms.peer' is in 'rooms', 'egress' in ''."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(module: Path, *, only_at_import: bool = False) -> Iterator[str]:
    """Every dotted name a module imports; `only_at_import` leaves out those inside functions and type checking."""
    for node in _nodes(ast.parse(module.read_text("utf-8")), only_at_import):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written whole"
            known = {name_of(path) for path in modules()}
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else str(node.module)


def _nodes(node: ast.AST, only_at_import: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if only_at_import and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if only_at_import and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _nodes(child, only_at_import)
