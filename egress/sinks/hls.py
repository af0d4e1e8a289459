"""Low-latency HLS in a folder: CMAF, picture and sound apart, playable by any web server while it grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from egress.model.errors import DestinationError, Fault
from egress.model.job import Artifact
from egress.model.media import MILLISECOND, SECOND, Packet, StreamInfo
from egress.model.outputs import HlsDoc, SinkDoc
from egress.model.targets import file_part
from egress.sinks.base import CAPTION, END, METADATA, Backup, Mark, Sink, SinkContext
from egress.sinks.captions import Captions, CueLog
from egress.sinks.ending import CUES, MARKS, captions_left, end, recovered
from egress.sinks.listing import TRAILING, Listing
from egress.sinks.marks import MarkLog, date_ranges
from egress.sinks.mediafiles import Patience
from egress.sinks.mirror import Mirror
from egress.sinks.playlist import DateRange, Report, Tail
from egress.sinks.premises import clear, in_use
from egress.sinks.presentation import INDEX, Presentation, captions_name, rendition_name, write_file
from egress.sinks.rendition import Rendition
from egress.sinks.salvage import Salvaged, listings, salvage
from egress.sinks.variants import index

_STATE = "presentation.json"

_WAITING = 4096
"""Sound packets kept while an encoder with look-ahead holds back the first picture: over a minute."""

_STRAY = SECOND // 10


class HlsSink(Sink):
    """Writes `index.m3u8`, a playlist for each rendition, and their segments and parts, into the folder `to`.

    Every file appears whole; media before the playlist that names it. Each part is announced as {"type": "hls",
    "folder", "rendition", "msn", "part", "ended"} once its playlist is on disk. The playlists do not promise blocking
    reloads, which a plain web server could not keep; an origin that can adds that.

    A later attempt of the job goes on in the same playlists, after a discontinuity. A file that cannot be written is a
    gap; when nothing can for three target durations, the sink fails.
    """

    resumes = True

    lull = 30 * MILLISECOND
    """Parts are made of packets of a third of a second or more, and watched a second or two later."""

    def __init__(self, doc: SinkDoc, context: SinkContext) -> None:
        super().__init__(doc, context)
        if not isinstance(doc, HlsDoc):
            raise Fault(f"an HLS sink was given a {type(doc).__name__}")
        self._document = doc
        self._mirror = Mirror.of(context)
        self._to = self._mirror.local if self._mirror else Path(file_part(context.to))
        self._marks = MarkLog(context.folder / MARKS)
        self._cues = CueLog(context.folder / CUES)
        self._presentation: Presentation | None = None
        self._renditions: dict[str, Rendition] = {}
        self._captions: tuple[Captions, ...] = ()
        self._earlier: dict[str, Salvaged] = {}
        self._patience = Patience(0)
        self._unknown = 0
        self._waiting: list[Packet] | None = None
        self._listed: set[str] = set()
        self._index = ""
        self._ranges: list[DateRange] = []
        self._ranged = (0, 0)

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Make the folder ready; raises DestinationError when it is in use or cannot be written."""
        earlier = self._left()
        if earlier is None and in_use(self._to):
            if self.context.options.get("overwrite") != "yes":
                raise DestinationError(f"{self._to} holds a stream already; remove it, or write to another folder")
            clear(self._to)
        presentation = Presentation.of(self._document, self._to, self.context.started, programme)
        if earlier is not None:
            presentation = self._going_on(presentation, earlier)
        names = [rendition_name(info) for info in presentation.streams]
        names += [captions_name(track.language) for track in presentation.captions]
        try:
            for name in names:
                (self._to / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DestinationError(f"{self._to} cannot be made: {error.strerror}") from error
        self._presentation = presentation = presentation.claimed(self.context.job)
        if self._mirror:
            self._mirror.begin()
        self._patience = Patience(TRAILING * presentation.target * SECOND)
        self._renditions = {info.id: Rendition(presentation, info) for info in presentation.streams}
        self._captions = tuple(Captions(presentation, track.language, self._cues) for track in presentation.captions)
        if presentation.streams[0].kind == "video":
            self._waiting = []
        else:
            self._begin(presentation)

    def _left(self) -> Presentation | None:
        """What an earlier attempt of this very job was making here."""
        state = self.context.folder / _STATE
        if self.context.attempt == 1 or not state.is_file():
            return None
        earlier = Presentation.load(state).at(self._to)
        return earlier if earlier.ours else None

    def _going_on(self, presentation: Presentation, earlier: Presentation) -> Presentation:
        """The same as what goes on where an earlier attempt ended; as it is when that had come to nothing."""
        found = salvage(earlier, level=True)
        following = max(one.following for one in found.values())
        if not following:
            return presentation
        self._earlier = found
        self._marks = MarkLog.load(self.context.folder / MARKS)
        until = max(one.listing.end for one in found.values())
        return presentation.following(earlier, following, until)

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
            shift = max(self._presentation.shift, -packet.dts * rendition.info.time_base)
            self._begin(self._presentation.shifted(shift))
            for held in waiting:
                self.write(held)
        if rendition.add(packet):
            self._publish(rendition)

    def mark(self, mark: Mark) -> None:
        """Note a date range; playlists show it from the next part on. Viewers have seen what lies after an end."""
        offset = self._presentation.offset if self._presentation else 0
        if mark.kind == CAPTION:
            self._caption(mark)
            return
        try:
            kept = mark.kind != END and self._marks.add(replace(mark, at=mark.at + offset))
        except OSError:
            # What the spool cannot note is in the playlists all the same; recovery alone would miss it.
            kept = True
        if kept and mark.kind == METADATA and self._document.id3:
            pictures = [rendition for rendition in self._renditions.values() if rendition.info.kind == "video"]
            for rendition in pictures or self._renditions.values():
                rendition.hear(mark)

    def _caption(self, mark: Mark) -> None:
        asked = mark.language.lower()
        track = next((track for track in self._captions if asked in ("", track.language.lower())), None)
        if track is None:
            self._unknown += 1
        else:
            track.hear(mark)

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
            "captions_refused": self._unknown + self._cues.refused,
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
        made = recovered(presentation, folder)
        return mirror.finish(made) if mirror else made

    def _begin(self, presentation: Presentation) -> None:
        self._presentation = presentation
        presentation.keep(self.context.folder / _STATE)
        for rendition in self._renditions.values():
            rendition.begin(presentation, self._earlier.get(rendition.name))
        left = captions_left(presentation, self.context.folder, listings(self._earlier)) if self._earlier else {}
        for track in self._captions:
            track.begin(presentation, left.get(track.name))

    def _publish(self, rendition: Rendition) -> None:
        """Put the newest part on disk into the playlists, then say so."""
        self._list_marks()
        try:
            if rendition is self._lead:
                self._publish_captions(rendition)
            rendition.list_anew()
            self._publish_rendition(rendition)
            self._patience.well()
        except DestinationError as error:
            # The playlists on disk are older ones; the next part's may be written.
            self._patience.failed(error, rendition.end)

    def _list_marks(self) -> None:
        """Render date ranges where marks have come, or have left the window of every playlist."""
        log = self._marks
        if self._presentation is not None and self._presentation.window is not None:
            log.forget(min((one.segments[0].start for one in self._listings().values() if one.segments), default=0))
        if self._ranged != (log.forgotten, len(log.marks)):
            self._ranged = (log.forgotten, len(log.marks))
            self._ranges = date_ranges(log.marks, log.forgotten)

    @property
    def _lead(self) -> Rendition:
        """Whose segments captions keep step with."""
        return next(iter(self._renditions.values()))

    def _publish_rendition(self, rendition: Rendition) -> None:
        write_file(
            self._to / f"{rendition.name}.m3u8", rendition.text(self._ranges, self._reports(rendition.name)).encode()
        )
        keys = rendition.keys
        if keys is not None and keys.changed:
            write_file(self._to / f"{keys.name}.m3u8", keys.text(self._ranges, Tail()).encode())
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

    def _publish_captions(self, lead: Rendition) -> None:
        for track in self._captions:
            if track.follow(lead):
                track.list_anew()
                text = track.text(self._ranges, self._reports(track.name))
                write_file(self._to / f"{track.name}.m3u8", text.encode())
                self._announce(track.name, *track.last, ended=False)

    def _reports(self, name: str) -> tuple[Report, ...]:
        """How far every other rendition has come."""
        others: tuple[Rendition | Captions, ...] = (*self._renditions.values(), *self._captions)
        return tuple(Report(f"{o.name}.m3u8", *o.last) for o in others if o.name != name and o.last[0] >= 0)

    def _write_index(self) -> None:
        if self._presentation is None:
            return
        text = index(self._presentation, {n: listing.meter for n, listing in self._listings().items()}, ended=False)
        if text != self._index:
            write_file(self._to / INDEX, text.encode())
            self._index = text

    def _listings(self) -> dict[str, Listing]:
        found: dict[str, Listing] = {rendition.name: rendition.listing for rendition in self._renditions.values()}
        for rendition in self._renditions.values():
            if rendition.keys is not None:
                found[rendition.keys.name] = rendition.keys
        return found | {track.name: track.listing for track in self._captions}

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
        if self._waiting is not None and self._earlier:
            # Nothing came in this attempt: what the earlier ones made is ended as it is.
            return recovered(Presentation.load(self.context.folder / _STATE).at(self._to), self.context.folder)
        if not any(listing.segments for listing in self._listings().values()):
            clear(self._to)
            return ()
        for track in self._captions:
            track.follow(self._lead)
            track.list_anew(ended=True)
        for rendition in self._renditions.values():
            rendition.list_anew()
        artifacts = end(self._presentation, self._listings(), self._marks)
        for rendition in self._renditions.values():
            rendition.sweep(ended=True)
            self._announce(rendition.name, *rendition.last, ended=True)
        for track in self._captions:
            self._announce(track.name, *track.last, ended=True)
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
