"""The package is what its metadata says: pins, version, licence, entry points, wheel, image."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import egress
from egress import doctor, pipelines
from egress.model import registry
from tests.house.tree import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_what_we_reach_into_is_pinned() -> None:
    wants = {re.split(r"[<>=~! ;]", line)[0]: line for line in PROJECT["project"]["dependencies"]}
    assert wants["aiortc"] == "aiortc==1.16.*"
    assert wants["av"] == "av>=18,<19"
    assert all(re.search(r"[<>=]", line) for line in wants.values()), "every dependency has a lowest version"


def test_the_pythons_are_the_same_everywhere() -> None:
    low, high = doctor.PYTHONS
    assert PROJECT["project"]["requires-python"] == f">={low[0]}.{low[1]},<{high[0]}.{high[1] + 1}"
    run = (ROOT / "tests" / "run").read_text("utf-8")
    assert f"{low} <= sys.version_info[:2] <= {high}" in run
    image = re.search(r"^FROM python:3\.(\d+)-slim", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert image
    assert low[1] <= int(image[1]) <= high[1]


def test_the_version_stands_once_and_is_in_the_changes() -> None:
    assert PROJECT["project"]["version"] == egress.__version__
    assert f"## {egress.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_licence_is_the_one_named() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
    assert list((ROOT / "egress" / "assets").glob("*LICENSE*")), "the bundled font comes with its licence"


@pytest.mark.parametrize("kind", ["connectors", "layouts", "sinks", "storages"])
def test_every_registered_implementation_loads(kind: Any) -> None:
    declared = PROJECT["project"]["entry-points"][f"egress.{kind}"]
    assert set(registry.names(kind)) >= set(declared)
    for name in declared:
        assert callable(registry.load(kind, name))


def test_the_image_is_small_unprivileged_and_watched() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert text.count("-slim") == 2
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
    assert "HEALTHCHECK" in text
    (extras,) = re.findall(r"'\.\[([a-z,]+)\]'", text)
    assert set(extras.split(",")) == set(PROJECT["project"]["optional-dependencies"]) - {"test"}
    assert (ROOT / ".dockerignore").read_text("utf-8").startswith("*\n"), "only what is named goes into the image"


@pytest.mark.parametrize("script", ["tests/run", ".ci/run"])
def test_scripts_can_be_run(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", path], check=True)


def test_the_wheel_holds_all_that_is_needed_to_run(tmp_path: Path) -> None:
    script = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    shipped = {path.relative_to(pipelines.folder()) for path in pipelines.folder().rglob("*") if path.is_file()}
    assert {f"egress/_pipelines/{path}" for path in shipped} <= names
    package = ROOT / "egress"
    data = {p for p in package.rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert {f"egress/{path.relative_to(package)}" for path in data} <= names
