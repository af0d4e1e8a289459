"""Imports go one way: the table below is the house, and nothing may reach past it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.house.tree import ROOT, imports, modules, name_of, room_of

ALLOWED: dict[str, set[str]] = {
    "": set(),
    "model": set(),
    "disk": set(),
    "lines": set(),
    "logs": {"model"},
    "client": {"model"},
    "serving": {"model"},
    "rooms": {"model", "serving"},
    "layouts": {"model"},
    "media": {"model", "layouts"},
    "sinks": {"model", "disk", "programs", "storage"},
    "storage": {"model", "disk"},
    "demo": {"model"},
    "web": {"model", "serving", "control", "pipelines", "storage", "rooms"},
    "control": {"model", "pipelines", "ordering", "disk", "lines", "storage", "pinned"},
    "pipelines": {"model"},
    "programs": {"model"},
    "doctor": {"model", "media", "pipelines", "programs"},
    "ordering": {"model", "pipelines", "programs"},
    "berths": {"model", "sinks", "storage"},
    "outlets": {"model", "sinks", "storage", "berths"},
    "passage": {"model", "media"},
    "intakes": {"model", "rooms", "media", "passage"},
    "portrayal": {"model", "media"},
    "pinned": {"model"},
    "portraits": {"model", "media", "pinned"},
    "stage": {"model", "rooms", "layouts", "media", "intakes", "passage", "portrayal"},
    "desk": {"model", "stage"},
    "exertion": {"model"},
    "chronicle": {"model", "media", "sinks", "storage", "stage", "outlets"},
    "session": {
        "model",
        "rooms",
        "media",
        "sinks",
        "storage",
        "stage",
        "desk",
        "exertion",
        "chronicle",
        "outlets",
        "passage",
        "portraits",
    },
    "reporting": {"lines", "storage"},
    "worker": {"model", "lines", "session", "storage", "reporting"},
    "recovery": {"model", "berths", "storage"},
    "preview": {"model", "layouts", "media", "sinks", "demo", "pipelines"},
    "composing": {"model", "layouts", "media", "sinks", "pipelines"},
    "foreground": {"model", "lines", "control", "web"},
    "progress": {"model", "control"},
    "commands": {
        "model",
        "logs",
        "client",
        "control",
        "web",
        "ordering",
        "foreground",
        "progress",
        "demo",
        "preview",
        "composing",
        "programs",
    },
    "cli": {"model", "commands", "doctor", "pipelines", "recovery", "storage"},
}
"""What each part may import, beside itself and the package's version."""

WITHOUT_MEDIA = ("av", "numpy", "aiortc", "PIL", "ray", "boto3")
PURE: dict[str, tuple[str, ...]] = {
    "egress.serving": WITHOUT_MEDIA,
    "egress.web.app": (*WITHOUT_MEDIA, "fastapi", "sqlalchemy"),
    "egress.web.service": (*WITHOUT_MEDIA, "alembic", "psycopg"),
    "egress.control.attempts": (*WITHOUT_MEDIA, "starlette", "sqlalchemy"),
    "egress.control.store": (*WITHOUT_MEDIA, "starlette", "alembic", "psycopg"),
    "egress.commands.serve": (*WITHOUT_MEDIA, "alembic", "psycopg"),
    "egress.sinks.sender": (*WITHOUT_MEDIA, "pydantic", "starlette"),
    "egress.cli": (*WITHOUT_MEDIA, "pydantic", "starlette", "yaml"),
    "egress.pipelines": (*WITHOUT_MEDIA, "starlette"),
    "egress.worker": (*WITHOUT_MEDIA, "starlette"),
}
"""Modules, and what must not be loaded once they are imported."""


def test_every_part_stands_in_the_table() -> None:
    assert {room_of(name_of(module)) for module in modules()} == set(ALLOWED)


@pytest.mark.parametrize("room", ALLOWED)
def test_a_part_imports_only_what_it_may(room: str) -> None:
    for module in modules():
        if room_of(name_of(module)) != room:
            continue
        for name in imports(module):
            if name.split(".")[0] == "egress" and (target := room_of(name)):
                assert target in {room, *ALLOWED[room]}, f"{module.relative_to(ROOT)} imports {name}"


def test_the_table_has_no_circles() -> None:
    left = {room: set(targets) for room, targets in ALLOWED.items()}
    while left:
        free = {room for room, targets in left.items() if not targets & set(left)}
        assert free, f"these import each other: {sorted(left)}"
        for room in free:
            del left[room]


def test_the_command_line_loads_parts_only_when_a_command_runs() -> None:
    names = {name for name in imports(ROOT / "egress" / "cli.py", only_at_import=True) if name.startswith("egress")}
    assert {room_of(name) for name in names} <= {"", "model"}


@pytest.mark.parametrize("module", PURE)
def test_importing_leaves_heavy_libraries_out(module: str) -> None:
    script = f"import sys, {module}; print(*sorted(set({PURE[module]!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "", f"import {module} loads {done.stdout.strip()}"
