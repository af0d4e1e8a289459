"""The way of finished files from a sink's spool folder to their target, or its backup; gone on with after a crash."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from egress.model import registry
from egress.model.errors import DestinationError
from egress.model.job import Artifact
from egress.model.media import Nanos
from egress.model.targets import file_part, scheme_of
from egress.sinks.base import Backup, SinkContext
from egress.sinks.journal import Item, Journal
from egress.storage.base import Storage, Stored

LANES = 4
"""Files of one folder on their way at once."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What is in its place: `location` of the file or folder, bytes in all, and each file by its name.

    `sha256` is that of a single file ("" when too large to read twice). `details` belong into those of its artifact:
    they say when it went to the backup, and why.
    """

    location: str
    size: int
    sha256: str
    files: Mapping[str, Stored]
    details: Mapping[str, Any] = field(default_factory=dict)

    def artifact(self, kind: str, duration: Nanos, details: Mapping[str, Any] | None = None) -> Artifact:
        """What a sink made, where it is."""
        return Artifact(kind, self.location, self.size, duration, self.sha256, {**(details or {}), **self.details})


class Delivery:
    """Brings what one sink has made to its target, and to the backup when the target will not have it.

    A sink makes one of its context, and calls

    * `begin()` in `open`: refuses a file that is there already, and notes whose job this is;
    * `follow(path)` once a file that only ever grows (but for its first bytes) is being written: a storage elsewhere
      takes it up behind the writer;
    * `file(path)` or `folder(path)` in `deliver`: returns when all of it is in its place. An existing file is replaced
      only if the job may; else ours goes beside it, as NAME-JOB.mp4 or NAME-JOB/. Raises DestinationError when neither
      target nor backup has it: what is not delivered then still is in the spool;
    * `hold()` and `renamed(path)` when that file gets another name before it is delivered;
    * `leave()` in `abort`;
    * `status()` in `status`: the outlets give up deliveries whose figures stand still.

    Its `recover` makes one by `resumed`, and asks `delivered(path)` when the file is gone from the spool: a process may
    have died between delivering and saying so. `file` and `folder` go on where it died.
    """

    def __init__(
        self,
        folder: Path,
        to: str,
        storage: Mapping[str, str] | None = None,
        backup: Backup | None = None,
        *,
        job: str = "",
        replacing: bool = False,
        announce: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._folder = folder
        self._to = Backup(to, storage or {})
        self._backup = backup
        self._journal = Journal(folder)
        self._job = job or self._journal.job
        self._replacing = replacing
        self._announce = announce
        self._lock = threading.Lock()
        self._moved = 0
        self._following: tuple[Path, Storage] | None = None
        self._storage: Storage | None = None

    @classmethod
    def of(cls, context: SinkContext) -> Delivery:
        """That of a running sink."""
        return cls(
            context.folder,
            context.to,
            context.storage,
            context.backup,
            job=context.job,
            replacing=context.options.get("overwrite") == "yes",
            announce=context.announce,
        )

    @classmethod
    def resumed(
        cls, folder: Path, to: str, storage: Mapping[str, str] | None, backup: Backup | None, *, job: str = ""
    ) -> Delivery:
        """That of a sink whose process died; it replaces nobody's file, as a later job may have written it.

        `job` is for sinks that know it better than `begin` noted it.
        """
        return cls(folder, to, storage, backup, job=job)

    def begin(self) -> None:
        """Refuse a local target that is taken, and note the job in the spool; raises DestinationError."""
        if (
            scheme_of(self._to.to) == "file"
            and not self._replacing
            and _storage(self._to).taken(file_part(self._to.to))
        ):
            raise DestinationError(f"{file_part(self._to.to)} exists already; remove it, or write to another name")
        try:
            self._journal.claim(self._job)
        except OSError as error:
            raise DestinationError(f"{self._folder} cannot be written: {error.strerror or error}") from error

    def follow(self, source: Path) -> None:
        """Begin to bring a growing file to the target; never waits, raises nothing."""
        storage = _storage(self._to)
        storage.follow(source, file_part(self._to.to))
        self._following = source, storage
        self._storage = storage

    def leave(self) -> None:
        """Stop following: recovery goes on."""
        if self._following is not None:
            self._following[1].leave()

    def hold(self) -> None:
        """Stop following and wait for what is under way: the file is about to change its name."""
        if self._following is not None:
            self._following[1].hold()

    def renamed(self, source: Path | None) -> None:
        """The file that was followed has this name, and what lay beside it has moved with it; None: it is no more."""
        if self._following is not None and source is not None:
            self._following[1].renamed(source)
            self._following = source, self._following[1]
        else:
            self._following = None

    def file(self, source: Path) -> Delivered:
        """Move one file to the address `to`; raises DestinationError, and then it stays."""
        names = (source.name,) if source.exists() or not self._journal.items else ()
        return self._delivered(source.parent, names, folder=False)

    def folder(self, source: Path) -> Delivered:
        """Move every file in a folder of the spool, and in those inside it, into the folder `to`.

        Raises DestinationError when one could not be: it and those after it stay.
        """
        names = [str(path.relative_to(source)) for path in sorted(source.rglob("*")) if path.is_file()]
        planned = {item.name for item in self._journal.items}
        # Beside a file on its way may lie what its storage notes; only a first attempt finds the files alone.
        return self._delivered(source, [name for name in names if not planned or name in planned], folder=True)

    def delivered(self, source: Path) -> Delivered | None:
        """What a process that died had brought whole to its place of `source`, the file or folder; None when it had
        not."""
        items = self._journal.items
        folder = tuple(item.name for item in items) != (source.name,)
        found = self._found(source if folder else source.parent, folder=folder)
        return self._result(found, folder=folder) if items and len(found) == len(items) else None

    def status(self) -> Mapping[str, Any]:
        """Bytes moved, and what the storage says of itself; called from any thread."""
        return {"moved": self._moved, **(self._storage.status() if self._storage is not None else {})}

    def _delivered(self, source: Path, names: Sequence[str], *, folder: bool) -> Delivered:
        journal, backup = self._journal, self._backup
        if backup is not None and journal.target == backup.to and journal.done:
            # What had begun to go there goes on there.
            return self._brought(source, names, backup, journal.error, folder=folder)
        try:
            return self._brought(source, names, self._to, "", folder=folder)
        except DestinationError as error:
            if backup is None:
                raise
            self._say(f"{error.message}; it goes to the backup, {backup.to}")
            try:
                done = self._brought(source, names, backup, error.message, folder=folder)
            except DestinationError as second:
                raise DestinationError(f"{error.message}; nor does the backup take it: {second.message}") from second
        for name in names:
            _storage(self._to).forsake(source / name, _place(self._to.to, name, folder=folder))
        return done

    def _brought(self, source: Path, names: Sequence[str], target: Backup, error: str, *, folder: bool) -> Delivered:
        """Bring the files to one of both targets, by a plan that is on disk before."""
        journal = self._journal
        found = self._found(source, folder=folder)
        kept = [item for item in journal.items if item.name not in names]
        lost = [item.name for item in kept if item.name not in found]
        if lost:
            raise DestinationError(f"{source}: {', '.join(lost[:3])} is gone from the spool, and not at its place")
        earlier = {item.name: item for item in journal.items} if journal.target == target.to else {}
        place = journal.place if earlier else self._chosen(target, folder=folder)
        try:
            journal.plan(target.to, place, [*kept, *(Item.of(source, name) for name in names)], error=error)
        except OSError as problem:
            raise DestinationError(f"{source} cannot be read or written: {problem.strerror or problem}") from problem
        put = partial(self._put, source, target, place, earlier, folder=folder)
        with ThreadPoolExecutor(LANES, thread_name_prefix="deliver") as lanes:
            try:
                found |= {name: done.result() for name, done in [(n, lanes.submit(put, n)) for n in names]}
            except BaseException:
                lanes.shutdown(wait=False, cancel_futures=True)
                raise
        return self._result(found, folder=folder)

    def _chosen(self, target: Backup, *, folder: bool) -> str:
        """The place at a target: a folder that is another's is left alone. Of a file the storage decides."""
        taken = folder and not self._replacing and _storage(target).taken(file_part(target.to).rstrip("/") + "/")
        return beside(target.to, self._job) if taken else target.to

    def _put(
        self, source: Path, target: Backup, place: str, earlier: Mapping[str, Item], name: str, *, folder: bool
    ) -> Stored:
        at, following = _place(place, name, folder=folder), self._following
        ours = name in earlier and scheme_of(target.to) == "file" and earlier[name].is_at(Path(at))
        other = "" if folder or self._replacing or ours else beside(at, self._job)
        if following is not None and following[0] == source / name and target is self._to:
            storage = following[1]
        else:
            storage = _storage(target)
        self._storage = storage
        stored = storage.put(source / name, at, beside=other, moved=self._count)
        with self._lock:
            try:
                self._journal.finished(name, stored)
            except OSError as error:
                _log.warning("%s: what is delivered cannot be noted: %s", self._folder, error.strerror)
        return stored

    def _found(self, source: Path, *, folder: bool) -> dict[str, Stored]:
        """The files of the journal that have gone from the spool and are where they were to go."""
        journal = self._journal
        backup = self._backup if self._backup is not None and journal.target == self._backup.to else None
        found: dict[str, Stored] = {}
        for item in journal.items:
            if (source / item.name).exists():
                continue
            at = _place(journal.place, item.name, folder=folder)
            stored = journal.done.get(item.name) or _storage(backup or self._to).delivered(source / item.name, at)
            if stored is None and scheme_of(journal.place) == "file":
                paths = [Path(path) for path in (at, beside(at, self._job)) if item.is_at(Path(path))]
                stored = Stored(str(paths[0]), item.size, "") if paths else None
            if stored is not None:
                found[item.name] = stored
        return found

    def _result(self, files: Mapping[str, Stored], *, folder: bool) -> Delivered:
        journal = self._journal
        details: dict[str, Any] = {"backup": True, "primary_error": journal.error} if journal.error else {}
        if not folder:
            (stored,) = files.values()
            return Delivered(stored.location, stored.size, stored.sha256, files, details)
        root = file_part(journal.place).rstrip("/") + "/"
        if elsewhere := sorted(stored.location for stored in files.values() if not stored.location.startswith(root)):
            details["elsewhere"] = elsewhere
        return Delivered(root, sum(stored.size for stored in files.values()), "", dict(sorted(files.items())), details)

    def _count(self, size: int) -> None:
        with self._lock:
            self._moved += size

    def _say(self, message: str) -> None:
        if self._announce is not None:
            self._announce({"type": "warning", "message": message})
        else:
            _log.warning("%s", message)


def beside(to: str, job: str) -> str:
    """The address of a job's own, next to one that is another's: NAME-JOB.mp4, or NAME-JOB/ for a folder."""
    folder, slash, name = to.rstrip("/").rpartition("/")
    path = PurePosixPath(name)
    return f"{folder}{slash}{path.stem}-{job}{path.suffix}{'/' if to.endswith('/') else ''}"


def _storage(target: Backup) -> Storage:
    """The storage a target belongs to: one instance a file."""
    made: Storage = registry.load("storages", scheme_of(target.to))(target.storage)
    return made


def _place(to: str, name: str, *, folder: bool) -> str:
    """Where one file goes, as storages take it."""
    return f"{file_part(to).rstrip('/')}/{name}" if folder else file_part(to)
