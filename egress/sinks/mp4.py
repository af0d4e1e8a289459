"""One MP4 file: plays up to its last fragment after a crash, and is an ordinary seekable file once closed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from egress import __version__
from egress.model import registry
from egress.model.errors import DestinationError, Fault
from egress.model.job import Artifact
from egress.model.media import SECOND, Nanos, Packet, StreamInfo
from egress.model.pipeline import Mp4Doc, SinkDoc
from egress.model.targets import file_part, scheme_of
from egress.sinks.base import Mark, Sink, SinkContext
from egress.sinks.marks import MarkLog, chapters
from egress.sinks.muxing import MuxedStream

if TYPE_CHECKING:
    from av.container import OutputContainer

_FILE, _STATE, _MARKS = "recording.mp4", "recording.json", "marks.jsonl"

_FRAGMENTS = 2
"""Fragments in one `fragment` of the document: what a crash takes is one of these, and what was still under way."""


class Mp4Sink(Sink):
    """Writes `recording.mp4` in the spool, then moves it to its target; a crash costs less than `doc.fragment`.

    libav's hybrid mode appends fragments while recording and one ordinary index at the end, so that closing takes the
    same moment for any length. Audio priming stands before time 0 and is cut off by the file's edit list.
    """

    def __init__(self, doc: SinkDoc, context: SinkContext) -> None:
        super().__init__(doc, context)
        if not isinstance(doc, Mp4Doc):
            raise Fault(f"an mp4 sink was given a {type(doc).__name__}")
        self._fragment = doc.fragment
        self._file = context.folder / _FILE
        self._marks = MarkLog(context.folder / _MARKS)
        self._container: OutputContainer | None = None
        self._streams: dict[str, MuxedStream] = {}
        self._length: Nanos = 0
        self._packets = 0

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Begin the file; raises DestinationError when the target is taken or the spool cannot be written."""
        target = Path(file_part(self.context.to))
        if scheme_of(self.context.to) == "file" and target.exists() and self.context.options.get("overwrite") != "yes":
            raise DestinationError(f"{target} exists already; remove it, or write to another name")
        tags = _tags(self.context)
        try:
            _keep(self.context.folder / _STATE, {"tags": tags})
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
            self._container.start_encoding()
        except (av.FFmpegError, OSError) as error:
            raise self._refused(error) from error

    def write(self, packet: Packet) -> None:
        """Append one packet; raises DestinationError when the disk refuses."""
        if self._container is None:
            raise Fault("the MP4 is not open")
        stream = self._streams[packet.stream]
        try:
            self._container.mux(stream.av_packet(packet))
        except (av.FFmpegError, OSError) as error:
            raise self._refused(error) from error
        end = (packet.pts + packet.duration) * stream.info.time_base
        self._length = max(self._length, int(end * SECOND))
        self._packets += 1

    def mark(self, mark: Mark) -> None:
        """Note a chapter."""
        self._marks.add(mark)

    def close(self) -> Sequence[Artifact]:
        """Write the index, and move the file to its target."""
        self._finish()
        return (_delivered(self._file, self.context.to, self._length, _chapter_rows(self._marks, self._length)),)

    def abort(self) -> Sequence[Artifact]:
        """Write the index if the disk lets us; the file stays in the spool, from where it can be recovered."""
        try:
            self._finish()
        except DestinationError:
            pass
        if not self._file.is_file() or self._file.stat().st_size == 0:
            return ()
        return (Artifact("mp4", str(self._file), self._file.stat().st_size, self._length, details={"final": False}),)

    def status(self) -> Mapping[str, Any]:
        """Packets and media written so far."""
        return {"packets": self._packets, "seconds": round(self._length / SECOND, 3), "marks": len(self._marks.marks)}

    @classmethod
    def recover(cls, folder: Path, to: str) -> Sequence[Artifact]:
        """Make what a dead process left an ordinary seekable file and deliver it; () when nothing can be played."""
        source, state = folder / _FILE, _state(folder / _STATE)
        marks = MarkLog.load(folder / _MARKS)
        length = int(state.get("length", 0))
        if not source.is_file() or source.stat().st_size == 0:
            # Closed and delivered, and the process died before it could say so.
            target = Path(file_part(to))
            made = length and scheme_of(to) == "file" and target.is_file()
            return (Artifact("mp4", str(target), target.stat().st_size, length),) if made else ()
        if length:
            return (_delivered(source, to, length, _chapter_rows(marks, length)),)
        final = folder / "recovered.mp4"
        length = _remuxed(source, final, state.get("tags", {}), marks)
        if not length:
            final.unlink(missing_ok=True)
            return ()
        artifact = _delivered(final, to, length, {**_chapter_rows(marks, length), "recovered": True})
        source.unlink()
        return (artifact,)

    def _finish(self) -> None:
        container, self._container = self._container, None
        if container is None:
            return
        try:
            _set_chapters(container, self._marks, self._length)
            container.close()
            _keep(self.context.folder / _STATE, {"tags": _tags(self.context), "length": self._length})
        except (av.FFmpegError, OSError) as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> DestinationError:
        return DestinationError(f"{self._file} cannot be written: {getattr(error, 'strerror', None) or error}")


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


def _state(path: Path) -> dict[str, Any]:
    """What `_keep` wrote; a recording is worth saving without it."""
    try:
        state = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _keep(path: Path, document: Mapping[str, Any]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _chapter_rows(marks: MarkLog, length: Nanos) -> dict[str, Any]:
    rows = [{"at": round(c.start / SECOND, 3), "title": c.title} for c in chapters(marks.marks, length)]
    return {"chapters": rows} if rows else {}


def _set_chapters(container: OutputContainer, marks: MarkLog, length: Nanos) -> None:
    container.set_chapters(
        [
            {
                "id": number,
                "start": chapter.start,
                "end": chapter.end,
                "time_base": Fraction(1, SECOND),
                "metadata": {"title": chapter.title},
            }
            for number, chapter in enumerate(chapters(marks.marks, length), 1)
        ]
    )


def _delivered(file: Path, to: str, length: Nanos, details: Mapping[str, Any]) -> Artifact:
    stored = registry.load("storages", scheme_of(to))().put(file, file_part(to))
    return Artifact("mp4", stored.location, stored.size, length, stored.sha256, details)


def _remuxed(source: Path, final: Path, tags: Mapping[str, str], marks: MarkLog) -> Nanos:
    """Copy every packet that can be read to an ordinary file, index first; returns its length, 0 when there is none."""
    length: Nanos = 0
    try:
        with av.open(str(source)) as read, av.open(str(final), "w", options={"movflags": "faststart"}) as written:
            streams = {
                s.index: written.add_stream_from_template(s, opaque=True)
                for s in (*read.streams.video, *read.streams.audio)
            }
            if not streams:
                return 0
            written.metadata.update(tags or read.metadata)
            written.start_encoding()
            try:
                for packet in read.demux():
                    if packet.dts is None or packet.pts is None or packet.stream.index not in streams:
                        continue
                    if packet.is_corrupt:
                        # Cut short by the end of the file: what follows in its stream could not be decoded.
                        del streams[packet.stream.index]
                        continue
                    end = int((packet.pts + (packet.duration or 0)) * packet.time_base * SECOND)
                    packet.stream = streams[packet.stream.index]
                    written.mux(packet)
                    length = max(length, end)
            except av.error.InvalidDataError:
                # The last fragment was cut short by the crash; what stands before it is whole.
                pass
            _set_chapters(written, marks, length)
    except av.error.InvalidDataError:
        return 0
    except (av.FFmpegError, OSError) as error:
        raise DestinationError(f"{final} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    return length
