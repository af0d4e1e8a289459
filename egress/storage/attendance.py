"""Who was there and when, and when nothing was recorded: bounded, and written down as it happens, so that a worker's
death loses none of it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Literal

from egress.model.media import SECOND, Nanos
from egress.model.order import JobOrder
from egress.model.room import Peer

LIMIT = 10_000
"""Visits one job lists; further ones are counted, so that no crowd can grow a manifest without end."""

_log = logging.getLogger(__name__)


Span = Literal["gap", "pause"]
"""Why nothing was recorded: the room could not be reached, or an operator said so."""


class Attendance:
    """When each peer was there, and when nothing was recorded, in session time.

    With `journal`, every step is a line of JSON there at once.
    """

    def __init__(self, journal: Path | None = None) -> None:
        self.refused = 0
        self._journal = journal
        self._visits: list[dict[str, Any]] = []
        self._present: dict[str, int] = {}
        self._spans: dict[Span, list[dict[str, Any]]] = {"gap": [], "pause": []}

    @classmethod
    def of(cls, order: JobOrder) -> Attendance:
        """The attendance of a job that begins, kept in its spool folder."""
        return cls(_journal(order))

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
                match row["event"]:
                    case "joined":
                        attendance.joined(Peer(row["id"], row["name"], row["role"]), row["at"])
                    case "left":
                        attendance.left(row["id"], row["at"])
                    case "begin":
                        attendance.begin(row["span"], row["at"], row["reason"])
                    case "end":
                        attendance.end(row["span"], row["at"])
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
        self._visits.append({"id": peer.id, "name": peer.name, "role": peer.role, "joined": at, "left": None})
        self._note({"event": "joined", "id": peer.id, "name": peer.name, "role": peer.role, "at": at})

    def left(self, peer: str, at: Nanos) -> None:
        """A peer went."""
        visit = self._present.pop(peer, None)
        if visit is not None:
            self._visits[visit]["left"] = at
            self._note({"event": "left", "id": peer, "at": at})

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

    def spans(self, span: Span) -> list[dict[str, Any]]:
        """`from` and `to` in seconds, null when it lasted to the end, and the `reason` if there is one."""
        return [
            {
                "from": in_seconds(row["from"]),
                "to": None if row["to"] is None else in_seconds(row["to"]),
                **({"reason": row["reason"]} if row["reason"] else {}),
            }
            for row in self._spans[span]
        ]

    def table(self) -> list[dict[str, Any]]:
        """One row a visit; times in seconds, `left` null for whoever stayed to the end."""
        return [
            {
                **visit,
                "joined": in_seconds(visit["joined"]),
                "left": None if visit["left"] is None else in_seconds(visit["left"]),
            }
            for visit in self._visits
        ]

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


def in_seconds(nanos: Nanos) -> float:
    """A time as documents say it: seconds, to the microsecond."""
    return round(nanos / SECOND, 6)
