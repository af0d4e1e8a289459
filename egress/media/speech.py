"""Speech as it is shown: whose tiles are marked, and who has the floor."""

from __future__ import annotations

from egress.media.floor import Floor
from egress.model.media import SECOND, Nanos

SPEAKING_HOLD: Nanos = SECOND // 2
"""How long a speaker stays marked after falling silent: pauses between words are not the end of speech."""


class Speech:
    """Follows who speaks, tick by tick; all methods are called on one thread."""

    def __init__(self) -> None:
        self.floor = Floor()
        self._spoke: dict[str, Nanos] = {}

    def hear(self, at: Nanos, speakers: frozenset[str], present: frozenset[str]) -> bool:
        """Who speaks at session time `at`, of those present; whether the floor or the order of speakers changed."""
        before, self.floor = self.floor, self.floor.after(at, speakers, present)
        if not self._spoke.keys() <= present:
            self._spoke = {peer: last for peer, last in self._spoke.items() if peer in present}
        for peer in speakers:
            self._spoke[peer] = at
        return (before.speaker, before.recent) != (self.floor.speaker, self.floor.recent)

    def marked(self, at: Nanos) -> frozenset[str]:
        """The peers to be marked at session time `at` because they speak, or spoke just before."""
        return frozenset(peer for peer, last in self._spoke.items() if at - last < SPEAKING_HOLD)
