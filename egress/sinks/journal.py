"""What is on its way from a sink's spool folder to its place: kept on disk, to go on with it and to know it again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from egress.disk import read_json, write_json
from egress.storage.base import Stored

_PLAN, _DONE = "delivery.json", "delivered.jsonl"

_ENDS = 1 << 16
"""Bytes at either end of a file by which it is known again."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file to deliver: its name in the folder, its size, and the SHA-256 of its two ends."""

    name: str
    size: int
    ends: str

    @classmethod
    def of(cls, folder: Path, name: str) -> Item:
        """The file as it is; raises OSError."""
        path = folder / name
        return cls(name, path.stat().st_size, ends_of(path))

    def is_at(self, path: Path) -> bool:
        """Whether a file is this one, as far as size and ends tell."""
        try:
            return path.stat().st_size == self.size and ends_of(path) == self.ends
        except OSError:
            return False


class Journal:
    """The plan of a delivery, durable before the first file moves, and what of it is done, a line a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        document = read_json(folder / _PLAN)
        self.job = str(document.get("job", ""))
        self.target = str(document.get("target", ""))
        self.place = str(document.get("place", ""))
        self.error = str(document.get("error", ""))
        self.items: tuple[Item, ...] = ()
        with suppress(KeyError, TypeError):
            self.items = tuple(Item(**row) for row in document["items"])
        self.done = self._read() if self.items else {}

    def claim(self, job: str) -> None:
        """Note whose files these are; raises OSError."""
        self.job = job
        self._write()

    def plan(self, target: str, place: str, items: Iterable[Item], *, error: str = "") -> None:
        """Note what goes to which `target`, and to what `place` of it, which differs where another's is at the target.

        `error` is why it does not go where it was meant to. Raises OSError.
        """
        self.target, self.place, self.items, self.error = target, place, tuple(items), error
        self._write()

    def finished(self, name: str, stored: Stored) -> None:
        """Note that a file is in its place; raises OSError."""
        self.done[name] = stored
        with (self._folder / _DONE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, **asdict(stored)}) + "\n")

    def _write(self) -> None:
        write_json(
            self._folder / _PLAN,
            {
                "job": self.job,
                "target": self.target,
                "place": self.place,
                "error": self.error,
                "items": [asdict(item) for item in self.items],
            },
        )

    def _read(self) -> dict[str, Stored]:
        found: dict[str, Stored] = {}
        with suppress(OSError):
            for line in (self._folder / _DONE).read_text("utf-8").splitlines():
                # A process may have died in the middle of its last line.
                with suppress(ValueError, KeyError, TypeError):
                    row: dict[str, Any] = json.loads(line)
                    found[row.pop("name")] = Stored(**row)
        return found


def ends_of(path: Path) -> str:
    """The SHA-256 (hex) of a file's first and last 64 KiB; raises OSError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        found = hashlib.sha256(file.read(_ENDS))
        file.seek(max(_ENDS, size - _ENDS))
        found.update(file.read(_ENDS))
    return found.hexdigest()
