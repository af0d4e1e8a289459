"""Who was there and when, what they published, and when nothing was recorded: bounded, and written down as it happens,
so that a worker's death loses none of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from egress.model.media import SECOND, Codec, Nanos
from egress.model.order import JobOrder
from egress.model.room import Peer, Track, TrackSource

LIMIT = 10_000
"""Visits one job lists, and tracks, and spans of each sort; further ones are counted, so that no crowd can grow a
manifest without end."""

_log = logging.getLogger(__name__)


Span = Literal["gap", "pause"]
"""Why nothing was recorded: the room could not be reached, or an operator said so."""


class Attendance:
    """When each peer was there and its tracks were, and when nothing was recorded, in session time; that of a job with
    several attempts is its first one's.

    With `journal`, every step is a line of JSON there at once.
    """

    def __init__(self, journal: Path | None = None) -> None:
        self.refused = 0
        self._journal = journal
        self._visits: list[dict[str, Any]] = []
        self._present: dict[str, int] = {}
        self._tracks: dict[str, dict[str, Any]] = {}
        self._changes = 0
        self._spans: dict[Span, list[dict[str, Any]]] = {"gap": [], "pause": []}

    @classmethod
    def of(cls, order: JobOrder) -> Attendance:
        """The attendance of a job, kept in its spool folder: what workers that died have noted stays."""
        journal = _journal(order)
        attendance = cls.load(order) if journal.is_file() else cls()
        attendance._journal = journal
        return attendance

    @classmethod
    def load(cls, order: JobOrder) -> Attendance:
        """What a dead worker noted; a line cut short by its death is left out."""
        attendance = cls()
        try:
            lines = _journal(order).read_text("utf-8").splitlines()
        except OSError:
            return attendance
        for line in lines:
            try:
                row = json.loads(line)
                attendance._again(row)
            except (ValueError, KeyError, TypeError):
                continue
        return attendance

    def joined(self, peer: Peer, at: Nanos) -> None:
        """A peer came, or came back after leaving."""
        if peer.id in self._present:
            return
        if len(self._visits) >= LIMIT:
            self.refused += 1
            return
        self._present[peer.id] = len(self._visits)
        roles = [{"role": peer.role, "since": at}]
        visit = {"id": peer.id, "name": peer.name, "role": peer.role, "roles": roles, "joined": at, "left": None}
        self._visits.append(visit)
        self._note({"event": "joined", "id": peer.id, "name": peer.name, "role": peer.role, "at": at})

    def changed(self, peer: Peer, at: Nanos) -> None:
        """A peer that is there has another name or role."""
        if peer.id not in self._present:
            return
        visit = self._visits[self._present[peer.id]]
        if (visit["name"], visit["role"]) == (peer.name, peer.role):
            return
        if peer.role != visit["role"] and self._one_more():
            visit["roles"].append({"role": peer.role, "since": at})
        visit["name"], visit["role"] = peer.name, peer.role
        self._note({"event": "changed", "id": peer.id, "name": peer.name, "role": peer.role, "at": at})

    def left(self, peer: str, at: Nanos) -> None:
        """A peer went, and its tracks with it."""
        visit = self._present.pop(peer, None)
        if visit is None:
            return
        self._visits[visit]["left"] = at
        for track in self._tracks.values():
            if track["peer"] == peer:
                _end(track, at)
        self._note({"event": "left", "id": peer, "at": at})

    def published(self, track: Track, at: Nanos) -> None:
        """A peer that is there published a track; anybody else's is not listed."""
        if track.peer not in self._present or track.id in self._tracks:
            return
        if len(self._tracks) >= LIMIT:
            self.refused += 1
            return
        row = {"id": track.id, "peer": track.peer, "kind": track.kind, "source": track.source, "codec": track.codec}
        self._tracks[track.id] = {**row, "published": at, "unpublished": None, "muted": []}
        self._note({"event": "published", **row, "at": at})
        self.muted(track.id, track.muted, at)

    def unpublished(self, track: str, at: Nanos) -> None:
        """A track is no longer there."""
        row = self._tracks.get(track)
        if row is not None and row["unpublished"] is None:
            _end(row, at)
            self._note({"event": "unpublished", "id": track, "at": at})

    def muted(self, track: str, muted: bool, at: Nanos) -> None:
        """A track was muted, or is no longer."""
        row = self._tracks.get(track)
        if row is None or row["unpublished"] is not None:
            return
        spans = row["muted"]
        if muted == bool(spans and spans[-1]["to"] is None):
            return
        if not muted:
            spans[-1]["to"] = at
        elif self._one_more():
            spans.append({"from": at, "to": None})
        else:
            return
        self._note({"event": "muted", "id": track, "muted": muted, "at": at})

    def begin(self, span: Span, at: Nanos, reason: str = "") -> None:
        """From here on nothing is recorded; once begun, a span lasts until it ends."""
        known = self._spans[span]
        if known and known[-1]["to"] is None:
            return
        if len(known) >= LIMIT:
            self.refused += 1
            return
        known.append({"from": at, "to": None, "reason": reason})
        self._note({"event": "begin", "span": span, "at": at, "reason": reason})

    def end(self, span: Span, at: Nanos) -> None:
        """It is recorded again."""
        known = self._spans[span]
        if known and known[-1]["to"] is None:
            known[-1]["to"] = at
            self._note({"event": "end", "span": span, "at": at})

    def resumed(self, died: Nanos, at: Nanos, reason: str) -> None:
        """A worker goes on where another died: whoever was there, and what was under way, ended with that one."""
        for peer in tuple(self._present):
            self.left(peer, died)
        for span in self._spans:
            self.end(span, died)
        self._set_aside(at)
        self._note({"event": "resumed", "at": at})
        self.begin("gap", died, reason)
        self.end("gap", at)

    def spans(self, span: Span) -> list[dict[str, Any]]:
        """`from` and `to` in seconds, null when it lasted to the end, and the `reason` if there is one."""
        return [_span(row) for row in self._spans[span]]

    def table(self) -> list[dict[str, Any]]:
        """One row a visit; times in seconds, `left` null for whoever stayed to the end."""
        return [
            {
                **visit,
                "roles": [{**role, "since": in_seconds(role["since"])} for role in visit["roles"]],
                "joined": in_seconds(visit["joined"]),
                "left": _seconds(visit["left"]),
            }
            for visit in self._visits
        ]

    def tracks(self) -> list[dict[str, Any]]:
        """One row a track; times in seconds, `unpublished` null for what was there at the end."""
        return [
            {
                **track,
                "published": in_seconds(track["published"]),
                "unpublished": _seconds(track["unpublished"]),
                "muted": [_span(row) for row in track["muted"]],
            }
            for track in self._tracks.values()
        ]

    def _set_aside(self, at: Nanos) -> None:
        """Have tracks of the same id published once more be listed once more."""
        self._tracks = {id if "\0" in id else f"{id}\0{at}": row for id, row in self._tracks.items()}

    def _one_more(self) -> bool:
        """Whether one more change of a role, or one more mute, may be listed."""
        self._changes += 1
        if self._changes > LIMIT:
            self.refused += 1
        return self._changes <= LIMIT

    def _again(self, row: dict[str, Any]) -> None:
        """A step as it was noted; raises ValueError, KeyError or TypeError when it is none."""
        at = row["at"]
        match row["event"]:
            case "joined":
                self.joined(Peer(row["id"], row["name"], row["role"]), at)
            case "changed":
                self.changed(Peer(row["id"], row["name"], row["role"]), at)
            case "left":
                self.left(row["id"], at)
            case "published":
                codec = Codec(row["codec"]) if row["codec"] else None
                self.published(Track(row["id"], row["peer"], row["kind"], TrackSource(row["source"]), codec), at)
            case "unpublished":
                self.unpublished(row["id"], at)
            case "muted":
                self.muted(row["id"], row["muted"], at)
            case "resumed":
                self._set_aside(at)
            case "begin":
                self.begin(row["span"], at, row["reason"])
            case "end":
                self.end(row["span"], at)

    def _note(self, row: dict[str, Any]) -> None:
        if self._journal is None:
            return
        try:
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        except OSError as error:
            # The sinks will say that the disk is full; who was there is still known while the worker lives.
            _log.warning("%s cannot be written: %s", self._journal, error.strerror)
            self._journal = None


def _journal(order: JobOrder) -> Path:
    return Path(order.folder) / "attendance.jsonl"


def _end(track: dict[str, Any], at: Nanos) -> None:
    if track["unpublished"] is None:
        track["unpublished"] = at
        if track["muted"] and track["muted"][-1]["to"] is None:
            track["muted"][-1]["to"] = at


def _span(row: Mapping[str, Any]) -> dict[str, Any]:
    reason = {"reason": row["reason"]} if row.get("reason") else {}
    return {"from": in_seconds(row["from"]), "to": _seconds(row["to"]), **reason}


def _seconds(nanos: Nanos | None) -> float | None:
    return None if nanos is None else in_seconds(nanos)


def in_seconds(nanos: Nanos) -> float:
    """A time as documents say it: seconds, to the microsecond."""
    return round(nanos / SECOND, 6)
