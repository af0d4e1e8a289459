"""Receipts: what of one job has reached its place, kept beside what has not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from egress.disk import read_json, write_json
from egress.model.job import Artifact

_NAME = "delivered.json"


def keep_receipt(folder: Path, artifacts: Sequence[Artifact]) -> None:
    """Note in a folder of the spool that all it was for has been delivered, and as what; raises OSError."""
    write_json(folder / _NAME, {"artifacts": [asdict(artifact) for artifact in artifacts]})


def receipt(folder: Path) -> tuple[Artifact, ...] | None:
    """What was delivered from a folder of the spool; None when not all was."""
    document = read_json(folder / _NAME)
    try:
        return tuple(Artifact(**row) for row in document["artifacts"])
    except (KeyError, TypeError):
        return None


def undelivered(folder: Path) -> bool:
    """Whether a folder of the spool holds anything that must not be lost."""
    return receipt(folder) is None and any(folder.iterdir())
