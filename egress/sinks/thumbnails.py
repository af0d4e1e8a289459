"""Pictures of the programme in a folder: one every so often, the newest, a poster, and a storyboard for seek bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from egress.disk import read_json
from egress.model.errors import DestinationError, Fault
from egress.model.job import Artifact
from egress.model.media import SECOND, Nanos, Packet, StreamInfo
from egress.model.outputs import SinkDoc, ThumbnailsDoc
from egress.model.targets import file_part, scheme_of
from egress.sinks.album import STATE, Album
from egress.sinks.base import END, LULL, PAUSE, RESUME, Backup, Mark, Sink, SinkContext
from egress.sinks.delivery import Delivery
from egress.sinks.keyframes import KeyframeDecoder, fitting, image, interest
from egress.sinks.splice import Splice, moved, pauses

_PICTURES = "pictures"

_LOOKED_FOR: Nanos = 60 * SECOND
"""The poster is the best picture of the first minute, or a later one when nothing was shown so far."""
_SHOWS = 2.5
_BETTER = 1.1
_ALONE = 0.2
"""What a picture counts for while nobody has joined."""


class ThumbnailsSink(Sink):
    """Decodes a keyframe every `doc.every`, and no other picture.

    A local folder is written while the job runs, every file whole; for a storage elsewhere the pictures wait in the
    spool. Each is announced as {"type": "thumbnail", "folder", "file", "at"}, seconds into the recording.
    """

    lull = LULL

    def __init__(self, doc: SinkDoc, context: SinkContext) -> None:
        super().__init__(doc, context)
        if not isinstance(doc, ThumbnailsDoc):
            raise Fault(f"a thumbnails sink was given a {type(doc).__name__}")
        self._doc = doc
        self._delivery = Delivery.of(context)
        self._direct = scheme_of(context.to) == "file"
        self._cuts: list[Mark] = []
        self._joined = False
        self._due: Nanos = 0
        self._best = -1.0
        self._length: Nanos = 0
        self._damaged = 0
        self._picture: StreamInfo | None = None
        self._decoder: KeyframeDecoder | None = None
        self._splice: Splice | None = None
        self._album: Album | None = None

    @classmethod
    def takes(cls, info: StreamInfo) -> bool:
        """The picture alone."""
        return info.kind == "video" and info.rung == 0

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Make the folder ready; raises DestinationError when there is no picture, or it is taken or cannot be made."""
        picture = next((info for info in programme if self.takes(info)), None)
        if picture is None or picture.size is None:
            raise DestinationError("a programme without picture has no thumbnails")
        self._delivery.begin()
        folder = Path(file_part(self.context.to)) if self._direct else self.context.folder / _PICTURES
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if not self._direct or self.context.backup is None:
                raise DestinationError(f"{folder} cannot be written: {error.strerror or error}") from error
            # Delivered once the job has ended: then the backup takes them, or the target after all.
            self._direct, folder = False, self.context.folder / _PICTURES
            folder.mkdir(exist_ok=True)
        size = fitting(picture.size, self._doc.size)
        self._album = Album(
            self.context.folder, folder, self.context.job, size, storyboard=self._doc.storyboard, direct=self._direct
        )
        self._guarded(self._album.begin)
        self._picture, self._decoder, self._splice = picture, KeyframeDecoder(picture), Splice(picture)

    def write(self, packet: Packet) -> None:
        """Take a picture when one is due; raises DestinationError when the folder cannot be written."""
        if self._splice is None or self._picture is None:
            raise Fault("the thumbnails are not open")
        kept = self._splice.take(packet)
        if kept is None:
            return
        base = self._picture.time_base
        self._length = max(self._length, int((kept.pts + kept.duration) * base * SECOND))
        at = int(kept.pts * base * SECOND)
        if kept.key and at >= self._due:
            self._due = (at // self._doc.every + 1) * self._doc.every
            self._take(kept, at)

    def mark(self, mark: Mark) -> None:
        """Note who joined, a pause, or the end, after which there are no pictures."""
        self._joined |= mark.kind == "join"
        if mark.kind in (PAUSE, RESUME) and self._splice is not None:
            self._splice.mark(mark)
            self._cuts.append(mark)
        if mark.kind == END and self._album is not None:
            album, end = self._album, moved(mark.at, pauses(self._cuts))
            self._guarded(lambda: album.end_at(end))

    def close(self) -> Sequence[Artifact]:
        """Finish the storyboard."""
        if self._album is None:
            return ()
        album = self._album
        self._guarded(lambda: album.finish(self._length))
        return (album.artifact(),)

    def deliver(self, made: Sequence[Artifact]) -> Sequence[Artifact]:
        """Bring the folder to its place, unless it is there; raises DestinationError, and then it stays."""
        return made if self._direct or self._album is None else (_delivered(self._album, self._delivery),)

    def abort(self) -> Sequence[Artifact]:
        """Leave the pictures taken so far where they are."""
        self._delivery.leave()
        return (self._album.artifact(),) if self._album is not None else ()

    def status(self) -> Mapping[str, Any]:
        """Pictures taken so far."""
        taken = len(self._album.shown) if self._album is not None else 0
        return {"pictures": taken, "damaged": self._damaged, **self._delivery.status()}

    @classmethod
    def recover(
        cls, folder: Path, to: str, storage: Mapping[str, str] | None = None, backup: Backup | None = None
    ) -> Sequence[Artifact]:
        """Finish the storyboard of the pictures a dead process took, and deliver them; () when there are none."""
        state = read_json(folder / STATE)
        if not state:
            return ()
        album, delivery = Album.load(folder, state), Delivery.resumed(folder, to, storage, backup)
        if not album.direct and (done := delivery.delivered(album.folder)):
            return (done.artifact("thumbnails", album.length, album.details),)
        if not album.shown:
            return ()
        try:
            album.finish(album.length)
        except OSError as error:
            raise DestinationError(f"{album.folder} cannot be written: {error.strerror or error}") from error
        return (album.artifact(),) if album.direct else (_delivered(album, delivery),)

    def _take(self, packet: Packet, at: Nanos) -> None:
        assert self._album is not None
        assert self._decoder is not None
        album = self._album
        try:
            frame = self._decoder.decode(packet)
        except DestinationError:
            # One picture that cannot be read is no reason to have none.
            self._damaged += 1
            return
        small = image(frame, album.size)
        self._guarded(lambda: album.add(small, at))
        score = interest(small) * (1.0 if self._joined else _ALONE)
        wanted = at < _LOOKED_FOR or self._best < _SHOWS
        if self._doc.poster and wanted and score > self._best * _BETTER:
            self._best = score
            assert self._picture is not None
            assert self._picture.size is not None
            full = image(frame, self._picture.size)
            self._guarded(lambda: album.set_poster(full))
        self.context.announce(
            {
                "type": "thumbnail",
                "folder": str(album.folder),
                "file": album.shown[-1].file,
                "at": round(at / SECOND, 3),
            }
        )

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except OSError as error:
            assert self._album is not None
            raise DestinationError(f"{self._album.folder} cannot be written: {error.strerror or error}") from error


def _delivered(album: Album, delivery: Delivery) -> Artifact:
    return delivery.folder(album.folder).artifact("thumbnails", album.length, album.details)
