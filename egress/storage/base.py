"""The seam of every storage: take one finished file and keep it for good; or begin to, while it still grows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from egress.model.errors import DestinationError, RequestError

HASHED = 1 << 30
"""Files above this size are not read once more just for a checksum."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a storage confirmed to hold: where, how many bytes, and their SHA-256 ("" when too large to read twice)."""

    location: str
    size: int
    sha256: str


class StoreError(DestinationError):
    """A store did not do as asked, in its words `code`; `passing`: it may when asked again."""

    def __init__(self, message: str, code: str = "", *, passing: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.passing = passing


class TakenError(DestinationError):
    """Something is at the address already that is not ours to replace."""


class Shelf(ABC):
    """One folder of a store, for many small files that come and go. Callable from several threads.

    Everything is one request, tried once or a few times within seconds, and raises StoreError.
    """

    @abstractmethod
    def put(self, name: str, data: bytes, *, kind: str, cache: str) -> None:
        """Have a file there, whole and checked by the store; `kind` and `cache` are what it says of it over HTTP
        (Content-Type and Cache-Control)."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Have a file there no more; none is none."""

    @abstractmethod
    def sizes(self) -> Mapping[str, int] | None:
        """What is there, by name; None when the store does not let us look."""


def clear(shelf: Shelf, to: str, names: Sequence[str]) -> None:
    """Have nothing on a shelf that fits one of `names`; raises DestinationError, also where we may not look."""
    there = shelf.sizes()
    if there is None:
        raise DestinationError(f"{to}: the store lets nobody look what is there; remove it there")
    for name in there:
        if any(fnmatchcase(name, pattern) for pattern in names):
            shelf.remove(name)


class Storage(ABC):
    """Keeps finished files under one scheme of address. One instance serves one file at a time.

    `options` are what the installation says of this scheme (Settings.storage_options), secrets among them.
    """

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        self.options = dict(options or {})

    @abstractmethod
    def put(self, source: Path, to: str, *, beside: str = "", moved: Callable[[int], None] | None = None) -> Stored:
        """Move a finished file to its address; `source` is gone only when the store has confirmed the bytes.

        The file appears whole or not at all, and replaces what is at `to`; but with `beside` (an address no one else
        uses) it goes there when `to` is taken. `moved` is told of every block read or written, in bytes: a large file
        takes its time. Raises DestinationError, and then `source` is untouched.
        """

    def preflight(self, to: str, *, replacing: bool) -> None:  # noqa: B027
        """Find out within seconds, before a job begins, whether `to` can be written; blocks.

        A `to` that ends with a slash is a folder. Raises RequestError: each of its problems names `to`, or the setting
        to mend. Unless `replacing`, something that is there already is a problem too.
        """

    def shelf(self, to: str) -> Shelf:
        """A folder for many small files; raises RequestError where this storage has none."""
        raise RequestError(f"{to} is no folder that files can come and go in")

    def follow(self, source: Path, to: str) -> None:  # noqa: B027
        """Begin to bring a growing file to its address, as far as there is use in it; `put` of the same finishes that.

        But for its beginning, what stands in the file is final. Never waits and raises nothing: what cannot be done
        now, `put` does.
        """

    def leave(self) -> None:  # noqa: B027
        """Stop following; what has been done stays to be gone on with, by `put` in this process or another."""

    def hold(self) -> None:  # noqa: B027
        """Stop following and wait until nothing of it is under way; `put` finishes it, as after `leave`."""

    def renamed(self, source: Path) -> None:  # noqa: B027
        """The file that was followed, on hold, has this name; what lay beside it under its name has moved with it."""

    def forsake(self, source: Path, to: str) -> None:  # noqa: B027
        """Take back, if the store lets us at once, what it holds of a file that went elsewhere; raises nothing."""

    def taken(self, to: str) -> bool:
        """Whether something is at an address, or inside it where it is a folder; False when we may not look.

        Raises DestinationError.
        """
        return False

    def delivered(self, source: Path, to: str) -> Stored | None:
        """What became of a file that is gone from the spool, when a `put` in a process that died had confirmed it."""
        return None

    def remove(self, to: str, names: Sequence[str] = ()) -> None:
        """Have nothing at an address any more; none is none.

        A `to` that ends with a slash is a folder: what lies in it goes as far as its name in there fits one of `names`
        (as fnmatch has them, `*` goes over slashes). Blocks; raises DestinationError.
        """
        raise DestinationError(f"{to}: this storage takes nothing away; remove it there")

    def presign(self, location: str, seconds: int) -> str | None:
        """An address at which anybody can fetch a file for so many seconds; None where this storage gives none.

        Raises RequestError, DestinationError.
        """
        return None

    def status(self) -> Mapping[str, Any]:
        """Counters for operators; called from any thread."""
        return {}
