"""Files on this machine's disks: atomic, durable, and checked before the spool's copy goes."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from egress.model.errors import DestinationError
from egress.storage.base import Storage, Stored

_BLOCK = 1 << 20

HASHED = 1 << 30
"""Files moved within one disk are not copied; those above this size are not read again just for a checksum."""


class LocalStorage(Storage):
    """Addresses are absolute paths; on the same disk a file is renamed, to another one it is copied and compared."""

    def put(self, source: Path, to: str) -> Stored:
        """Move `source` to the path `to`, replacing what is there; raises DestinationError naming the path."""
        target = Path(to)
        if not target.is_absolute():
            raise DestinationError(f"{to!r} is not an absolute path")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            size = _flushed(source)
            try:
                source.replace(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                sha256 = _copied(source, target)
                source.unlink()
            else:
                sha256 = _sha256(target) if size <= HASHED else ""
            _sync_folder(target.parent)
            if target.stat().st_size != size:
                raise DestinationError(f"{target} holds {target.stat().st_size} bytes, not {size}")
        except OSError as error:
            raise DestinationError(f"{target} cannot be written: {error.strerror or error}") from error
        return Stored(str(target), size, sha256)


def _flushed(path: Path) -> int:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size


def _copied(source: Path, target: Path) -> str:
    """Copy across disks, compare what arrived with what was sent, and only then give it its name."""
    temporary = target.with_name(f".{target.name}.part")
    sent = hashlib.sha256()
    try:
        with source.open("rb") as read, temporary.open("wb") as written:
            while block := read.read(_BLOCK):
                sent.update(block)
                written.write(block)
            written.flush()
            os.fsync(written.fileno())
        if _sha256(temporary) != sent.hexdigest():
            raise DestinationError(f"{target} does not hold the bytes that were written to it; the copy was removed")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return sent.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
