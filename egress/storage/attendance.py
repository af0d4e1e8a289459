"""Who was there and when: bounded, and written down as it happens, so that a worker's death loses none of it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from egress.model.media import SECOND, Nanos
from egress.model.order import JobOrder
from egress.model.room import Peer

LIMIT = 10_000
"""Visits one job lists; further ones are counted, so that no crowd can grow a manifest without end."""

_log = logging.getLogger(__name__)


class Attendance:
    """When each peer was there, in session time. With `journal`, every step is a line of JSON there at once."""

    def __init__(self, journal: Path | None = None) -> None:
        self.refused = 0
        self._journal = journal
        self._visits: list[dict[str, Any]] = []
        self._present: dict[str, int] = {}

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
                if row["event"] == "joined":
                    attendance.joined(Peer(row["id"], row["name"], row["role"]), row["at"])
                else:
                    attendance.left(row["id"], row["at"])
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
