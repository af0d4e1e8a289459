"""The attempts of one job: which worker recorded when and why it ended, kept in the spool for the next one to see."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from egress.model.clock import SessionClock
from egress.model.media import Nanos

_JOURNAL, _PULSE = "attempts.jsonl", "pulse"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_UNKNOWN = "the worker died"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Attempt:
    """One worker of a job. `begin` and `end` are job time: since the first attempt's session time 0, gaps included.

    `end` is its last sign of life; `why` says what became of it, "" while it lives. `published`: somebody sent media.
    """

    number: int
    started: datetime
    begin: Nanos
    end: Nanos
    why: str = ""
    published: bool = False
    degraded: Mapping[str, int] = field(default_factory=dict)
    """Milliseconds for which each step of degradation was in force."""


class AttemptLog:
    """What is known of a job's attempts. One process at a time writes: the living worker, or whoever saw it die.

    The monotonic clock ties attempts of one boot together, so that no step of the wall clock bends their times; over a
    restart of the machine the wall clock has to do.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[int, Attempt] = {}
        self._origin: Nanos = 0
        self._boot = ""
        self._wall: datetime | None = None
        try:
            lines = (folder / _JOURNAL).read_text("utf-8").splitlines()
        except OSError:
            return
        for line in lines:
            try:
                self._fold(json.loads(line))
            except (ValueError, KeyError, TypeError):
                # Cut short by a death, or by a full disk.
                continue
        if self._rows and not self.last.why:
            self._survey(self.last)

    @property
    def rows(self) -> tuple[Attempt, ...]:
        """Those that came as far as recording."""
        return tuple(self._rows.values())

    @property
    def last(self) -> Attempt:
        """The latest that came as far as recording; raises IndexError when none did."""
        return self.rows[-1]

    @property
    def published(self) -> bool:
        """Whether anybody ever sent media."""
        return any(row.published for row in self.rows)

    def begin(self, number: int, clock: SessionClock) -> Nanos:
        """A worker begins to record; the job time of its session time 0."""
        if self._rows and not self.last.why:
            self.died(_UNKNOWN)
        boot = _boot()
        if self._wall is None:
            at = 0
        elif boot == self._boot:
            at = clock.origin - self._origin
        else:
            at = (clock.wall - self._wall) // timedelta(microseconds=1) * 1000
        at = max(at, self.last.end if self._rows else 0)
        row = {"number": number, "begin": at, "started": clock.wall.isoformat(), "origin": clock.origin, "boot": boot}
        self._note(row)
        return at

    @property
    def degraded(self) -> dict[str, int]:
        """Milliseconds for which each step of degradation was in force, in all attempts together."""
        total: dict[str, int] = {}
        for row in self.rows:
            for step, spent in row.degraded.items():
                total[step] = total.get(step, 0) + spent
        return total

    def beat(self, at: Nanos, degraded: Mapping[str, int] | None = None) -> None:
        """The worker lives at a job time, so long degraded by now: cheap, and written over the time before."""
        if degraded is not None and self._rows:
            self.last.degraded = dict(degraded)
        try:
            handle = os.open(self._folder / _PULSE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(handle, b"%020d %s\n" % (at, json.dumps(degraded or {}).encode()), 0)
            finally:
                os.close(handle)
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._folder / _PULSE, error.strerror)

    def saw_media(self, number: int) -> None:
        """Somebody sends media in this attempt."""
        if number in self._rows and not self._rows[number].published:
            self._note({"number": number, "published": True})

    def died(self, why: str) -> None:
        """The last worker is dead; of the reasons told the first counts, and none that never recorded has one."""
        if self._rows and not self.last.why:
            self._survey(self.last)
            self._note({"number": self.last.number, "end": self.last.end, "why": why, **_kept(self.last.degraded)})

    def ended(self, number: int, at: Nanos, why: str, degraded: Mapping[str, int] | None = None) -> None:
        """An attempt came to its own end at a job time."""
        if number in self._rows:
            self._note({"number": number, "end": at, "why": why, **_kept(degraded or {})})

    def table(self) -> list[dict[str, Any]]:
        """One row an attempt, as the manifest has them."""
        return [
            {
                "number": row.number,
                "started": row.started.isoformat(),
                "ended": (row.started + timedelta(microseconds=(row.end - row.begin) // 1000)).isoformat(),
                "why": row.why or _UNKNOWN,
            }
            for row in self.rows
        ]

    def started(self, otherwise: datetime) -> datetime:
        """When the first one began to record."""
        return self._wall or otherwise

    def _note(self, row: Mapping[str, Any]) -> None:
        self._fold(row)
        try:
            with (self._folder / _JOURNAL).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._folder / _JOURNAL, error.strerror)

    def _fold(self, row: Mapping[str, Any]) -> None:
        number = int(row["number"])
        if "begin" in row:
            started = datetime.fromisoformat(row["started"]).astimezone(UTC)
            if not self._rows:
                self._origin, self._boot, self._wall = int(row["origin"]) - int(row["begin"]), row["boot"], started
            self._rows[number] = Attempt(number, started, int(row["begin"]), int(row["begin"]))
            return
        known = self._rows[number]
        known.end = max(known.begin, int(row.get("end", known.end)))
        known.why = str(row.get("why", known.why))
        known.published = bool(row.get("published", known.published))
        known.degraded = {str(step): int(spent) for step, spent in row.get("degraded", known.degraded).items()}

    def _survey(self, row: Attempt) -> None:
        """Learn from its pulse how far an attempt came whose end nobody wrote down."""
        try:
            at, _, told = (self._folder / _PULSE).read_text("ascii").partition("\n")[0].partition(" ")
            end = int(at)
            degraded = {str(step): int(spent) for step, spent in json.loads(told or "{}").items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return
        # A pulse from before it began is its predecessor's.
        if end > row.begin:
            row.end, row.degraded = max(row.end, end), degraded or row.degraded


def _kept(degraded: Mapping[str, int]) -> dict[str, Any]:
    """What a line of the journal says of it: nothing for the many jobs that gave nothing up."""
    return {"degraded": dict(degraded)} if any(degraded.values()) else {}


def _boot() -> str:
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return ""
