"""Every track as it was sent, neither decoded nor encoded: a folder of WebM and MP4 files, and what aligns them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

from egress.disk import read_json
from egress.model.errors import DestinationError, Fault
from egress.model.job import Artifact
from egress.model.media import SECOND, Nanos, Packet, StreamInfo
from egress.model.outputs import SinkDoc, TracksDoc
from egress.model.passing import Anchor, Passed, TrackFrame, TrackHushed, TrackLeft, TrackTaken
from egress.model.places import safe
from egress.model.room import Peer, TrackSource
from egress.model.trackfiles import TRACKS_FILE, TrackFiles
from egress.sinks.base import PAUSE, RESUME, Backup, Mark, Sink, SinkContext
from egress.sinks.delivery import Delivered, Delivery
from egress.sinks.trackfile import Form, TrackFile, repair, suffix
from egress.sinks.trackledger import Entry, Held, Ledger
from egress.sinks.trackroll import Lane, Roll

_log = logging.getLogger(__name__)

KIND = "tracks"
_FOLDER, _JOURNAL = "tracks", "tracks.jsonl"
_WHOLE, _MADE = "whole.part", "made.json"
_TOGETHER = (TrackSource.CAMERA, TrackSource.MIC)


class TracksSink(Sink):
    """Writes files into `tracks/` in the spool, and `tracks.json` once closed; all of it is delivered to a folder.

    Files hold what was captured at session times, counted from their own beginning. A pause is left out: it ends every
    file, and what follows it begins the next ones.
    """

    passes = True
    backlog = 100
    """Batches of 250 ms: 25 s. Larger ones come sooner, so that 25 s or 800 MB may wait, whatever is less."""

    def __init__(self, doc: SinkDoc, context: SinkContext) -> None:
        super().__init__(doc, context)
        if not isinstance(doc, TracksDoc):
            raise Fault(f"a tracks sink was given a {type(doc).__name__}")
        self._per = doc.per
        self._folder = context.folder / _FOLDER
        head = {"job": context.job, "room": context.room, "title": context.title, "attempt": context.attempt}
        head |= {"started": context.started.astimezone(UTC).isoformat(), "per": doc.per}
        self._ledger = Ledger(context.folder / _JOURNAL, head)
        self._delivery = Delivery.of(context)
        self._rolls: dict[str, Roll] = {}
        self._on: dict[str, Roll] = {}
        self._stems: dict[str, str] = {}
        self._names: dict[str, int] = {}
        self._pauses: list[tuple[Nanos, Nanos | None]] = []
        self._gone = [0, 0]
        self._files = 0

    @classmethod
    def takes(cls, info: StreamInfo) -> bool:
        """None: what is made of the room is not for it."""
        return False

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Get the folder ready; raises DestinationError when the target is taken or the spool cannot be written."""
        self._delivery.begin()
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise DestinationError(f"{self._folder} cannot be made: {error.strerror or error}") from error
        self._ledger.begin()

    def write(self, packet: Packet) -> None:
        """It takes no stream of the programme."""
        raise Fault("a tracks sink was given a packet of the programme")

    def pass_on(self, passed: Passed) -> None:
        """Write frames to the files of their tracks; raises DestinationError when the disk refuses."""
        for item in passed.items:
            match item:
                case TrackFrame():
                    if (roll := self._on.get(item.track)) is None:
                        continue
                    if (pause := self._pause(item.at)) is None:
                        roll.take(item)
                    else:
                        roll.halt(pause)
                        roll.skip(item.track)
                case Anchor():
                    if (roll := self._on.get(item.track)) is not None:
                        roll.anchor(item)
                case TrackTaken():
                    self._begin(item)
                case TrackHushed():
                    if (roll := self._on.get(item.track)) is not None:
                        roll.hush(item.track, item.muted, item.at)
                case TrackLeft():
                    self._end(item.track)

    def mark(self, mark: Mark) -> None:
        """A pause ends every file, once what was captured before it has come; other marks are not for tracks."""
        if mark.kind == PAUSE:
            self._pauses = [*self._pauses[-1:], (mark.at, None)]
        elif mark.kind == RESUME and self._pauses:
            begin, _ = self._pauses[-1]
            self._pauses[-1] = begin, mark.at
            for roll in self._rolls.values():
                roll.halt(begin)

    def close(self) -> Sequence[Artifact]:
        """End every file, and say what is in them; they still are in the spool."""
        self._cut()
        return (_artifact(self._ledger.publish(self._folder), self._folder),)

    def deliver(self, made: Sequence[Artifact]) -> Sequence[Artifact]:
        """Move the files, and what says how they are aligned, to their folder."""
        return (_delivered(self._delivery, self._folder),)

    def abort(self) -> Sequence[Artifact]:
        """End every file if the disk lets us; they stay in the spool, from where they can be recovered."""
        self._delivery.leave()
        for roll in self._rolls.values():
            try:
                roll.cut()
            except DestinationError as error:
                _log.warning("%s", error.message)
        try:
            made = self._ledger.publish(self._folder)
        except DestinationError:
            return ()
        return (_artifact(made, self._folder),) if made.files else ()

    def status(self) -> Mapping[str, Any]:
        """Frames, bytes and files so far."""
        rolls = tuple(self._rolls.values())
        return {
            "frames": self._gone[0] + sum(roll.frames for roll in rolls),
            "bytes": self._gone[1] + sum(roll.bytes for roll in rolls),
            "files": self._files,
            **self._delivery.status(),
        }

    @classmethod
    def recover(
        cls, folder: Path, to: str, storage: Mapping[str, str] | None = None, backup: Backup | None = None
    ) -> Sequence[Artifact]:
        """Make whole what a dead process was writing, say what is in it, and deliver it; () when it had not begun.

        A file of which nothing can be read is left out. Raises DestinationError.
        """
        ledger, tracks = Ledger.load(folder / _JOURNAL), folder / _FOLDER
        if ledger is None:
            return ()
        delivery = Delivery.resumed(folder, to, storage, backup, job=str(ledger.head.get("job")))
        for entry in ledger.files.values():
            path = tracks / entry.name
            if entry.end is not None or not path.is_file():
                continue
            if length := repair(path, folder / _WHOLE):
                entry.latest = length
                entry.recovered = True
                entry.end = entry.start + length
                ledger.note(entry)
            else:
                path.replace(folder / entry.name)
        if not (folder / _MADE).is_file():
            # Once files have begun to leave, what says what is in them is not made anew.
            ledger.publish(tracks)
        return (_delivered(delivery, tracks),)

    def _begin(self, taken: TrackTaken) -> None:
        track, peer = taken.track, taken.peer
        together = self._per == "participant" and track.source in _TOGETHER
        stem = self._stem(peer) if together else f"{self._stem(peer)}-{str(track.source).replace('_', '-')}"
        key = peer.id if together else track.id
        if (roll := self._rolls.get(key)) is not None:
            for other in [lane for lane in roll.lanes.values() if lane.track.source is track.source]:
                # One camera and one microphone at a time: the next one stands for the one before.
                self._end(other.track.id)
            roll = self._rolls.get(key)
        if roll is None:
            roll = self._rolls[key] = Roll(lambda lanes, start: self._create(stem, lanes, start), self._ledger)
        roll.lanes[track.id] = Lane(track, peer, taken.refresh)
        self._on[track.id] = roll

    def _end(self, track: str) -> None:
        if (roll := self._on.pop(track, None)) is None:
            return
        roll.leave(track)
        if not roll.lanes:
            self._gone = [self._gone[0] + roll.frames, self._gone[1] + roll.bytes]
            self._rolls = {key: other for key, other in self._rolls.items() if other is not roll}

    def _create(self, stem: str, lanes: Sequence[Lane], start: Nanos) -> tuple[TrackFile, Entry]:
        forms = {lane.track.id: lane.form or Form.sound() for lane in lanes}
        number = self._names[stem] = self._names.get(stem, 0) + 1
        name = f"{stem}-{number}{suffix(tuple(forms.values()))}"
        peer = lanes[0].peer
        held = {
            lane.track.id: Held.of(lane.track, str(forms[lane.track.id].codec), str(forms[lane.track.id].size or ""))
            for lane in lanes
        }
        entry = Entry(name, peer.id, peer.name, peer.role, start, held)
        began = self.context.started.astimezone(UTC) + timedelta(microseconds=start // 1000)
        tags = {"title": f"{peer.name or peer.id} in {self.context.title}", "comment": f"Job {self.context.job}"}
        tags["creation_time"] = began.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self._files += 1
        return TrackFile(self._folder / name, forms, tags), entry

    def _stem(self, peer: Peer) -> str:
        """What names of a peer's files begin with; no other peer's do."""
        if peer.id not in self._stems:
            plain = safe(peer.name or peer.id).lower()
            taken = set(self._stems.values())
            names = (plain, *(f"{plain}.{number}" for number in range(2, len(taken) + 3)))
            self._stems[peer.id] = next(name for name in names if name not in taken)
        return self._stems[peer.id]

    def _pause(self, at: Nanos) -> Nanos | None:
        """When the pause began that a session time lies in; None when in none."""
        for begin, end in self._pauses:
            if begin <= at and (end is None or at < end):
                return begin
        return None

    def _cut(self) -> None:
        for roll in self._rolls.values():
            roll.cut()


def _artifact(made: TrackFiles, folder: Path, delivered: Delivered | None = None) -> Artifact:
    length = round(max((row.end for row in made.files), default=0.0) * SECOND)
    size = sum(row.bytes for row in made.files)
    files = [
        {
            "name": row.name,
            "peer": row.peer.id,
            "start": row.start,
            "end": row.end,
            "size": row.bytes,
            "streams": [{"track": s.track, "source": str(s.source), "codec": str(s.codec)} for s in row.streams],
        }
        for row in made.files
    ]
    details = {"sync": TRACKS_FILE, "files": files}
    if delivered is not None:
        return delivered.artifact(KIND, length, details)
    return Artifact(KIND, str(folder), size, length, details={**details, "final": False})


def _delivered(delivery: Delivery, folder: Path) -> Artifact:
    """Move the folder; what it holds is read before, and noted for a process that dies on the way."""
    kept = folder.parent / _MADE
    if (folder / TRACKS_FILE).is_file():
        kept.write_bytes((folder / TRACKS_FILE).read_bytes())
    document = read_json(kept)
    stored = delivery.delivered(folder) or delivery.folder(folder)
    return _artifact(TrackFiles.model_validate(document), folder, stored)
