"""What a server keeps in its spool beside the jobs: who it is, logs and pictures, all of bounded size and age."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from egress.control import pruning
from egress.control.commission import LOGS, log_of
from egress.control.following import THUMBNAILS
from egress.control.orphans import is_held
from egress.control.store import Store
from egress.control.values import micros, new_id
from egress.model.errors import EgressError, RequestError

LARGEST_LOG = 4 << 20
"""Bytes of one job's log, of which the latest half stays."""

KEPT_FOR = 30 * 24 * 3600
"""Seconds logs and pictures of jobs are kept."""

PRUNE_EVERY = 60
"""Minutes between two looks at what the store may forget."""

_SERVERS = "servers"
_MOST = 64

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which server this is: the same when it is started again. Held until `release`."""

    id: str
    handle: int

    def release(self) -> None:
        """Let another process be this server."""
        os.close(self.handle)


def identify(spool: Path, *, alone: bool) -> Identity:
    """The first server of this spool that no living process is; `alone`: there may be only one.

    Raises RequestError when it runs already, or the spool cannot be used.
    """
    try:
        (spool / _SERVERS).mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(1, 2 if alone else _MOST + 1):
            handle = os.open(spool / _SERVERS / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            return Identity(_named(handle), handle)
    except OSError as error:
        wrong = f"{spool}: {error.strerror}; choose another with --spool"
        raise RequestError(f"spool {wrong}", (("spool", wrong),)) from error
    wrong = "is in use by another egress serve; end that, or choose another with --spool"
    raise RequestError(f"spool {spool} {wrong}", (("spool", wrong),))


def erase(spool: Path, job: str, *, unfinished: bool = False) -> None:
    """Take away a job's log and picture; with `unfinished` also its folder, unless a worker still holds that: a later
    recovery would bring what lies in it to its place."""
    if unfinished and not is_held(spool / job):
        shutil.rmtree(spool / job, ignore_errors=True)
    for path in (log_of(spool, job), spool / THUMBNAILS / f"{job}.jpg"):
        path.unlink(missing_ok=True)


def trim_logs(spool: Path) -> int:
    """Cut logs that are too long, and take away what is too old; gives how many were touched."""
    touched = 0
    for path in (*(spool / LOGS).glob("*.log"), *(spool / THUMBNAILS).glob("*.jpg")):
        with contextlib.suppress(OSError):
            known = path.stat()
            if time.time() - known.st_mtime > KEPT_FOR:
                path.unlink()
                touched += 1
            elif path.suffix == ".log" and known.st_size > LARGEST_LOG:
                _cut(path, LARGEST_LOG // 2)
                touched += 1
    return touched


class Upkeep:
    """Keeps the store and the spool from growing for ever, for as long as it `run`s."""

    def __init__(self, store: Store, spool: Path) -> None:
        self._store = store
        self._spool = spool

    async def run(self) -> None:
        """Look after logs every minute and after the store every hour; ends only when cancelled."""
        minutes = 0
        while True:
            try:
                await asyncio.to_thread(trim_logs, self._spool)
                if minutes % PRUNE_EVERY == 0:
                    await self._store.write(pruning.prune, micros())
            except EgressError as error:
                _log.warning("the store could not be pruned: %s", error.message)
            minutes += 1
            await asyncio.sleep(60)


def _cut(path: Path, size: int) -> None:
    """Keep the last bytes of a file that others append to, from a whole line on."""
    with path.open("r+b") as file:
        file.seek(-size, os.SEEK_END)
        kept = file.read().partition(b"\n")[2]
        file.truncate(0)
    with path.open("ab") as file:
        file.write(kept)


def _named(handle: int) -> str:
    known = os.pread(handle, 100, 0).decode("ascii", errors="replace").strip()
    if known:
        return known
    name = new_id("srv")
    os.pwrite(handle, name.encode(), 0)
    return name
