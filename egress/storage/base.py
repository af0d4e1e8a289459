"""The seam of every storage: take one finished file and keep it for good."""

from __future__ import annotations

from abc import ABC, abstractmethod
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
    def put(self, source: Path, to: str) -> Stored:
        """Move a finished file to its address; `source` is gone only when the store has confirmed the bytes.

        The file appears at `to` whole or not at all. Raises DestinationError, and then `source` is untouched.
        """
