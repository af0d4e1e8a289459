"""The chronicle of a job: what happens is announced, marked in what is being made, and kept for the manifest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from egress.media.strain import Step
from egress.model.clock import SessionClock
from egress.model.control import Caption, MarkNow, TimedMetadata
from egress.model.media import Nanos
from egress.model.room import (
    ConnectionLost,
    ConnectionRestored,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    Room,
    RoomEvent,
    RoomWarning,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
)
from egress.outlets import Outlets
from egress.sinks.base import CAPTION, METADATA, PAUSE, RESUME, SPEAKER, Mark
from egress.stage import Stage
from egress.storage.attendance import Attendance


class Chronicle:
    """Tells of one visit to one room; all methods but `cut` are called on the loop."""

    def __init__(
        self,
        clock: SessionClock,
        stage: Stage,
        outlets: Outlets,
        attendance: Attendance,
        announce: Callable[[dict[str, Any]], None],
        *,
        delay: Nanos,
        since: Nanos = 0,
    ) -> None:
        """`since` is the attendance's time of this visit's session time 0."""
        self._delay = delay
        self._since = since
        self._clock = clock
        self._stage = stage
        self._outlets = outlets
        self._attendance = attendance
        self._announce = announce
        self._speaker: str | None = None

    def tell(self, event: RoomEvent, before: Room) -> None:
        """An event that the stage has taken; `before` is the room before it."""
        now = self._clock.now()
        then = self._since + now
        match event:
            case PeerJoined(peer):
                self._attend(peer.id, before, now)
                self._room("joined", peer=peer.name, role=peer.role)
            case PeerChanged(peer):
                self._attend(peer.id, before, now)
                self._attendance.changed(peer, then)
                self._room("changed", peer=peer.name, role=peer.role)
            case PeerLeft(peer_id, reason):
                self._attend(peer_id, before, now)
                name = before.peers[peer_id].name if peer_id in before.peers else peer_id
                self._room("left", peer=name, reason=reason)
            case TrackPublished(track):
                name = before.peers[track.peer].name if track.peer in before.peers else track.peer
                self._attendance.published(track, then)
                self._room("published", peer=name, track=str(track.source))
            case TrackUnpublished(track_id):
                self._attendance.unpublished(track_id, then)
            case TrackMuted(track_id, muted):
                self._attendance.muted(track_id, muted, then)
            case ConnectionLost(reason):
                self._attendance.begin("gap", then, reason)
                self._outlets.mark(Mark(now, "gap", f"connection lost: {reason}" if reason else "connection lost"))
                self._room("lost", reason=reason)
            case ConnectionRestored():
                self._attendance.end("gap", then)
                self._room("restored")
            case RoomWarning(message):
                self._announce({"type": "warning", "message": message})
            case _:
                pass

    def mark(self, command: MarkNow | TimedMetadata | Caption) -> None:
        """Something an operator says of the picture that is seen now, not of the one being captured."""
        at = max(0, self._clock.now() - self._delay)
        match command:
            case MarkNow(text=text):
                mark = Mark(at, "mark", text)
            case TimedMetadata(payload=payload, duration=duration):
                mark = Mark(at, METADATA, payload, duration)
            case Caption(text=text, duration=duration, language=language):
                mark = Mark(at, CAPTION, text, duration, language)
        self._outlets.mark(mark)

    def spoke(self, peer_id: str | None, since: Nanos) -> None:
        """A peer took the floor at a session time; None: nobody has it any more."""
        if peer_id == self._speaker:
            return
        self._speaker = peer_id
        peer = self._stage.room.peers.get(peer_id) if peer_id is not None else None
        at = since if peer_id is not None else max(0, self._clock.now() - self._delay)
        self._outlets.mark(Mark(at, SPEAKER, peer.name if peer is not None else ""))

    def cut(self, paused: bool, at: Nanos) -> None:
        """Tell the sinks that a pause begins or ends at a tick, before its packets; from the tick's thread."""
        self._outlets.mark(Mark(at, PAUSE if paused else RESUME, "Paused" if paused else "Resumed"))

    def paused(self, paused: bool, at: Nanos) -> None:
        """A pause has begun or ended."""
        if paused:
            self._attendance.begin("pause", self._since + at)
        else:
            self._attendance.end("pause", self._since + at)
        self._announce({"type": "pause", "paused": paused, "at": at / 1e9})

    def strained(self, step: Step) -> None:
        """The programme gives up some of its quality for the machine to keep up, or takes it back."""
        self._announce(
            {
                "type": "overload",
                "level": int(step.rung),
                "was": int(step.before),
                "degraded": [rung.label for rung in step.rung.upto],
                "why": step.why,
                "at": step.at / 1e9,
            }
        )

    def _attend(self, peer_id: str, before: Room, now: Nanos) -> None:
        """Note whether the pipeline takes part of a peer from now on, or no longer: it came, it went, or its role
        changed."""
        was, there = (
            peer if (peer := room.peers.get(peer_id)) is not None and self._stage.selected(peer) else None
            for room in (before, self._stage.room)
        )
        if there is not None and was is None:
            self._attendance.joined(there, self._since + now)
            for track in self._stage.room.tracks_of(peer_id):
                self._attendance.published(track, self._since + now)
            self._outlets.mark(Mark(now, "join", there.name))
        elif was is not None and there is None:
            self._attendance.left(peer_id, self._since + now)
            self._outlets.mark(Mark(now, "leave", was.name))

    def _room(self, event: str, **details: str) -> None:
        self._announce({"type": "room", "event": event, **details})
