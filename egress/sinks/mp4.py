"""One MP4 file: plays up to its last fragment after a crash, and is an ordinary seekable file once closed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from egress import __version__
from egress.disk import read_json, write_json
from egress.model.errors import DestinationError, Fault
from egress.model.job import Artifact
from egress.model.media import SECOND, Nanos, Packet, StreamInfo
from egress.model.outputs import Mp4Doc, SinkDoc
from egress.sinks.base import CAPTION, END, LULL, METADATA, PAUSE, RESUME, SPEAKER, Backup, Mark, Sink, SinkContext
from egress.sinks.delivery import Delivered, Delivery
from egress.sinks.growing import GrowingJoin
from egress.sinks.joining import EMPTY, Piece, join, pieces
from egress.sinks.marks import MarkLog, chapters
from egress.sinks.muxing import MuxedStream
from egress.sinks.remux import remux, set_chapters
from egress.sinks.splice import Splice, moved, pauses

if TYPE_CHECKING:
    from av.container import OutputContainer

_log = logging.getLogger(__name__)

_FRAGMENTS = 2
"""Fragments in one `fragment` of the document: what a crash takes is one of these, and what was still under way."""


class Mp4Sink(Sink):
    """Writes `recording.mp4` in the spool; closed, it is moved to its target. A crash costs less than `doc.fragment`.

    libav's hybrid mode appends fragments while recording and one ordinary index at the end, so that closing takes the
    same moment for any length. Audio priming stands before time 0 and is cut off by the file's edit list. Each attempt
    of a job writes a piece of its own; they are joined before they are delivered.
    """

    resumes = True

    def __init__(self, doc: SinkDoc, context: SinkContext) -> None:
        super().__init__(doc, context)
        if not isinstance(doc, Mp4Doc):
            raise Fault(f"an mp4 sink was given a {type(doc).__name__}")
        self._fragment = doc.fragment
        self.lull = min(LULL, doc.fragment // (4 * _FRAGMENTS))
        self._piece = Piece(context.folder, context.attempt)
        self._file = self._piece.file
        self._marks = MarkLog(self._piece.marks)
        self._container: OutputContainer | None = None
        self._streams: dict[str, MuxedStream] = {}
        self._splices: dict[str, Splice] = {}
        self._length: Nanos = 0
        self._packets = 0
        self._end: Nanos | None = None
        self._joined = 0
        self._growing: GrowingJoin | None = None
        self._delivery = Delivery.of(context)

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Begin the file; raises DestinationError when the target is taken or the spool cannot be written."""
        self._delivery.begin()
        tags = _tags(self.context)
        try:
            self._keep()
            self._container = av.open(
                str(self._file),
                "w",
                format="mp4",
                options={
                    "movflags": "hybrid_fragmented+delay_moov",
                    "frag_duration": str(max(100_000, self._fragment // _FRAGMENTS // 1000)),
                    "flush_packets": "1",
                },
            )
            self._container.metadata.update(tags)
            self._streams = {info.id: MuxedStream(self._container, info) for info in programme}
            self._splices = {info.id: Splice(info) for info in programme}
            self._container.start_encoding()
        except (av.FFmpegError, OSError) as error:
            raise self._refused(error) from error
        # All that libav has written stays as it is, but for eight bytes at the beginning when it closes the file.
        if self.context.attempt == 1:
            self._delivery.follow(self._file)
        elif earlier := [piece for piece in pieces(self.context.folder) if piece != self._piece]:
            self._growing = GrowingJoin(self.context.folder, earlier, self._piece)
            self._delivery.follow(self._growing.file)

    def write(self, packet: Packet) -> None:
        """Append one packet, unless it lies in a pause; raises DestinationError when the disk refuses."""
        if self._container is None:
            raise Fault("the MP4 is not open")
        stream, kept = self._streams[packet.stream], self._splices[packet.stream].take(packet)
        if kept is None:
            return
        packet = kept
        try:
            self._container.mux(stream.av_packet(packet))
        except (av.FFmpegError, OSError) as error:
            raise self._refused(error) from error
        end = (packet.pts + packet.duration) * stream.info.time_base
        self._length = max(self._length, int(end * SECOND))
        self._packets += 1

    def mark(self, mark: Mark) -> None:
        """Note a chapter or a pause; or the end: the file is cut at the first keyframe after it, once it is closed."""
        if mark.kind in (PAUSE, RESUME):
            for splice in self._splices.values():
                splice.mark(mark)
        if mark.kind in (METADATA, CAPTION, SPEAKER):
            # For who watches live; there are many, and the log is for what makes chapters.
            return
        if mark.kind != END:
            self._marks.add(mark)
            return
        self._end = moved(mark.at, pauses(self._marks.marks))
        try:
            self._keep()
        except OSError as error:
            raise self._refused(error) from error

    def close(self) -> Sequence[Artifact]:
        """Write the index; the file still is in the spool."""
        self._finish()
        return self._kept()

    def deliver(self, made: Sequence[Artifact]) -> Sequence[Artifact]:
        """Join the pieces of all attempts, cut the file where nobody was there any more, and move it to its target.

        Where another job has written to the target meanwhile, its file stays, and this one goes beside it.
        """
        growing, self._growing = self._growing, None
        if growing is not None:
            self._delivery.hold()
            whole = growing.finish(self._packets)
            join(self.context.folder, self._count)
            self._delivery.renamed(Piece(self.context.folder, 1).file if whole else None)
        else:
            join(self.context.folder, self._count)
        return (_Closed(self.context.folder).deliver(self._delivery),)

    def abort(self) -> Sequence[Artifact]:
        """Write the index if the disk lets us; the file stays in the spool, from where it can be recovered."""
        self._delivery.leave()
        if self._growing is not None:
            self._growing.give_up()
        try:
            self._finish()
        except DestinationError:
            pass
        return self._kept()

    def _kept(self) -> Sequence[Artifact]:
        if not self._file.is_file() or self._file.stat().st_size == 0:
            return ()
        return (Artifact("mp4", str(self._file), self._file.stat().st_size, self._length, details={"final": False}),)

    def status(self) -> Mapping[str, Any]:
        """Packets and media written so far."""
        return {
            "packets": self._packets,
            "seconds": round(self._length / SECOND, 3),
            "marks": len(self._marks.marks),
            "joined": self._growing.packets if self._growing is not None else self._joined,
            **self._delivery.status(),
        }

    @classmethod
    def recover(
        cls, folder: Path, to: str, storage: Mapping[str, str] | None = None, backup: Backup | None = None
    ) -> Sequence[Artifact]:
        """Make what a dead process left an ordinary seekable file and deliver it; () when it had not begun to write.

        Raises DestinationError when there is something that cannot be read: it stays for better tools than ours.
        """
        several = join(folder)
        whole = Piece(folder, 1)
        source, state = whole.file, read_json(whole.state)
        delivery = Delivery.resumed(folder, to, storage, backup, job=str(state.get("job")))
        length = int(state.get("length", 0))
        if not source.is_file() or source.stat().st_size == 0:
            # Closed and delivered, perhaps, and the process died before it could say so.
            stored = delivery.delivered(source)
            return (_Closed(folder).artifact(stored),) if stored else ()
        if not length:
            final, end = folder / "recovered.mp4", state.get("end")
            marks = MarkLog.load(whole.marks)
            length = remux(source, final, state.get("tags", {}), marks, end=end, index_first=True)
            if not length:
                final.unlink(missing_ok=True)
                if source.stat().st_size < EMPTY:
                    return ()
                raise DestinationError(f"{source} cannot be read: it is damaged, and kept as it is")
            final.replace(source)
            write_json(whole.state, {**state, "length": length, "end": None, "recovered": True})
        elif several:
            write_json(whole.state, {**state, "recovered": True})
        return (_Closed(folder).deliver(delivery),)

    def _finish(self) -> None:
        container, self._container = self._container, None
        if container is None:
            return
        if self._growing is not None:
            self._growing.closing()
        try:
            set_chapters(container, self._marks, self._length)
            container.close()
            self._keep(self._length)
        except (av.FFmpegError, OSError) as error:
            raise self._refused(error) from error

    def _keep(self, length: Nanos = 0) -> None:
        """Note what recovery has to know; raises OSError."""
        document = {"job": self.context.job, "tags": _tags(self.context), "length": length, "end": self._end}
        write_json(self._piece.state, document)

    def _count(self, packets: int) -> None:
        self._joined = packets

    def _refused(self, error: Exception) -> DestinationError:
        return DestinationError(f"{self._file} cannot be written: {getattr(error, 'strerror', None) or error}")


class _Closed:
    """A closed recording in its spool folder, on its way to its target."""

    def __init__(self, folder: Path) -> None:
        piece = Piece(folder, 1)
        self._file = piece.file
        self._state_path = piece.state
        self._state = read_json(self._state_path)
        self._marks = MarkLog.load(piece.marks)

    def deliver(self, delivery: Delivery) -> Artifact:
        """Cut it where it ends, and move it; raises DestinationError, and then it stays."""
        end = self._state.get("end")
        if end is not None and end < self._state["length"]:
            self._cut(end)
        return self.artifact(delivery.file(self._file))

    def artifact(self, delivered: Delivered) -> Artifact:
        """What has been delivered, as the job made it."""
        length = int(self._state["length"])
        details = _chapter_rows(self._marks, length)
        if self._state.get("recovered"):
            details["recovered"] = True
        if joins := [part["at"] for part in self._state.get("parts", ())][1:]:
            details["joins"] = [round(at / SECOND, 3) for at in joins]
        return delivered.artifact("mp4", length, details)

    def _cut(self, end: Nanos) -> None:
        short = self._file.with_name("cut.mp4")
        try:
            length = remux(self._file, short, self._state.get("tags", {}), self._marks, end=end)
        except DestinationError as error:
            # A recording with a blank tail is better than none: there may be no room for it twice.
            _log.warning("the blank tail stays: %s", error.message)
            short.unlink(missing_ok=True)
            return
        if not length:
            short.unlink(missing_ok=True)
            return
        short.replace(self._file)
        self._state = {**self._state, "length": length, "end": None}
        write_json(self._state_path, self._state)


def _tags(context: SinkContext) -> dict[str, str]:
    started = context.started.astimezone(UTC)
    return {
        "title": context.title,
        "album": context.room,
        "comment": f"Room {context.room}, job {context.job}",
        "date": started.date().isoformat(),
        "creation_time": started.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "encoding_tool": f"Egress {__version__}",
    }


def _chapter_rows(marks: MarkLog, length: Nanos) -> dict[str, Any]:
    rows = [{"at": round(c.start / SECOND, 3), "title": c.title} for c in chapters(marks.marks, length)]
    return {"chapters": rows} if rows else {}
