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
        self._closing = threading.Event()
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

    def closing(self) -> None:
        """The last piece is about to be closed, which changes its beginning: who has not begun to read it waits."""
        self._closing.set()

    def finish(self, packets: int) -> bool:
        """Wait for the whole, the last piece having been closed with so many packets.

        False when there is none, and then nothing is left of it: one that goes on beyond the end of the recording, or
        has not all of it, is none.
        """
        self._written = packets
        self._closing.set()
        self._over.set()
        self._thread.join()
        if self._made:
            return True
        self._clear()
        return False

    def give_up(self) -> None:
        """Leave it: what there is is made anew by recovery."""
        self._given_up.set()
        self._closing.set()
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
        while not self._closing.is_set() and piece.file.stat().st_size < EMPTY:
            self._closing.wait(_LOOK)
        tail = _Tail(piece.file, self._over)
        # The head of a closed piece leads to an index at its end, behind all media, and back again.
        if not self._closing.is_set():
            return av.open(tail, "r", format="mp4")
        tail.close()
        self._over.wait()
        return av.open(str(piece.file))

    def _counts(self, packets: int) -> bool:
        """Whether all of the last piece is in the whole: as many packets as were written when it was closed.

        Only then is that number known: a reader that comes to an end before has not seen all.
        """
        self._over.wait()
        return not self._given_up.is_set() and packets == self._written

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
    """A file that grows, its head as it is now, read to its end as libav reads what it cannot seek in."""

    def __init__(self, path: Path, over: threading.Event) -> None:
        self._file = path.open("rb")
        self._head = self._file.read(EMPTY)
        self._over = over

    def read(self, size: int) -> bytes:
        """What is there, waiting for something; nothing when it grows no more."""
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        while True:
            over = self._over.is_set()
            data = self._file.read(size)
            if data or over:
                return data
            self._over.wait(_LOOK)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
