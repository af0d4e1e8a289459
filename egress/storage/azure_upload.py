"""One file of the spool on its way into one blob: in equal blocks, gone on with after a crash, compared at the end."""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from egress.model.azure_address import AzureAddress
from egress.model.errors import DestinationError
from egress.storage.azure_client import GONE, TAKEN, AzureClient
from egress.storage.base import HASHED, Stored, StoreError, TakenError
from egress.storage.s3_state import SentPart, UploadState

PATIENCE = 300.0
"""Seconds a store may do nothing but fail before delivering to it is given up; the file stays in the spool."""

_RESTARTS = 3
_SHORTEST, _LONGEST = 0.5, 15.0
_MIB = 1 << 20
_TYPES: Mapping[str, str] = {".mp4": "video/mp4", ".m4v": "video/mp4", ".m4a": "audio/mp4", ".json": "application/json"}

_log = logging.getLogger(__name__)

T = TypeVar("T")


class AzureUpload:
    """The upload of `source` to `to`; what it has done lies beside the file, so that another process can go on.

    Blocks are staged, the first last of all, as closing an MP4 changes it; committing them makes the blob appear whole.
    Staged blocks nobody commits are discarded by Azure within a week. `send_next` may run while the file grows; then
    `finish` on any thread, once.
    """

    def __init__(
        self, source: Path, to: str, options: Mapping[str, str], *, moved: Callable[[int], None] | None = None
    ) -> None:
        self.uploaded = 0
        self.failures = 0
        self.problem = ""
        self.moved = moved or (lambda count: None)
        self._source = source
        self._address = AzureAddress.parse(to)
        self._options = options
        self._made: AzureClient | None = None
        self._block_size = int(options.get("part_mib", "16")) * _MIB
        self._patience = float(options.get("patience", PATIENCE))
        self._state = UploadState.of(source)
        self._inode = 0
        self._ours: set[int] = set()
        self._last_success = time.monotonic()

    def send_next(self) -> bool:
        """Stage the next block of a file that grows, but the first, if all of its bytes are there; says whether it was.

        Raises AzureError, OSError.
        """
        self._begin()
        status = self._source.stat()
        self._inode = self._inode or status.st_ino
        number = 2 + len(self._ours)
        if number * self._state.part_size > status.st_size or self._inode != status.st_ino:
            return False
        self._send(number)
        return True

    def note(self, error: StoreError) -> None:
        """Count a failure, and say it once."""
        if error.message != self.problem:
            _log.warning("%s; it is tried again", error.message)
        # In this order: whoever sees the failure on another thread sees what it was.
        self.problem = error.message
        self.failures += 1

    def lose(self) -> None:
        """Note that the store has lost what was staged: it is begun anew."""
        self._state.forget()
        self._ours.clear()

    def renamed(self, source: Path) -> None:
        """The file, and the state beside it, have another name."""
        self._source = source
        self._state.renamed(source)

    def finish(self, *, replacing: bool) -> Stored:
        """Stage what is missing, make the blob and compare it; `source` then is gone.

        Raises TakenError when something else is there and is not to be replaced; DestinationError when the store will
        not have it, and then `source` is untouched.
        """
        self._last_success = time.monotonic()
        if self._source.stat().st_ino != self._inode:
            self._ours.clear()
        if self._state.to != str(self._address):
            self.lose()
        head = self._tried(self._client().head)
        size = self._source.stat().st_size
        if head is not None and self._state.token and (head.token, head.size) == (self._state.token, size):
            # Its maker died before it could say so.
            return self._confirmed(size)
        if head is not None and not replacing:
            raise TakenError(f"{self._address} is there already")
        for _ in range(_RESTARTS):
            try:
                return self._whole(size, replacing)
            except StoreError as error:
                if error.code != GONE:
                    raise
                _log.warning("%s: the store has lost blocks; they are sent again", self._address)
                self.lose()
        return self._whole(size, replacing)

    def _whole(self, size: int, replacing: bool) -> Stored:
        self._tried(self._begin)
        count = max(1, -(-size // self._state.part_size))
        for number in self._missing(count):
            self._tried(lambda number=number: self._send(number))  # type: ignore[misc]
        blocks = [self._block(number) for number in range(1, count + 1)]
        kind = _TYPES.get(self._source.suffix, "application/octet-stream")
        try:
            token = self._state.token
            self._tried(lambda: self._client().commit(blocks, token, kind, create_only=not replacing))
        except StoreError as error:
            if error.code != TAKEN:
                raise
            # It may be ours: an answer that was lost, and the same question asked again.
            head = self._tried(self._client().head)
            if head is None or head.token != self._state.token:
                raise TakenError(f"{self._address} is there already") from None
        head = self._tried(self._client().head)
        if head is None or (head.size, head.token) != (size, self._state.token):
            raise DestinationError(f"{self._address} does not hold the bytes that were sent; the recording is kept")
        return self._confirmed(size)

    def _missing(self, count: int) -> list[int]:
        """Numbers of the blocks the store does not hold as they stand in the file now, the first one last."""
        held = {number for number in self._ours if number <= count}
        sent = self._state.sent
        if doubtful := [number for number in sent if 1 <= number <= count and number not in held]:
            listed = self._tried(self._client().blocks)
            for number in doubtful:
                data = self._read(number)
                self.moved(len(data))
                there = listed.get(self._block(number)) == len(data)
                if there and hashlib.sha256(data).hexdigest() == sent[number].sha256:
                    held.add(number)
        return [number for number in (*range(2, count + 1), 1) if number not in held]

    def _confirmed(self, size: int) -> Stored:
        digest = ""
        if size <= HASHED:
            with self._source.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        stored = Stored(str(self._address), size, digest)
        self._state.keep(stored)
        self._source.unlink(missing_ok=True)
        return stored

    def _begin(self) -> None:
        if not self._state.upload:
            self._state.begin(str(self._address), self._block_size)
            self._state.named(self._state.token[:8], checked=False)

    def _send(self, number: int) -> None:
        data = self._read(number)
        self._client().stage(self._block(number), data)
        self._state.sent[number] = SentPart("", hashlib.sha256(data).hexdigest())
        self._state.save()
        self._ours.add(number)
        self.uploaded += len(data)
        self.moved(len(data))
        self._last_success = time.monotonic()
        self.problem = ""

    def _read(self, number: int) -> bytes:
        with self._source.open("rb") as file:
            file.seek((number - 1) * self._state.part_size)
            return file.read(self._state.part_size)

    def _block(self, number: int) -> str:
        """All of one length, as Azure wants those of one blob, and no two uploads' alike."""
        return base64.b64encode(f"{self._state.upload}-{number:06d}".encode()).decode()

    def _client(self) -> AzureClient:
        if self._made is None:
            self._made = AzureClient(self._address, self._options)
        return self._made

    def _tried(self, step: Callable[[], T]) -> T:
        """Do a step until the store has done it; raises AzureError for good reasons, or when it fails for too long."""
        wait = _SHORTEST
        while True:
            try:
                return step()
            except StoreError as error:
                if not error.passing or time.monotonic() - self._last_success > self._patience:
                    raise
                self.note(error)
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST)
