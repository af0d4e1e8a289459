"""The pieces of an MP4 that several attempts of a job wrote, joined packet by packet into one ordinary file."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from egress.disk import read_json, write_json, write_whole
from egress.model.errors import DestinationError
from egress.model.media import SECOND, Nanos
from egress.sinks.base import PAUSE, Mark
from egress.sinks.marks import MarkLog
from egress.sinks.remux import packets_of, set_chapters
from egress.sinks.splice import moved, pauses

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

FILE, STATE, MARKS = "recording.mp4", "recording.json", "marks.jsonl"

JOINED, PLAN = "joined.mp4", "joined.json"
"""The whole while it is made, and what says that it is whole."""

EMPTY = 4096
"""Bytes a file may have before its first fragment: its header and its description of the streams."""

_APPENDED = {"movflags": "hybrid_fragmented+delay_moov", "frag_duration": "1000000", "flush_packets": "1"}
"""Options of libav for a whole that is only appended to, as one made while the last piece grows must be; and all ways
of joining make the same bytes."""

_WENT_ON = "Went on after an interruption"


@dataclass(frozen=True, slots=True)
class Piece:
    """What one attempt writes: a file, what recovery has to know of it, and its marks, in its own session time."""

    folder: Path
    attempt: int

    @property
    def file(self) -> Path:
        """The media."""
        return self._path(FILE)

    @property
    def state(self) -> Path:
        """A JSON document: job, tags, length once it was closed, end where it is to be cut."""
        return self._path(STATE)

    @property
    def marks(self) -> Path:
        """One JSON line a mark."""
        return self._path(MARKS)

    def _path(self, name: str) -> Path:
        stem, dot, suffix = name.partition(".")
        return self.folder / (name if self.attempt == 1 else f"{stem}-{self.attempt}{dot}{suffix}")


def pieces(folder: Path) -> list[Piece]:
    """The pieces in a sink's folder that have a file, in order."""
    numbers = [path.stem.removeprefix("recording-") for path in folder.glob("recording-*.mp4")]
    found = [Piece(folder, number) for number in (1, *sorted(int(text) for text in numbers if text.isdecimal()))]
    return [piece for piece in found if piece.file.is_file()]


def join(folder: Path, tell: Callable[[int], None] = lambda count: None) -> bool:
    """Make all pieces in a folder the one piece of attempt 1; False where there is no other.

    The gaps between them are cut out; `tell` hears how many packets were written. What a process that died while
    joining left is gone on with. Raises DestinationError when the disk refuses, or a piece cannot be read or does not
    fit the others: then all pieces stay.
    """
    try:
        if not (folder / PLAN).is_file():
            beside_whole(folder, growing=False)
            found = pieces(folder)
            if not any(piece.attempt > 1 for piece in found):
                return False
            Join(folder, found, tell).make()
        _settle(folder)
        return True
    except OSError as error:
        raise DestinationError(f"{folder} cannot be written: {error.strerror or error}") from error


def beside_whole(folder: Path, *, growing: bool) -> None:
    """Have what a storage notes beside the whole lie beside `joined.mp4`, or beside the one piece there is at last.

    There is one upload of the recording, whichever file it is of at the time; raises OSError.
    """
    name, other = (JOINED, FILE) if growing else (FILE, JOINED)
    for path in folder.glob(f"{other}.*"):
        path.replace(folder / (name + path.name.removeprefix(other)))


def _settle(folder: Path) -> None:
    """Put the whole in the place of its pieces; may be done again at any point."""
    plan, whole = read_json(folder / PLAN), Piece(folder, 1)
    if (folder / JOINED).is_file():
        (folder / JOINED).replace(whole.file)
    beside_whole(folder, growing=False)
    lines = [json.dumps(mark) + "\n" for mark in plan["marks"]]
    write_whole(whole.marks, "".join(lines).encode(), durable=True)
    write_json(whole.state, plan["state"])
    for piece in pieces(folder):
        if piece.attempt > 1:
            for path in (piece.file, piece.state, piece.marks):
                path.unlink(missing_ok=True)
    (folder / PLAN).unlink()


class Join:
    """Joins pieces into `joined.mp4` and says in `joined.json` what it is, once it is whole."""

    def __init__(
        self,
        folder: Path,
        found: Sequence[Piece],
        tell: Callable[[int], None],
        opened: Callable[[Piece], InputContainer] | None = None,
    ) -> None:
        self._folder = folder
        self._pieces = found
        self._tell = tell
        self._opened = opened or (lambda piece: av.open(str(piece.file)))
        self._marks = MarkLog(folder / "unwritten")
        self._at: Fraction = Fraction(0)
        self._heard: Fraction | None = None
        self._count = self._before = 0
        self._parts: list[dict[str, Any]] = []

    def make(self, counts: Callable[[int], bool] | None = None) -> None:
        """Join; raises DestinationError, OSError.

        Where the last piece still grows, `counts` hears at last how many packets of it there are, and says, once the
        piece is closed, whether those are all. The whole is kept if so, unless the piece turns out to be one to cut.
        """
        final = self._folder / JOINED
        try:
            with av.open(str(final), "w", format="mp4", options=_APPENDED) as written:
                for piece in self._pieces:
                    self._append(piece, written)
                if not self._parts:
                    raise DestinationError(f"{self._folder} has no piece of a recording that can be read")
                set_chapters(written, self._marks, self._length)
        except av.FFmpegError as error:
            raise DestinationError(f"{final} cannot be written: {error.strerror or error}") from error
        handle = os.open(final, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if counts and not counts(self._count - self._before):
            return
        states = [read_json(piece.state) for piece in self._pieces]
        if counts and self._cut(states[-1]) is not None:
            return
        told = next((state for state in states if state), {})
        state = {"job": told.get("job"), "tags": told.get("tags", {}), "length": self._length, "end": None}
        document = {"state": {**state, "parts": self._parts}, "marks": [asdict(mark) for mark in self._marks.marks]}
        write_json(self._folder / PLAN, document)

    @property
    def _length(self) -> Nanos:
        return int(self._at * SECOND)

    def _cut(self, state: Mapping[str, Any]) -> Nanos | None:
        end = state.get("end")
        return end if end is not None and end < int(state.get("length", 0)) else None

    def _append(self, piece: Piece, written: OutputContainer) -> None:
        state = read_json(piece.state)
        began, heard = self._at, self._heard
        self._before = self._count
        try:
            with self._opened(piece) as read:
                reader = _Reader(read, began, heard, last=piece is self._pieces[-1])
                for packet in reader.packets(state.get("end")):
                    if not written.streams:
                        self._begin(read, written, state)
                    self._fits(piece, read, written)
                    packet.stream = written.streams[reader.number(packet)]
                    written.mux(packet)
                    self._count += 1
                    if self._count % 1000 == 0:
                        self._tell(self._count)
        except av.error.InvalidDataError:
            if piece.file.stat().st_size >= EMPTY:
                raise DestinationError(f"{piece.file} cannot be read: it is damaged, and kept as it is") from None
            return
        self._at, self._heard = reader.end, reader.heard
        if self._at <= began:
            return
        self._note(piece, int(began * SECOND))
        self._parts.append({"attempt": piece.attempt, "at": int(began * SECOND)})

    def _begin(self, read: InputContainer, written: OutputContainer, state: dict[str, Any]) -> None:
        for stream in (*read.streams.video, *read.streams.audio):
            written.add_stream_from_template(stream, opaque=True)
        written.metadata.update(state.get("tags") or read.metadata)
        written.start_encoding()

    def _fits(self, piece: Piece, read: InputContainer, written: OutputContainer) -> None:
        """One description of a stream stands for all its packets: other settings need another file."""
        for one, other in zip((*read.streams.video, *read.streams.audio), written.streams, strict=True):
            if one.codec_context.extradata != other.codec_context.extradata:
                raise DestinationError(f"{piece.file} was encoded with other settings than what was recorded before it")

    def _note(self, piece: Piece, began: Nanos) -> None:
        """Take the piece's marks over to where they are in the whole."""
        if began:
            self._marks.marks.append(Mark(began, "mark", _WENT_ON))
        log = MarkLog.load(piece.marks)
        cuts = pauses(log.marks)
        for mark in log.marks:
            at = began + moved(max(0, mark.at), cuts)
            if mark.kind != PAUSE and at < self._length:
                self._marks.marks.append(replace(mark, at=at))


class _Reader:
    """The packets of one piece where they belong in the whole: pictures adjoin, and the sound as nearly as it can.

    Sound comes in packets that cannot be cut, and begins with an encoder's priming, which takes the place of what it
    drowns out: the last packet or two of the piece before.
    """

    def __init__(self, read: InputContainer, began: Fraction, heard: Fraction | None, *, last: bool) -> None:
        self._read = read
        self._began = began
        self._shown = began
        self.heard = heard
        self._priming: Fraction | None = None
        self._moved: Fraction | None = None
        self._picture = bool(read.streams.video)
        self._last = last

    @property
    def end(self) -> Fraction:
        """Where the next piece begins."""
        return self._shown if self._picture or self.heard is None else max(self._began, self.heard)

    def number(self, packet: av.Packet[Any]) -> int:
        """The stream of the whole a packet belongs to: pictures come first."""
        return [stream.index for stream in (*self._read.streams.video, *self._read.streams.audio)].index(
            packet.stream.index
        )

    def packets(self, end: Nanos | None) -> Iterator[av.Packet[Any]]:
        """All that can be read, moved."""
        held: deque[tuple[Fraction, av.Packet[Any]]] = deque()
        for packet in packets_of(self._read, end):
            base = Fraction(packet.time_base)
            if packet.stream.type == "video":
                count = round(self._began / base)
                packet.pts, packet.dts = (packet.pts or 0) + count, (packet.dts or 0) + count
                self._shown = max(self._shown, (packet.pts + (packet.duration or 0)) * base)
                yield packet
            else:
                if self._moved is None:
                    self._moved = self._tied((packet.pts or 0) * base, (packet.duration or 0) * base)
                    self._priming = max(Fraction(0), -(packet.pts or 0) * base)
                count = round(self._moved / base)
                packet.pts, packet.dts = (packet.pts or 0) + count, (packet.dts or 0) + count
                held.append((packet.pts * base, packet))
            while held and (self._last or not self._picture or held[0][0] + self._length(held[0][1]) <= self._limit):
                yield self._take(held.popleft())
        while held and held[0][0] + self._length(held[0][1]) / 2 < self._limit:
            yield self._take(held.popleft())

    @property
    def _limit(self) -> Fraction:
        """How far the sound may go, as far as is known: the next piece's begins there."""
        return self._shown - (self._priming or 0)

    def _take(self, held: tuple[Fraction, av.Packet[Any]]) -> av.Packet[Any]:
        self.heard = held[0] + self._length(held[1])
        return held[1]

    def _length(self, packet: av.Packet[Any]) -> Fraction:
        return (packet.duration or 0) * Fraction(packet.time_base)

    def _tied(self, first: Fraction, length: Fraction) -> Fraction:
        """How far to move the sound so that it goes on where it ended, if that is near enough to where it belongs."""
        if self.heard is None:
            return self._began
        off = self.heard - (self._began + first)
        return self._began + off if abs(off) <= length / 2 or off > 0 else self._began
