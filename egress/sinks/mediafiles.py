"""Where one rendition's media lie: a file for each part and segment, or one file that grows."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from egress.model.errors import DestinationError
from egress.model.media import Nanos
from egress.sinks.playlist import Part, Segment
from egress.sinks.presentation import Presentation, write_file

GROWING = "media.m4s"
"""The file of a rendition that has but one."""

PARTS = 1024
"""Fragments are numbered from this times their segment's number on: more than one can have parts, and of a 32-bit
number enough for a month. So a file tells by itself which segment each of its fragments belongs to."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where some media lie: `uri` from the playlists' folder on; `offset` within a file that holds more."""

    uri: str
    offset: int | None = None


class MediaFiles(ABC):
    """The media of one rendition on disk. Methods that write raise DestinationError, and then nothing has changed."""

    def __init__(self, presentation: Presentation, name: str) -> None:
        self.name = name
        self._root = presentation.to

    @abstractmethod
    def add_part(self, msn: int, number: int, data: bytes) -> Place:
        """Write a part."""

    @abstractmethod
    def add_segment(self, msn: int, data: bytes, parts: Sequence[Part]) -> Place:
        """Write a whole segment, whose bytes are those of its parts."""

    @abstractmethod
    def next_part(self, msn: int, number: int) -> Place:
        """Where a part will lie."""

    @abstractmethod
    def missing(self, msn: int) -> Place:
        """What to call a segment that is not there."""

    @abstractmethod
    def owned(self, media: Part | Segment) -> Path | None:
        """The file that can go with a part or segment; None when it holds others too."""


class SeparateFiles(MediaFiles):
    """Parts are files of their own, not ranges of the growing segment: a whole file can be renamed into place, so that
    whoever asks for a part gets all of it or nothing. The segment holds the same bytes once more."""

    def add_part(self, msn: int, number: int, data: bytes) -> Place:
        """Write a part."""
        return self._write(part_file(msn, number), data)

    def add_segment(self, msn: int, data: bytes, parts: Sequence[Part]) -> Place:
        """Write a whole segment."""
        return self._write(segment_file(msn), data)

    def next_part(self, msn: int, number: int) -> Place:
        """Where a part will lie."""
        return Place(f"{self.name}/{part_file(msn, number)}")

    def missing(self, msn: int) -> Place:
        """The file it would have been."""
        return Place(f"{self.name}/{segment_file(msn)}")

    def owned(self, media: Part | Segment) -> Path | None:
        """Its file."""
        return self._root / media.uri

    def _write(self, file: str, data: bytes) -> Place:
        write_file(self._root / self.name / file, data)
        return Place(f"{self.name}/{file}")


class GrowingFile(MediaFiles):
    """One file that parts are appended to. What was cut short by a crash is cut off when it is opened again."""

    def __init__(self, presentation: Presentation, name: str, *, size: int = 0) -> None:
        """`size` is what of the file is whole."""
        super().__init__(presentation, name)
        self._path = presentation.to / name / GROWING
        self._size = size

    def add_part(self, msn: int, number: int, data: bytes) -> Place:
        """Append a part."""
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.ftruncate(handle, self._size)
                written = 0
                while written < len(data):
                    written += os.pwrite(handle, memoryview(data)[written:], self._size + written)
            finally:
                os.close(handle)
        except OSError as error:
            raise DestinationError(f"{self._path} cannot be written: {error.strerror}") from error
        place = Place(self._uri, self._size)
        self._size += len(data)
        return place

    def add_segment(self, msn: int, data: bytes, parts: Sequence[Part]) -> Place:
        """Say where the parts lie that are there; append all of them once more when one of them is not."""
        if any(part.gap for part in parts):
            return self.add_part(msn, 0, data)
        return Place(self._uri, parts[0].offset)

    def next_part(self, msn: int, number: int) -> Place:
        """The end of the file."""
        return Place(self._uri, self._size)

    def missing(self, msn: int) -> Place:
        """The file it would have been in."""
        return Place(self._uri)

    def owned(self, media: Part | Segment) -> Path | None:
        """None: the file keeps everything."""
        return None

    @property
    def _uri(self) -> str:
        return f"{self.name}/{GROWING}"


class Patience:
    """How long writing may fail before its failure is one of the whole: as long as what is lost are gaps."""

    def __init__(self, limit: Nanos) -> None:
        self._limit = limit
        self._since: Nanos | None = None

    def well(self) -> None:
        """Something was written."""
        self._since = None

    def failed(self, error: DestinationError, at: Nanos) -> None:
        """Something was not, at a time of the programme; raises the error when that has been so for too long."""
        if self._since is None:
            self._since = at
        if at - self._since >= self._limit:
            raise error


def part_file(msn: int, number: int) -> str:
    """The file of one part."""
    return f"seg-{msn}.{number}.m4s"


def segment_file(msn: int) -> str:
    """The file of one segment."""
    return f"seg-{msn}.m4s"
