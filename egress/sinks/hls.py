"""Low-latency HLS in a folder: CMAF, picture and sound apart, playable by any web server while it grows."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from egress.model.errors import DestinationError, Fault
from egress.model.job import Artifact
from egress.model.media import SECOND, Packet, StreamInfo
from egress.model.outputs import HlsDoc, SinkDoc
from egress.model.targets import file_part
from egress.sinks.base import END, Backup, Mark, Sink, SinkContext
from egress.sinks.ending import end, salvage
from egress.sinks.listing import Listing
from egress.sinks.marks import MarkLog, date_ranges
from egress.sinks.mirror import Mirror
from egress.sinks.playlist import DateRange, Tail
from egress.sinks.presentation import IFRAMES, INDEX, INIT, OWNER, Presentation, rendition_name, write_file
from egress.sinks.rendition import Rendition

_STATE, _MARKS = "presentation.json", "marks.jsonl"

_WAITING = 4096
"""Sound packets kept while an encoder with look-ahead holds back the first picture: over a minute."""

_STRAY = SECOND // 10


class HlsSink(Sink):
    """Writes `index.m3u8`, a playlist for each rendition, and their segments and parts, into the folder `to`.

    Every file appears whole; media before the playlist that names it. Each part is announced as {"type": "hls",
    "folder", "rendition", "msn", "part", "ended"} once its playlist is on disk. The playlists do not promise blocking
    reloads, which a plain web server could not keep; an origin that can adds that.
    """

    def __init__(self, doc: SinkDoc, context: SinkContext) -> None:
        super().__init__(doc, context)
        if not isinstance(doc, HlsDoc):
            raise Fault(f"an HLS sink was given a {type(doc).__name__}")
        self._document = doc
        self._mirror = Mirror.of(context)
        self._to = self._mirror.local if self._mirror else Path(file_part(context.to))
        self._marks = MarkLog(context.folder / _MARKS)
        self._presentation: Presentation | None = None
        self._renditions: dict[str, Rendition] = {}
        self._waiting: list[Packet] | None = None
        self._listed: set[str] = set()
        self._index = ""
        self._ranges: list[DateRange] = []

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Make the folder ready; raises DestinationError when it is in use or cannot be written."""
        if _in_use(self._to):
            if self.context.options.get("overwrite") != "yes":
                raise DestinationError(f"{self._to} holds a stream already; remove it, or write to another folder")
            _clear(self._to)
        presentation = Presentation.of(self._document, self._to, self.context.started, programme)
        try:
            for info in presentation.streams:
                (self._to / rendition_name(info)).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DestinationError(f"{self._to} cannot be made: {error.strerror}") from error
        self._presentation = presentation = presentation.claimed(self.context.job)
        if self._mirror:
            self._mirror.begin()
        self._renditions = {info.id: Rendition(presentation, info) for info in presentation.streams}
        if presentation.streams[0].kind == "video":
            self._waiting = []
        else:
            self._begin(presentation)

    def write(self, packet: Packet) -> None:
        """Cut one packet in; raises DestinationError naming the path when the disk refuses."""
        if self._presentation is None:
            raise Fault("the HLS sink is not open")
        rendition = self._renditions[packet.stream]
        if self._waiting is not None:
            if rendition.name != "video":
                if len(self._waiting) >= _WAITING:
                    raise DestinationError("HLS has had sound for over a minute, but no picture")
                self._waiting.append(packet)
                return
            waiting, self._waiting = self._waiting, None
            # Timestamps start at 0; with B-frames the first ones decode before it, so all are moved by that much.
            self._begin(self._presentation.shifted(max(Fraction(0), -packet.dts * rendition.info.time_base)))
            for held in waiting:
                self.write(held)
        if rendition.add(packet):
            self._publish(rendition)

    def mark(self, mark: Mark) -> None:
        """Note a date range; playlists show it from the next part on. Viewers have seen what lies after an end."""
        if mark.kind != END:
            self._marks.add(mark)

    def close(self) -> Sequence[Artifact]:
        """Write what is left and end the playlists."""
        self._finish()
        return self._end()

    def deliver(self, made: Sequence[Artifact]) -> Sequence[Artifact]:
        """Bring what is left to the store, where the target is one."""
        return self._mirror.finish(made) if self._mirror else made

    def abort(self) -> Sequence[Artifact]:
        """End the playlists with what is on disk, as far as the disk lets us."""
        if self._mirror:
            self._mirror.leave()
        self._finish(forgiving=True)
        try:
            return self._end()
        except DestinationError:
            size = sum(rendition.bytes for rendition in self._renditions.values())
            return (Artifact("hls", str(self._to / INDEX), size, details={"final": False}),)

    def status(self) -> Mapping[str, Any]:
        """What has been written so far."""
        renditions = tuple(self._renditions.values())
        return {
            "bytes": sum(rendition.bytes for rendition in renditions),
            "segments": max((rendition.msn for rendition in renditions), default=0),
            "seconds": round(max((rendition.end for rendition in renditions), default=0) / SECOND, 3),
            "gaps": sum(rendition.gaps for rendition in renditions),
            "marks_refused": self._marks.refused,
            **(self._mirror.status() if self._mirror else {}),
        }

    @classmethod
    def takes(cls, info: StreamInfo) -> bool:
        """Every picture of the ladder: viewers choose."""
        return True

    @classmethod
    def recover(
        cls, folder: Path, to: str, storage: Mapping[str, str] | None = None, backup: Backup | None = None
    ) -> Sequence[Artifact]:
        """End the playlists of a dead process with exactly the media that is whole on disk.

        () when there is none, or when the folder has become another job's, which is left alone.
        """
        if not (folder / _STATE).is_file():
            return ()
        mirror = Mirror.resumed(folder, to, storage, backup)
        if mirror and (delivered := mirror.delivered()):
            return delivered
        presentation = Presentation.load(folder / _STATE).at(mirror.local if mirror else Path(file_part(to)))
        if not presentation.ours:
            return ()
        made = salvage(presentation, MarkLog.load(folder / _MARKS))
        return mirror.finish(made) if mirror else made

    def _begin(self, presentation: Presentation) -> None:
        self._presentation = presentation
        presentation.keep(self.context.folder / _STATE)
        for rendition in self._renditions.values():
            rendition.begin(presentation)

    def _publish(self, rendition: Rendition) -> None:
        """Put the newest part on disk into the playlists, then say so."""
        others = [other for other in self._renditions.values() if other is not rendition]
        rendition.list_anew()
        if len(self._ranges) != len(self._marks.marks):
            self._ranges = date_ranges(self._marks.marks)
        ranges = self._ranges
        write_file(self._to / f"{rendition.name}.m3u8", rendition.text(ranges, others).encode())
        keys = rendition.keys
        if keys is not None and keys.changed:
            write_file(self._to / f"{keys.name}.m3u8", keys.text(ranges, Tail()).encode())
        self._listed.add(rendition.name)
        if len(self._listed) == len(self._renditions) and (rendition.listing.changed or not self._index):
            self._write_index()
        rendition.sweep()
        msn, part = rendition.last
        self._announce(rendition.name, msn, part, ended=False)
        if keys is not None and keys.changed:
            self._announce(keys.name, keys.sequence + len(keys.segments) - 1, None, ended=False)
            keys.changed = False
        rendition.listing.changed = False

    def _write_index(self) -> None:
        if self._presentation is None:
            return
        text = self._presentation.index({n: listing.meter for n, listing in self._listings().items()}, ended=False)
        if text != self._index:
            write_file(self._to / INDEX, text.encode())
            self._index = text

    def _listings(self) -> dict[str, Listing]:
        found: dict[str, Listing] = {rendition.name: rendition.listing for rendition in self._renditions.values()}
        for rendition in self._renditions.values():
            if rendition.keys is not None:
                found[rendition.keys.name] = rendition.keys
        return found

    def _finish(self, *, forgiving: bool = False) -> None:
        if self._waiting is not None:
            return
        renditions = sorted(self._renditions.values(), key=lambda rendition: rendition.name == "audio")
        for rendition in renditions:
            beyond = rendition is not renditions[0] and rendition.msn >= renditions[0].msn
            if beyond and rendition.pending < _STRAY:
                # A packet or two of sound after the last picture are not worth a segment no picture goes with.
                rendition.shed()
            try:
                rendition.finish()
            except DestinationError:
                # Its parts stay on disk, where `recover` finds them once there is room for the whole segment.
                if not forgiving:
                    raise

    def _end(self) -> Sequence[Artifact]:
        if self._presentation is None:
            # Never opened: whatever is in the folder is another job's.
            return ()
        if not any(listing.segments for listing in self._listings().values()):
            _clear(self._to)
            return ()
        for rendition in self._renditions.values():
            rendition.list_anew()
        artifacts = end(self._presentation, self._listings(), self._marks.marks)
        for rendition in self._renditions.values():
            rendition.sweep(ended=True)
            self._announce(rendition.name, *rendition.last, ended=True)
        return artifacts

    def _announce(self, rendition: str, msn: int, part: int | None, *, ended: bool) -> None:
        self.context.announce(
            {
                "type": "hls",
                "folder": str(self._to),
                "rendition": rendition,
                "msn": msn,
                "part": part or 0,
                "ended": ended,
            }
        )


def _in_use(folder: Path) -> bool:
    return any(
        (folder / name).exists() for name in (INDEX, "video.m3u8", "audio.m3u8", f"video/{INIT}", f"audio/{INIT}")
    )


def _clear(folder: Path) -> None:
    """Take away an earlier presentation: its playlists, and the folders it kept its media in."""
    if not folder.is_dir():
        return
    for name in (INDEX, "video.m3u8", "audio.m3u8", f"{IFRAMES}.m3u8", OWNER):
        (folder / name).unlink(missing_ok=True)
    for pattern in (f"{rung}-[1-9].m3u8" for rung in ("video", IFRAMES)):
        for path in folder.glob(pattern):
            path.unlink()
    for media in (folder / "video", folder / "audio", *folder.glob("video-[1-9]")):
        shutil.rmtree(media, ignore_errors=True)
