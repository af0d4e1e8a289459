"""Finds pipelines: by the name of a shipped one, or the path of a file."""

from __future__ import annotations

from pathlib import Path

from egress.model import checking
from egress.model.document import MAX_BYTES
from egress.model.errors import RequestError
from egress.model.pipeline import Pipeline
from egress.model.problems import did_you_mean, one_of, shown

_SUFFIXES = (".yaml", ".yml", ".json")
_PACKAGE = Path(__file__).resolve().parent


def folder() -> Path:
    """Where the shipped pipelines lie: in the installed package, or beside the checkout (editable installs)."""
    installed = _PACKAGE / "_pipelines"
    return installed if installed.is_dir() else _PACKAGE.parent / "pipelines"


def names() -> tuple[str, ...]:
    """The shipped pipelines, sorted."""
    return tuple(sorted(path.stem for path in folder().glob("*.yaml")))


def find(name_or_path: str) -> Path:
    """The file of a pipeline; raises RequestError naming what there is.

    Whatever has a slash or ends like a YAML file is a path; anything else is the name of a shipped pipeline.
    """
    if "/" in name_or_path or name_or_path.endswith(_SUFFIXES):
        return Path(name_or_path)
    known = names()
    if name_or_path in known:
        return folder() / f"{name_or_path}.yaml"
    message = f"unknown pipeline {shown(name_or_path)}{did_you_mean(name_or_path, known)}; known: {one_of(known)}"
    raise RequestError(f"{message} (or the path of a .yaml file)", (("pipeline", message),))


def load(name_or_path: str) -> Pipeline:
    """The pipeline of that name or in that file, checked; raises RequestError with all its problems."""
    path = find(name_or_path)
    try:
        # One byte more than allowed tells a document that is too long without reading a huge file.
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"cannot read pipeline {path}: {error.strerror or error}"
        raise RequestError(message, (("pipeline", message),)) from None
    return checking.read(text, str(path))
