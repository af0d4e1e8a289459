"""Whether the machine keeps up with the programme, and how much of its quality is given up so that it does."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, Protocol, runtime_checkable

from egress.model.media import MILLISECOND, SECOND, Nanos


class Rung(IntEnum):
    """What is given up, each beside all before it."""

    NONE = 0
    LOOP_FILTER = 1
    """Small tiles are decoded without their loop filter."""
    SMALL_TILES = 2
    """Small tiles move at half the rate, and pictures nothing refers to are not decoded for them."""
    PRESET = 3
    """The encoders search less: a worse picture at the same bitrate."""
    FRAME_RATE = 4
    """Every second picture is a repeat."""

    @property
    def label(self) -> str:
        """As events and documents name it."""
        return self.name.lower()

    @property
    def upto(self) -> tuple[Rung, ...]:
        """This one and those before it: all that is in force with it."""
        return tuple(rung for rung in Rung if Rung.NONE < rung <= self)


WINDOW: Nanos = SECOND // 2
"""How long one measurement takes."""
STRAINED: Final = 900
CALM: Final = 750
"""Pressure, per mille: from STRAINED on there is soon no time left; up to CALM there is some to spare."""
SUSTAINED: Final = 3
"""Strained measurements in a row, calm ones taken off, before a step: a stall of a few 100 ms spoils two at most."""
SETTLE: Final = 2
"""Measurements after a step that say nothing, for what was given up shows late."""
PATIENCE: Final = 20
"""Calm measurements before a step back: ten seconds."""
MOST_PATIENCE: Final = 240
RELAPSE: Final = 120
"""A step up within so many measurements of one back was a relapse: the next one back takes twice the patience."""
FORGOTTEN: Final = 600
"""Measurements without a relapse after which patience is what it was at first."""

GROSS: Final = 1500
"""Excess, per mille, at which single steps come too late: what the first ones give up is a few in a hundred."""
HOPELESS: Final = 2000
"""Excess at which no faster preset is enough."""
GROSS_SUSTAINED: Final = 2
"""Measurements of gross overload side by side before several steps at once: one stall is in the work of one of them."""
BEHIND: Nanos = 200 * MILLISECOND
"""So late at the end of a measurement, ticks are not being caught up with; pictures are soon repeated for it."""

SMALL: Final = 6
"""A tile is small when it has at most this part of the canvas, as those of a grid of five have."""


@runtime_checkable
class Relievable(Protocol):
    """A source of pictures that can make them for less."""

    @property
    def overdue(self) -> int:
        """Pictures that had come in time and were decoded too late."""
        ...

    def relieve(self, rung: Rung, after: Nanos) -> None:
        """Give up what this rung says from now on; what others must help with is asked for only `after` so long."""


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured during `span`: durations are of wall time, so they hold what other programs took away."""

    span: Nanos
    ticks: int
    late: int
    """Ticks that began more than one tick after their time."""
    making: Nanos
    """Spent drawing and mixing."""
    encoding: Nanos
    """Spent by the busiest video encoder."""
    waiting: int = 0
    """Most pictures that were seen waiting for an encoder at a tick."""
    refused: int = 0
    """Pictures an encoder had no room for."""
    overdue: int = 0
    """Pictures that had come in time and were decoded too late."""
    tiles: int = 0
    """Tiles with a picture, when it ended."""
    tick: Nanos = 0
    """From one tick to the next; 0 when nobody says."""
    encoded: int = 0
    """Pictures an encoder was done with, repeats as well."""
    behind: Nanos = 0
    """How late the last tick began."""

    @property
    def excess(self) -> int:
        """The work of a tick by the time there is for it, per mille: other than pressure it goes on above 1000."""
        drawing = 1000 * self.making // max(1, self.ticks * self.tick) if self.tick else 0
        encoding = 1000 * self.encoding // (self.encoded * self.tick) if self.encoded and self.tick else 0
        return max(drawing, encoding, GROSS if self.behind >= BEHIND else 0)

    def pressures(self) -> dict[str, int]:
        """How near each part is to failing, per mille: 1000 has no time left."""
        ticks = max(1, self.ticks)
        return {
            "ticks begin late": min(1000, 2000 * self.late // ticks),
            "drawing takes too long": 1000 * self.making // max(1, self.span),
            "encoding takes too long": 1000 * self.encoding // max(1, self.span),
            "pictures found no room at an encoder": 1000 if self.refused > 1 else 0,
            # One picture of eight too late in every tile is about where eyes begin to see it.
            "pictures are decoded too late": min(1000, 8000 * self.overdue // (ticks * max(1, self.tiles))),
        }

    @property
    def pressure(self) -> int:
        """Of the part that is worst."""
        return max(self.pressures().values())

    @property
    def why(self) -> str:
        """Which part that is."""
        pressures = self.pressures()
        return max(pressures, key=lambda name: pressures[name])


@dataclass(frozen=True, slots=True)
class Strain:
    """The state of the ladder: `rung` is in force. A value; `after` gives the one that follows a measurement."""

    rung: Rung = Rung.NONE
    score: int = 0
    """Strained measurements, calm ones taken off."""
    calm: int = 0
    """Calm measurements since the last one that was strained."""
    settling: int = 0
    """Measurements still to be left out."""
    patience: int = PATIENCE
    since_back: int = FORGOTTEN
    """Measurements since the last step back."""
    gross: int = 0
    """Measurements of gross overload side by side."""

    def after(self, load: Load, means: Set[Rung] = frozenset(Rung), settle: int = SETTLE) -> Strain:
        """The state after one more measurement. It moves among `means`, the rungs that would help: by one step, or,
        under gross overload, up by all steps at once that promise too little.

        `settle` is how many measurements a step up takes to show.
        """
        since = min(FORGOTTEN, self.since_back + 1)
        gross = self.gross + 1 if load.excess >= GROSS and load.pressure >= STRAINED else 0
        state = replace(self, since_back=since, patience=PATIENCE if since == FORGOTTEN else self.patience, gross=gross)
        if gross >= GROSS_SUSTAINED and state.rung < max(means):
            # Nothing is waited for: what was given up before is far from enough.
            return state._up(means, settle, Rung.FRAME_RATE if load.excess >= HOPELESS else Rung.PRESET)
        if state.settling:
            return replace(state, settling=state.settling - 1)
        pressure = load.pressure
        if pressure >= STRAINED:
            state = replace(state, score=state.score + 1, calm=0)
        elif pressure <= CALM:
            state = replace(state, score=max(0, state.score - 1), calm=state.calm + 1)
        if state.score >= SUSTAINED:
            return state._up(means, settle)
        if state.rung and state.calm >= state.patience:
            lower = max((rung for rung in means if rung < state.rung), default=Rung.NONE)
            return replace(state, rung=lower, score=0, calm=0, settling=SETTLE, since_back=0)
        return state

    def _up(self, means: Set[Rung], settle: int, least: Rung = Rung.NONE) -> Strain:
        above = [rung for rung in sorted(means) if rung > self.rung]
        higher = next((rung for rung in above if rung >= least), above[-1] if above else self.rung)
        if higher == self.rung:
            return replace(self, score=SUSTAINED)
        relapsed = self.since_back < RELAPSE
        patience = min(MOST_PATIENCE, 2 * self.patience) if relapsed else self.patience
        return replace(self, rung=higher, score=0, calm=0, gross=0, settling=settle, patience=patience)


@dataclass(frozen=True, slots=True)
class Step:
    """A change of what is given up: `why` is what was measured; `at` is the session time of the first tick after it."""

    rung: Rung
    before: Rung
    why: str
    at: Nanos


STAGGER: Nanos = 150 * MILLISECOND
"""Between two senders who are asked for a keyframe because a rung begins or ends."""
