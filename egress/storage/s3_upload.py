"""One file of the spool on its way into one object: in equal parts, gone on with after a crash, compared at the end."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from egress.model.errors import DestinationError
from egress.model.s3_address import S3Address
from egress.storage.base import HASHED, Stored, StoreError, TakenError
from egress.storage.s3_client import Head, S3Client, looked
from egress.storage.s3_errors import S3Error
from egress.storage.s3_state import SentPart, UploadState

MOST_PARTS = 10_000
"""Parts an upload may have (Amazon S3 multipart upload limits)."""

LANES = 3
"""Parts sent at once when the file is whole: each takes its size in memory."""

PATIENCE = 300.0
"""Seconds a store may do nothing but fail before delivering to it is given up; the file stays in the spool."""

_RESTARTS = 3
"""Times an upload the store has lost is begun anew before its file is left to the next recovery."""

_UNSEEN: Head | None = Head(-1, "", "", "")
"""What a store holds that does not let us look."""

_SHORTEST, _LONGEST = 0.5, 15.0
_MIB = 1 << 20

_TYPES: Mapping[str, str] = {".mp4": "video/mp4", ".m4v": "video/mp4", ".m4a": "audio/mp4", ".json": "application/json"}

_log = logging.getLogger(__name__)

T = TypeVar("T")


class S3Upload:
    """The upload of `source` to `to`; what it has done lies beside the file, so that another process can go on.

    `send_next` may run while the file grows; then `finish` on any thread, once. Parts are numbered from 1, and all
    but the last have one size, as some stores insist on. The first is sent last of all: closing an MP4 changes it.
    """

    def __init__(
        self,
        source: Path,
        to: str,
        options: Mapping[str, str],
        *,
        moved: Callable[[int], None] | None = None,
    ) -> None:
        self.uploaded = 0
        self.failures = 0
        self.problem = ""
        self._source = source
        self._address = S3Address.parse(to)
        self._client = S3Client(self._address, options)
        self._part_size = int(options.get("part_mib", "16")) * _MIB
        self._patience = float(options.get("patience", PATIENCE))
        self.moved = moved or (lambda count: None)
        self._state = UploadState.of(source)
        self._lock = threading.Lock()
        self._inode = 0
        self._ours: set[int] = set()
        self._last_success = time.monotonic()

    def send_next(self) -> bool:
        """Send the next part of a file that grows, but the first, if all of its bytes are there; says whether it was.

        What stands in a file behind its end must be final. Raises S3Error, OSError.
        """
        self._begin()
        size, number = self._seen(), 2 + len(self._ours)
        if number * self._state.part_size > size or number >= MOST_PARTS or not self._same_file():
            return False
        self._send(number, size)
        return True

    def note(self, error: StoreError) -> None:
        """Count a failure, see to fresh credentials where those may help, and say it once."""
        if error.message != self.problem:
            _log.warning("%s; it is tried again", error.message)
        # In this order: whoever sees the failure on another thread sees what it was.
        self.problem = error.message
        self.failures += 1
        if isinstance(error, S3Error) and error.stale:
            self._client.renew()

    def renamed(self, source: Path) -> None:
        """The file, and the state beside it, have another name."""
        self._source = source
        self._state.renamed(source)

    def finish(self, *, replacing: bool) -> Stored:
        """Send what is missing, make the object and compare it; `source` then is gone.

        Raises TakenError when something else is there and is not to be replaced; DestinationError when the store will
        not have it, and then `source` is untouched and another `finish` goes on where this one stopped.
        """
        self._last_success = time.monotonic()
        if self._state.stored is not None:
            if self._state.to == str(self._address) and self._is(self._state.stored):
                return self._confirmed(self._state.stored)
            self._state.stored = None
            self.lose()
        resumed = bool(self._state.begun) and not self._inode
        if resumed and self._state.upload and (stored := self._tried(self._made_already)):
            return self._confirmed(stored)
        return self._confirmed(self._whole(replacing))

    def lose(self) -> None:
        """Note that the store has lost the upload: the next part begins another."""
        self._state.forget()
        self._ours.clear()

    def abandon(self) -> None:
        """Take back what the store holds of an upload that will not be completed."""
        if self._state.upload:
            self._tried(lambda: self._client.abort(self._state.upload))
        elif self._state.begun:
            self._sweep()
        self.lose()

    def _whole(self, replacing: bool) -> Stored:
        for _ in range(_RESTARTS):
            try:
                return self._delivered(replacing)
            except S3Error as error:
                # Whoever cleans up unfinished uploads, or a lost disk over there, took what we had sent.
                if error.code not in ("NoSuchUpload", "InvalidPart", "InvalidPartOrder"):
                    raise
                if made := self._tried(self._made_already):
                    return made
                _log.warning("%s: the store has lost the upload; it begins anew", self._address)
                self._restart()
        return self._delivered(replacing)

    def _delivered(self, replacing: bool) -> Stored:
        if not replacing:
            self._check_free()
        size = self._source.stat().st_size
        self._tried(self._begin)
        if size > self._state.part_size * MOST_PARTS:
            _log.warning("%s has too many parts; the upload begins anew with larger ones", self._address)
            self._part_size = (-(-size // MOST_PARTS) // _MIB + 1) * _MIB
            self._restart()
        count = max(1, -(-size // self._state.part_size))
        missing = self._missing(count, size)
        with ThreadPoolExecutor(LANES, thread_name_prefix="s3-part") as lanes:
            try:
                for done in [lanes.submit(self._tried, partial(self._send, number, size)) for number in missing]:
                    done.result()
            except BaseException:
                lanes.shutdown(wait=False, cancel_futures=True)
                raise
        return self._completed(count, size, replacing=replacing)

    def _missing(self, count: int, size: int) -> list[int]:
        """Numbers of the parts the store does not hold as they stand in the file now, the first one last."""
        sent = self._state.sent
        trusted = self._ours if self._same_file() else set()
        held: set[int] = set()
        if doubtful := [number for number in sent if 1 <= number <= count and number not in trusted]:
            listed = self._tried(lambda: looked(lambda: self._client.parts(self._state.upload), None))
            for number in doubtful:
                if listed is not None and listed.get(number) != sent[number].etag:
                    continue
                data = self._read(number, size)
                self.moved(len(data))
                if hashlib.sha256(data).hexdigest() == sent[number].sha256:
                    held.add(number)
            if lost := len(doubtful) - len(held):
                _log.warning(
                    "%s: %d of %d parts sent before are sent again: the file is another now",
                    self._address,
                    lost,
                    len(doubtful),
                )
        held |= trusted & set(sent)
        return [number for number in (*range(2, count + 1), 1) if number not in held]

    def _check_free(self) -> None:
        head = self._tried(lambda: looked(self._client.head, None))
        if head is not None and head.token != self._state.token:
            raise TakenError(f"{self._address} is there already")

    def _completed(self, count: int, size: int, *, replacing: bool) -> Stored:
        sent = [self._state.sent[number] for number in range(1, count + 1)]
        rows = [self._row(number, part) for number, part in enumerate(sent, 1)]
        if not replacing:
            # Once more, and as late as can be: not every store knows how to create only what is not there.
            self._check_free()
        try:
            etag = self._tried(lambda: self._client.complete(self._state.upload, rows, create_only=not replacing))
        except S3Error as error:
            if error.code != "PreconditionFailed":
                raise
            # It may be ours: an answer that was lost, and the same question asked again.
            if stored := self._tried(self._made_already):
                return stored
            raise TakenError(f"{self._address} is there already") from None
        self._progress()
        head = self._tried(lambda: looked(self._client.head, _UNSEEN))
        if head is None:
            raise DestinationError(f"{self._address} is not there, though the store said so; the recording is kept")
        if head is _UNSEEN:
            _log.warning("%s: the store does not let us look at what it has made", self._address)
        elif head.size != size or not self._fits(head, etag or _composite(sent), sent):
            raise DestinationError(f"{self._address} does not hold the bytes that were sent; the recording is kept")
        return Stored(str(self._address), size, "")

    def _row(self, number: int, part: SentPart) -> dict[str, Any]:
        row: dict[str, Any] = {"PartNumber": number, "ETag": part.etag}
        if self._state.checked:
            row["ChecksumSHA256"] = base64.b64encode(bytes.fromhex(part.sha256)).decode()
        return row

    def _fits(self, head: Head, etag: str, sent: list[SentPart]) -> bool:
        """Whether it is the object of this upload, and its checksum that of its parts, where the store keeps one."""
        whole = hashlib.sha256(b"".join(bytes.fromhex(part.sha256) for part in sent)).digest()
        summed = not self._state.checked or head.sum in ("", base64.b64encode(whole).decode())
        return summed and etag in ("", head.etag) and head.token in ("", self._state.token)

    def _made_already(self) -> Stored | None:
        """The object, when it is the one this upload was to make: its maker died, or the answer was lost."""
        head = looked(self._client.head, None)
        if head is None or not self._state.token or head.token != self._state.token:
            return None
        if self._source.exists() and head.size != self._source.stat().st_size:
            return None
        return Stored(str(self._address), head.size, "")

    def _is(self, stored: Stored) -> bool:
        """Whether the file is the one that was delivered, and not a later one of its name."""
        if not self._source.exists():
            return True
        if self._source.stat().st_size != stored.size:
            return False
        return not stored.sha256 or _sha256(self._source) == stored.sha256

    def _confirmed(self, stored: Stored) -> Stored:
        """Note that the object is there, and let go of the file."""
        if not stored.sha256 and self._source.is_file() and stored.size <= HASHED:
            stored = Stored(stored.location, stored.size, _sha256(self._source))
        self._state.keep(stored)
        self._source.unlink(missing_ok=True)
        return stored

    def _begin(self) -> None:
        """Have an upload at the store."""
        if self._state.upload and self._state.to == str(self._address):
            return
        if self._state.begun:
            self._sweep()
        self._state.begin(str(self._address), self._part_size)
        kind = _TYPES.get(self._source.suffix, "application/octet-stream")
        upload, checked = self._client.create(self._state.token, kind)
        self._state.named(upload, checked=checked)

    def _sweep(self) -> None:
        """Take back uploads to this key: one has an id that died with whoever asked for it, and none can be told apart.

        Should another job be uploading to the very same key, it begins anew.
        """
        none: list[str] = []
        for upload in looked(self._client.uploads, none):
            self._client.abort(upload)

    def _restart(self) -> None:
        self.abandon()
        self._tried(self._begin)

    def _send(self, number: int, size: int) -> None:
        data = self._read(number, size)
        digest = hashlib.sha256(data).digest()
        said = self._client.send(self._state.upload, number, data, sha256=digest if self._state.checked else None)
        if self._state.checked and not said.checked:
            # The store takes a checksum and does not say it has compared it: MD5 every store compares.
            self._state.checked = False
            said = self._client.send(self._state.upload, number, data, sha256=None)
        with self._lock:
            self._state.sent[number] = SentPart(said.etag, digest.hex())
            self._state.save()
            self._ours.add(number)
            self.uploaded += len(data)
        self.moved(len(data))
        self._progress()

    def _read(self, number: int, size: int) -> bytes:
        start = (number - 1) * self._state.part_size
        wanted = min(self._state.part_size, size - start)
        with self._source.open("rb") as file:
            if self._inode not in (0, os.fstat(file.fileno()).st_ino):
                # Another file has taken its name: what follows is checked against that one.
                self._inode = -1
            data = os.pread(file.fileno(), wanted, start)
        if len(data) != wanted:
            raise OSError(f"{self._source} ended early")
        return data

    def _seen(self) -> int:
        """The file's size now; which file it is, is noted."""
        status = self._source.stat()
        self._inode = self._inode or status.st_ino
        return status.st_size

    def _same_file(self) -> bool:
        return self._inode == self._source.stat().st_ino

    def _progress(self) -> None:
        self._last_success = time.monotonic()
        self.problem = ""

    def _tried(self, step: Callable[[], T]) -> T:
        """Do a step until the store has done it; raises S3Error for good reasons, or when it fails for too long."""
        wait = _SHORTEST
        while True:
            try:
                return step()
            except S3Error as error:
                if not error.passing or time.monotonic() - self._last_success > self._patience:
                    raise
                self.note(error)
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST)


def _composite(sent: list[SentPart]) -> str:
    """The ETag stores give an object of these parts, "" where theirs are no digests; Ceph 16 completes without one."""
    try:
        digests = b"".join(bytes.fromhex(part.etag) for part in sent)
    except ValueError:
        return ""
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(sent)}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
