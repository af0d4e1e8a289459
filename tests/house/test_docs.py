"""The documentation is true: commands parse, links lead somewhere, generated parts are in step."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from egress import cli, pipelines
from egress.model import checking
from tests.house import generated
from tests.house.tree import ROOT, modules, room_of, texts

PAGES = tuple(path for path in texts() if path.suffix == ".md")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
_CODE_PATH = re.compile(r"`((?:egress|tests|pipelines|docs|samples)/[\w/.-]*)`")


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _blocks(page: Path, language: str) -> list[str]:
    return [text for name, text in _FENCE.findall(page.read_text("utf-8")) if name == language]


@pytest.mark.parametrize("name", [*generated.WHOLE, *generated.BLOCKS])
def test_what_is_made_from_the_code_is_in_step(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == generated.expected(name), f"run {generated.COMMAND}"


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for target in _LINK.findall(text):
        assert "://" in target or (page.parent / target).exists(), target
    for target in _CODE_PATH.findall(text):
        assert (ROOT / target).exists() or target.startswith("tests/benchmarks"), target


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_commands_are_ones_the_command_line_takes(page: Path) -> None:
    for block in _blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                if words[:1] == ["egress"]:
                    cli._parser().parse_args(words[1:])
                elif words[:1] and words[0].startswith(("tests/", "samples/", "./")):
                    assert (ROOT / words[0]).exists() or (page.parent / words[0]).exists(), words[0]


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_pipelines_shown_are_good(page: Path) -> None:
    for block in _blocks(page, "yaml"):
        if "sinks" in (yaml.safe_load(block) or {}):
            checking.read(block, page.name)


def test_commands_in_the_comments_of_pipelines_are_taken_too() -> None:
    for name in pipelines.names():
        lines = pipelines.find(name).read_text("utf-8").splitlines()
        commands = [line.removeprefix("#   ") for line in lines if line.startswith("#   egress ")]
        assert commands, f"{name} shows how it is used"
        for command in commands:
            cli._parser().parse_args(shlex.split(command)[1:])


def test_the_architecture_names_every_part() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for module in modules():
        part = room_of(".".join(module.relative_to(ROOT).with_suffix("").parts))
        whole = f"egress/{part}/" if (ROOT / "egress" / part).is_dir() else f"egress/{part}.py"
        assert part == "__init__" or whole in text or part == "progress", f"{whole} is not in docs/architecture.md"


def test_the_readme_shows_every_command() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    listed = next(action for action in cli._parser()._actions if action.choices and action.dest != "help")
    for command in listed.choices or ():
        assert f"egress {command}" in text, command
