"""Files that appear whole or not at all: the one way anything here writes a document."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_whole(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a file so that no reader ever sees half of it; raises OSError and then leaves what was there.

    `durable`: it outlives a power cut, for the price of waiting for the disk.
    """
    temporary = f"{path}.tmp"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document whole and durably, its folder made first; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(document, indent=1, ensure_ascii=False).encode(), durable=True)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object as `write_json` wrote it; {} when there is none that can be read."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def sync_folder(folder: Path) -> None:
    """Make what was renamed in a folder outlive a power cut; raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
