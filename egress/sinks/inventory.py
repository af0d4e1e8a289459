"""What of a stream a store holds, on disk as a line a change, so that another process can go on with bringing it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path


class Inventory:
    """Names of files and the digest of their bytes, as the store has confirmed them. Callable from several threads.

    A line that is lost or cut short costs a file being sent once more, so none is waited for to be on the disk.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}
        with suppress(OSError):
            for line in path.read_text("utf-8").splitlines():
                with suppress(ValueError):
                    name, digest = json.loads(line)
                    self._held[name] = digest
        self._held = {name: digest for name, digest in self._held.items() if digest}

    @property
    def names(self) -> Collection[str]:
        """The files the store holds."""
        return self._held.keys()

    def holds(self, name: str, data: bytes) -> bool:
        """Whether the store holds a file with these very bytes."""
        return self._held.get(name) == _digest(data)

    def put(self, name: str, data: bytes) -> None:
        """Note what the store has taken."""
        self._note(name, _digest(data))

    def remove(self, name: str) -> None:
        """Note that the store holds a file no more."""
        self._note(name, "")

    def _note(self, name: str, digest: str) -> None:
        with self._lock:
            if digest:
                self._held[name] = digest
            else:
                self._held.pop(name, None)
            with suppress(OSError), self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([name, digest]) + "\n")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
