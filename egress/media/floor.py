"""Who has the floor: of all who make a sound, the one worth looking at, without flapping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from egress.model.media import MILLISECOND, SECOND, Nanos

WINDOW: Nanos = SECOND
ENOUGH: Nanos = 600 * MILLISECOND
"""Speech within the window that makes a speaker of somebody; a cough or a "yes" is shorter."""
SILENT: Nanos = 400 * MILLISECOND
"""Silence of the holder that lets another one take the floor; pauses within a sentence are mostly shorter."""
CROSS: Nanos = 2 * SECOND
"""Over so long somebody who talks into the holder's words..."""
MORE: Nanos = 500 * MILLISECOND
"""...must speak so much longer than the holder to take the floor from them."""
HELD: Nanos = 2 * SECOND
"""How long everyone keeps the floor at least, unless they leave: a picture that changes faster is no help."""
MOST_RECENT: Final = 49

_GAP: Nanos = SECOND
"""The most that may lie between two looks, as it does at one picture a second: of what was not looked at, nobody knows
who spoke."""

Spans = tuple[tuple[Nanos, Nanos], ...]


@dataclass(frozen=True, slots=True)
class Floor:
    """`speaker` has the floor, and keeps it through pauses; `recent` are those who spoke, latest first.

    The order of `recent` changes only when somebody takes the floor or first speaks.
    """

    speaker: str | None = None
    recent: tuple[str, ...] = ()
    since: Nanos = 0
    _at: Nanos = 0
    _speech: Mapping[str, Spans] = field(default_factory=lambda: MappingProxyType({}))

    def after(self, at: Nanos, speaking: frozenset[str], present: frozenset[str] | None = None) -> Floor:
        """The floor at session time `at`, when these peers speak; `present` are those who can have it (None: all)."""
        if not speaking and not self._speech and (present is None or {*self.recent, self.speaker} <= {*present, None}):
            return Floor(self.speaker, self.recent, self.since, at, self._speech)
        begin = self._at if at - self._at <= _GAP else at
        speech = {}
        for peer in {*self._speech, *speaking}:
            if present is not None and peer not in present:
                continue
            spans = _with(self._speech.get(peer, ()), begin, at) if peer in speaking else self._speech[peer]
            if spans := tuple(span for span in spans if span[1] > at - CROSS):
                speech[peer] = spans
        new = replace(self, _at=at, _speech=MappingProxyType(speech))
        if present is not None and not {*self.recent, self.speaker} <= {*present, None}:
            new = replace(
                new,
                speaker=self.speaker if self.speaker in present else None,
                recent=tuple(peer for peer in self.recent if peer in present),
            )
        return new._decided(at)

    def _decided(self, at: Nanos) -> Floor:
        spoke = {
            peer: spoken
            for peer, spans in self._speech.items()
            if (spoken := _within(spans, at - WINDOW)) >= ENOUGH
        }  # fmt: skip
        if not spoke:
            return self
        recent = (*self.recent, *sorted(peer for peer in spoke if peer not in self.recent))[:MOST_RECENT]
        others = [peer for peer in spoke if peer != self.speaker and self._may_follow(peer, at)]
        if not others:
            return self if recent == self.recent else replace(self, recent=recent)
        taker = max(sorted(others), key=lambda peer: spoke[peer])
        recent = (taker, *(peer for peer in recent if peer != taker))
        return replace(self, speaker=taker, recent=recent, since=at)

    def _may_follow(self, peer: str, at: Nanos) -> bool:
        """Whether somebody who speaks may take the floor from its holder."""
        if self.speaker is None:
            return True
        if at - self.since < HELD:
            return False
        held = self._speech.get(self.speaker, ())
        if not held or at - held[-1][1] >= SILENT:
            return True
        return _within(self._speech[peer], at - CROSS) >= _within(held, at - CROSS) + MORE


def _with(spans: Spans, begin: Nanos, end: Nanos) -> Spans:
    if spans and spans[-1][1] >= begin:
        return (*spans[:-1], (spans[-1][0], end))
    return (*spans, (begin, end))


def _within(spans: Spans, since: Nanos) -> Nanos:
    """How much of the spans lies after an instant."""
    return sum(end - max(begin, since) for begin, end in spans if end > since)
