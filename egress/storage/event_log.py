"""The events of a job in its spool folder, numbered: whoever was away gets what was missed, also once all is over."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from egress.disk import write_whole

MOST = 5_000
"""Events one job keeps; the oldest go first."""

FINAL = ("finished", "failed", "aborted")
"""States after which nothing more comes."""

_log = logging.getLogger(__name__)

Event = dict[str, Any]


class EventLog:
    """Appends events with numbers (`seq`, from 1) that go on over all attempts of a job; one process writes.

    The newest `most` are kept in memory and, one JSON line each, in the folder's `events.jsonl`. A disk that refuses
    costs only what the next process would have read.
    """

    def __init__(self, folder: Path, most: int = MOST) -> None:
        self._path = folder / "events.jsonl"
        self._most = most
        self._kept: deque[Event] = deque(read_events(folder), maxlen=most)
        self._lines = len(self._kept)

    @property
    def seq(self) -> int:
        """The number of the newest event; 0 before the first."""
        return int(self._kept[-1]["seq"]) if self._kept else 0

    @property
    def first(self) -> int:
        """The number of the oldest event that is still known; one more than `seq` when there is none."""
        return int(self._kept[0]["seq"]) if self._kept else 1

    def append(self, event: Mapping[str, Any]) -> Event:
        """Keep an event; returns it with its number."""
        kept = {**event, "seq": self.seq + 1}
        self._kept.append(kept)
        try:
            if self._lines >= 2 * self._most:
                write_whole(self._path, b"".join(map(line_of, self._kept)))
                self._lines = len(self._kept)
            else:
                with self._path.open("ab") as file:
                    file.write(line_of(kept))
                self._lines += 1
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._path, error.strerror)
        return kept

    def since(self, seq: int) -> tuple[Event, ...]:
        """What came after event number `seq`, oldest first, as far as it is known."""
        return tuple(event for event in self._kept if event["seq"] > seq)


def read_events(folder: Path, since: int = 0) -> list[Event]:
    """What a process noted after event number `since`; a line cut short by its death is left out."""
    try:
        lines = (folder / "events.jsonl").read_bytes().splitlines()
    except OSError:
        return []
    found: list[Event] = []
    for line in lines:
        try:
            event = json.loads(line)
            if event["seq"] > since:
                found.append(event)
        except (ValueError, KeyError, TypeError):
            continue
    return found


def final(events: list[Event]) -> Event | None:
    """The event that says how the job ended, if it is among them."""
    for event in reversed(events):
        if event.get("type") == "state" and event.get("state") in FINAL:
            return event
    return None


def line_of(event: Mapping[str, Any]) -> bytes:
    """An event as one line; what strangers say may hold half a character, which UTF-8 cannot carry."""
    return json.dumps(event, ensure_ascii=False, default=str).encode(errors="replace") + b"\n"
