"""What stores that take a file in parts have in common: its upload follows it while it grows, and ends with it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from egress.storage.base import Storage, Stored
from egress.storage.follow import Follower, Growing
from egress.storage.s3_state import UploadState


class Upload(Growing, Protocol):
    """The upload of one file; its figures may be read from any thread."""

    uploaded: int
    failures: int
    problem: str

    def renamed(self, source: Path) -> None:
        """Go on with the file under another name."""


U = TypeVar("U", bound=Upload)


class FollowedStorage(Storage, Generic[U]):
    """A store whose uploads are known by what lies beside their files; who extends it says how one begins."""

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        super().__init__(options)
        self._upload: U | None = None
        self._follower: Follower | None = None

    @abstractmethod
    def _begun(self, source: Path, to: str) -> U:
        """The upload of `source` to `to`, or what another process left of it."""

    def follow(self, source: Path, to: str) -> None:
        """Upload every part of a growing file as soon as it is there."""
        self._upload = self._begun(source, to)
        self._follower = Follower(self._upload, source)

    def leave(self) -> None:
        """Stop after the part under way; a store that is slow with that one is not waited for."""
        if self._follower is not None:
            self._follower.stop()
            self._follower.join(1.0)

    def hold(self) -> None:
        """Stop following, and wait for what is under way."""
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.stop()
            follower.join()

    def renamed(self, source: Path) -> None:
        """Go on with a file under another name."""
        if self._upload is not None:
            self._upload.renamed(source)

    def delivered(self, source: Path, to: str) -> Stored | None:
        """What the state beside a file that has gone says."""
        return UploadState.of(source).stored

    def status(self) -> Mapping[str, Any]:
        """Bytes the store has confirmed, attempts that failed, and what is wrong now."""
        if self._upload is None:
            return {}
        return {
            "uploaded": self._upload.uploaded,
            "upload_failures": self._upload.failures,
            "upload_problem": self._upload.problem,
        }
