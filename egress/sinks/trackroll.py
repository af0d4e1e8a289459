"""One roll of files: a track's, or those of a participant's camera and microphone, one file after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from egress.model.errors import Fault
from egress.model.media import MILLISECOND, SECOND, Codec, EncodedFrame, Nanos
from egress.model.passing import Anchor, TrackFrame
from egress.model.room import Peer, Track
from egress.sinks.trackfile import LENGTHS, LOOKAHEAD, Form, TrackFile
from egress.sinks.trackledger import Entry, Held, Ledger

PATIENCE: Nanos = SECOND
"""How long the first frames of one track wait for those of the other, so that both begin in one file."""

BACKWARDS: Nanos = 50 * MILLISECOND
"""Frames this much earlier than those before them cannot stand after them."""

NOTE_EVERY: Nanos = 10 * SECOND
"""What happens in a file is kept in the journal this often."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Lane:
    """One track of a roll, and what it is like now.

    `generation` counts its beginnings: frames of one have one form and stand on one line of session time. `broken`
    says that nothing can be decoded before the next keyframe, which `refresh` asks for; `missing` since when.
    """

    track: Track
    peer: Peer
    refresh: Callable[[], None]
    muted: Nanos | None = None
    form: Form | None = None
    stream: int = -1
    epoch: int = -1
    generation: int = 0
    broken: bool = False
    missing: Nanos | None = None
    latest: Nanos | None = None
    lost: int = 0
    undecodable: int = 0
    paused: int = 0
    rotation: int = 0

    @property
    def picture(self) -> bool:
        """Whether it can be gone on with only at a keyframe."""
        return self.track.kind == "video"


class Roll:
    """Writes the frames of its tracks to one file after the other; raises DestinationError.

    Another file begins when a track is published anew, when its sender begins anew (SSRC, codec, parameter sets), when
    it comes to a file that was begun without it, and after a pause. What else is in the file goes on in the next: sound
    at once, and a picture at its next keyframe, until when it stays in the file it is in.
    """

    def __init__(self, create: Callable[[Sequence[Lane], Nanos], tuple[TrackFile, Entry]], ledger: Ledger) -> None:
        """`create` begins a file for tracks whose forms are known, at a session time."""
        self.lanes: dict[str, Lane] = {}
        self.frames = 0
        self.bytes = 0
        self._create = create
        self._ledger = ledger
        self._file: TrackFile | None = None
        self._entry: Entry | None = None
        self._inside: dict[str, int | None] = {}
        """Generations by track in the file; None while a track that has its place there is silent."""
        self._waiting: list[tuple[Lane, EncodedFrame, Nanos]] = []
        """What is to be in the next file."""
        self._halted: Nanos | None = None
        self._noted: Nanos = 0

    def leave(self, track: str) -> None:
        """Nothing follows of a track; with the last one the file ends."""
        if len(self.lanes) == 1:
            self.cut()
        elif self._entry is not None:
            self._count(self._entry)
        del self.lanes[track]
        self._open_if_ready()

    def hush(self, track: str, muted: bool, at: Nanos) -> None:
        """A track was muted, or goes on."""
        lane = self.lanes[track]
        lane.muted = (lane.muted if lane.muted is not None else at) if muted else None
        if (held := self._held(track)) is not None:
            held.span(held.muted, at, begins=muted)
        self._open_if_ready()

    def take(self, one: TrackFrame) -> None:
        """One frame of one of the tracks."""
        lane, frame = self.lanes[one.track], one.frame
        at = one.at - LOOKAHEAD if frame.codec is Codec.OPUS else one.at
        if self._halted is not None and one.at < self._halted:
            self.skip(one.track)
            return
        if not self._fits(lane, frame, at, one.epoch):
            return
        lane.latest = at
        if self._file is not None and self._inside.get(one.track, lane.generation) is None:
            self._inside[one.track] = lane.generation
        inside = self._file is not None and self._inside.get(one.track) == lane.generation
        if inside and not (lane.picture and frame.key and self._waiting):
            self._write(lane, frame, at)
            return
        if lane.picture:
            self._end()
        self._waiting.append((lane, frame, at))
        self._open_if_ready()

    def anchor(self, anchor: Anchor) -> None:
        """Where an RTP count of a track stands."""
        lane, held, entry = self.lanes[anchor.track], self._held(anchor.track), self._entry
        if held is None or entry is None or lane.epoch != anchor.epoch:
            return
        ahead = 0 if lane.picture else LOOKAHEAD
        if (at := anchor.at - ahead - entry.start) >= 0:
            held.anchor(replace(anchor, best=anchor.best - ahead), at)

    def skip(self, track: str) -> None:
        """A frame that a pause leaves out."""
        lane = self.lanes[track]
        lane.paused += 1
        lane.broken = lane.picture

    def halt(self, at: Nanos) -> None:
        """A pause began at a session time: end the file; nothing from before it follows."""
        if self._halted != at:
            self._halted = at
            self.cut()

    def cut(self) -> None:
        """End the file, if there is one, and write what waits; what follows begins another."""
        if self._waiting:
            self._open()
        self._end()
        for lane in self.lanes.values():
            lane.broken = lane.picture

    def _end(self) -> None:
        file, entry = self._file, self._entry
        self._file = self._entry = None
        self._inside = {}
        if file is None or entry is None:
            return
        self._count(entry)
        try:
            file.close()
            entry.end = entry.start + entry.latest
        finally:
            self._ledger.note(entry)

    def _fits(self, lane: Lane, frame: EncodedFrame, at: Nanos, epoch: int) -> bool:
        """Whether a frame can be written; follows what its track is like."""
        if frame.gap:
            lane.lost += 1
            if lane.missing is None:
                lane.missing = at if lane.latest is None else lane.latest
        fresh = frame.stream != lane.stream
        anew = fresh or epoch != lane.epoch or (lane.latest is not None and at < lane.latest - BACKWARDS)
        # A picture whose time has broken goes on in another file, which has to begin at a keyframe as well.
        lane.broken = lane.picture and (lane.broken or frame.gap or anew)
        if lane.broken and not frame.key:
            lane.undecodable += 1
            lane.refresh()
            return False
        if anew or (lane.picture and frame.key):
            try:
                form = Form.of(frame)
            except Fault as error:
                _log.warning("a keyframe of track %s cannot be read: %s", lane.track.id, error.message)
                lane.undecodable += 1
                lane.broken = lane.picture
                return False
            anew = anew or lane.form is None or not lane.form.continues(form)
            lane.form = form
        if anew:
            lane.stream, lane.epoch = frame.stream, epoch
            lane.generation += 1
        lane.broken = False
        if lane.missing is not None:
            if (held := self._held(lane.track.id)) is not None:
                held.span(held.gaps, lane.missing, begins=True)
                held.span(held.gaps, at, begins=False)
            lane.missing = None
        return True

    def _open_if_ready(self) -> None:
        if not self._waiting:
            return
        there = {lane.track.id for lane, _, _ in self._waiting}
        awaited = {track: lane for track, lane in self.lanes.items() if lane.muted is None and track not in there}
        for track, lane in awaited.items():
            if self._inside.get(track) is not None and lane.picture:
                lane.refresh()
        times = [at for _, _, at in self._waiting]
        if not awaited or max(times) - min(times) > PATIENCE:
            self._open()

    def _open(self) -> None:
        """Begin a file with what waits, and a place for sound that is still silent."""
        waiting, self._waiting = self._waiting, []
        if self._file is not None:
            self._end()
            for lane in self.lanes.values():
                lane.broken = lane.picture
        lanes = {lane.track.id: lane for lane, _, _ in waiting}
        for track, lane in self.lanes.items():
            if track not in lanes and not lane.picture:
                lane.form = lane.form or Form(Codec.OPUS)
                lanes[track] = lane
        start = max(0, min(at for _, _, at in waiting))
        self._file, self._entry = self._create(tuple(lanes.values()), start)
        heard = {lane.track.id for lane, _, _ in waiting}
        self._inside = {track: lane.generation if track in heard else None for track, lane in lanes.items()}
        for track, lane in lanes.items():
            if lane.muted is not None and (held := self._held(track)) is not None:
                held.span(held.muted, max(start, lane.muted), begins=True)
            lane.rotation = 0
        self._noted = 0
        self._ledger.note(self._entry)
        for lane, frame, at in waiting:
            self._write(lane, frame, at)

    def _write(self, lane: Lane, frame: EncodedFrame, at: Nanos) -> None:
        file, entry = self._file, self._entry
        assert file is not None and entry is not None
        held = entry.held[lane.track.id]
        place = max(0, at - entry.start)
        file.write(lane.track.id, frame, place)
        if frame.rotation != lane.rotation:
            lane.rotation = frame.rotation
            held.turn(place, frame.rotation)
        held.frames += 1
        self.frames += 1
        self.bytes += len(frame.data)
        entry.latest = max(entry.latest, place + LENGTHS[lane.track.kind])
        if place - self._noted >= NOTE_EVERY:
            self._noted = place
            self._count(entry)
            self._ledger.note(entry)

    def _count(self, entry: Entry) -> None:
        for track, held in entry.held.items():
            if (lane := self.lanes.get(track)) is not None:
                held.lost += lane.lost
                held.undecodable += lane.undecodable
                held.paused += lane.paused
                lane.lost = lane.undecodable = lane.paused = 0

    def _held(self, track: str) -> Held | None:
        return self._entry.held.get(track) if self._entry is not None else None
