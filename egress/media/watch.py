"""A watch on how well the machine keeps up with a programme, which gives up some of it in time and takes it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from egress.media.production import Production
from egress.media.strain import SETTLE, WINDOW, Load, Relievable, Rung, Step, Strain
from egress.media.tempo import Tempo
from egress.model.clock import SessionClock
from egress.model.media import MILLISECOND, Nanos
from egress.model.pipeline import Pipeline


class Watch:
    """Measures every tick and folds half a second of them at a time into a Strain; used on the tick's thread.

    Time is the session's, which is the wall's: so what other programs take away counts, and a stall that is caught up
    with at once is one measurement, however many ticks it held up.
    """

    def __init__(self, made: Production, pipeline: Pipeline, clock: SessionClock) -> None:
        self.tempo = Tempo()
        """Of making ticks; read from any thread."""
        self._made = made
        self._clock = clock
        self._on = pipeline.overload == "degrade" and pipeline.video is not None
        # A faster preset takes effect at the next regular keyframe.
        self._keyframe = pipeline.video.keyframe if pipeline.video else 0
        self._tick = made.time(1)
        self._strain = Strain()
        self._since = [0] * len(Rung)
        self._spent = [0] * len(Rung)
        self._begun: Nanos | None = None
        self._ticks = self._late = self._waiting = 0
        self._making: Nanos = 0
        self._encoding: Nanos = 0
        self._encoded = self._refused = 0
        self._overdue: Mapping[str, int] = {}

    def ticked(self, late: Nanos, begun: Nanos) -> Step | None:
        """Note the tick made last, which began at session time `begun`, so late; says what is changed by that."""
        now = self._clock.now()
        self.tempo.note(now - begun)
        if not self._on:
            return None
        if self._begun is None:
            self._begin(begun)
        self._ticks += 1
        self._late += late > self._tick
        self._making += now - begun
        assert self._made.video is not None and self._begun is not None
        self._waiting = max(self._waiting, self._made.video.waiting)
        if now - self._begun < WINDOW:
            return None
        load = self._load(now - self._begun, late)
        self._begin(now)
        rung = self._strain.rung
        self._strain = self._strain.after(load, frozenset(self._means()), self._settle())
        if self._strain.rung is rung:
            return None
        self._account(rung, self._strain.rung, now)
        self._made.relieve(self._strain.rung)
        why = load.why if self._strain.rung > rung else "there is time to spare"
        return Step(self._strain.rung, rung, why, self._made.time(self._made.ticks))

    def degraded(self) -> Mapping[str, int]:
        """Milliseconds each rung was in force by now; read from any thread."""
        now, upto = self._clock.now(), self._made.rung
        return {
            rung.label: (self._spent[rung] + (now - self._since[rung] if rung <= upto else 0)) // MILLISECOND
            for rung in Rung
            if rung is not Rung.NONE
        }

    def _begin(self, now: Nanos) -> None:
        assert self._made.video is not None
        self._begun = now
        self._ticks = self._late = self._waiting = 0
        self._making = 0
        self._encoding, self._refused = self._made.video.busy, self._made.video.refused
        self._encoded = self._done()
        self._overdue = dict(self._pictures())

    def _done(self) -> int:
        assert self._made.video is not None
        return self._made.video.main.pictures + self._made.video.main.repeated

    def _load(self, span: Nanos, behind: Nanos) -> Load:
        video = self._made.video
        assert video is not None
        pictures = dict(self._pictures())
        return Load(
            span,
            self._ticks,
            self._late,
            self._making,
            video.busy - self._encoding,
            self._waiting,
            video.refused - self._refused,
            # Of those that were there before: who has just come has a decoder to open first.
            sum(overdue - self._overdue.get(track, overdue) for track, overdue in pictures.items()),
            len(pictures),
            self._tick,
            self._done() - self._encoded,
            behind,
        )

    def _pictures(self) -> Iterator[tuple[str, int]]:
        scene = self._made.cast.scene
        for tile in scene.tiles:
            if tile.track is not None and isinstance(source := scene.pictures.get(tile.track), Relievable):
                yield tile.track, source.overdue

    def _means(self) -> Iterator[Rung]:
        """What would help: with no small tiles there is nothing to be left out of them."""
        small = bool(self._made.small())
        for rung in Rung:
            if rung is not Rung.NONE and (small or rung >= Rung.PRESET):
                yield rung

    def _settle(self) -> int:
        # The step after this one decides by what this one has changed.
        upon = self._strain.rung >= Rung.SMALL_TILES or not self._made.small()
        return SETTLE + (-(-self._keyframe // WINDOW) if upon and self._strain.rung < Rung.PRESET else 0)

    def _account(self, before: Rung, after: Rung, now: Nanos) -> None:
        for rung in after.upto:
            if rung > before:
                self._since[rung] = now
        for rung in before.upto:
            if rung > after:
                self._spent[rung] += now - self._since[rung]
