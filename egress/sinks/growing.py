"""The join of a job's pieces, made while the last of them is still being written, so that a job's end need not wait."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import av

from egress.model.errors import EgressError
from egress.model.media import Nanos
from egress.sinks.joining import EMPTY, JOINED, PLAN, Join, Piece, beside_whole

if TYPE_CHECKING:
    from av.container import InputContainer

ROOM = 256 << 20
"""Bytes a disk must have left for the whole to go on growing: what is being recorded comes first."""

_LOOK = 0.25
"""Seconds between two looks at a file that grows."""

_log = logging.getLogger(__name__)


class GrowingJoin:
    """Joins what earlier attempts wrote, then what this one writes, on a thread of its own behind the writer.

    Like an attempt's own file the whole is only appended to, but for eight bytes at the beginning when it ends: a
    storage can take it up meanwhile. Whatever goes wrong with it costs nothing but that: the pieces are all there, and
    are joined at the end. `before` are the pieces of earlier attempts, `last` the one that grows.
    """

    def __init__(self, folder: Path, before: Sequence[Piece], last: Piece) -> None:
        self.packets = 0
        self._folder = folder
        self._before = list(before)
        self._last = last
        self._over = threading.Event()
        self._given_up = threading.Event()
        self._written = 0
        self._made = False
        (folder / PLAN).unlink(missing_ok=True)
        beside_whole(folder, growing=True)
        self.file.unlink(missing_ok=True)
        self._thread = threading.Thread(target=self._run, name="join", daemon=True)
        self._thread.start()

    @property
    def file(self) -> Path:
        """The whole, as it grows."""
        return self._folder / JOINED

    def finish(self, packets: int) -> bool:
        """Wait for the whole, the last piece having been closed with so many packets.

        False when there is none, and then nothing is left of it: one that goes on beyond the end of the recording, or
        has not all of it, is none.
        """
        self._written = packets
        self._over.set()
        self._thread.join()
        if self._made:
            return True
        self._clear()
        return False

    def give_up(self) -> None:
        """Leave it: what there is is made anew by recovery."""
        self._given_up.set()
        self._over.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        try:
            self._check_room()
            join = Join(self._folder, [*self._before, self._last], self._tell, opened=self._opened)
            join.make(self._counts)
            self._made = (self._folder / PLAN).is_file()
        except _Over:
            pass
        except (EgressError, OSError, av.FFmpegError, ValueError) as error:
            _log.warning("the pieces of this recording are joined when it ends: %s", error)
            self._clear()
        except Exception:
            _log.exception("the pieces of this recording are joined when it ends")
            self._clear()

    def _opened(self, piece: Piece) -> InputContainer:
        if piece is not self._last:
            return av.open(str(piece.file))
        # libav opens a file by its head, which has to be there; it asks no more of something that cannot be sought in.
        while not self._over.is_set() and piece.file.stat().st_size < EMPTY:
            self._over.wait(_LOOK)
        if self._over.is_set():
            return av.open(str(piece.file))
        return av.open(_Tail(piece.file, self._over), "r", format="mp4")

    def _counts(self, end: Nanos | None, packets: int) -> bool:
        """Whether the whole may be kept: not when its last piece is to be cut, or was closed before it was read."""
        return not self._given_up.is_set() and end is None and packets == self._written

    def _tell(self, packets: int) -> None:
        self.packets = packets
        if self._given_up.is_set():
            raise _Over
        self._check_room()

    def _check_room(self) -> None:
        """Raise OSError when the disk may be needed for the recording itself."""
        there = self.file.stat().st_size if self.file.exists() else 0
        wanted = ROOM + max(0, sum(piece.file.stat().st_size for piece in self._before) - there)
        if shutil.disk_usage(self._folder).free < wanted:
            raise OSError(f"{self._folder} has too little room left for it twice")

    def _clear(self) -> None:
        (self._folder / PLAN).unlink(missing_ok=True)
        self.file.unlink(missing_ok=True)


class _Over(Exception):
    """Nobody wants the whole any more."""


class _Tail:
    """A file that grows, read to its end as libav reads what it cannot seek in."""

    def __init__(self, path: Path, over: threading.Event) -> None:
        self._file = path.open("rb")
        self._over = over

    def read(self, size: int) -> bytes:
        """What is there, waiting for something; nothing when it grows no more."""
        while True:
            over = self._over.is_set()
            data = self._file.read(size)
            if data or over:
                return data
            self._over.wait(_LOOK)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
