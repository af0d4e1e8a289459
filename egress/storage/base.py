"""The seam of every storage: take one finished file and keep it for good."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stored:
    """What a storage confirmed to hold: where, how many bytes, and their SHA-256 ("" when too large to read twice)."""

    location: str
    size: int
    sha256: str


class Storage(ABC):
    """Keeps finished files under one scheme of address."""

    @abstractmethod
    def put(self, source: Path, to: str, *, beside: str = "", moved: Callable[[int], None] | None = None) -> Stored:
        """Move a finished file to its address; `source` is gone only when the store has confirmed the bytes.

        The file appears whole or not at all, and replaces what is at `to`; but with `beside` (an address no one else
        uses) it goes there when `to` is taken. `moved` is told of every block read or written, in bytes: a large file
        takes its time. Raises DestinationError, and then `source` is untouched.
        """
