"""Files on this machine's disks: atomic, durable, and checked before the spool's copy goes."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from egress.disk import sync_folder
from egress.model.errors import DestinationError
from egress.storage.base import HASHED, Storage, Stored

_BLOCK = 1 << 20

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""What filesystems say that know no second name for a file."""


class LocalStorage(Storage):
    """Addresses are absolute paths; on the same disk a file is renamed, to another one it is copied and compared."""

    def put(self, source: Path, to: str, *, beside: str = "", moved: Callable[[int], None] | None = None) -> Stored:
        """Move `source` to the path `to`, or to `beside` if that is given and `to` is taken.

        Raises DestinationError naming the path.
        """
        target = Path(to)
        if not target.is_absolute():
            raise DestinationError(f"{to!r} is not an absolute path")
        tell = moved or (lambda count: None)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            size = _flushed(source)
            try:
                target = _named(source, target, beside)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                target, sha256 = _copied(source, target, beside, tell)
                source.unlink()
            else:
                sha256 = _sha256(target, tell) if size <= HASHED else ""
            sync_folder(target.parent)
            if target.stat().st_size != size:
                raise DestinationError(f"{target} holds {target.stat().st_size} bytes, not {size}")
        except OSError as error:
            raise DestinationError(f"{target} cannot be written: {error.strerror or error}") from error
        return Stored(str(target), size, sha256)

    def remove(self, to: str, names: Sequence[str] = ()) -> None:
        """Unlink the file, or what fits in the folder, and the folders that are empty then. No link is followed."""
        path = Path(to)
        try:
            if not to.endswith("/"):
                path.unlink(missing_ok=True)
            elif path.is_dir() and not path.is_symlink():
                _emptied(path, path, names)
        except OSError as error:
            raise DestinationError(f"{error.filename or to} cannot be removed: {error.strerror or error}") from error

    def taken(self, to: str) -> bool:
        """Whether there is a file, or a folder with something in it."""
        path = Path(to)
        try:
            return any(path.iterdir()) if path.is_dir() else path.exists()
        except OSError as error:
            raise DestinationError(f"{path} cannot be read: {error.strerror or error}") from error


def _emptied(folder: Path, top: Path, names: Sequence[str]) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            _emptied(path, top, names)
        elif any(fnmatchcase(path.relative_to(top).as_posix(), pattern) for pattern in names):
            path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _flushed(path: Path) -> int:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size


def _named(file: Path, target: Path, beside: str) -> Path:
    """Give a file its name on its own disk; says which one it got."""
    if beside:
        try:
            # Unlike a rename, a link never replaces what somebody else wrote in this very moment.
            os.link(file, target)
        except FileExistsError:
            target = Path(beside)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            target = Path(beside) if target.exists() else target
        else:
            file.unlink()
            return target
    file.replace(target)
    return target


def _copied(source: Path, target: Path, beside: str, moved: Callable[[int], None]) -> tuple[Path, str]:
    """Copy across disks, compare what arrived with what was sent, and only then give it its name."""
    temporary = target.with_name(f".{target.name}.part")
    sent = hashlib.sha256()
    try:
        with source.open("rb") as read, temporary.open("wb") as written:
            while block := read.read(_BLOCK):
                sent.update(block)
                written.write(block)
                moved(len(block))
            written.flush()
            os.fsync(written.fileno())
        if _sha256(temporary, moved) != sent.hexdigest():
            raise DestinationError(f"{target} does not hold the bytes that were written to it; the copy was removed")
        return _named(temporary, target, beside), sent.hexdigest()
    finally:
        temporary.unlink(missing_ok=True)


def _sha256(path: Path, moved: Callable[[int], None]) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
            moved(len(block))
    return found.hexdigest()
