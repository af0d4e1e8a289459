"""A stream's folder brought to a store while it grows: media before the playlist that names it, and nobody waits."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from egress.disk import read_json, write_json
from egress.model import registry
from egress.model.errors import DestinationError
from egress.model.job import Artifact
from egress.model.media import SECOND
from egress.model.targets import scheme_of
from egress.sinks.base import Backup, SinkContext
from egress.sinks.delivery import Delivery
from egress.sinks.inventory import Inventory
from egress.sinks.plainlist import PlainList
from egress.storage.base import Shelf, Storage, StoreError

LANES = 4
"""Files on their way at once; each is held in memory."""

PATIENCE = 300.0
"""Seconds a store may do nothing but fail once the stream has ended, before it is given up; the folder stays."""

_LOOK = 0.5
_SHORTEST, _LONGEST = 1.0, 15.0

_KINDS: Mapping[str, str] = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".vtt": "text/vtt; charset=utf-8",
}

_LASTING = "public, max-age=31536000, immutable"
_LIVE = "no-cache"
_ENDED = "public, max-age=60"
"""How long caches may keep files: media never changes, a playlist may be another a moment later; and one that has
ended could yet be replaced by another job's."""

_STATE, _RETREAT, _RESULT, _PLACE = "mirror.jsonl", "retreat.json", "mirrored.json", "hls"

_ROUNDS = 5
"""Times an ended stream is compared with the store, which may lose what it has taken, before it is given up."""

_log = logging.getLogger(__name__)


class Mirror:
    """Keeps a folder of a store the same as a local one, seen through its playlists, on a thread of its own.

    It works from the playlists on disk alone: what they name goes up, then they do, as plain playlists without parts
    (a store answers no request late), and the multivariant ones after those they name. So a playlist in the store names
    only what is there; while something cannot go up, the older one stays. What left a playlist is removed once the
    longest playlist that named it has passed (RFC 8216, 6.2.2), and with the end.

    The folder lies in the spool, and goes when the store has confirmed all of it. What is there is noted beside it, a
    line each, so that another process can go on.
    """

    def __init__(
        self,
        folder: Path,
        to: Backup,
        backup: Backup | None = None,
        *,
        job: str = "",
        replacing: bool = False,
        announce: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.local = folder / _PLACE
        """Where the stream is to be written."""
        self._folder = folder
        self._to = to
        self._backup = backup
        self._job = job
        self._announce = announce
        self._patience = float(to.storage.get("patience", PATIENCE))
        self._shelf: Shelf | None = None
        self._there = Inventory(folder / _STATE)
        # An earlier process of this very job has done it, if there is anything.
        self._clearing = replacing and not self._there.names
        self._lists: dict[str, PlainList] = {}
        self._leaving: dict[str, float] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_success = time.monotonic()
        self._uploaded = 0
        self._failures = 0
        self._problem = ""

    @classmethod
    def of(cls, context: SinkContext) -> Mirror | None:
        """That of a running sink whose target is a store; None where the target is a folder."""
        if scheme_of(context.to) == "file":
            return None
        overwrite = context.options.get("overwrite") == "yes"
        to = Backup(context.to, context.storage)
        return cls(context.folder, to, context.backup, job=context.job, replacing=overwrite, announce=context.announce)

    @classmethod
    def resumed(
        cls, folder: Path, to: str, storage: Mapping[str, str] | None, backup: Backup | None, *, job: str = ""
    ) -> Mirror | None:
        """That of a sink whose process died; None where the target is a folder."""
        return None if scheme_of(to) == "file" else cls(folder, Backup(to, storage or {}), backup, job=job)

    def begin(self) -> None:
        """Bring up what comes into the folder from now on; never waits, raises nothing."""
        self._thread = threading.Thread(target=self._follow, name="mirror", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Stop after what is under way, without waiting for a slow store: recovery goes on."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def finish(self, made: Sequence[Artifact]) -> Sequence[Artifact]:
        """Bring up what is left of an ended stream, compare, and let go of the folder; says where `made` is.

        Raises DestinationError when neither the store nor the backup takes it: the folder then stays.
        """
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        if not self.local.is_dir():
            return self.delivered() or made
        self._last_success = time.monotonic()
        try:
            self._complete()
            placed = self._placed(made, self._to.to, {})
        except DestinationError as error:
            if self._backup is None:
                raise
            write_json(self._folder / _RETREAT, {"artifacts": _rows(made), "error": error.message})
            placed = self._to_backup(made, error.message)
        return self._let_go(placed)

    def delivered(self) -> Sequence[Artifact]:
        """What `finish` of a process that died had brought to its place; () when it had not.

        Goes on to the backup if that had begun: the folder then is no longer whole. Raises DestinationError.
        """
        if artifacts := _artifacts(self._folder / _RESULT):
            return artifacts
        if made := _artifacts(self._folder / _RETREAT):
            return self._let_go(self._to_backup(made, str(read_json(self._folder / _RETREAT)["error"])))
        return ()

    def status(self) -> Mapping[str, Any]:
        """Bytes in the store, attempts that failed, what is wrong now; called from any thread."""
        return {"uploaded": self._uploaded, "upload_failures": self._failures, "upload_problem": self._problem}

    def _let_go(self, placed: Sequence[Artifact]) -> Sequence[Artifact]:
        write_json(self._folder / _RESULT, {"artifacts": _rows(placed)})
        shutil.rmtree(self.local, ignore_errors=True)
        return placed

    def _follow(self) -> None:
        wait = _LOOK
        while not self._stopped.wait(wait):
            try:
                self._round()
                wait = _LOOK
            except StoreError as error:
                wait = min(_LONGEST, max(_SHORTEST, 2 * wait))
                self._note(error)
            except Exception:
                # The folder is in the spool: what is not sent now is sent when the stream has ended.
                _log.exception("the upload of %s waits for its end", self.local)
                return

    def _round(self) -> None:
        """Bring up all that is new, in order; raises StoreError when something would not go."""
        shelf = self._reached()
        if self._clearing:
            self._clear(shelf)
        lists = self._read()
        media = [found for found in lists if found.files]
        self._send(shelf, sorted({name for found in media for name in found.files if name not in self._there.names}))
        for found in media:
            self._publish(shelf, found, found.files)
        for found in lists:
            self._publish(shelf, found, found.playlists)
        now = time.monotonic()
        self._remove(shelf, [name for name, due in self._leaving.items() if due <= now])

    def _read(self) -> list[PlainList]:
        """The playlists in the folder that name something."""
        found = []
        for path in sorted(self.local.rglob("*.m3u8")):
            with suppress(FileNotFoundError):
                found.append(PlainList.of(str(path.relative_to(self.local)), path.read_text("utf-8")))
        return [one for one in found if one.files or one.playlists]

    def _send(self, shelf: Shelf, names: Sequence[str]) -> None:
        """Bring up media, several at once; raises the first error, and what is not under way then waits."""
        left = iter(names)
        failed: list[Exception] = []

        def lane() -> None:
            # Threads of our own, which die with the process: nobody waits for a store that hangs.
            while not failed:
                with self._lock:
                    name = next(left, None)
                if name is None:
                    return
                try:
                    self._send_one(shelf, name)
                except Exception as error:
                    failed.append(error)

        lanes = [threading.Thread(target=lane, name="mirror-lane", daemon=True) for _ in names[:LANES]]
        for thread in lanes:
            thread.start()
        for thread in lanes:
            thread.join()
        if failed:
            raise failed[0]

    def _send_one(self, shelf: Shelf, name: str) -> None:
        try:
            data = (self.local / name).read_bytes()
        except FileNotFoundError:
            # It left the window meanwhile, and so will the next playlist not name it.
            return
        self._put(shelf, name, data, _LASTING)

    def _publish(self, shelf: Shelf, found: PlainList, needed: frozenset[str]) -> None:
        """Bring up a playlist that has changed, unless something it names is not there."""
        if not needed or not needed <= set(self._there.names):
            return
        data = found.text.encode()
        if not self._there.holds(found.name, data):
            self._put(shelf, found.name, data, _ENDED if found.ended else _LIVE)
        earlier = self._lists.get(found.name)
        self._lists[found.name] = found
        listed = frozenset().union(*(one.files for one in self._lists.values()))
        for name in listed & self._leaving.keys():
            del self._leaving[name]
        for name in (earlier.files - listed) if earlier else ():
            self._leaving[name] = time.monotonic() + (earlier.length if earlier else 0) / SECOND

    def _remove(self, shelf: Shelf, names: Sequence[str]) -> None:
        for name in names:
            shelf.remove(name)
            self._there.remove(name)
            self._leaving.pop(name, None)

    def _put(self, shelf: Shelf, name: str, data: bytes, cache: str) -> None:
        kind = _KINDS.get(Path(name).suffix, "application/octet-stream")
        shelf.put(name, data, kind=kind, cache=cache)
        self._there.put(name, data)
        with self._lock:
            self._uploaded += len(data)
            self._last_success = time.monotonic()
            self._problem = ""

    def _clear(self, shelf: Shelf) -> None:
        """Take away an earlier stream that this job may replace: its playlists first."""
        found = [name for name in shelf.sizes() or () if Path(name).suffix in _KINDS]
        for name in sorted(found, key=lambda name: not name.endswith(".m3u8")):
            shelf.remove(name)
        self._clearing = False

    def _complete(self) -> None:
        """Round after round until all is there and compared; raises StoreError when it fails for good or too long."""
        wait, rounds = _SHORTEST, 0
        while True:
            try:
                self._round()
                rounds += 1
                shelf, wanted = self._reached(), self._wanted()
                if not (missing := self._missing(shelf, wanted)):
                    self._remove(shelf, sorted(set(self._there.names) - wanted.keys()))
                    return
                message = f"{self._to.to.rstrip('/')}/{missing} is not as it was sent"
                raise StoreError(message, passing=rounds < _ROUNDS)
            except StoreError as error:
                if not error.passing or time.monotonic() - self._last_success > self._patience:
                    raise
                self._note(error)
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST)

    def _wanted(self) -> dict[str, int]:
        """The files of the ended stream and their sizes; raises StoreError when one is nowhere."""
        wanted: dict[str, int] = {}
        for found in self._read():
            wanted[found.name] = len(found.text.encode())
            for name in found.files:
                path = self.local / name
                if not path.exists():
                    raise StoreError(f"{path} is gone, and {found.name} names it; what there is stays beside it")
                wanted[name] = path.stat().st_size
        return wanted

    def _missing(self, shelf: Shelf, wanted: Mapping[str, int]) -> str:
        """A file the store does not hold as it is here, "" for none; such are forgotten, and so sent anew."""
        sizes = shelf.sizes()
        wrong = [
            name
            for name, size in sorted(wanted.items())
            if name not in self._there.names or (sizes is not None and sizes.get(name) != size)
        ]
        for name in wrong:
            self._there.remove(name)
        return wrong[0] if wrong else ""

    def _to_backup(self, made: Sequence[Artifact], why: str) -> Sequence[Artifact]:
        if self._backup is None:
            raise DestinationError(why)
        message = f"{why}; it goes to the backup, {self._backup.to}"
        _log.warning("%s", message)
        if self._announce is not None:
            self._announce({"type": "warning", "message": message})
        delivery = Delivery(self._folder, self._backup.to, self._backup.storage, job=self._job)
        try:
            done = delivery.folder(self.local)
        except DestinationError as second:
            raise DestinationError(f"{why}; nor does the backup take it: {second.message}") from second
        return self._placed(made, done.location, {"backup": True, "primary_error": why})

    def _placed(self, made: Sequence[Artifact], root: str, details: Mapping[str, Any]) -> Sequence[Artifact]:
        """The artifacts as they are at their place."""
        return tuple(
            replace(
                artifact,
                location=f"{root.rstrip('/')}{artifact.location.removeprefix(str(self.local))}",
                details={**artifact.details, **details},
            )
            for artifact in made
        )

    def _note(self, error: StoreError) -> None:
        if error.message != self._problem:
            _log.warning("%s; it is tried again", error.message)
        # In this order: whoever sees the failure on another thread sees what it was.
        self._problem = error.message
        self._failures += 1

    def _reached(self) -> Shelf:
        if self._shelf is None:
            storage: Storage = registry.load("storages", scheme_of(self._to.to))(self._to.storage)
            self._shelf = storage.shelf(self._to.to)
        return self._shelf


def _rows(artifacts: Sequence[Artifact]) -> list[dict[str, Any]]:
    return [asdict(artifact) for artifact in artifacts]


def _artifacts(path: Path) -> tuple[Artifact, ...]:
    return tuple(Artifact(**row) for row in read_json(path).get("artifacts", ()))
